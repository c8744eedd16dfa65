//! Ports of datagrams that came in fragments: only the first has them, the later ones belong to the same flow.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::packet::{Fragment, Packet};

const DATAGRAMS_MAX: usize = 4_096;
/// Linux gives up reassembly after 30 s.
const WAIT_US: i64 = 30_000_000;

type Datagram = (IpAddr, IpAddr, u8, u32);

#[derive(Default)]
pub(super) struct Fragments {
    ports: HashMap<Datagram, (u16, u16, i64)>,
}

impl Fragments {
    /// Gives a later fragment the ports of its first one. Those that come before it, or without it, keep port 0.
    pub(super) fn complete<'a>(&mut self, packet: Packet<'a>, at_us: i64) -> Packet<'a> {
        let datagram = |id| (packet.source, packet.destination, packet.protocol, id);
        match packet.fragment {
            Fragment::Whole => packet,
            Fragment::First(id) => {
                if self.ports.len() < DATAGRAMS_MAX {
                    self.ports.insert(datagram(id), (packet.source_port, packet.destination_port, at_us));
                }
                packet
            }
            Fragment::Later(id) => match self.ports.get(&datagram(id)) {
                Some((source_port, destination_port, _)) => {
                    Packet { source_port: *source_port, destination_port: *destination_port, ..packet }
                }
                None => packet,
            },
        }
    }

    pub(super) fn forget_before(&mut self, now_us: i64) {
        self.ports.retain(|_, (_, _, at_us)| *at_us > now_us - WAIT_US);
    }
}
