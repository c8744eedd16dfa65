//! Rules in matching order, as few lookups: rules of one shape that do not meet share a verdict map.
//!
//! A rule may join an earlier map only if no rule in that map or in a later step can match a packet that it matches:
//! then no packet can tell the difference, and the first match stays the first match. So the number of lookups follows
//! how often rules overlap in different shapes, not how many rules there are.

use crate::interval::Family;
use crate::region::{CELLS_MAX, Cell, Part};
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

/// What a lookup finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// The number of a rule.
    pub(super) number: u32,
    /// Whether the rule only counts: what comes after it is asked too.
    pub(super) goes_on: bool,
}

/// One lookup of a pair chain.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Cells that are disjoint.
    Map { shape: Shape, cells: Vec<(Cell, Found)> },
    /// A rule of too many cells: its addresses and ports are sets.
    Sets { part: Box<Part>, found: Found },
    /// A rule that matches everything; after one that decides there is no step.
    Everything { found: Found },
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

/// The lookups that find the first of some rules to match a packet, and those that only count it before.
pub(super) fn steps<'r>(rules: impl IntoIterator<Item = (Found, &'r [Part])>) -> Vec<Step> {
    let mut plan = Plan::default();
    for (found, parts) in rules {
        for part in parts {
            let is_everything = Shape::of(part) == Shape::EVERYTHING;
            if is_everything && !found.goes_on {
                plan.steps.push(Step::Everything { found });
                return plan.steps;
            }
            plan.add(part.clone(), found);
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
    fn add(&mut self, part: Part, found: Found) {
        let regions = part.regions();
        let last = regions.iter().fold(None, |last, region| self.placed.heaviest(region, last));
        let free = last.map_or(0, |last| usize::try_from(last).map_or(usize::MAX, |last| last + 1));
        let place = self.place(part, found, free);
        let weight = u32::try_from(place).unwrap_or(u32::MAX);
        for region in regions {
            self.placed.insert(Entry { region, weight });
        }
    }

    /// Puts a part into the first map of its shape from place `free` on, or into a new step.
    fn place(&mut self, part: Part, found: Found, free: usize) -> usize {
        if Shape::of(&part) == Shape::EVERYTHING {
            self.steps.push(Step::Everything { found });
            return self.steps.len() - 1;
        }
        if part.cell_count() > CELLS_MAX {
            self.steps.push(Step::Sets { part: Box::new(part), found });
            return self.steps.len() - 1;
        }
        let shape = Shape::of(&part);
        let more = part.cells().into_iter().map(|cell| (cell, found));
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
mod tests;
