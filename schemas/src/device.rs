//! Devices: the Linux firewalls that an org manages.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use crate::id::{DeviceId, SetupKeyId};
use crate::text::{Description, Metadata, Name};
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
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
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

/// A device of an org.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Device {
    pub id: DeviceId,
    /// The org revision of the last change that somebody made to this device; also its ETag.
    pub revision: u64,
    pub name: Name,
    pub description: Description,
    pub metadata: Metadata,
    /// The device's own NATS public user key (Ed25519); the private half never leaves it.
    pub public_key: String,
    pub agent_version: String,
    pub setup_key_id: SetupKeyId,
    pub mode: Mode,
    pub interfaces: Vec<Interface>,
    /// The ruleset that the device said it runs; absent before its first report.
    pub applied: Option<Applied>,
    /// The last failure, until a later ruleset is applied.
    pub failure: Option<ApplyFailure>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
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

/// What to change of a device; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DevicePatch {
    pub name: Option<Name>,
    pub description: Option<Description>,
    pub metadata: Option<Metadata>,
    pub mode: Option<Mode>,
    /// The whole list of interfaces.
    pub interfaces: Option<Vec<Interface>>,
}
