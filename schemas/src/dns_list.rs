//! DNS filters: domains that devices do not resolve, and the exceptions.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::domain::Domain;
use crate::id::GroupId;
use crate::resource::{Reference, Related};
use crate::text::{Description, Metadata, Name, Tag, yes};

/// What a list of domains is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DnsAction {
    /// Answered with NXDOMAIN.
    Block,
    /// Resolved although a block list has it.
    Allow,
}

crate::resource! {
    /// A list of domains to block or to allow, with everything below them.
    ///
    /// Kept, checked and versioned; devices do not carry it out yet.
    DnsList(DnsListId) from NewDnsList {
        name: Name,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        metadata: Metadata,
        #[serde(default)]
        tags: Vec<Tag>,
        #[serde(default = "yes")]
        #[schema(default = true)]
        enabled: bool,
        action: DnsAction,
        domains: Vec<Domain>,
        /// The groups of devices that use it; absent means all devices.
        #[serde(default)]
        group_ids: Option<Vec<GroupId>>,
    }
}

pub const DOMAINS_MAX: usize = 10_000;

impl Related for DnsList {
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }

    fn references(&self, note: &mut dyn FnMut(&'static str, Reference)) {
        self.group_ids.iter().flatten().for_each(|id| note("group_ids", (*id).into()));
    }
}
