//! The config of a device: the whole of what it must enforce, signed by the control plane.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::address::Span;
use crate::device::{InterfaceName, Mode};
use crate::domain::Domain;
use crate::id::{DeviceId, OrgId};
use crate::nat_rule::NatType;
use crate::resource::ResourceId;
use crate::rule::Action;
use crate::schedule::Schedule;
use crate::selector::{Selector, ZoneMatch};
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ruleset {
    /// Sorted by name; a zone without an interface on this device is absent.
    pub zones: Vec<RulesetZone>,
    /// What the selectors of rules stand for: each that a rule names once, sorted by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<Arc<RulesetSet>>,
    /// In matching order: the first that matches a packet decides, save for those that only log.
    pub rules: Vec<RulesetRule>,
    /// What happens between two zones where no rule decides; sorted, each pair of this device's zones once at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defaults: Vec<RulesetDefault>,
    /// Address translations. A packet is filtered between them: after a dnat, before an snat.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nat: Vec<RulesetNat>,
    /// What happens between two zones that have no default of their own.
    pub default_action: Action,
}

/// The interfaces of a device that belong to one zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesetZone {
    pub name: ZoneName,
    /// Sorted.
    pub interfaces: Vec<InterfaceName>,
}

/// The addresses that an address object, an address list or a group of devices stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesetSet {
    pub id: ResourceId,
    /// Sorted, disjoint, as few as possible.
    pub spans: Vec<Span>,
    /// What counts up to a time; sorted by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expiring: Vec<ExpiringSpans>,
    /// What the device asks DNS for; sorted. Without an answer a domain stands for no address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<Domain>,
}

/// Addresses that stop counting together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiringSpans {
    pub at: DateTime<Utc>,
    /// Sorted, disjoint, as few as possible.
    pub spans: Vec<Span>,
}

/// One rule as a device enforces it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RulesetRule {
    /// The rule, the policy or the firewall that it is of.
    pub id: ResourceId,
    /// The conntrack mark on the connections that this rule decided; never 0. Parts of one rule share it.
    pub number: u32,
    pub zone_from: ZoneMatch,
    pub zone_to: ZoneMatch,
    /// Never empty: a rule without a source matches nothing and is not here.
    pub sources: Vec<Selector>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sources_negated: bool,
    /// Never empty.
    pub destinations: Vec<Selector>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub destinations_negated: bool,
    /// Never empty; each protocol once, sorted.
    pub services: Vec<RulesetService>,
    pub action: Action,
    pub log: bool,
    /// Whether matches are only counted, and later rules decide.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub log_only: bool,
    /// When the rule holds; absent means always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

/// A protocol and its destination ports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RulesetService {
    pub protocol: Protocol,
    /// Empty means every port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortRange>,
}

/// What happens to a new connection between two zones where no rule decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesetDefault {
    /// The zone policy.
    pub id: ResourceId,
    /// The conntrack mark, as rules have it.
    pub number: u32,
    pub zone_from: ZoneName,
    pub zone_to: ZoneName,
    pub action: Action,
    pub log: bool,
}

/// One address translation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RulesetNat {
    pub id: ResourceId,
    #[serde(rename = "type")]
    pub nat_type: NatType,
    /// Where the packet comes in (dnat, 1:1) or goes out (snat, masquerade).
    pub zone: ZoneMatch,
    pub source: Selector,
    /// A CIDR block where it is 1:1.
    pub destination: Selector,
    pub service: RulesetService,
    /// Absent only for a masquerade; for 1:1 a block as large as the destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translate_to: Option<Span>,
    /// The destination ports afterwards: one, or one for each of `service`. Absent leaves them as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translate_ports: Option<PortRange>,
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
