//! Address objects: named sets of addresses that rules refer to, so that a change is made in one place.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::address::Span;
use crate::domain::Domain;
use crate::id::AddressId;
use crate::resource::{Reference, Related};
use crate::text::{Description, Metadata, Name, Tag, as_text};

crate::resource! {
    /// A named set of addresses: hosts, blocks, ranges, domains, and other address objects (a group of addresses).
    Address(AddressId) from NewAddress {
        name: Name,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        metadata: Metadata,
        #[serde(default)]
        tags: Vec<Tag>,
        /// What it stands for; an empty set matches nothing.
        entries: Vec<AddressEntry>,
    }
}

/// One entry of an address object. In JSON a string: `10.0.0.7`, `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, `www.example.com`,
/// or the id of another address object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressEntry {
    Span(Span),
    /// Whatever addresses the domain has, as seen from the device.
    Domain(Domain),
    Address(AddressId),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an address, a CIDR block, a range, a domain, or the id of an address object, got {0:?}")]
pub struct BadAddressEntry(String);

impl Related for Address {
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }

    fn references(&self, note: &mut dyn FnMut(&'static str, Reference)) {
        for entry in &self.entries {
            if let AddressEntry::Address(id) = entry {
                note("entries", (*id).into());
            }
        }
    }
}

impl fmt::Display for AddressEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Span(span) => span.fmt(f),
            Self::Domain(domain) => domain.fmt(f),
            Self::Address(id) => id.fmt(f),
        }
    }
}

impl FromStr for AddressEntry {
    type Err = BadAddressEntry;

    fn from_str(given: &str) -> Result<Self, BadAddressEntry> {
        let bad = || BadAddressEntry(given.chars().take(80).collect());
        if let Ok(span) = given.parse() {
            return Ok(Self::Span(span));
        }
        if given.starts_with("addr_") {
            return given.parse().map(Self::Address).map_err(|_| bad());
        }
        given.parse().map(Self::Domain).map_err(|_| bad())
    }
}

as_text!(AddressEntry, "AddressEntry", "^[0-9A-Za-z.:/_*-]{1,253}$");
