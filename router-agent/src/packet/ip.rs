//! IPv4 (RFC 791) and IPv6 (RFC 8200): addresses, length, fragments, extension headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Fragment, Packet, be16, be32, transport};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

/// A longer chain of extension headers is an attack, not traffic.
const EXTENSIONS_MAX: usize = 16;

const IPV6_HEADER: usize = 40;

/// Reads a datagram with its transport header.
pub(super) fn read(datagram: &[u8]) -> Option<Packet<'_>> {
    match datagram.first()? >> 4 {
        4 => read_v4(datagram),
        6 => read_v6(datagram),
        _ => None,
    }
}

fn read_v4(datagram: &[u8]) -> Option<Packet<'_>> {
    let header = usize::from(datagram.first()? & 0x0f) * 4;
    if header < 20 {
        return None;
    }
    let (total, bytes) = length(usize::from(be16(datagram, 2)?), header, datagram);
    let id = u32::from(be16(datagram, 4)?);
    let flags = be16(datagram, 6)?;
    let fragment = match (flags & 0x1fff, flags & 0x2000 != 0) {
        (0, false) => Fragment::Whole,
        (0, true) => Fragment::First(id),
        _ => Fragment::Later(id),
    };
    let source = IpAddr::V4(Ipv4Addr::from(be32(datagram, 12)?));
    let destination = IpAddr::V4(Ipv4Addr::from(be32(datagram, 16)?));
    let protocol = *datagram.get(9)?;
    let rest = datagram.get(header..total.min(datagram.len())).unwrap_or_default();
    Some(transport::read(rest, protocol, fragment, Packet { bytes, ..empty(source, destination) }))
}

fn read_v6(datagram: &[u8]) -> Option<Packet<'_>> {
    let payload = usize::from(be16(datagram, 4)?);
    let claimed = if payload == 0 { 0 } else { IPV6_HEADER + payload };
    let (total, bytes) = length(claimed, IPV6_HEADER, datagram);
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = datagram.get(at..at + 16)?.try_into().ok()?;
        Some(IpAddr::V6(Ipv6Addr::from(octets)))
    };
    let (source, destination) = (address(8)?, address(24)?);
    let rest = datagram.get(IPV6_HEADER..total.min(datagram.len())).unwrap_or_default();
    let (protocol, fragment, rest) = skip_extensions(*datagram.get(6)?, rest);
    Some(transport::read(rest, protocol, fragment, Packet { bytes, ..empty(source, destination) }))
}

/// Passes extension headers; where the chain is cut, its last known link is the protocol.
fn skip_extensions(mut next: u8, mut rest: &[u8]) -> (u8, Fragment, &[u8]) {
    let mut fragment = Fragment::Whole;
    for _ in 0..EXTENSIONS_MAX {
        let size = match next {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HOST_IDENTITY | SHIM6 => {
                rest.get(1).map(|units| (usize::from(*units) + 1) * 8)
            }
            AUTHENTICATION => rest.get(1).map(|units| (usize::from(*units) + 2) * 4),
            FRAGMENT => be16(rest, 2).zip(be32(rest, 4)).map(|(offset, id)| {
                fragment = match (offset >> 3, offset & 1 == 1) {
                    (0, false) => Fragment::Whole,
                    (0, true) => Fragment::First(id),
                    _ => Fragment::Later(id),
                };
                8
            }),
            _ => return (next, fragment, rest),
        };
        let Some((size, after)) = size.zip(rest.first().copied()) else { return (next, fragment, rest) };
        next = after;
        rest = rest.get(size..).unwrap_or_default();
        if matches!(fragment, Fragment::Later(_)) {
            return (next, fragment, rest);
        }
    }
    (next, fragment, rest)
}

/// The end of the datagram in the frame, and its size. Segmentation offload leaves the header's length at 0.
fn length(claimed: usize, header: usize, datagram: &[u8]) -> (usize, u32) {
    let total = if claimed < header { datagram.len().max(header) } else { claimed };
    (total, u32::try_from(total).unwrap_or(u32::MAX))
}

fn empty(source: IpAddr, destination: IpAddr) -> Packet<'static> {
    Packet {
        source,
        destination,
        protocol: 0,
        source_port: 0,
        destination_port: 0,
        tcp_flags: 0,
        icmp_type: None,
        bytes: 0,
        vlan: None,
        fragment: Fragment::Whole,
        payload: &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{TCP, UDP};

    fn v6(next: u8, rest: &[u8]) -> Vec<u8> {
        let mut datagram = vec![0x60, 0, 0, 0, 0, u8::try_from(rest.len()).expect("short"), next, 64];
        datagram.extend([0xfd; 16]);
        datagram.extend([0xfc; 16]);
        datagram.extend(rest);
        datagram
    }

    #[test]
    fn extension_headers_are_passed() {
        let mut rest = vec![DESTINATION_OPTIONS, 0, 1, 4, 0, 0, 0, 0];
        rest.extend([UDP, 0, 1, 4, 0, 0, 0, 0]);
        rest.extend([0, 53, 0, 54, 0, 8, 0, 0]);
        let datagram = v6(HOP_BY_HOP, &rest);
        let packet = read(&datagram).expect("a packet");
        assert_eq!((packet.protocol, packet.source_port, packet.destination_port), (UDP, 53, 54));
        assert_eq!(packet.bytes, 64);
    }

    #[test]
    fn fragments_are_told_apart() {
        let kind = |offset: u16| {
            let [high, low] = offset.to_be_bytes();
            let datagram = v6(FRAGMENT, &[UDP, 0, high, low, 0, 0, 0, 7, 0, 53, 0, 54, 0, 8, 0, 0]);
            read(&datagram).map(|packet| (packet.fragment, packet.source_port))
        };
        assert_eq!(kind(0), Some((Fragment::Whole, 53)));
        assert_eq!(kind(1), Some((Fragment::First(7), 53)));
        assert_eq!(kind(8), Some((Fragment::Later(7), 0)));
    }

    #[test]
    fn a_header_that_is_cut_gives_nothing_and_a_body_that_is_cut_gives_what_is_known() {
        let datagram = v6(TCP, &[0, 80, 1, 0]);
        assert!(read(&datagram[..39]).is_none());
        assert_eq!(read(&datagram[..40]).map(|packet| (packet.protocol, packet.source_port)), Some((TCP, 0)));
    }
}
