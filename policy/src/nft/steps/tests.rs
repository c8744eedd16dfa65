//! Lookups find what the first match would.

use proptest::prelude::*;
use schemas::address::Span;
use schemas::config::{Ruleset, RulesetRule};

use super::*;
use crate::evaluate::{Packet, also_matched, evaluate};
use crate::generated;
use crate::interval::{contains, number};
use crate::region::{Intervals, Region, parts};
use crate::sides::Sides;

/// The number of the rule that the steps find, as the kernel would, and those that only count.
fn walk(steps: &[Step], packet: &Packet<'_>) -> (Option<u32>, Vec<u32>) {
    let point = Region::of(packet);
    let mut counted = Vec::new();
    for step in steps {
        let hit = match step {
            Step::Map { shape, cells } => {
                let hit = |cell: &Cell| {
                    cell.region(shape.family).overlaps(&point) && (cell.port.is_none() || packet.port.is_some())
                };
                cells.iter().find(|(cell, _)| hit(cell)).map(|(_, found)| *found)
            }
            Step::Sets { part, found } => {
                let in_side = |side: &Intervals, ip| side.as_ref().is_none_or(|all| contains(all, number(ip)));
                let is_family = part.family.has(&Span::new(packet.source, packet.source).expect("one address"));
                let is_port = |ports: &[_]| packet.port.is_some_and(|port| contains(ports, port.into()));
                let hit = is_family
                    && in_side(&part.sources, packet.source)
                    && in_side(&part.destinations, packet.destination)
                    && part.protocol.is_none_or(|protocol| protocol == packet.protocol)
                    && part.ports.as_ref().is_none_or(|ports| is_port(ports));
                hit.then_some(*found)
            }
            Step::Everything { found } => Some(*found),
        };
        match hit {
            Some(Found { number, goes_on: true }) => counted.push(number),
            Some(Found { number, goes_on: false }) => return (Some(number), counted),
            None => {}
        }
    }
    (None, counted)
}

fn steps_of<'r>(ruleset: &'r Ruleset, rules: impl IntoIterator<Item = &'r RulesetRule>) -> Vec<Step> {
    let mut sides = Sides::new(ruleset);
    let found = |rule: &RulesetRule| Found { number: rule.number, goes_on: rule.log_only };
    let parts: Vec<_> = rules.into_iter().map(|rule| (found(rule), parts(rule, &mut sides))).collect();
    steps(parts.iter().map(|(found, parts)| (*found, parts.as_slice())))
}

fn between(ruleset: &Ruleset, from: &str, to: &str) -> Vec<Step> {
    let (from, to) = (generated::zone(from), generated::zone(to));
    steps_of(ruleset, ruleset.rules.iter().filter(|rule| rule.zone_from.contains(&from) && rule.zone_to.contains(&to)))
}

proptest! {
    #[test]
    fn grouping_keeps_the_order(
        ruleset in generated::rulesets(),
        packets in prop::collection::vec(generated::packets(), 64),
    ) {
        let steps = between(&ruleset, "WAN", "LAN");
        for generated in packets.iter().filter(|packet| (packet.from, packet.to) == (Some(1), Some(2))) {
            let packet = generated.packet();
            let decided = evaluate(&ruleset, &packet).by.and_then(|by| by.rule());
            let counted: Vec<u32> = also_matched(&ruleset, &packet).iter().map(|rule| rule.number).collect();
            let (found, mut seen) = walk(&steps, &packet);
            seen.sort_unstable();
            prop_assert_eq!((found, seen), (decided.map(|rule| rule.number), counted), "{:?}", packet);
        }
    }

    #[test]
    fn cells_of_one_map_never_overlap(ruleset in generated::rulesets()) {
        for step in between(&ruleset, "WAN", "LAN") {
            let Step::Map { shape, cells } = step else { continue };
            for (place, (cell, _)) in cells.iter().enumerate() {
                let region = cell.region(shape.family);
                let others = &cells[place + 1..];
                prop_assert!(!others.iter().any(|(other, _)| other.region(shape.family).overlaps(&region)));
            }
        }
    }
}

#[test]
fn disjoint_rules_of_one_shape_share_a_map() {
    let words: Vec<String> =
        (0..10_000).map(|n| format!("WAN LAN any 10.{}.{}.0/28 tcp 22,80 drop", n / 256, n % 256)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ruleset = generated::ruleset(&words);
    let steps = steps_of(&ruleset, &ruleset.rules);
    assert!(matches!(steps.as_slice(), [Step::Map { cells, .. }] if cells.len() == 20_000), "{}", steps.len());
}

#[test]
fn a_rule_between_keeps_two_maps_apart() {
    let ruleset = generated::ruleset(&[
        "WAN LAN any 10.2.0.1 tcp 22 accept",
        "WAN LAN 10.1.0.0/24 any all - drop",
        "WAN LAN any 10.2.0.2 tcp 22 reject",
        "WAN LAN any 10.2.0.3 udp 53 accept",
        "WAN LAN any any all - accept log-only",
        "WAN LAN any any all - drop",
        "WAN LAN any 10.2.0.4 tcp 22 accept",
    ]);
    let numbers: Vec<Vec<u32>> = steps_of(&ruleset, &ruleset.rules)
        .iter()
        .map(|step| match step {
            Step::Map { cells, .. } => cells.iter().map(|(_, found)| found.number).collect(),
            Step::Sets { found, .. } | Step::Everything { found } => vec![found.number],
        })
        .collect();
    assert_eq!(numbers, [vec![1], vec![2], vec![3, 4], vec![5], vec![6]]);
}

#[test]
fn a_rule_of_too_many_cells_is_one_step_of_sets() {
    let many: Vec<String> = (0..17).map(|n| format!("10.{n}.0.0/24")).collect();
    // Neighbours would be one interval.
    let apart: Vec<String> = (0..17).map(|n| format!("10.{}.0.0/24", 2 * n)).collect();
    let words = format!("WAN LAN {} {} tcp 80 drop", many.join(","), apart.join(","));
    let ruleset = generated::ruleset(&[&words]);
    let found = Found { number: 1, goes_on: false };
    assert!(matches!(steps_of(&ruleset, &ruleset.rules).as_slice(), [Step::Sets { found: it, .. }] if *it == found));
}
