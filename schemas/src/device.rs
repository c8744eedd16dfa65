//! Devices: the Linux firewalls that an org manages.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use crate::address::Span;
use crate::id::{GroupId, SetupKeyId};
use crate::resource::{Reference, Related};
use crate::text::{Description, Metadata, Name, Tag, yes};
use crate::zone::ZoneName;

/// The name of a network interface as Linux has it: 1 to 15 bytes, no space, slash or quote.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct InterfaceName(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an interface name has 1 to 15 of A-Z, a-z, 0-9 and . _ - @ +, got {0:?}")]
pub struct BadInterfaceName(String);

impl InterfaceName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for InterfaceName {
    type Err = BadInterfaceName;

    fn from_str(given: &str) -> Result<Self, BadInterfaceName> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'@' | b'+');
        let fits = (1..=15).contains(&given.len()) && given.bytes().all(letter) && !matches!(given, "." | "..");
        if fits { Ok(Self(given.to_owned())) } else { Err(BadInterfaceName(given.chars().take(40).collect())) }
    }
}

impl<'de> Deserialize<'de> for InterfaceName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for InterfaceName {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        crate::id::text_schema("^[A-Za-z0-9._@+-]{1,15}$")
    }
}

impl utoipa::ToSchema for InterfaceName {}

/// An interface of a device and the zone behind it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    pub name: InterfaceName,
    /// Absent: the interface belongs to no zone, its traffic is neither filtered nor captured.
    pub zone: Option<ZoneName>,
}

/// What a device does with its ruleset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Captures traffic, touches nothing.
    Observe,
    /// Counts what the rules would do, drops nothing.
    Shadow,
    /// Enforces the rules.
    #[default]
    Enforce,
}

/// A ruleset that a device confirmed to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Applied {
    /// The org revision that the ruleset was compiled at.
    pub revision: u64,
    /// SHA-256 of the config, in hexadecimal.
    pub hash: String,
    pub at: DateTime<Utc>,
}

/// A ruleset that a device could not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ApplyFailure {
    pub revision: u64,
    pub hash: String,
    /// What the device's kernel or its connection check said.
    pub error: String,
    /// Whether the previous ruleset was put back after this one had been in force.
    pub reverted: bool,
    pub at: DateTime<Utc>,
}

crate::resource! {
    /// A device of an org.
    Device(DeviceId) from DeviceSettings {
        name: Name,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        metadata: Metadata,
        #[serde(default)]
        tags: Vec<Tag>,
        /// Where it stands, for people.
        #[serde(default)]
        location: Description,
        #[serde(default)]
        mode: Mode,
        /// All its interfaces that matter, and their zones.
        #[serde(default)]
        interfaces: Vec<Interface>,
        /// The groups that it is in.
        #[serde(default, alias = "groups")]
        group_ids: Vec<GroupId>,
        /// The networks that it stands for where a rule or a policy names one of its groups: its own addresses and those
        /// behind it.
        #[serde(default)]
        networks: Vec<Span>,
    }
    given {
        /// Whether it gets a ruleset; absent leaves that as it is.
        #[serde(default)]
        approved: Option<bool>,
    }
    kept {
        /// Whether it gets a ruleset; a device whose setup key asks for approval begins without.
        #[serde(default = "yes")]
        #[schema(default = true)]
        approved: bool,
        /// The device's own NATS public user key (Ed25519); the private half never leaves it.
        public_key: String,
        agent_version: String,
        setup_key_id: SetupKeyId,
        /// Whether it leaves the org when it has been offline for ten minutes.
        #[serde(default)]
        ephemeral: bool,
        /// The ruleset that the device said it runs; absent before its first report.
        applied: Option<Applied>,
        /// The last failure, until a later ruleset is applied.
        failure: Option<ApplyFailure>,
    }
    aliases {
        "groups" => "group_ids",
    }
}

impl Related for Device {
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }

    fn references(&self, note: &mut dyn FnMut(&'static str, Reference)) {
        for zone in self.interfaces.iter().filter_map(|interface| interface.zone.as_ref()) {
            note("interfaces", Reference::Zone(zone.clone()));
        }
        self.group_ids.iter().for_each(|id| note("group_ids", (*id).into()));
    }
}

/// What a device enrols with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The secret of a setup key, `nks_…`.
    pub setup_key: String,
    /// The device's NATS public user key, `U…`.
    pub public_key: String,
    pub name: Name,
    #[serde(default)]
    pub agent_version: String,
    #[serde(default)]
    pub interfaces: Vec<Interface>,
}

/// What a device gets when it is enrolled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Enrolled {
    pub org: crate::id::OrgId,
    pub device: Device,
    /// The addresses of the bus, `nats://host:port`.
    pub nats_urls: Vec<String>,
    /// The control plane's public key (Ed25519, NATS account key text): configs that it did not sign are refused.
    pub config_key: String,
}
