//! The chains that translate addresses.

use std::fmt::Write;
use std::net::IpAddr;

use schemas::address::Span;
use schemas::config::{RulesetNat, RulesetService};
use schemas::nat_rule::NatType;
use schemas::selector::Selector;
use schemas::service::Protocol;

use crate::interval::Family;
use crate::region::{Intervals, WITH_PORTS};

use super::layout::Layout;
use super::text::{self, Script};

/// Hooks, their priorities, and what is translated there; the narrower kind first.
const HOOKS: [(&str, &str, &[NatType]); 2] = [
    ("prerouting", "dstnat", &[NatType::Dnat, NatType::OneToOne]),
    ("postrouting", "srcnat", &[NatType::OneToOne, NatType::Snat, NatType::Masquerade]),
];

/// A translation of one family.
pub(super) struct Translation<'r> {
    pub(super) nat: &'r RulesetNat,
    pub(super) family: Family,
    pub(super) sources: Intervals,
    pub(super) destinations: Intervals,
}

/// Which side of a packet is matched by what.
struct Sides<'t> {
    source: &'t Intervals,
    destination: &'t Intervals,
}

/// The chains of all hooks that have something to translate. What the device says to the control plane stays as it is.
pub(super) fn chains(script: &mut Script, layout: &Layout<'_>, first: &[String]) {
    for (hook, priority, kinds) in HOOKS {
        let in_order = kinds.iter().flat_map(|kind| layout.nat.iter().filter(move |one| one.nat.nat_type == *kind));
        let statements: Vec<String> = in_order.flat_map(|one| statements(layout, one, hook)).collect();
        if statements.is_empty() {
            continue;
        }
        script.line(1, format_args!("chain {hook} {{"));
        script.line(2, format_args!("type nat hook {hook} priority {priority}; policy accept;"));
        if hook == "postrouting" {
            // Who is behind the device and talks to the control plane is translated as ever.
            first.iter().for_each(|statement| script.line(2, format_args!("fib saddr type local {statement}")));
        }
        statements.iter().for_each(|statement| script.line(2, statement));
        script.line(1, "}");
    }
}

/// What one translation does at a hook, a statement for each protocol.
fn statements(layout: &Layout<'_>, translation: &Translation<'_>, hook: &str) -> Vec<String> {
    let Translation { nat, family, sources, destinations } = translation;
    let comes_in = hook == "prerouting";
    let is_back = nat.nat_type == NatType::OneToOne && !comes_in;
    let Some(to) = verdict(nat, *family, is_back) else { return Vec::new() };
    let inside: Intervals = nat.translate_to.map(|to| [crate::interval::Interval::of(&to)].into());
    // On the way back, the block behind the translation is the source and whoever it answers the destination.
    let sides = if is_back {
        Sides { source: &inside, destination: sources }
    } else {
        Sides { source: sources, destination: destinations }
    };
    let interfaces = layout.zones.iter().filter(|(zone, _)| nat.zone.contains(zone)).flat_map(|(_, names)| names);
    let interfaces: Vec<String> = interfaces.map(|name| format!("\"{name}\"")).collect();
    if interfaces.is_empty() {
        return Vec::new();
    }
    let ways = if comes_in { "iifname" } else { "oifname" };
    let version = if *family == Family::V4 { "ipv4" } else { "ipv6" };
    let mut head = format!("{ways} {{ {} }} meta nfproto {version}", interfaces.join(", "));
    for (field, side) in [("saddr", sides.source), ("daddr", sides.destination)] {
        if let Some(intervals) = side {
            let (field, values) = (text::address_field(*family, field), layout.addresses(*family, intervals));
            let _ = write!(head, " {field} {values}");
        }
    }
    let log = if nat.log { format!(" log prefix \"netkeep {} \" level info", nat.id) } else { String::new() };
    services(&nat.service, is_back).into_iter().map(|service| format!("{head}{service}{log} {to}")).collect()
}

/// The protocol and the ports that are matched; on the way back ports are those of somebody else.
fn services(service: &RulesetService, is_back: bool) -> Vec<String> {
    let ports = service.ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let protocols: Vec<u8> = match service.protocol {
        Protocol::All if ports.is_empty() => return vec![String::new()],
        Protocol::All => WITH_PORTS.to_vec(),
        Protocol::Number(number) => vec![number],
    };
    let ports = if ports.is_empty() || is_back { String::new() } else { format!(" th dport {{ {ports} }}") };
    protocols.into_iter().map(|number| format!(" meta l4proto {number}{ports}")).collect()
}

/// What becomes of a packet of this family; nothing where the translation is of the other.
fn verdict(nat: &RulesetNat, family: Family, is_back: bool) -> Option<String> {
    let version = if family == Family::V4 { "ip" } else { "ip6" };
    let Some(to) = nat.translate_to else {
        return (nat.nat_type == NatType::Masquerade).then(|| "masquerade".to_owned());
    };
    if to.is_ipv4() != (family == Family::V4) {
        return None;
    }
    match nat.nat_type {
        NatType::Snat => Some(format!("snat {version} to {}", range(&to, ""))),
        NatType::Dnat => Some(format!("dnat {version} to {}", range(&to, &ports(nat)))),
        NatType::OneToOne => {
            let Selector::Span(outside) = nat.destination else { return None };
            let (verb, field, from, to) =
                if is_back { ("snat", "saddr", to, outside) } else { ("dnat", "daddr", outside, to) };
            if from.first() == from.last() {
                return Some(format!("{verb} {version} to {}", to.first()));
            }
            Some(format!("{verb} {version} prefix to {version} {field} map {{ {from} : {to} }}"))
        }
        NatType::Masquerade => None,
    }
}

/// One address or a range, and what is said of ports. Before it IPv6 addresses stand in brackets.
fn range(span: &Span, ports: &str) -> String {
    let one = |ip: IpAddr| if ip.is_ipv6() && !ports.is_empty() { format!("[{ip}]") } else { ip.to_string() };
    let (first, last) = (one(span.first()), one(span.last()));
    if first == last { format!("{first}{ports}") } else { format!("{first}-{last}{ports}") }
}

/// The port afterwards: one, or for each port its own.
fn ports(nat: &RulesetNat) -> String {
    let Some(after) = nat.translate_ports.filter(|after| nat.service.ports != [*after]) else { return String::new() };
    let before = nat.service.ports.first().filter(|_| after.first() != after.last());
    let Some(before) = before else { return format!(":{}", after.first()) };
    let each = (before.first()..=before.last()).zip(after.first()..=after.last());
    let each: Vec<String> = each.map(|(before, after)| format!("{before} : {after}")).collect();
    format!(" : th dport map {{ {} }}", each.join(", "))
}
