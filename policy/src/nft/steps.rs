//! Rules in matching order, as few lookups: rules of one shape that do not meet share a verdict map.
//!
//! A rule may join an earlier map only if no rule in that map or in a later step can match a packet that it matches:
//! then no packet can tell the difference, and the first match stays the first match. So the number of lookups follows
//! how often rules overlap in different shapes, not how many rules there are.

use schemas::config::RulesetRule;

use crate::region::{CELLS_MAX, Cell, Family, Part, parts};
use crate::tree::{Entry, Forest};

/// What a map looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    pub(super) family: Family,
    pub(super) source: bool,
    pub(super) destination: bool,
    pub(super) protocol: bool,
    pub(super) port: bool,
}

/// One lookup of a pair chain. Numbers are those of rules.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Cells that are disjoint.
    Map { shape: Shape, cells: Vec<(Cell, u32)> },
    /// A rule of too many cells: its addresses and ports are sets.
    Sets { part: Box<Part>, number: u32 },
    /// A rule that matches everything: always the last step.
    Everything { number: u32 },
}

impl Shape {
    pub(super) fn of(part: &Part) -> Self {
        Self {
            family: part.family,
            source: part.sources.is_some(),
            destination: part.destinations.is_some(),
            protocol: part.protocol.is_some(),
            port: part.ports.is_some(),
        }
    }

    const EVERYTHING: Self =
        Self { family: Family::Any, source: false, destination: false, protocol: false, port: false };
}

/// The lookups that find the first of `rules` to match a packet.
pub(super) fn steps<'r>(rules: impl IntoIterator<Item = &'r RulesetRule>) -> Vec<Step> {
    let mut plan = Plan::default();
    for rule in rules {
        for part in parts(rule) {
            if Shape::of(&part) == Shape::EVERYTHING {
                plan.steps.push(Step::Everything { number: rule.number });
                return plan.steps;
            }
            plan.add(part, rule.number);
        }
    }
    plan.steps
}

#[derive(Default)]
struct Plan {
    steps: Vec<Step>,
    /// The places of the maps of each shape, in ascending order.
    maps: std::collections::BTreeMap<Shape, Vec<usize>>,
    /// What each step matches; the weight is the step's place.
    placed: Forest,
}

impl Plan {
    fn add(&mut self, part: Part, number: u32) {
        let regions = part.regions();
        let last = regions.iter().fold(None, |last, region| self.placed.heaviest(region, last));
        let free = last.map_or(0, |last| usize::try_from(last).map_or(usize::MAX, |last| last + 1));
        let place = self.place(part, number, free);
        let weight = u32::try_from(place).unwrap_or(u32::MAX);
        for region in regions {
            self.placed.insert(Entry { region, weight });
        }
    }

    /// Puts a part into the first map of its shape from place `free` on, or into a new step.
    fn place(&mut self, part: Part, number: u32, free: usize) -> usize {
        if part.cell_count() > CELLS_MAX {
            self.steps.push(Step::Sets { part: Box::new(part), number });
            return self.steps.len() - 1;
        }
        let shape = Shape::of(&part);
        let more = part.cells().into_iter().map(|cell| (cell, number));
        let maps = self.maps.entry(shape).or_default();
        let joined = maps.get(maps.partition_point(|place| *place < free)).copied();
        if let Some(place) = joined
            && let Some(Step::Map { cells, .. }) = self.steps.get_mut(place)
        {
            cells.extend(more);
            return place;
        }
        maps.push(self.steps.len());
        self.steps.push(Step::Map { shape, cells: more.collect() });
        self.steps.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::evaluate::{Packet, evaluate};
    use crate::generated;
    use crate::region::Region;

    /// The number of the rule that the steps find, as the kernel would.
    fn walk(steps: &[Step], packet: &Packet<'_>) -> Option<u32> {
        let point = Region::of(packet);
        steps.iter().find_map(|step| match step {
            Step::Map { shape, cells } => {
                let hit = |cell: &Cell| {
                    cell.region(shape.family).overlaps(&point) && (cell.port.is_none() || packet.port.is_some())
                };
                cells.iter().find(|(cell, _)| hit(cell)).map(|(_, number)| *number)
            }
            Step::Sets { part, number } => {
                let hit = part.cells().iter().any(|cell| cell.region(part.family).overlaps(&point));
                hit.then_some(*number)
            }
            Step::Everything { number } => Some(*number),
        })
    }

    fn between<'r>(ruleset: &'r schemas::config::Ruleset, from: &str, to: &str) -> Vec<&'r RulesetRule> {
        let in_pair = |rule: &&RulesetRule| rule.zone_from.as_str() == from && rule.zone_to.as_str() == to;
        ruleset.rules.iter().filter(in_pair).collect()
    }

    proptest! {
        #[test]
        fn grouping_keeps_the_order(
            ruleset in generated::rulesets(),
            packets in prop::collection::vec(generated::packets(), 64),
        ) {
            let steps = steps(between(&ruleset, "WAN", "LAN"));
            for generated in packets.iter().filter(|packet| (packet.from, packet.to) == (Some(1), Some(2))) {
                let packet = generated.packet();
                let expected = evaluate(&ruleset, &packet).rule.map(|rule| rule.number);
                prop_assert_eq!(walk(&steps, &packet), expected, "{:?}", packet);
            }
        }

        #[test]
        fn cells_of_one_map_never_overlap(ruleset in generated::rulesets()) {
            for step in steps(between(&ruleset, "WAN", "LAN")) {
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
        let steps = steps(&ruleset.rules);
        assert!(matches!(steps.as_slice(), [Step::Map { cells, .. }] if cells.len() == 20_000), "{}", steps.len());
    }

    #[test]
    fn a_rule_between_keeps_two_maps_apart() {
        let ruleset = generated::ruleset(&[
            "WAN LAN any 10.2.0.1 tcp 22 accept",
            "WAN LAN 10.1.0.0/24 any all - drop",
            "WAN LAN any 10.2.0.2 tcp 22 reject",
            "WAN LAN any 10.2.0.3 udp 53 accept",
            "WAN LAN any any all - drop",
            "WAN LAN any 10.2.0.4 tcp 22 accept",
        ]);
        let numbers: Vec<Vec<u32>> = steps(&ruleset.rules)
            .iter()
            .map(|step| match step {
                Step::Map { cells, .. } => cells.iter().map(|(_, number)| *number).collect(),
                Step::Sets { number, .. } | Step::Everything { number } => vec![*number],
            })
            .collect();
        assert_eq!(numbers, [vec![1], vec![2], vec![3, 4], vec![5]]);
    }

    #[test]
    fn a_rule_of_too_many_cells_is_one_step_of_sets() {
        let many: Vec<String> = (0..17).map(|n| format!("10.{n}.0.0/24")).collect();
        let words = format!("WAN LAN {0} {0} tcp 80 drop", many.join(","));
        let ruleset = generated::ruleset(&[&words]);
        assert!(matches!(steps(&ruleset.rules).as_slice(), [Step::Sets { number: 1, .. }]));
    }
}
