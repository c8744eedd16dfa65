//! The chains of the table, written down.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use schemas::device::Mode;
use schemas::rule::Action;
use schemas::zone::ZoneName;

use crate::interval::Family;
use crate::region::{Cell, Part};

use super::layout::{Does, Layout, Set};
use super::nat;
use super::steps::{Found, Shape, Step};
use super::text::{self, Script};
use super::{DEFAULT_NUMBER, Options, TABLE, counter_name, log_prefix};

/// Enough of a packet to read its headers.
const SNAPLEN_BYTES: u32 = 128;

/// Each kernel-log line of a rule that logs costs the device more than the packet: a bound per rule.
const KERNEL_LOG_LIMIT: &str = "limit rate 10/second burst 20 packets";

/// Neighbours, routers and multicast listeners find each other with these; conntrack does not track them.
const LINK_UPKEEP: &str = "icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, \
    mld2-listener-report, nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } \
    accept comment \"link upkeep\"";

/// A device that gets its address by DHCP loses it without the answers. Those to a broadcast belong to no connection.
const ADDRESS_ANSWERS: [&str; 2] = [
    "meta nfproto ipv4 udp sport 67 udp dport 68 accept comment \"address upkeep\"",
    "meta nfproto ipv6 udp sport 547 udp dport 546 accept comment \"address upkeep\"",
];

/// And without asking.
const ADDRESS_REQUESTS: [&str; 2] = [
    "meta nfproto ipv4 udp sport 68 udp dport 67 accept comment \"address upkeep\"",
    "meta nfproto ipv6 udp sport 546 udp dport 547 accept comment \"address upkeep\"",
];

const ESTABLISHED: &str = "ct state established,related accept";

pub(super) fn table(script: &mut Script, layout: &Layout<'_>, mode: Mode, options: &Options) {
    script.line(0, format_args!("table inet {TABLE} {{"));
    control_sets(script, options);
    for (place, set) in layout.sets.iter().enumerate() {
        address_set(script, place, set);
    }
    for number in layout.rules.keys() {
        counter(script, *number, options);
    }
    for (number, does) in &layout.rules {
        rule_chain(script, *number, *does, mode == Mode::Shadow, options);
    }
    for chain in &layout.chains {
        script.line(1, format_args!("chain {} {{", chain.name));
        for step in &chain.steps {
            write_step(script, layout, step);
        }
        if let Some(number) = chain.last {
            script.line(2, format_args!("goto {}", counter_name(number)));
        }
        script.line(1, "}");
    }
    forwarding(script, layout);
    local(script, layout, options);
    if mode == Mode::Enforce {
        nat::chains(script, layout, &to_control(options));
    }
    script.line(0, "}");
}

fn address_set(script: &mut Script, place: usize, set: &Set) {
    let version = if set.family == Family::V4 { 4 } else { 6 };
    script.line(1, format_args!("set {} {{", text::set_name(place)));
    script.line(2, format_args!("type ipv{version}_addr"));
    script.line(2, "flags interval");
    let elements: Vec<String> = set.intervals.iter().map(|interval| text::addresses(set.family, *interval)).collect();
    script.list(2, "elements =", &elements);
    script.line(1, "}");
}

fn counter(script: &mut Script, number: u32, options: &Options) {
    let (packets, bytes) = options.counters.get(&number).copied().unwrap_or_default();
    script.line(1, format_args!("counter {} {{", counter_name(number)));
    script.line(2, format_args!("packets {packets} bytes {bytes}"));
    script.line(1, "}");
}

fn rule_chain(script: &mut Script, number: u32, does: Does, shadow: bool, options: &Options) {
    let Does { action, log, log_only } = does;
    let name = counter_name(number);
    let marks = number != DEFAULT_NUMBER;
    script.line(1, format_args!("chain {name} {{"));
    // A connection without an answer stays new: its further packets are counted, but not told again.
    let told = if marks && !log_only && (shadow || action == Action::Accept) {
        format!(" ct mark {number} accept")
    } else {
        String::new()
    };
    script.line(2, format_args!("counter name \"{name}\"{told}"));
    if log {
        script.line(2, format_args!("{KERNEL_LOG_LIMIT} log prefix \"netkeep {name} \" level info"));
    }
    if log_only {
        return script.line(1, "}");
    }
    let mark = if marks { format!("ct mark set {number} ") } else { String::new() };
    let verdict = match action {
        Action::Accept => " accept",
        Action::Drop | Action::Reject if shadow => " accept",
        Action::Drop => " drop",
        Action::Reject => "",
    };
    let (prefix, group) = (log_prefix(number, action), options.nflog_group);
    script.line(2, format_args!("{mark}log prefix \"{prefix}\" group {group} snaplen {SNAPLEN_BYTES}{verdict}"));
    if verdict.is_empty() {
        script.line(2, "meta l4proto 6 reject with tcp reset");
        script.line(2, "reject with icmpx port-unreachable");
    }
    script.line(1, "}");
}

fn write_step(script: &mut Script, layout: &Layout<'_>, step: &Step) {
    match step {
        Step::Map { shape, cells } => {
            let entry =
                |(cell, found): &(Cell, Found)| format!("{} : {}", text::value(shape.family, cell), leads(*found));
            let entries: Vec<String> = cells.iter().map(entry).collect();
            script.list(2, &format!("{} vmap", text::key(shape)), &entries);
        }
        Step::Sets { part, found } => write_sets(script, layout, part, *found),
        Step::Everything { found } => script.line(2, leads(*found)),
    }
}

/// Where a lookup leads that found something.
fn leads(found: Found) -> String {
    format!("{} {}", if found.goes_on { "jump" } else { "goto" }, counter_name(found.number))
}

/// One statement over the sets of a part.
fn write_sets(script: &mut Script, layout: &Layout<'_>, part: &Part, found: Found) {
    let mut statement = Vec::new();
    statement.extend(text::family_guard(&Shape::of(part)).map(str::to_owned));
    for (field, side) in [("saddr", &part.sources), ("daddr", &part.destinations)] {
        let Some(intervals) = side else { continue };
        let values = layout.addresses(part.family, intervals);
        statement.push(format!("{} {values}", text::address_field(part.family, field)));
    }
    statement.extend(part.protocol.map(|protocol| format!("meta l4proto {protocol}")));
    if let Some(intervals) = &part.ports {
        let ports: Vec<String> = intervals.iter().copied().map(text::ports).collect();
        statement.push(format!("th dport {{ {} }}", ports.join(", ")));
    }
    script.line(2, format_args!("{} {}", statement.join(" "), leads(found)));
}

/// `chain from.<zone>` of each zone that forwards by rules, and the base chain that leads there.
fn forwarding(script: &mut Script, layout: &Layout<'_>) {
    let mut ways_in = Vec::new();
    for (from, interfaces) in &layout.zones {
        let ways_out = by_interface(layout, |to| layout.chain(from, to));
        if ways_out.is_empty() {
            continue;
        }
        script.line(1, format_args!("chain from.{from} {{"));
        script.list(2, "oifname vmap", &ways_out);
        script.line(1, "}");
        ways_in.extend(interfaces.iter().map(|interface| format!("\"{interface}\" : goto from.{from}")));
    }
    base_chain(script, "forward", &[], "iifname vmap", &ways_in);
}

/// The base chains of what the device receives and sends itself.
fn local(script: &mut Script, layout: &Layout<'_>, options: &Options) {
    let (control_v4, control_v6) = control(options);
    let mut received = Vec::new();
    let mut sent = to_control(options);
    for (header, version, addresses) in [("ip", 4, control_v4), ("ip6", 6, control_v6)] {
        if !addresses.is_empty() {
            let accept = format!("@control{version} ct state established accept comment \"control plane\"");
            received.push(format!("{header} saddr . tcp sport {accept}"));
        }
    }
    received.push(LINK_UPKEEP.to_owned());
    sent.push(LINK_UPKEEP.to_owned());
    received.extend(ADDRESS_ANSWERS.map(str::to_owned));
    sent.extend(ADDRESS_REQUESTS.map(str::to_owned));
    let ways_in = by_interface(layout, |from| layout.chain(from, &layout.local));
    base_chain(script, "input", &received, "iifname vmap", &ways_in);
    let ways_out = by_interface(layout, |to| layout.chain(&layout.local, to));
    base_chain(script, "output", &sent, "oifname vmap", &ways_out);
}

/// Accepts what the device sends to the control plane.
fn to_control(options: &Options) -> Vec<String> {
    let (v4, v6) = control(options);
    let known = [("ip", 4, v4), ("ip6", 6, v6)].into_iter().filter(|(_, _, addresses)| !addresses.is_empty());
    let accept = |(header, version, _): (&str, u8, BTreeSet<SocketAddr>)| {
        format!("{header} daddr . tcp dport @control{version} accept comment \"control plane\"")
    };
    known.map(accept).collect()
}

fn base_chain(script: &mut Script, hook: &str, first: &[String], key: &str, ways: &[String]) {
    script.line(1, format_args!("chain {hook} {{"));
    script.line(2, format_args!("type filter hook {hook} priority filter; policy accept;"));
    for statement in first {
        script.line(2, statement);
    }
    script.line(2, ESTABLISHED);
    if !ways.is_empty() {
        script.list(2, key, ways);
    }
    script.line(1, "}");
}

/// The entries of a map from interface to the chain of its zone.
fn by_interface<'l>(layout: &'l Layout<'_>, chain: impl Fn(&ZoneName) -> Option<&'l str>) -> Vec<String> {
    let mut entries = Vec::new();
    for (zone, interfaces) in &layout.zones {
        if let Some(chain) = chain(zone) {
            entries.extend(interfaces.iter().map(|interface| format!("\"{interface}\" : goto {chain}")));
        }
    }
    entries
}

fn control_sets(script: &mut Script, options: &Options) {
    let (v4, v6) = control(options);
    for (version, addresses) in [(4, v4), (6, v6)] {
        if addresses.is_empty() {
            continue;
        }
        script.line(1, format_args!("set control{version} {{"));
        script.line(2, format_args!("type ipv{version}_addr . inet_service"));
        let elements: Vec<String> = addresses.iter().map(|at| format!("{} . {}", at.ip(), at.port())).collect();
        script.list(2, "elements =", &elements);
        script.line(1, "}");
    }
}

/// The addresses of the control plane, by family.
fn control(options: &Options) -> (BTreeSet<SocketAddr>, BTreeSet<SocketAddr>) {
    let canonical = options.control.iter().map(|at| SocketAddr::new(at.ip().to_canonical(), at.port()));
    canonical.partition(|at| matches!(at.ip(), IpAddr::V4(_)))
}
