//! Users, with their names unsealed for as long as their key is there.

use std::borrow::Cow;

use schemas::user::User;
use schemas::view::UserView;

use super::{Seen, Shown};

impl Shown for User {
    type View = UserView;

    const HIDDEN: &'static [&'static str] = &["person", "email_hash", "subject_hash"];

    fn view(&self, seen: &Seen) -> Cow<'_, UserView> {
        let person = seen.beside(|org, aside| aside.person(org, self));
        let last_sign_in_at = seen.beside(|org, aside| aside.last_use(org, self.id));
        Cow::Owned(UserView::new(self, person, last_sign_in_at))
    }
}
