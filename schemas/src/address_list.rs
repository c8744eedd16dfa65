//! Address lists: allow and deny lists of up to 100,000 addresses, changed entry by entry.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::address::Span;
use crate::resource::{Reference, Related};
use crate::text::{Description, Metadata, Name, Tag};

crate::resource! {
    /// A large list of addresses. Its entries are read and changed at `/address-lists/{id}/entries`.
    AddressList(AddressListId) from NewAddressList {
        name: Name,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        metadata: Metadata,
        #[serde(default)]
        tags: Vec<Tag>,
    }
    kept {
        /// How many entries it has, expired ones included.
        #[serde(default)]
        entries_count: u32,
    }
}

/// The entries that one list may have.
pub const ENTRIES_MAX: usize = 100_000;

/// One entry of an address list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListEntry {
    /// An address, a CIDR block or a range; no other entry of the list has the same.
    pub address: Span,
    #[serde(default, skip_serializing_if = "Description::is_empty")]
    pub comment: Description,
    /// When it stops counting; absent means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

impl ListEntry {
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// What is still to be changed of a list whose entries are replaced in several commits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Remaining {
    pub removed: u32,
    pub added: u32,
}

impl Remaining {
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// A change of the entries of a list: first what goes, then what comes. What comes replaces an entry of the same address.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EntriesPatch {
    #[serde(default)]
    pub remove: Vec<Span>,
    #[serde(default)]
    pub add: Vec<ListEntry>,
}

impl Related for AddressList {
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }

    fn references(&self, _: &mut dyn FnMut(&'static str, Reference)) {}
}
