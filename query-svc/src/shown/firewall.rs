//! Firewalls, with how many rules each has.

use std::borrow::Cow;

use schemas::firewall::Firewall;
use schemas::kind::Kind;
use schemas::view::FirewallView;

use super::{Seen, Shown};

impl Shown for Firewall {
    type View = FirewallView;

    fn view(&self, seen: &Seen) -> Cow<'_, FirewallView> {
        let target = self.id.into();
        let users = seen.org.models.state.users_of(&target);
        let rules_count = users.filter(|user| user.kind() == Kind::Rule).count();
        Cow::Owned(FirewallView { firewall: self.clone(), rules_count })
    }
}
