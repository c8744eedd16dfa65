//! Rulesets and packets for tests, in a small world where they meet often.
//!
//! The zones WAN, LAN and DMZ have one interface each (`wan0`, `lan0`, `dmz0`). Zone number z (LOCAL is 0) has the
//! addresses `10.z.0.0`-`10.z.0.15` and `fd00:z::`-`fd00:z::f`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use policy::Packet;
use proptest::prelude::*;
use proptest::sample::select;
use schemas::address::{Address, Span};
use schemas::config::{Ruleset, RulesetRule, RulesetZone};
use schemas::id::{RuleId, Ulid};
use schemas::rule::Action;
use schemas::service::{PortRange, Protocol};
use schemas::zone::ZoneName;

pub(crate) const ZONES: [&str; 4] = ["LOCAL", "WAN", "LAN", "DMZ"];
const PORTS: [u16; 7] = [1, 22, 23, 80, 81, 443, 65_535];

pub(crate) fn zone(name: &str) -> ZoneName {
    name.parse().expect("a zone name")
}

/// A rule in words: `from to sources destinations protocol ports action [log]`, with `-` for every port.
pub(crate) fn rule(number: u32, words: &str) -> RulesetRule {
    let words: Vec<&str> = words.split_whitespace().collect();
    let addresses = |list: &str| list.split(',').map(|one| one.parse().expect("an address")).collect();
    let ports = |list: &str| list.split(',').map(|one| one.parse().expect("a port")).collect();
    RulesetRule {
        id: RuleId::new(Ulid::from_parts(number.into(), 0)),
        number,
        zone_from: zone(words[0]),
        zone_to: zone(words[1]),
        sources: addresses(words[2]),
        destinations: addresses(words[3]),
        protocol: words[4].parse().expect("a protocol"),
        ports: if words[5] == "-" { Vec::new() } else { ports(words[5]) },
        action: serde_json::from_value(words[6].into()).expect("an action"),
        log: words.get(7) == Some(&"log"),
    }
}

/// The ruleset of these rules, numbered from 1.
pub(crate) fn ruleset(rules: &[&str]) -> Ruleset {
    of((1..).zip(rules).map(|(number, words)| rule(number, words)).collect(), Action::Accept)
}

pub(crate) fn of(rules: Vec<RulesetRule>, default_action: Action) -> Ruleset {
    let zone = |(name, interface): (&str, &str)| RulesetZone {
        name: zone(name),
        interfaces: vec![interface.parse().expect("an interface name")],
    };
    Ruleset { zones: [("DMZ", "dmz0"), ("LAN", "lan0"), ("WAN", "wan0")].map(zone).to_vec(), rules, default_action }
}

/// The address number `host` of a zone.
pub(crate) fn address(zone: usize, host: u8, v6: bool) -> IpAddr {
    let zone = u8::try_from(zone).unwrap_or(u8::MAX);
    if v6 {
        IpAddr::V6(Ipv6Addr::new(0xfd00, zone.into(), 0, 0, 0, 0, 0, host.into()))
    } else {
        IpAddr::V4(Ipv4Addr::new(10, zone, 0, host))
    }
}

fn addresses(zone: usize) -> impl Strategy<Value = Vec<Address>> {
    let range = (0u8..16, 0u8..16, any::<bool>()).prop_map(move |(one, other, v6)| {
        let (first, last) = (address(zone, one.min(other), v6), address(zone, one.max(other), v6));
        Span::new(first, last).map_or(Address::Any, Address::Span)
    });
    let block = (0u8..16, 28u8..=32, any::<bool>()).prop_map(move |(host, bits, v6)| {
        let bits = if v6 { bits + 96 } else { bits };
        Span::block(address(zone, host, v6), bits).map_or(Address::Any, Address::Span)
    });
    let wide = select(vec!["10.0.0.0/8", "0.0.0.0/0", "::/0", "fd00::/8", "192.0.2.0/24", "::ffff:0:0/96"])
        .prop_map(|text| text.parse().expect("an address"));
    // Too many intervals for the cells of a map, where both sides are so.
    let scattered = any::<bool>().prop_map(move |v6| {
        let hosts = (0u8..40).map(|n| address(zone, 2 * n, v6));
        hosts.filter_map(|host| Span::new(host, host).map(Address::Span)).collect()
    });
    prop_oneof![
        3 => Just(vec![Address::Any]),
        2 => scattered,
        6 => prop::collection::vec(prop_oneof![4 => range, 4 => block, 1 => wide], 1..4),
    ]
}

fn ports() -> impl Strategy<Value = Vec<PortRange>> {
    let range = (select(PORTS.to_vec()), select(PORTS.to_vec()))
        .prop_map(|(one, other)| PortRange::new(one.min(other), one.max(other)).expect("in order"));
    prop_oneof![1 => Just(Vec::new()), 2 => prop::collection::vec(range, 1..4)]
}

fn actions() -> impl Strategy<Value = Action> {
    select(vec![Action::Accept, Action::Drop, Action::Reject])
}

fn rules() -> impl Strategy<Value = RulesetRule> {
    let zones = (0..ZONES.len(), 0..ZONES.len()).prop_filter("to itself", |(from, to)| (*from, *to) != (0, 0));
    // Most rules are between two zones, so that they meet.
    let zones = prop_oneof![1 => zones, 2 => Just((1, 2))];
    zones
        .prop_flat_map(|(from, to)| (Just((from, to)), addresses(from), addresses(to)))
        .prop_flat_map(|zoned| {
            let protocol = select(vec!["all", "tcp", "udp", "icmp", "icmpv6", "sctp", "esp", "89"]);
            (Just(zoned), protocol, ports(), actions(), any::<bool>())
        })
        .prop_map(|(((from, to), sources, destinations), protocol, ports, action, log)| {
            let protocol: Protocol = protocol.parse().expect("a protocol");
            let id = RuleId::new(Ulid::from_parts(0, 0));
            let (zone_from, zone_to) = (zone(ZONES[from]), zone(ZONES[to]));
            RulesetRule { id, number: 0, zone_from, zone_to, sources, destinations, protocol, ports, action, log }
        })
}

/// Rulesets of up to 40 rules.
pub(crate) fn rulesets() -> impl Strategy<Value = Ruleset> {
    let default = prop_oneof![3 => Just(Action::Accept), 1 => actions()];
    (prop::collection::vec(rules(), 0..40), default).prop_map(|(mut rules, default)| {
        for (number, rule) in (1..).zip(&mut rules) {
            rule.number = number;
            rule.id = RuleId::new(Ulid::from_parts(number.into(), 0));
        }
        of(rules, default)
    })
}

/// A packet that owns its zones. No zone: an interface that belongs to none.
#[derive(Debug, Clone)]
pub(crate) struct Generated {
    pub(crate) from: Option<usize>,
    pub(crate) to: Option<usize>,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) port: Option<u16>,
    zones: [ZoneName; 4],
}

impl Generated {
    pub(crate) fn packet(&self) -> Packet<'_> {
        Packet {
            zone_from: self.from.map(|zone| &self.zones[zone]),
            zone_to: self.to.map(|zone| &self.zones[zone]),
            source: self.source,
            destination: self.destination,
            protocol: self.protocol,
            port: self.port,
        }
    }
}

/// Packets between the zones of [`rulesets`]; zone number 4 is none of them.
pub(crate) fn packets() -> impl Strategy<Value = Generated> {
    let zones = (0usize..5, 0usize..5).prop_filter("to itself", |(from, to)| (*from, *to) != (0, 0));
    let zones = prop_oneof![1 => zones, 2 => Just((1, 2))];
    let protocols = prop_oneof![select(vec![6u8, 17, 132]), select(vec![1u8, 50, 89])];
    (zones, 0u8..16, 0u8..16, any::<bool>(), protocols, select(PORTS.to_vec())).prop_map(
        |((from, to), source, destination, v6, protocol, port)| Generated {
            from: (from < ZONES.len()).then_some(from),
            to: (to < ZONES.len()).then_some(to),
            source: address(from, source, v6),
            destination: address(to, destination, v6),
            protocol: if v6 && protocol == 1 { 58 } else { protocol },
            port: matches!(protocol, 6 | 17 | 132).then_some(port),
            zones: ZONES.map(zone),
        },
    )
}
