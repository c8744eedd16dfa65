//! API tokens: each user's own, and everybody's for admins; with their last use.

use std::borrow::Cow;

use schemas::api_token::ApiToken;
use schemas::view::ApiTokenView;

use super::{Seen, Shown};

impl Shown for ApiToken {
    type View = ApiTokenView;

    fn view(&self, seen: &Seen) -> Cow<'_, ApiTokenView> {
        let last_used_at = seen.beside(|org, aside| aside.last_use(org, self.id));
        Cow::Owned(ApiTokenView { api_token: self.clone(), last_used_at })
    }

    fn sees_all(seen: &Seen) -> bool {
        seen.is_admin()
    }

    fn is_visible(&self, seen: &Seen) -> bool {
        seen.is_admin() || seen.is_user(self.owner_id)
    }
}
