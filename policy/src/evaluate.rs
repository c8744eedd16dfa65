//! What a ruleset says about one packet. This is the definition: the first rule that matches decides.

use std::net::IpAddr;

use schemas::config::{Ruleset, RulesetRule};
use schemas::rule::Action;
use schemas::service::Protocol;
use schemas::zone::ZoneName;

/// The first packet of a connection, as a firewall sees it.
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

/// What happens to a packet, and which rule says so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision<'r> {
    pub verdict: Action,
    /// Absent where the default decided, or where the packet is not filtered at all.
    pub rule: Option<&'r RulesetRule>,
}

/// Decides by reading the rules one by one. [`crate::Evaluator`] gives the same answer and is made for many packets.
///
/// A packet of an interface without a zone, or of a zone that the ruleset does not list, is not filtered: accept. So is
/// what the device sends to itself. Not seen here are the connections that [`crate::nft`] never asks the rules about:
/// to the control plane, and the ICMPv6 messages that keep a link up.
pub fn evaluate<'r>(ruleset: &'r Ruleset, packet: &Packet<'_>) -> Decision<'r> {
    let Some((from, to)) = filtered_pair(ruleset, packet) else {
        return Decision { verdict: Action::Accept, rule: None };
    };
    let rule =
        ruleset.rules.iter().find(|rule| rule.zone_from == *from && rule.zone_to == *to && matches(rule, packet));
    Decision { verdict: rule.map_or(ruleset.default_action, |rule| rule.action), rule }
}

/// The zones of a packet, if packets between them are filtered.
fn filtered_pair<'a>(ruleset: &Ruleset, packet: &Packet<'a>) -> Option<(&'a ZoneName, &'a ZoneName)> {
    let (from, to) = packet.zone_from.zip(packet.zone_to)?;
    let known = |name: &ZoneName| name.is_local() || ruleset.zones.iter().any(|zone| zone.name == *name);
    (known(from) && known(to) && !(from.is_local() && to.is_local())).then_some((from, to))
}

/// Whether a rule matches a packet between its zones.
pub(crate) fn matches(rule: &RulesetRule, packet: &Packet<'_>) -> bool {
    rule.protocol.matches(packet.protocol)
        && matches_port(rule, packet)
        && rule.sources.iter().any(|source| source.contains(packet.source))
        && rule.destinations.iter().any(|destination| destination.contains(packet.destination))
}

fn matches_port(rule: &RulesetRule, packet: &Packet<'_>) -> bool {
    rule.ports.is_empty()
        || Protocol::Number(packet.protocol).has_ports()
            && packet.port.is_some_and(|port| rule.ports.iter().any(|range| range.contains(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rules: &[&str], packet: (&str, &str, u8, u16), verdict: Action, rule: Option<u32>) {
        let ruleset = crate::generated::ruleset(rules);
        let (wan, lan) = (crate::generated::zone("WAN"), crate::generated::zone("LAN"));
        let (source, destination, protocol, port) = packet;
        let packet = Packet {
            zone_from: Some(&wan),
            zone_to: Some(&lan),
            source: source.parse().expect("an address"),
            destination: destination.parse().expect("an address"),
            protocol,
            port: (port != 0).then_some(port),
        };
        let decision = evaluate(&ruleset, &packet);
        assert_eq!((decision.verdict, decision.rule.map(|rule| rule.number)), (verdict, rule));
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = ["WAN LAN 10.0.0.0/8 any tcp 22 accept", "WAN LAN any any tcp 22-23 drop"];
        check(&rules, ("10.0.0.1", "10.9.9.9", 6, 22), Action::Accept, Some(1));
        check(&rules, ("11.0.0.1", "10.9.9.9", 6, 22), Action::Drop, Some(2));
        check(&rules, ("11.0.0.1", "10.9.9.9", 6, 24), Action::Accept, None);
        check(&rules, ("11.0.0.1", "10.9.9.9", 17, 22), Action::Accept, None);
    }

    #[test]
    fn ports_match_only_protocols_that_have_them() {
        let rules = ["WAN LAN any any all 1-65535 drop"];
        check(&rules, ("10.0.0.1", "10.9.9.9", 132, 9), Action::Drop, Some(1));
        check(&rules, ("10.0.0.1", "10.9.9.9", 1, 0), Action::Accept, None);
        check(&rules, ("10.0.0.1", "10.9.9.9", 136, 9), Action::Accept, None);
    }

    #[test]
    fn families_do_not_meet() {
        let rules = ["WAN LAN 0.0.0.0/0 any all - drop", "WAN LAN any fd00::/8 all - reject"];
        check(&rules, ("10.0.0.1", "10.9.9.9", 50, 0), Action::Drop, Some(1));
        check(&rules, ("fe80::1", "fd00::1", 50, 0), Action::Reject, Some(2));
        check(&rules, ("fe80::1", "fe80::2", 50, 0), Action::Accept, None);
    }

    #[test]
    fn what_has_no_zone_is_not_filtered() {
        let mut ruleset = crate::generated::ruleset(&["WAN LAN any any all - drop"]);
        ruleset.default_action = Action::Drop;
        let ip = "10.0.0.1".parse().expect("an address");
        let verdict = |from: Option<&str>, to: Option<&str>| {
            let (from, to) = (from.map(crate::generated::zone), to.map(crate::generated::zone));
            let packet = Packet {
                zone_from: from.as_ref(),
                zone_to: to.as_ref(),
                source: ip,
                destination: ip,
                protocol: 6,
                port: Some(80),
            };
            evaluate(&ruleset, &packet).verdict
        };
        assert_eq!(verdict(Some("WAN"), Some("LAN")), Action::Drop);
        assert_eq!(verdict(Some("LOCAL"), Some("LAN")), Action::Drop);
        assert_eq!(verdict(Some("WAN"), None), Action::Accept);
        assert_eq!(verdict(None, Some("LAN")), Action::Accept);
        assert_eq!(verdict(Some("WAN"), Some("ELSEWHERE")), Action::Accept);
        assert_eq!(verdict(Some("LOCAL"), Some("LOCAL")), Action::Accept);
    }
}
