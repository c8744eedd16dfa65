//! What rules match, as boxes: a rule is a union of parts, a part is a product of intervals.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use schemas::address::{Address, Span};
use schemas::config::RulesetRule;
use schemas::service::Protocol;

use crate::evaluate::Packet;

/// Beyond this many cells a part is not split into them: it is indexed by its hull and enforced with sets.
pub(crate) const CELLS_MAX: usize = 256;

/// The IP protocols whose ports rules match.
const WITH_PORTS: [u8; 3] = [6, 17, 132];

/// An inclusive range of addresses or ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Interval {
    pub(crate) first: u128,
    pub(crate) last: u128,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    Any,
    V4,
    V6,
}

/// The packets of a rule that share one family and one protocol. `None` matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) family: Family,
    /// Here and below: sorted, disjoint, never empty.
    pub(crate) sources: Option<Vec<Interval>>,
    pub(crate) destinations: Option<Vec<Interval>>,
    pub(crate) protocol: Option<u8>,
    /// Only together with a protocol that has ports.
    pub(crate) ports: Option<Vec<Interval>>,
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

/// The parts of a rule; they are disjoint, and none if the rule can never match.
pub(crate) fn parts(rule: &RulesetRule) -> Vec<Part> {
    let services = services(rule);
    let addresses = addresses(rule);
    let mut parts = Vec::with_capacity(services.len() * addresses.len());
    for (family, sources, destinations) in addresses {
        for (protocol, ports) in &services {
            parts.push(Part {
                family,
                sources: sources.clone(),
                destinations: destinations.clone(),
                protocol: *protocol,
                ports: ports.clone(),
            });
        }
    }
    parts
}

type Side = Option<Vec<Interval>>;

fn addresses(rule: &RulesetRule) -> Vec<(Family, Side, Side)> {
    if rule.sources.contains(&Address::Any) && rule.destinations.contains(&Address::Any) {
        return vec![(Family::Any, None, None)];
    }
    let both = |family| {
        let sources = side(&rule.sources, family)?;
        Some((family, sources, side(&rule.destinations, family)?))
    };
    [Family::V4, Family::V6].into_iter().filter_map(both).collect()
}

/// The intervals of one family; `Some(None)` if they are all of it, `None` if there are none.
fn side(addresses: &[Address], family: Family) -> Option<Side> {
    let mut intervals = Vec::new();
    for address in addresses {
        match address {
            Address::Any => return Some(None),
            Address::Span(span) if span.is_ipv4() == (family == Family::V4) => intervals.push(Interval::of(span)),
            Address::Span(_) => {}
        }
    }
    let intervals = merge(intervals)?;
    let whole = Interval { first: 0, last: if family == Family::V4 { u128::from(u32::MAX) } else { u128::MAX } };
    Some((intervals != [whole]).then_some(intervals))
}

fn services(rule: &RulesetRule) -> Vec<(Option<u8>, Side)> {
    let ranges = rule.ports.iter().map(|range| Interval { first: range.first().into(), last: range.last().into() });
    let ports = merge(ranges.collect());
    match (rule.protocol, ports) {
        (Protocol::All, None) => vec![(None, None)],
        (Protocol::Number(number), None) => vec![(Some(number), None)],
        (protocol, Some(ports)) => WITH_PORTS
            .into_iter()
            .filter(|number| protocol.matches(*number))
            .map(|number| (Some(number), Some(ports.clone())))
            .collect(),
    }
}

/// The same numbers in as few intervals as possible; `None` if there are none.
fn merge(mut intervals: Vec<Interval>) -> Option<Vec<Interval>> {
    intervals.sort_unstable();
    let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
    for interval in intervals {
        match merged.last_mut() {
            Some(before) if interval.first <= before.last.saturating_add(1) => {
                before.last = before.last.max(interval.last);
            }
            Some(_) | None => merged.push(interval),
        }
    }
    (!merged.is_empty()).then_some(merged)
}

impl Interval {
    fn of(span: &Span) -> Self {
        Self { first: number(span.first()), last: number(span.last()) }
    }

    /// The addresses of this interval, in a family that has them.
    pub(crate) fn span(self, family: Family) -> Option<Span> {
        let address = |number: u128| match family {
            Family::V4 => u32::try_from(number).ok().map(|v4| IpAddr::V4(Ipv4Addr::from(v4))),
            Family::Any | Family::V6 => Some(IpAddr::V6(Ipv6Addr::from(number))),
        };
        Span::new(address(self.first)?, address(self.last)?)
    }
}

impl Part {
    /// How many cells this part has.
    pub(crate) fn cell_count(&self) -> usize {
        let count = |side: &Side| side.as_ref().map_or(1, Vec::len);
        count(&self.sources).saturating_mul(count(&self.destinations)).saturating_mul(count(&self.ports))
    }

    /// Every combination of this part's intervals; they are disjoint.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let each =
            |side: &Side| side.as_ref().map_or_else(|| vec![None], |all| all.iter().copied().map(Some).collect());
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
        let hull = |side: &Side| {
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

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}
