//! Selectors: what a rule names as source or destination. Literal addresses, or objects of the org that stand for some.

use std::fmt;
use std::str::FromStr;

use crate::address::{Address, Span};
use crate::id::{AddressId, AddressListId, GroupId};
use crate::resource::{Reference, ResourceId};
use crate::text::as_text;
use crate::zone::{BadZoneName, ZoneName};

/// What a source or a destination matches. In JSON a string: `any`, `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, or the id of an
/// address object, an address list, or a group of devices (which stands for the networks of its devices).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    Any,
    Span(Span),
    Address(AddressId),
    List(AddressListId),
    Group(GroupId),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected any, an address, a CIDR block, a range like 10.0.0.1-10.0.0.9, or an id of an address, an address list \
     or a group, got {0:?}"
)]
pub struct BadSelector(String);

impl Selector {
    /// The object that it stands for, if it does.
    pub fn reference(&self) -> Option<Reference> {
        match self {
            Self::Any | Self::Span(_) => None,
            Self::Address(id) => Some((*id).into()),
            Self::List(id) => Some((*id).into()),
            Self::Group(id) => Some((*id).into()),
        }
    }
}

impl From<Address> for Selector {
    fn from(address: Address) -> Self {
        match address {
            Address::Any => Self::Any,
            Address::Span(span) => Self::Span(span),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Span(span) => span.fmt(f),
            Self::Address(id) => id.fmt(f),
            Self::List(id) => id.fmt(f),
            Self::Group(id) => id.fmt(f),
        }
    }
}

impl FromStr for Selector {
    type Err = BadSelector;

    fn from_str(given: &str) -> Result<Self, BadSelector> {
        if let Ok(address) = given.parse::<Address>() {
            return Ok(address.into());
        }
        let bad = || BadSelector(given.chars().take(80).collect());
        let id: ResourceId = given.parse().map_err(|_| bad())?;
        let address = AddressId::try_from(id).map(Self::Address);
        let list = || AddressListId::try_from(id).map(Self::List);
        let group = || GroupId::try_from(id).map(Self::Group);
        address.or_else(|_| list()).or_else(|_| group()).map_err(|_| bad())
    }
}

as_text!(Selector, "Selector", "^(any|[0-9a-fA-F.:]+(/[0-9]{1,3}|-[0-9a-fA-F.:]+)?|(addr|list|grp)_[0-9a-z]{26})$");

/// The zones that a rule is about. In JSON a string: `any`, or the name of a zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ZoneMatch {
    /// Every zone, the device itself included.
    Any,
    Zone(ZoneName),
}

impl ZoneMatch {
    pub fn contains(&self, zone: &ZoneName) -> bool {
        match self {
            Self::Any => true,
            Self::Zone(name) => name == zone,
        }
    }

    /// The zone, if it is one.
    pub fn zone(&self) -> Option<&ZoneName> {
        match self {
            Self::Any => None,
            Self::Zone(name) => Some(name),
        }
    }
}

impl From<ZoneName> for ZoneMatch {
    fn from(name: ZoneName) -> Self {
        Self::Zone(name)
    }
}

impl fmt::Display for ZoneMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Zone(name) => name.fmt(f),
        }
    }
}

impl FromStr for ZoneMatch {
    type Err = BadZoneName;

    fn from_str(given: &str) -> Result<Self, BadZoneName> {
        if given.eq_ignore_ascii_case("any") { Ok(Self::Any) } else { given.parse().map(Self::Zone) }
    }
}

as_text!(ZoneMatch, "ZoneMatch", "^[A-Za-z][A-Za-z0-9_-]{0,31}$");
