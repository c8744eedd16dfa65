//! Rulesets and packets for tests, in a small world where they meet often.
//!
//! The zones WAN, LAN and DMZ have one interface each (`wan0`, `lan0`, `dmz0`). Zone number z (LOCAL is 0) has the
//! addresses `10.z.0.0`-`10.z.0.15` and `fd00:z::`-`fd00:z::f`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use policy::Packet;
use proptest::prelude::*;
use proptest::sample::select;
use schemas::address::Span;
use schemas::config::{Ruleset, RulesetDefault, RulesetRule, RulesetService, RulesetSet, RulesetZone};
use schemas::id::{AddressListId, RuleId, Ulid, ZonePolicyId};
use schemas::rule::Action;
use schemas::selector::{Selector, ZoneMatch};
use schemas::service::PortRange;
use schemas::zone::ZoneName;

pub(crate) const ZONES: [&str; 4] = ["LOCAL", "WAN", "LAN", "DMZ"];
const PORTS: [u16; 7] = [1, 22, 23, 80, 81, 443, 65_535];

pub(crate) fn zone(name: &str) -> ZoneName {
    name.parse().expect("a zone name")
}

/// A rule in words: `from to sources destinations protocol ports action [log] [log-only]`, with `-` for every port, `!`
/// before addresses that are negated, and `#n` for set number n.
pub(crate) fn rule(number: u32, words: &str) -> RulesetRule {
    let words: Vec<&str> = words.split_whitespace().collect();
    let one = |text: &str| match text.strip_prefix('#') {
        Some(number) => set(number.parse().expect("a number")),
        None => text.parse().expect("an address"),
    };
    let selectors = |list: &str| list.trim_start_matches('!').split(',').map(one).collect();
    let ports = |list: &str| list.split(',').map(|one| one.parse().expect("a port")).collect();
    let zone = |word: &str| word.parse().expect("a zone or any");
    RulesetRule {
        id: RuleId::new(Ulid::from_parts(number.into(), 0)).into(),
        number,
        zone_from: zone(words[0]),
        zone_to: zone(words[1]),
        sources: selectors(words[2]),
        sources_negated: words[2].starts_with('!'),
        destinations: selectors(words[3]),
        destinations_negated: words[3].starts_with('!'),
        services: vec![RulesetService {
            protocol: words[4].parse().expect("a protocol"),
            ports: if words[5] == "-" { Vec::new() } else { ports(words[5]) },
        }],
        action: serde_json::from_value(words[6].into()).expect("an action"),
        log: words.contains(&"log"),
        log_only: words.contains(&"log-only"),
        schedule: None,
        expires_at: None,
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
    let zones = [("DMZ", "dmz0"), ("LAN", "lan0"), ("WAN", "wan0")].map(zone).to_vec();
    Ruleset { zones, rules, default_action, ..Ruleset::default() }
}

/// What rules name set number n by.
pub(crate) fn set(number: u32) -> Selector {
    Selector::List(AddressListId::new(Ulid::from_parts(number.into(), 0)))
}

/// Set number n with these spans.
pub(crate) fn set_of(number: u32, spans: Vec<Span>) -> Arc<RulesetSet> {
    let id = AddressListId::new(Ulid::from_parts(number.into(), 0)).into();
    Arc::new(RulesetSet { id, spans, expiring: Vec::new(), domains: Vec::new() })
}

/// Sets number 1 to 6 of all zones: small, of many spans, too many spans for the cells of a map (5 is of what is far away
/// as well), empty, and with a domain that nobody resolved.
fn sets() -> Vec<Arc<RulesetSet>> {
    let span = |text: &str| text.parse().expect("a span");
    let host = |(zone, host): (usize, u8)| {
        let address = |v6| Span::new(address(zone, host, v6), address(zone, host, v6)).expect("one address");
        [address(false), address(true)]
    };
    let every = |step: usize| (0..4).flat_map(move |zone| (0..16).step_by(step).map(move |host| (zone, host)));
    let sorted = |mut spans: Vec<Span>| {
        spans.sort_unstable();
        spans
    };
    let far = (0..300u32).map(|n| Ipv4Addr::from(0x0ac8_0000 + 2 * n).into()).filter_map(|ip| Span::new(ip, ip));
    let domain = Arc::unwrap_or_clone(set_of(6, vec![span("10.1.0.1"), span("10.2.0.1")]));
    vec![
        set_of(1, ["10.1.0.0/30", "10.2.0.4/30", "fd00:1::/124"].map(span).to_vec()),
        set_of(2, sorted(every(3).flat_map(host).collect())),
        set_of(3, sorted(every(2).flat_map(host).chain(far.clone()).collect())),
        set_of(4, Vec::new()),
        set_of(5, sorted(every(5).map(host).map(|[v4, _]| v4).chain(far).collect())),
        Arc::new(RulesetSet { domains: vec!["www.example.com".parse().expect("a domain")], ..domain }),
    ]
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

fn selectors(zone: usize) -> impl Strategy<Value = Vec<Selector>> {
    let range = (0u8..16, 0u8..16, any::<bool>()).prop_map(move |(one, other, v6)| {
        let (first, last) = (address(zone, one.min(other), v6), address(zone, one.max(other), v6));
        Span::new(first, last).map_or(Selector::Any, Selector::Span)
    });
    let block = (0u8..16, 28u8..=32, any::<bool>()).prop_map(move |(host, bits, v6)| {
        let bits = if v6 { bits + 96 } else { bits };
        Span::block(address(zone, host, v6), bits).map_or(Selector::Any, Selector::Span)
    });
    let wide = select(vec!["10.0.0.0/8", "0.0.0.0/0", "::/0", "fd00::/8", "192.0.2.0/24", "::ffff:0:0/96"])
        .prop_map(|text| text.parse().expect("an address"));
    // Too many intervals for the cells of a map, where both sides are so.
    let scattered = any::<bool>().prop_map(move |v6| {
        let hosts = (0u8..40).map(|n| address(zone, 2 * n, v6));
        hosts.filter_map(|host| Span::new(host, host).map(Selector::Span)).collect()
    });
    prop_oneof![
        3 => Just(vec![Selector::Any]),
        2 => scattered,
        6 => prop::collection::vec(prop_oneof![4 => range, 4 => block, 1 => wide, 4 => (1u32..=6).prop_map(set)], 1..4),
        2 => (1u32..=6).prop_map(|number| vec![set(number)]),
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

fn services() -> impl Strategy<Value = Vec<RulesetService>> {
    let protocol = select(vec!["all", "tcp", "udp", "icmp", "icmpv6", "sctp", "esp", "89"]);
    let service = (protocol, ports())
        .prop_map(|(protocol, ports)| RulesetService { protocol: protocol.parse().expect("a protocol"), ports });
    prop::collection::vec(service, 1..3)
}

fn seldom() -> impl Strategy<Value = bool> {
    prop_oneof![4 => Just(false), 1 => Just(true)]
}

fn rules() -> impl Strategy<Value = RulesetRule> {
    const ANY: usize = ZONES.len();
    let zones = (0..=ANY, 0..=ANY).prop_filter("to itself", |(from, to)| (*from, *to) != (0, 0));
    // Most rules are between two zones, so that they meet.
    let zones = prop_oneof![2 => zones, 1 => Just((ANY, ANY)), 4 => Just((1, 2))];
    zones
        .prop_flat_map(|(from, to)| (Just((from, to)), selectors(from % ANY), selectors(to % ANY)))
        .prop_flat_map(|zoned| {
            let switches = (any::<bool>(), seldom(), seldom(), seldom());
            (Just(zoned), services(), actions(), switches)
        })
        .prop_map(|(((from, to), sources, destinations), services, action, (log, log_only, from_not, to_not))| {
            let zone = |at: usize| ZONES.get(at).map_or(ZoneMatch::Any, |name| ZoneMatch::Zone(zone(name)));
            RulesetRule {
                id: RuleId::default().into(),
                number: 0,
                zone_from: zone(from),
                zone_to: zone(to),
                sources,
                sources_negated: from_not,
                destinations,
                destinations_negated: to_not,
                services,
                action,
                log,
                log_only,
                schedule: None,
                expires_at: None,
            }
        })
}

/// Defaults of some pairs of zones, numbered from 101.
fn defaults() -> impl Strategy<Value = Vec<RulesetDefault>> {
    let pairs: Vec<(usize, usize)> = (1..16).map(|pair| (pair / 4, pair % 4)).collect();
    let chosen = prop::sample::subsequence(pairs, 0..6);
    (chosen, prop::collection::vec((actions(), any::<bool>()), 6)).prop_map(|(pairs, decided)| {
        let each = (101u32..).zip(pairs).zip(decided);
        let default = each.map(|((number, (from, to)), (action, log))| RulesetDefault {
            id: ZonePolicyId::new(Ulid::from_parts(number.into(), 0)).into(),
            number,
            zone_from: zone(ZONES[from]),
            zone_to: zone(ZONES[to]),
            action,
            log,
        });
        default.collect()
    })
}

/// Rulesets of up to 40 rules.
pub(crate) fn rulesets() -> impl Strategy<Value = Ruleset> {
    let default = prop_oneof![3 => Just(Action::Accept), 1 => actions()];
    (prop::collection::vec(rules(), 0..40), defaults(), default).prop_map(|(mut rules, defaults, default)| {
        for (number, rule) in (1..).zip(&mut rules) {
            rule.number = number;
            rule.id = RuleId::new(Ulid::from_parts(number.into(), 0)).into();
        }
        Ruleset { sets: sets(), defaults, ..of(rules, default) }
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
