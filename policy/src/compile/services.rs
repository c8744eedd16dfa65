//! The protocols and ports that a rule matches, in canonical form.

use std::collections::{BTreeMap, BTreeSet};

use schemas::config::RulesetService;
use schemas::id::ServiceId;
use schemas::service::{PortRange, Protocol};
use schemas::service_object::ServiceEntry;
use schemas::state::OrgState;

use crate::interval::{Interval, merge};

const WITH_PORTS: [Protocol; 3] = [Protocol::TCP, Protocol::UDP, Protocol::SCTP];

/// Protocols and what ports of each; `None` are all ports.
#[derive(Default)]
struct Matched(BTreeMap<Protocol, Option<Vec<PortRange>>>);

/// One protocol and its ports; none are all ports.
pub(super) fn plain(protocol: Protocol, ports: &[PortRange]) -> Vec<RulesetService> {
    let mut matched = Matched::default();
    matched.add(protocol, ports);
    matched.canonical()
}

/// What service objects stand for, and those that they are made of.
pub(super) fn of_objects(state: &OrgState, ids: &[ServiceId]) -> Vec<RulesetService> {
    let (mut seen, mut waiting, mut matched) = (BTreeSet::new(), ids.to_vec(), Matched::default());
    while let Some(id) = waiting.pop() {
        let Some(service) = state.services.get(&id).filter(|_| seen.insert(id)) else { continue };
        for entry in &service.entries {
            match entry {
                ServiceEntry::Ports { protocol, ports } => matched.add(*protocol, ports.as_slice()),
                ServiceEntry::Service(other) => waiting.push(*other),
            }
        }
    }
    matched.canonical()
}

impl Matched {
    fn add(&mut self, protocol: Protocol, ports: &[PortRange]) {
        if ports.is_empty() {
            self.0.insert(protocol, None);
            return;
        }
        for with_ports in WITH_PORTS.into_iter().filter(|one| protocol == Protocol::All || protocol == *one) {
            if let Some(known) = self.0.entry(with_ports).or_insert_with(|| Some(Vec::new())) {
                known.extend(ports);
            }
        }
    }

    fn canonical(self) -> Vec<RulesetService> {
        if self.0.contains_key(&Protocol::All) {
            return vec![RulesetService { protocol: Protocol::All, ports: Vec::new() }];
        }
        let service = |(protocol, ports): (Protocol, Option<Vec<PortRange>>)| RulesetService {
            protocol,
            ports: ports.map(|ports| merged(&ports)).unwrap_or_default(),
        };
        self.0.into_iter().map(service).collect()
    }
}

/// The same ports in as few ranges as possible.
pub(super) fn merged(ports: &[PortRange]) -> Vec<PortRange> {
    let intervals = ports.iter().map(|range| Interval { first: range.first().into(), last: range.last().into() });
    let port = |number: u128| u16::try_from(number).ok();
    let merged = merge(intervals.collect()).into_iter();
    merged.filter_map(|interval| PortRange::new(port(interval.first)?, port(interval.last)?)).collect()
}
