//! Firewall rules: which traffic between two zones is accepted, dropped or rejected. The first rule that matches decides.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::id::RuleId;
use crate::service::{PortRange, Protocol, one_or_many};
use crate::text::{Description, Metadata, Name};
use crate::zone::ZoneName;

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Lets it pass.
    Accept,
    /// Discards it without a word.
    Drop,
    /// Discards it and tells the sender: TCP reset, else ICMP port unreachable.
    Reject,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
            Self::Reject => "reject",
        }
    }
}

/// A firewall rule of an org.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rule {
    pub id: RuleId,
    /// The org revision of this rule's last change; also its ETag.
    pub revision: u64,
    /// The rule's number in its org: given once, never used again. The conntrack mark on its traffic.
    pub number: u32,
    pub name: Name,
    pub description: Description,
    pub metadata: Metadata,
    pub enabled: bool,
    /// The place in the org's rule order; lower is matched first.
    pub order: u32,
    pub zone_from: ZoneName,
    pub zone_to: ZoneName,
    /// Where the traffic comes from; never empty.
    pub sources: Vec<Address>,
    /// Where the traffic goes to; never empty.
    pub destinations: Vec<Address>,
    pub protocol: Protocol,
    /// Destination ports; empty means every port.
    pub ports: Vec<PortRange>,
    pub action: Action,
    /// Whether each new connection that matches is logged on the device.
    pub log: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What to create a rule from; also what to replace one with (`PUT`).
///
/// `sources`, `destinations` and `ports` are lists; one string with commas is read too, also under the names
/// `source`, `destination` and `port`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    pub name: Name,
    #[serde(default)]
    pub description: Description,
    #[serde(default)]
    pub metadata: Metadata,
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub enabled: bool,
    pub zone_from: ZoneName,
    pub zone_to: ZoneName,
    /// Absent means any; an empty list is refused.
    #[serde(default, alias = "source", deserialize_with = "one_or_many")]
    pub sources: Option<Vec<Address>>,
    /// Absent means any; an empty list is refused.
    #[serde(default, alias = "destination", deserialize_with = "one_or_many")]
    pub destinations: Option<Vec<Address>>,
    #[serde(default)]
    #[schema(default = "all")]
    pub protocol: Protocol,
    /// Absent means every port; an empty list is refused.
    #[serde(default, alias = "port", deserialize_with = "one_or_many")]
    pub ports: Option<Vec<PortRange>>,
    pub action: Action,
    #[serde(default)]
    pub log: bool,
}

/// What to change of a rule; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RulePatch {
    pub name: Option<Name>,
    pub description: Option<Description>,
    pub metadata: Option<Metadata>,
    pub enabled: Option<bool>,
    pub zone_from: Option<ZoneName>,
    pub zone_to: Option<ZoneName>,
    #[serde(default, alias = "source", deserialize_with = "one_or_many")]
    pub sources: Option<Vec<Address>>,
    #[serde(default, alias = "destination", deserialize_with = "one_or_many")]
    pub destinations: Option<Vec<Address>>,
    pub protocol: Option<Protocol>,
    /// `["any"]` is not a port: to match every port again, replace the rule.
    #[serde(default, alias = "port", deserialize_with = "one_or_many")]
    pub ports: Option<Vec<PortRange>>,
    pub action: Option<Action>,
    pub log: Option<bool>,
}

/// The whole order of an org's rules, first match first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleOrder {
    /// Every rule of the org exactly once.
    pub rule_ids: Vec<RuleId>,
}

/// A rule's new place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MovedRule {
    pub rule_id: RuleId,
    pub order: u32,
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_call_reads_as_a_rule() {
        let seed =
            r#"{"name":"Block Telnet","zone_from":"WAN","zone_to":"LAN","protocol":"tcp","port":"23","action":"drop"}"#;
        let new: NewRule = serde_json::from_str(seed).expect("reads");
        assert_eq!(new.ports, Some(vec![PortRange::new(23, 23).expect("a port")]));
        assert_eq!((new.enabled, new.sources), (true, None));
    }

    #[test]
    fn lists_read_as_lists_or_as_one_string() {
        let ports =
            |json: &str| serde_json::from_str::<RulePatch>(json).map(|patch| patch.ports.map(|ports| ports.len()));
        assert_eq!(ports(r#"{"ports":[80,"443"]}"#).ok(), Some(Some(2)));
        assert_eq!(ports(r#"{"port":"80, 443,8000-8099"}"#).ok(), Some(Some(3)));
        assert_eq!(ports(r#"{"port":80}"#).ok(), Some(Some(1)));
        assert_eq!(ports(r#"{"ports":[]}"#).ok(), Some(Some(0)));
        assert_eq!(ports(r#"{"ports":null}"#).ok(), Some(None));
        assert!(ports(r#"{"ports":[0]}"#).is_err());
        assert!(ports(r#"{"prots":[1]}"#).is_err());
    }
}
