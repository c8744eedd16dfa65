//! What a frame says about its flow: addresses, ports, flags and size. Total: any bytes give a packet or nothing.
//!
//! Sizes count from the IP header on and come from the header's own length, not from how much was captured. Tunnels
//! are not opened: a GRE, 6in4, VXLAN or ESP packet belongs to the flow of its outer header.

use std::net::IpAddr;

mod ethernet;
mod ip;
mod transport;
pub mod domain;

/// What a frame begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Ethernet,
    /// An IP header of either version.
    Ip,
    /// Linux cooked capture (`LINKTYPE_LINUX_SLL`).
    Sll,
    /// Linux cooked capture, version 2.
    Sll2,
    /// Four bytes of address family (`LINKTYPE_NULL`, `LINKTYPE_LOOP`).
    Null,
}

/// One IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// IANA protocol number, behind any IPv6 extension headers.
    pub protocol: u8,
    /// 0 where the protocol has no ports.
    pub source_port: u16,
    pub destination_port: u16,
    /// 0 where the protocol is not TCP.
    pub tcp_flags: u8,
    pub icmp_type: Option<u8>,
    /// From the IP header on, as the header tells it.
    pub bytes: u32,
    /// The outermost VLAN tag.
    pub vlan: Option<u16>,
    pub fragment: Fragment,
    /// What the transport header carries, as far as it was captured.
    pub payload: &'a [u8],
}

/// Whether a packet is whole, and if not, which datagram it is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragment {
    Whole,
    /// Has the transport header.
    First(u32),
    /// Has none: its ports are those of its first fragment.
    Later(u32),
}

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const SCTP: u8 = 132;
pub const ICMP: u8 = 1;
pub const ICMPV6: u8 = 58;

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const ACK: u8 = 0x10;

/// Reads a frame as its IP packet, if it holds one.
pub fn parse(link: Link, frame: &[u8]) -> Option<Packet<'_>> {
    let (vlan, datagram) = ethernet::open(link, frame)?;
    let mut packet = ip::read(datagram)?;
    packet.vlan = vlan;
    Some(packet)
}

/// The big-endian number at `at`.
fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes([*pair.first()?, *pair.get(1)?]))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(be16(bytes, at)?) << 16 | u32::from(be16(bytes, at.checked_add(2)?)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINKS: [Link; 5] = [Link::Ethernet, Link::Ip, Link::Sll, Link::Sll2, Link::Null];

    /// An Ethernet frame with an IPv4 TCP SYN of 10.0.0.1:1234 -> 10.0.0.2:23.
    pub(crate) fn syn() -> Vec<u8> {
        let mut frame = vec![2u8; 12];
        frame.extend([0x08, 0x00]);
        frame.extend([0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0x04, 0xd2, 0, 23, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, SYN, 0xff, 0xff, 0, 0, 0, 0]);
        frame
    }

    #[test]
    fn a_syn_is_read() {
        let frame = syn();
        let packet = parse(Link::Ethernet, &frame).expect("a packet");
        assert_eq!((packet.source.to_string(), packet.source_port), ("10.0.0.1".to_owned(), 1_234));
        assert_eq!((packet.destination.to_string(), packet.destination_port), ("10.0.0.2".to_owned(), 23));
        assert_eq!((packet.protocol, packet.tcp_flags, packet.bytes, packet.vlan), (TCP, SYN, 40, None));
    }

    #[test]
    fn vlan_tags_are_passed_and_the_outermost_is_kept() {
        let mut frame = syn();
        frame.splice(12..12, [0x88, 0xa8, 0, 13, 0x81, 0, 0x20, 10]);
        let packet = parse(Link::Ethernet, &frame).expect("a packet");
        assert_eq!((packet.vlan, packet.destination_port), (Some(13), 23));
    }

    #[test]
    fn padding_is_not_counted_and_a_cut_packet_is_counted_whole() {
        let mut frame = syn();
        frame.extend([0; 6]);
        assert_eq!(parse(Link::Ethernet, &frame).map(|packet| packet.bytes), Some(40));
        assert_eq!(parse(Link::Ethernet, &frame[..50]).map(|packet| packet.bytes), Some(40));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for link in LINKS {
                if let Some(packet) = parse(link, &bytes) {
                    let _ = domain::of(&packet);
                }
            }
        }

        #[test]
        fn no_damage_to_a_packet_makes_the_parser_panic(
            at in 12usize..54, value: u8, cut in 0usize..60, tail in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut frame = syn();
            frame[at] = value;
            frame.extend(tail);
            frame.truncate(cut.max(14));
            if let Some(packet) = parse(Link::Ethernet, &frame) {
                let _ = domain::of(&packet);
            }
        }

        #[test]
        fn no_ipv6_chain_makes_the_parser_panic(next: u8, rest in proptest::collection::vec(any::<u8>(), 0..120)) {
            let mut datagram = vec![0x60, 0, 0, 0, 0, 80, next, 64];
            datagram.extend([0xfe; 32]);
            datagram.extend(rest);
            if let Some(packet) = parse(Link::Ip, &datagram) {
                let _ = domain::of(&packet);
            }
        }
    }
}
