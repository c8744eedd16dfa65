//! Firewall rules: which traffic between two zones is accepted, dropped or rejected. The first rule that matches decides.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use crate::id::{FirewallId, RuleId, ServiceId};
use crate::kind::Kind;
use crate::resource::{Reference, Related, Resource, Stamp};
use crate::schedule::Schedule;
use crate::selector::{Selector, ZoneMatch};
use crate::service::{PortRange, Protocol, many, one_or_many};
use crate::text::{Description, Metadata, Name, Tag, yes};

/// What happens to a packet.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Lets it pass.
    #[default]
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
///
/// Written out by hand, unlike other resources: orgs have many, and their stored form is read without detours.
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
    #[serde(default)]
    pub tags: Vec<Tag>,
    pub enabled: bool,
    /// The place in the org's rule order; lower is matched first.
    pub order: u32,
    /// The rule set that it belongs to; absent means that it concerns every device.
    #[serde(default)]
    pub firewall_id: Option<FirewallId>,
    pub zone_from: ZoneMatch,
    pub zone_to: ZoneMatch,
    /// Where the traffic comes from; never empty.
    pub sources: Vec<Selector>,
    /// Whether it matches all sources but these.
    #[serde(default)]
    pub sources_negated: bool,
    /// Where the traffic goes to; never empty.
    pub destinations: Vec<Selector>,
    /// Whether it matches all destinations but these.
    #[serde(default)]
    pub destinations_negated: bool,
    pub protocol: Protocol,
    /// Destination ports; empty means every port.
    pub ports: Vec<PortRange>,
    /// Service objects; where there are any, they stand in for `protocol` and `ports`.
    #[serde(default)]
    pub service_ids: Vec<ServiceId>,
    pub action: Action,
    /// Whether each new connection that matches is logged on the device.
    pub log: bool,
    /// Whether matches are only counted, and later rules decide.
    #[serde(default)]
    pub log_only: bool,
    /// When the rule holds; absent means always.
    #[serde(default)]
    pub schedule: Option<Schedule>,
    /// When the rule ends; absent means never.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
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
    #[serde(default)]
    pub tags: Vec<Tag>,
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub enabled: bool,
    #[serde(default)]
    pub firewall_id: Option<FirewallId>,
    pub zone_from: ZoneMatch,
    pub zone_to: ZoneMatch,
    /// Absent means any; an empty list is refused.
    #[serde(default = "anywhere", alias = "source", deserialize_with = "selectors")]
    #[schema(default = json!(["any"]))]
    pub sources: Vec<Selector>,
    /// Whether the rule matches all sources but these.
    #[serde(default)]
    pub sources_negated: bool,
    /// Absent means any; an empty list is refused.
    #[serde(default = "anywhere", alias = "destination", deserialize_with = "selectors")]
    #[schema(default = json!(["any"]))]
    pub destinations: Vec<Selector>,
    /// Whether the rule matches all destinations but these.
    #[serde(default)]
    pub destinations_negated: bool,
    #[serde(default)]
    #[schema(default = "all")]
    pub protocol: Protocol,
    /// Empty means every port.
    #[serde(default, alias = "port", deserialize_with = "many")]
    pub ports: Vec<PortRange>,
    /// Service objects; where there are any, `protocol` and `ports` are left out.
    #[serde(default)]
    pub service_ids: Vec<ServiceId>,
    pub action: Action,
    #[serde(default)]
    pub log: bool,
    /// Whether matches are only counted, and later rules decide.
    #[serde(default)]
    pub log_only: bool,
    #[serde(default)]
    pub schedule: Option<Schedule>,
    /// When the rule ends; absent means never.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

/// What the caller of a rule wrote, moved from one struct into another.
macro_rules! moved {
    ($to:ident { $($head:ident: $value:expr,)* } from $from:expr) => {{
        let from = $from;
        $to {
            $($head: $value,)*
            name: from.name,
            description: from.description,
            metadata: from.metadata,
            tags: from.tags,
            enabled: from.enabled,
            firewall_id: from.firewall_id,
            zone_from: from.zone_from,
            zone_to: from.zone_to,
            sources: from.sources,
            sources_negated: from.sources_negated,
            destinations: from.destinations,
            destinations_negated: from.destinations_negated,
            protocol: from.protocol,
            ports: from.ports,
            service_ids: from.service_ids,
            action: from.action,
            log: from.log,
            log_only: from.log_only,
            schedule: from.schedule,
            expires_at: from.expires_at,
        }
    }};
}

impl Resource for Rule {
    const KIND: Kind = Kind::Rule;
    type Id = RuleId;
    type New = NewRule;

    fn id(&self) -> RuleId {
        self.id
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn create(id: RuleId, new: NewRule, stamp: Stamp) -> Self {
        let Stamp { revision, at } = stamp;
        moved!(Self { id: id, revision: revision, number: 0, order: 0, created_at: at, updated_at: at, } from new)
    }

    fn replace(&self, new: NewRule, stamp: Stamp) -> Self {
        moved!(Self {
            id: self.id,
            revision: stamp.revision,
            number: self.number,
            order: self.order,
            created_at: self.created_at,
            updated_at: stamp.at,
        } from new)
    }

    fn written(&self) -> NewRule {
        moved!(NewRule {} from self.clone())
    }

    fn aliases() -> &'static [(&'static str, &'static str)] {
        &[("source", "sources"), ("destination", "destinations"), ("port", "ports")]
    }
}

impl Related for Rule {
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }

    fn references(&self, note: &mut dyn FnMut(&'static str, Reference)) {
        for (field, zone) in [("zone_from", &self.zone_from), ("zone_to", &self.zone_to)] {
            if let Some(name) = zone.zone() {
                note(field, Reference::Zone(name.clone()));
            }
        }
        for (field, selectors) in [("sources", &self.sources), ("destinations", &self.destinations)] {
            selectors.iter().filter_map(Selector::reference).for_each(|reference| note(field, reference));
        }
        self.service_ids.iter().for_each(|id| note("service_ids", (*id).into()));
        if let Some(id) = self.firewall_id {
            note("firewall_id", id.into());
        }
    }
}

fn anywhere() -> Vec<Selector> {
    vec![Selector::Any]
}

/// Reads sources or destinations; `null` is `any`.
fn selectors<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Selector>, D::Error> {
    one_or_many(deserializer).map(|given| given.unwrap_or_else(anywhere))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_call_reads_as_a_rule() {
        let seed =
            r#"{"name":"Block Telnet","zone_from":"WAN","zone_to":"LAN","protocol":"tcp","port":"23","action":"drop"}"#;
        let new: NewRule = serde_json::from_str(seed).expect("reads");
        assert_eq!(new.ports, vec![PortRange::new(23, 23).expect("a port")]);
        assert_eq!((new.enabled, new.sources), (true, anywhere()));
    }

    #[test]
    fn lists_read_as_lists_or_as_one_string() {
        let ports = |json: &str| {
            let rule = format!(r#"{{"name":"a","zone_from":"WAN","zone_to":"any","action":"drop",{json}}}"#);
            serde_json::from_str::<NewRule>(&rule).map(|new| new.ports.len()).ok()
        };
        assert_eq!(ports(r#""ports":[80,"443"]"#), Some(2));
        assert_eq!(ports(r#""port":"80, 443,8000-8099""#), Some(3));
        assert_eq!(ports(r#""port":80"#), Some(1));
        assert_eq!(ports(r#""ports":[]"#), Some(0));
        assert_eq!(ports(r#""ports":null"#), Some(0));
        assert_eq!(ports(r#""ports":[0]"#), None);
        assert_eq!(ports(r#""prots":[1]"#), None);
    }
}
