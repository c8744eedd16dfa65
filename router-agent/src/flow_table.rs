//! The flow table: packets added up per connection and window. Bounded; what the bound costs is counted.
//!
//! A connection is a 5-tuple without direction; ICMP has no ports here, so all of it between two hosts is one flow. The
//! initiator is who sent the first packet, but a first packet that answers (SYN-ACK, echo reply) names the other side.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::packet::{Fragment, Packet};

mod flow;
mod fragments;

pub use flow::{Endpoint, Flow, FlowKey, Heard, Judged, Window};
use fragments::Fragments;

/// A flow this young waits for the next window: the kernel's word on it may still be on its way.
const VERDICT_WAIT_US: i64 = 200_000;
/// How long after its end a TCP flow still takes late packets.
const LINGER_US: i64 = 10_000_000;
const TCP_IDLE_US: i64 = 3_600_000_000;
const TCP_OPENING_IDLE_US: i64 = 60_000_000;
const OTHER_IDLE_US: i64 = 60_000_000;
/// How long a verdict waits for its packet.
const HEARD_WAIT_US: i64 = 5_000_000;
const HEARD_MAX: usize = 16_384;
/// The part of the table that is given up at once when it is full.
const EVICTED_SHARE: usize = 16;

/// The flows that are followed.
pub struct FlowTable {
    flows: HashMap<FlowKey, Flow>,
    /// Flows that left the table with packets that no row tells yet.
    finished: Vec<Flow>,
    /// The kernel's verdicts whose packets were not seen yet.
    heard: HashMap<FlowKey, (Heard, i64)>,
    fragments: Fragments,
    flows_max: usize,
    evicted: u64,
}

impl FlowTable {
    pub fn new(flows_max: usize) -> Self {
        Self {
            flows: HashMap::new(),
            finished: Vec::new(),
            heard: HashMap::new(),
            fragments: Fragments::default(),
            flows_max: flows_max.max(1),
            evicted: 0,
        }
    }

    /// Adds a packet that `interface` saw at `at_us`.
    pub fn observe(&mut self, packet: &Packet<'_>, interface: &Arc<str>, at_us: i64) {
        let packet = self.fragments.complete(*packet, at_us);
        let key = FlowKey::of(&packet);
        if let Some(flow) = self.flows.get_mut(&key) {
            if !flow.is_reopened_by(&packet) && !is_idle(flow, at_us) {
                flow.add(&packet, interface, at_us);
                return;
            }
            if let Some(old) = self.flows.remove(&key) {
                self.finish(old);
            }
        }
        if self.flows.len() >= self.flows_max {
            self.evict();
        }
        let heard = self.heard.remove(&key).map(|(heard, _)| heard);
        let mut flow = Flow::new(&packet, interface, at_us, heard);
        flow.add(&packet, interface, at_us);
        self.flows.insert(key, flow);
    }

    /// Takes the kernel's word on a packet.
    pub fn hear(&mut self, packet: &Packet<'_>, heard: Heard, at_us: i64) {
        if matches!(packet.fragment, Fragment::Later(_)) {
            return;
        }
        let key = FlowKey::of(packet);
        match self.flows.get_mut(&key) {
            Some(flow) if !flow.is_reopened_by(packet) => flow.heard = Some(heard),
            Some(_) | None if self.heard.len() < HEARD_MAX => {
                self.heard.insert(key, (heard, at_us));
            }
            Some(_) | None => {}
        }
    }

    /// Ends the window: gives each flow that was active in it to `emit`, and forgets what is over.
    ///
    /// With `all`, also what would wait for the next window.
    pub fn close_window(&mut self, now_us: i64, all: bool, emit: &mut dyn FnMut(&mut Flow, Window)) {
        for mut flow in self.finished.drain(..) {
            if let Some(window) = flow.take_window() {
                emit(&mut flow, window);
            }
        }
        self.flows.retain(|_, flow| {
            let waits = !all && flow.heard.is_none() && flow.began_after(now_us - VERDICT_WAIT_US);
            if !waits && let Some(window) = flow.take_window() {
                emit(flow, window);
                flow.forget_denial();
            }
            waits || !is_idle(flow, now_us)
        });
        self.heard.retain(|_, (_, at_us)| *at_us > now_us - HEARD_WAIT_US);
        self.fragments.forget_before(now_us);
    }

    pub fn len(&self) -> usize {
        self.flows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Flows given up because the table was full.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Makes room: the longest idle flows go, with a row for what they had.
    fn evict(&mut self) {
        let share = (self.flows_max / EVICTED_SHARE).max(1);
        let mut ages: Vec<(i64, FlowKey)> = self.flows.iter().map(|(key, flow)| (flow.last_us, *key)).collect();
        if share < ages.len() {
            ages.select_nth_unstable_by_key(share - 1, |(last_us, _)| *last_us);
            ages.truncate(share);
        }
        for (_, key) in ages {
            if let Some(flow) = self.flows.remove(&key) {
                self.evicted += 1;
                self.finish(flow);
            }
        }
    }

    fn finish(&mut self, flow: Flow) {
        if !flow.has_window() {
            return;
        }
        if self.finished.len() < self.flows_max {
            self.finished.push(flow);
        } else {
            self.evicted += 1;
        }
    }
}

/// Whether nothing is to be expected of a flow any more.
fn is_idle(flow: &Flow, now_us: i64) -> bool {
    let patience = match flow.protocol {
        crate::packet::TCP if flow.has_ended() => LINGER_US,
        crate::packet::TCP if flow.is_answered() => TCP_IDLE_US,
        crate::packet::TCP => TCP_OPENING_IDLE_US,
        _ => OTHER_IDLE_US,
    };
    now_us - flow.last_us > patience
}

impl Endpoint {
    fn source(packet: &Packet<'_>) -> Self {
        Self { ip: packet.source, port: packet.source_port }
    }

    fn destination(packet: &Packet<'_>) -> Self {
        Self { ip: packet.destination, port: packet.destination_port }
    }
}

/// Whether an address is of many receivers: multicast, or the limited broadcast.
pub fn is_for_many(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_multicast(),
    }
}

#[cfg(test)]
mod tests;
