//! Firewalls.

use schemas::firewall::{Firewall, NewFirewall};
use schemas::id::GroupId;
use schemas::state::OrgState;

use super::resource::{Decided, only_of};
use super::{Context, TAGS_MAX, bounded};
use crate::refusal::Refusal;

const LISTS_MAX: usize = 100;

impl Decided for Firewall {
    fn complete(&mut self, _: &NewFirewall, before: Option<&Self>, org: &OrgState, _: &Context) -> Result<(), Refusal> {
        if before.is_none() {
            self.number = org.number_last.saturating_add(1);
        }
        Ok(())
    }

    fn is_within(&self, groups: &[GroupId], _: &OrgState) -> bool {
        only_of(&self.group_ids, groups)
    }

    fn check(&self, _: Option<&Self>, _: &OrgState, _: &Context) -> Result<(), Refusal> {
        bounded("tags", self.tags.len(), TAGS_MAX)?;
        bounded("allow_lists", self.allow_lists.len(), LISTS_MAX)?;
        bounded("deny_lists", self.deny_lists.len(), LISTS_MAX)?;
        bounded("group_ids", self.group_ids.len(), LISTS_MAX)
    }
}
