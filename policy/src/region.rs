//! What rules match, as boxes: a rule is a union of parts, a part is a product of intervals.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::config::{RulesetRule, RulesetService};
use schemas::service::Protocol;

use crate::evaluate::Packet;
use crate::interval::{Family, Interval, merge, number};
use crate::sides::{Asked, Side, Sided, Sides, denies};

/// Beyond this many cells a part is not split into them: it is indexed by its hull and enforced with sets.
pub(crate) const CELLS_MAX: usize = 256;

/// The IP protocols whose ports rules match.
pub(crate) const WITH_PORTS: [u8; 3] = [6, 17, 132];

/// Sorted, disjoint and apart, never empty; `None` is everything.
pub(crate) type Intervals = Option<Arc<[Interval]>>;

/// The packets of a rule that share one family and one protocol. `None` matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) family: Family,
    pub(crate) sources: Intervals,
    pub(crate) destinations: Intervals,
    pub(crate) protocol: Option<u8>,
    /// Only together with a protocol that has ports.
    pub(crate) ports: Intervals,
}

/// One combination of the intervals of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) source: Option<Interval>,
    pub(crate) destination: Option<Interval>,
    pub(crate) protocol: Option<u8>,
    pub(crate) port: Option<Interval>,
}

pub(crate) const DIMENSIONS: usize = 5;

/// A box in the space of packets: family, source, destination, protocol, port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) first: [u128; DIMENSIONS],
    pub(crate) last: [u128; DIMENSIONS],
}

/// The parts of a rule, none if the rule can never match. Those of a rule that decides may overlap where it names
/// large sets; those of a rule that only counts are disjoint, so that it counts once.
pub(crate) fn parts<'r>(rule: &'r RulesetRule, sides: &mut Sides<'r>) -> Vec<Part> {
    let services = services(rule);
    let denies = denies(rule.action, rule.log_only);
    let sources = Asked { selectors: &rule.sources, negated: rule.sources_negated, denies };
    let destinations = Asked { selectors: &rule.destinations, negated: rule.destinations_negated, denies };
    let mut both = |asked| if rule.log_only { vec![sides.side(asked)] } else { sides.split_side(asked) };
    let (sources, destinations) = (both(sources), both(destinations));
    let mut parts = Vec::new();
    for source in &sources {
        for destination in &destinations {
            for (family, sources, destinations) in addresses(source, destination) {
                parts.extend(services.iter().map(|(protocol, ports)| Part {
                    family,
                    sources: sources.clone(),
                    destinations: destinations.clone(),
                    protocol: *protocol,
                    ports: ports.clone(),
                }));
            }
        }
    }
    parts
}

fn addresses(source: &Sided, destination: &Sided) -> Vec<(Family, Intervals, Intervals)> {
    if *source == Sided::EVERYTHING && *destination == Sided::EVERYTHING {
        return vec![(Family::Any, None, None)];
    }
    let both = |family| Some((family, intervals(source.of(family))?, intervals(destination.of(family))?));
    [Family::V4, Family::V6].into_iter().filter_map(both).collect()
}

pub(crate) fn intervals(side: &Side) -> Option<Intervals> {
    match side {
        Side::Nothing => None,
        Side::Everything => Some(None),
        Side::In(intervals) => Some(Some(Arc::clone(intervals))),
    }
}

/// The protocols and ports of a rule, each protocol once.
fn services(rule: &RulesetRule) -> Vec<(Option<u8>, Intervals)> {
    let mut by_protocol: BTreeMap<u8, Option<Vec<Interval>>> = BTreeMap::new();
    for RulesetService { protocol, ports } in &rule.services {
        let numbers: &[u8] = match protocol {
            Protocol::All if ports.is_empty() => return vec![(None, None)],
            Protocol::All => &WITH_PORTS,
            Protocol::Number(number) => std::slice::from_ref(number),
        };
        for number in numbers.iter().filter(|number| ports.is_empty() || WITH_PORTS.contains(number)) {
            let known = by_protocol.entry(*number).or_insert_with(|| Some(Vec::new()));
            if ports.is_empty() {
                *known = None;
            } else if let Some(known) = known {
                known.extend(
                    ports.iter().map(|range| Interval { first: range.first().into(), last: range.last().into() }),
                );
            }
        }
    }
    by_protocol.into_iter().map(|(number, ports)| (Some(number), ports.map(|ports| merge(ports).into()))).collect()
}

impl Part {
    /// How many cells this part has.
    pub(crate) fn cell_count(&self) -> usize {
        let count = |side: &Intervals| side.as_ref().map_or(1, |all| all.len());
        count(&self.sources).saturating_mul(count(&self.destinations)).saturating_mul(count(&self.ports))
    }

    /// Every combination of this part's intervals; they are disjoint.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let each =
            |side: &Intervals| side.as_ref().map_or_else(|| vec![None], |all| all.iter().copied().map(Some).collect());
        let (sources, destinations, ports) = (each(&self.sources), each(&self.destinations), each(&self.ports));
        let mut cells = Vec::with_capacity(self.cell_count());
        for &source in &sources {
            for &destination in &destinations {
                for &port in &ports {
                    cells.push(Cell { source, destination, protocol: self.protocol, port });
                }
            }
        }
        cells
    }

    /// Boxes that hold every packet of this part, and nothing else unless it has too many cells.
    pub(crate) fn regions(&self) -> Vec<Region> {
        if self.cell_count() <= CELLS_MAX {
            return self.cells().iter().map(|cell| cell.region(self.family)).collect();
        }
        let hull = |side: &Intervals| {
            let all = side.as_ref()?;
            Some(Interval { first: all.first()?.first, last: all.last()?.last })
        };
        let (source, destination, port) = (hull(&self.sources), hull(&self.destinations), hull(&self.ports));
        vec![Cell { source, destination, protocol: self.protocol, port }.region(self.family)]
    }
}

impl Cell {
    pub(crate) fn region(&self, family: Family) -> Region {
        let whole = Interval { first: 0, last: u128::MAX };
        let families = match family {
            Family::Any => Interval { first: 4, last: 6 },
            Family::V4 => Interval { first: 4, last: 4 },
            Family::V6 => Interval { first: 6, last: 6 },
        };
        let protocol = self.protocol.map(|number| Interval { first: number.into(), last: number.into() });
        let sides = [Some(families), self.source, self.destination, protocol, self.port];
        let sides = sides.map(|side| side.unwrap_or(whole));
        Region { first: sides.map(|side| side.first), last: sides.map(|side| side.last) }
    }
}

impl Region {
    /// The box that holds one packet.
    pub(crate) fn of(packet: &Packet<'_>) -> Self {
        let family = if packet.source.is_ipv4() { 4 } else { 6 };
        let (source, destination) = (number(packet.source), number(packet.destination));
        let point = [family, source, destination, packet.protocol.into(), packet.port.unwrap_or(0).into()];
        Self { first: point, last: point }
    }

    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        (0..DIMENSIONS).all(|side| self.first[side] <= other.last[side] && other.first[side] <= self.last[side])
    }

    /// The smallest box that holds both.
    pub(crate) fn hull(&self, other: &Self) -> Self {
        let mut hull = *self;
        for side in 0..DIMENSIONS {
            hull.first[side] = hull.first[side].min(other.first[side]);
            hull.last[side] = hull.last[side].max(other.last[side]);
        }
        hull
    }

    pub(crate) fn middle(&self, side: usize) -> u128 {
        self.first[side] / 2 + self.last[side] / 2
    }
}
