//! The config of a device: the whole of what it must enforce, signed by the control plane.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::address::Address;
use crate::device::{InterfaceName, Mode};
use crate::id::{DeviceId, OrgId, RuleId};
use crate::rule::Action;
use crate::service::{PortRange, Protocol};
use crate::zone::ZoneName;

/// What one device must enforce, as of one org revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceConfig {
    pub org: OrgId,
    pub device: DeviceId,
    /// The org revision that this was compiled at. A device refuses one that is older than what it runs.
    pub revision: u64,
    pub mode: Mode,
    pub ruleset: Ruleset,
}

/// The rules of one device in their canonical form: equal inputs give equal bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ruleset {
    /// Sorted by name; a zone without an interface on this device is absent.
    pub zones: Vec<RulesetZone>,
    /// In matching order: the first that matches a packet decides.
    pub rules: Vec<RulesetRule>,
    /// What happens to a new connection between two zones that no rule matches.
    pub default_action: Action,
}

/// The interfaces of a device that belong to one zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesetZone {
    pub name: ZoneName,
    /// Sorted.
    pub interfaces: Vec<InterfaceName>,
}

/// One rule as a device enforces it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RulesetRule {
    pub id: RuleId,
    /// The conntrack mark on the connections that this rule decided; never 0.
    pub number: u32,
    pub zone_from: ZoneName,
    pub zone_to: ZoneName,
    /// Never empty: a rule without a source matches nothing and is not here.
    pub sources: Vec<Address>,
    /// Never empty.
    pub destinations: Vec<Address>,
    pub protocol: Protocol,
    /// Destination ports; empty means every port.
    pub ports: Vec<PortRange>,
    pub action: Action,
    pub log: bool,
}

/// A config on the wire: the exact bytes that were signed, and the signature.
#[derive(Debug, Serialize, Deserialize)]
pub struct SignedConfig {
    /// A [`DeviceConfig`] as JSON; kept as bytes, because the signature is over the bytes.
    pub config: Box<RawValue>,
    /// Ed25519 (RFC 8032) over the bytes of `config`, in base64.
    pub signature: String,
}
