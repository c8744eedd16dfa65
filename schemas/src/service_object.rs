//! Service objects: named sets of protocols and ports that rules refer to.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::id::ServiceId;
use crate::resource::{Reference, Related};
use crate::service::{PortRange, Protocol};
use crate::text::{Description, Metadata, Name, Tag, as_text};

crate::resource! {
    /// A named set of protocols and ports, and of other service objects (a group of services).
    Service(ServiceId) from NewService {
        name: Name,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        metadata: Metadata,
        #[serde(default)]
        tags: Vec<Tag>,
        /// What it stands for; an empty set matches nothing.
        entries: Vec<ServiceEntry>,
    }
}

/// One entry of a service object. In JSON a string: `tcp/443`, `udp/5000-5010`, `icmp`, `47`, or the id of another
/// service object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceEntry {
    /// A protocol, on one range of destination ports or on all.
    Ports {
        protocol: Protocol,
        ports: Option<PortRange>,
    },
    Service(ServiceId),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a protocol, a protocol and ports like tcp/443 or udp/5000-5010, or the id of a service object, got {0:?}"
)]
pub struct BadServiceEntry(String);

impl Related for Service {
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }

    fn references(&self, note: &mut dyn FnMut(&'static str, Reference)) {
        for entry in &self.entries {
            if let ServiceEntry::Service(id) = entry {
                note("entries", (*id).into());
            }
        }
    }
}

impl fmt::Display for ServiceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ports { protocol, ports: Some(ports) } => write!(f, "{protocol}/{ports}"),
            Self::Ports { protocol, ports: None } => protocol.fmt(f),
            Self::Service(id) => id.fmt(f),
        }
    }
}

impl FromStr for ServiceEntry {
    type Err = BadServiceEntry;

    fn from_str(given: &str) -> Result<Self, BadServiceEntry> {
        let bad = || BadServiceEntry(given.chars().take(80).collect());
        if given.starts_with("svc_") {
            return given.parse().map(Self::Service).map_err(|_| bad());
        }
        let (protocol, ports) = match given.split_once('/') {
            Some((protocol, ports)) => (protocol, Some(ports.parse::<PortRange>().map_err(|_| bad())?)),
            None => (given, None),
        };
        let protocol: Protocol = protocol.parse().map_err(|_| bad())?;
        let fits = ports.is_none() || (protocol != Protocol::All && protocol.has_ports());
        if fits { Ok(Self::Ports { protocol, ports }) } else { Err(bad()) }
    }
}

as_text!(ServiceEntry, "ServiceEntry", "^([a-z0-9]{1,6}(/[0-9]{1,5}(-[0-9]{1,5})?)?|svc_[0-9a-z]{26})$");
