//! Firewalls: named rule sets with allow and deny lists, applied to groups of devices.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::id::{AddressListId, GroupId};
use crate::resource::{Reference, Related};
use crate::text::{Description, Metadata, Name, Tag, yes};

/// Whether a firewall takes part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FirewallStatus {
    #[default]
    Active,
    /// Its rules and lists compile to nothing.
    Paused,
}

crate::resource! {
    /// A named rule set. Rules belong to it by their `firewall_id`; those without one belong to every device.
    Firewall(FirewallId) from NewFirewall {
        name: Name,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        metadata: Metadata,
        #[serde(default)]
        tags: Vec<Tag>,
        #[serde(default)]
        status: FirewallStatus,
        /// Whether only sources on an allow list may open connections through its devices.
        #[serde(default)]
        allowlist_enabled: bool,
        /// Whether sources on a deny list are dropped before any rule is asked.
        #[serde(default = "yes")]
        #[schema(default = true)]
        denylist_enabled: bool,
        #[serde(default)]
        allow_lists: Vec<AddressListId>,
        #[serde(default)]
        deny_lists: Vec<AddressListId>,
        /// The groups of devices that it applies to; without any it applies to none.
        #[serde(default)]
        group_ids: Vec<GroupId>,
    }
    kept {
        /// Its number among all that decides on traffic in the org: the conntrack mark of what its lists decide.
        #[serde(default)]
        number: u32,
    }
}

impl Related for Firewall {
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }

    fn references(&self, note: &mut dyn FnMut(&'static str, Reference)) {
        self.allow_lists.iter().for_each(|id| note("allow_lists", (*id).into()));
        self.deny_lists.iter().for_each(|id| note("deny_lists", (*id).into()));
        self.group_ids.iter().for_each(|id| note("group_ids", (*id).into()));
    }
}
