//! What a ruleset says about one packet. This is the definition: the first rule that matches decides.

use std::net::IpAddr;

use schemas::config::{Ruleset, RulesetDefault, RulesetRule, RulesetService};
use schemas::resource::ResourceId;
use schemas::rule::Action;
use schemas::selector::Selector;
use schemas::service::Protocol;
use schemas::zone::ZoneName;

use crate::sides::{denies, set_of};

/// The first packet of a connection, as a firewall sees it: after a dnat, before an snat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The zone it comes from: `LOCAL` for what the device sends; absent for an interface without a zone.
    pub zone_from: Option<&'a ZoneName>,
    /// The zone it goes to: `LOCAL` for what the device receives; absent for an interface without a zone.
    pub zone_to: Option<&'a ZoneName>,
    pub source: IpAddr,
    pub destination: IpAddr,
    /// IANA protocol number, behind any IPv6 extension headers.
    pub protocol: u8,
    /// Destination port, where the protocol has ports.
    pub port: Option<u16>,
}

/// What happens to a packet, and what says so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision<'r> {
    pub verdict: Action,
    /// Absent where the last default decided, or where the packet is not filtered at all.
    pub by: Option<Decider<'r>>,
}

/// What decided on a packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decider<'r> {
    Rule(&'r RulesetRule),
    /// The default of its two zones.
    Default(&'r RulesetDefault),
}

impl Decision<'_> {
    pub(crate) const UNFILTERED: Self = Self { verdict: Action::Accept, by: None };
}

impl<'r> Decider<'r> {
    /// The rule, the policy, the firewall or the zone policy.
    pub fn id(self) -> ResourceId {
        match self {
            Self::Rule(rule) => rule.id,
            Self::Default(default) => default.id,
        }
    }

    /// The conntrack mark.
    pub fn number(self) -> u32 {
        match self {
            Self::Rule(rule) => rule.number,
            Self::Default(default) => default.number,
        }
    }

    /// The rule, if it was one.
    pub fn rule(self) -> Option<&'r RulesetRule> {
        match self {
            Self::Rule(rule) => Some(rule),
            Self::Default(_) => None,
        }
    }
}

/// Decides by reading the rules one by one. [`crate::Evaluator`] gives the same answer and is made for many packets.
///
/// The ruleset is one of a moment: what holds only at times ([`crate::at`]) or is known only on the device
/// ([`crate::resolve`]) is not asked for here. A packet of an interface without a zone, or of a zone that the ruleset
/// does not list, is not filtered: accept. So is what the device sends to itself. Not seen here are the connections
/// that [`crate::nft`] never asks the rules about: to the control plane, and the ICMPv6 messages that keep a link up.
pub fn evaluate<'r>(ruleset: &'r Ruleset, packet: &Packet<'_>) -> Decision<'r> {
    let Some((from, to)) = filtered_pair(ruleset, packet) else { return Decision::UNFILTERED };
    let mut matching = matching(ruleset, from, to, packet);
    if let Some(rule) = matching.find(|rule| !rule.log_only) {
        return Decision { verdict: rule.action, by: Some(Decider::Rule(rule)) };
    }
    let default = ruleset.defaults.iter().find(|default| default.zone_from == *from && default.zone_to == *to);
    let verdict = default.map_or(ruleset.default_action, |default| default.action);
    Decision { verdict, by: default.map(Decider::Default) }
}

/// The rules that only count a packet: those that match it before one decides.
pub fn also_matched<'r>(ruleset: &'r Ruleset, packet: &Packet<'_>) -> Vec<&'r RulesetRule> {
    let Some((from, to)) = filtered_pair(ruleset, packet) else { return Vec::new() };
    matching(ruleset, from, to, packet).take_while(|rule| rule.log_only).collect()
}

fn matching<'r>(
    ruleset: &'r Ruleset,
    from: &ZoneName,
    to: &ZoneName,
    packet: &Packet<'_>,
) -> impl Iterator<Item = &'r RulesetRule> {
    let between = |rule: &&RulesetRule| rule.zone_from.contains(from) && rule.zone_to.contains(to);
    ruleset.rules.iter().filter(between).filter(|rule| matches(ruleset, rule, packet))
}

/// The zones of a packet, if packets between them are filtered.
fn filtered_pair<'a>(ruleset: &Ruleset, packet: &Packet<'a>) -> Option<(&'a ZoneName, &'a ZoneName)> {
    let (from, to) = packet.zone_from.zip(packet.zone_to)?;
    let known = |name: &ZoneName| name.is_local() || ruleset.zones.iter().any(|zone| zone.name == *name);
    (known(from) && known(to) && !(from.is_local() && to.is_local())).then_some((from, to))
}

/// Whether a rule matches a packet between its zones.
fn matches(ruleset: &Ruleset, rule: &RulesetRule, packet: &Packet<'_>) -> bool {
    let denies = denies(rule.action, rule.log_only);
    matches_service(&rule.services, packet.protocol, packet.port)
        && matches_side(ruleset, &rule.sources, rule.sources_negated, denies, packet.source)
        && matches_side(ruleset, &rule.destinations, rule.destinations_negated, denies, packet.destination)
}

pub(crate) fn matches_service(services: &[RulesetService], protocol: u8, port: Option<u16>) -> bool {
    services.iter().filter(|service| service.protocol.matches(protocol)).any(|service| {
        service.ports.is_empty()
            || Protocol::Number(protocol).has_ports()
                && port.is_some_and(|port| service.ports.iter().any(|range| range.contains(port)))
    })
}

/// Whether an address is among those that are named, or is not where they are negated. What is not known never lets
/// anything pass: a rule that accepts all but what an empty set stands for accepts nothing.
fn matches_side(ruleset: &Ruleset, selectors: &[Selector], negated: bool, denies: bool, ip: IpAddr) -> bool {
    let set = |selector: &Selector| {
        let id = set_of(selector)?;
        ruleset.sets.iter().find(|set| set.id == id)
    };
    let named = |selector: &Selector| match selector {
        Selector::Any => true,
        Selector::Span(span) => span.contains(ip),
        Selector::Address(_) | Selector::List(_) | Selector::Group(_) => {
            set(selector).is_some_and(|set| set.spans.iter().any(|span| span.contains(ip)))
        }
    };
    let is_named = selectors.iter().any(named);
    if !negated {
        return is_named;
    }
    let is_empty =
        |selector: &Selector| set_of(selector).is_some() && set(selector).is_none_or(|set| set.spans.is_empty());
    let is_complete =
        |selector: &Selector| set_of(selector).is_none() || set(selector).is_some_and(|set| set.domains.is_empty());
    let is_known = !selectors.iter().all(is_empty) && selectors.iter().all(is_complete);
    !is_named && (denies || is_known)
}

#[cfg(test)]
mod tests;
