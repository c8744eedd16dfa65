//! One flow: who, over which interfaces, and what it did in the current window.

use std::net::IpAddr;
use std::sync::Arc;

use schemas::resource::ResourceId;
use schemas::rule::Action;

use crate::packet::{self, ACK, FIN, ICMP, ICMPV6, Packet, RST, SYN, TCP, domain};

/// Packets of a connection that are looked into for a name.
const DOMAIN_TRIES: u8 = 8;

/// An address and a port; 0 where the protocol has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    pub ip: IpAddr,
    pub port: u16,
}

/// A connection, whichever side speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    protocol: u8,
    low: Endpoint,
    high: Endpoint,
}

impl FlowKey {
    pub fn of(packet: &Packet<'_>) -> Self {
        let (a, b) = (Endpoint::source(packet), Endpoint::destination(packet));
        Self { protocol: packet.protocol, low: a.min(b), high: a.max(b) }
    }
}

/// What the kernel said about a flow's packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    pub action: Action,
    /// Absent where the default decided.
    pub rule: Option<ResourceId>,
}

/// What was worked out about a flow, kept while it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    pub action: Action,
    pub rule: Option<ResourceId>,
    /// By which ruleset: its revision, and since when it was in force.
    pub revision: u64,
    pub since_us: i64,
}

/// What a flow did in one window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    pub first_us: i64,
    pub last_us: i64,
    /// From the initiator, and to it.
    pub bytes: [u64; 2],
    pub packets: [u64; 2],
    pub tcp_flags: u8,
    pub started: bool,
    pub ended: bool,
    pub domain: Option<String>,
}

/// A connection that is followed.
#[derive(Debug, Clone)]
pub struct Flow {
    pub protocol: u8,
    pub initiator: Endpoint,
    pub responder: Endpoint,
    /// Where the first packet was seen.
    pub interface: Arc<str>,
    /// Where each side's packets were seen.
    pub sides: [Option<Arc<str>>; 2],
    pub vlan: Option<u16>,
    pub icmp_type: Option<u8>,
    pub heard: Option<Heard>,
    pub judged: Option<Judged>,
    pub last_us: i64,
    first_us: i64,
    window: Window,
    domain: Option<String>,
    domain_tries: u8,
    /// Which sides sent a FIN.
    closed: [bool; 2],
    ended: bool,
    answered: bool,
    /// Whether a row told of it.
    told: bool,
}

impl Flow {
    /// A flow without packets, from what its first one says.
    pub(super) fn new(packet: &Packet<'_>, interface: &Arc<str>, at_us: i64, heard: Option<Heard>) -> Self {
        let (source, destination) = (Endpoint::source(packet), Endpoint::destination(packet));
        let (initiator, responder) = if is_answer(packet) { (destination, source) } else { (source, destination) };
        Self {
            protocol: packet.protocol,
            initiator,
            responder,
            interface: Arc::clone(interface),
            sides: [None, None],
            vlan: packet.vlan,
            icmp_type: packet.icmp_type,
            heard,
            judged: None,
            last_us: at_us,
            first_us: at_us,
            window: Window::default(),
            domain: None,
            domain_tries: 0,
            closed: [false, false],
            ended: false,
            answered: false,
            told: false,
        }
    }

    pub(super) fn add(&mut self, packet: &Packet<'_>, interface: &Arc<str>, at_us: i64) {
        let side = usize::from(Endpoint::source(packet) != self.initiator);
        let other = 1 - side;
        if self.window.packets == [0, 0] {
            self.window.first_us = at_us;
            self.window.last_us = at_us;
            self.window.started = !self.told && (self.protocol != TCP || packet.tcp_flags & SYN != 0);
        }
        // Threads of different interfaces may add packets a little out of order.
        self.window.first_us = self.window.first_us.min(at_us);
        self.window.last_us = self.window.last_us.max(at_us);
        self.last_us = self.last_us.max(at_us);
        self.window.bytes[side] += u64::from(packet.bytes);
        self.window.packets[side] += 1;
        self.window.tcp_flags |= packet.tcp_flags;
        self.answered |= side == 1;
        if self.sides[side].is_none() {
            self.sides[side] = Some(Arc::clone(interface));
        }
        if self.protocol == TCP {
            self.closed[side] |= packet.tcp_flags & FIN != 0;
            let over = packet.tcp_flags & RST != 0 || self.closed[side] && self.closed[other];
            self.window.ended |= over && !self.ended;
            self.ended |= over;
        }
        if self.domain.is_none() && self.domain_tries < DOMAIN_TRIES && !packet.payload.is_empty() {
            self.domain_tries += 1;
            self.domain = domain::of(packet);
        }
    }

    /// The window's sums, if there were packets; the next window begins.
    pub(super) fn take_window(&mut self) -> Option<Window> {
        if !self.has_window() {
            return None;
        }
        self.told = true;
        let mut window = std::mem::take(&mut self.window);
        window.domain.clone_from(&self.domain);
        if self.protocol == packet::UDP {
            // Each DNS question on the same ports is of its own; a TCP connection keeps its name.
            self.domain = None;
            self.domain_tries = 0;
        }
        Some(window)
    }

    /// The kernel tells of each packet that it denies: its word holds for the window, where an acceptance holds for the
    /// connection.
    pub(super) fn forget_denial(&mut self) {
        self.heard = self.heard.filter(|heard| heard.action == Action::Accept);
    }

    pub(super) fn has_window(&self) -> bool {
        self.window.packets != [0, 0]
    }

    pub(super) fn began_after(&self, time_us: i64) -> bool {
        self.first_us > time_us
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the responder ever sent something.
    pub(crate) fn is_answered(&self) -> bool {
        self.answered
    }

    /// Whether the packet opens a new connection on the ports of this one, which is over.
    pub(super) fn is_reopened_by(&self, packet: &Packet<'_>) -> bool {
        self.ended && self.protocol == TCP && packet.tcp_flags & (SYN | ACK) == SYN
    }
}

/// Whether the packet can only be an answer.
fn is_answer(packet: &Packet<'_>) -> bool {
    match packet.protocol {
        TCP => packet.tcp_flags & (SYN | ACK) == SYN | ACK,
        ICMP => packet.icmp_type == Some(0),
        ICMPV6 => packet.icmp_type == Some(129),
        _ => false,
    }
}
