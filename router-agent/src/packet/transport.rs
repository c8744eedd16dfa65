//! Transport headers: ports, TCP flags, the ICMP type, and where the payload begins.

use super::{Fragment, ICMP, ICMPV6, Packet, SCTP, TCP, UDP, be16};

/// Adds to `packet` what its transport header says, as far as it was captured.
pub(super) fn read<'a>(rest: &'a [u8], protocol: u8, fragment: Fragment, packet: Packet<'a>) -> Packet<'a> {
    let packet = Packet { protocol, fragment, ..packet };
    if matches!(fragment, Fragment::Later(_)) {
        return packet;
    }
    match protocol {
        TCP => {
            let header = rest.get(12).map_or(0, |offset| usize::from(offset >> 4) * 4);
            let tcp_flags = rest.get(13).copied().unwrap_or(0);
            let payload = if header < 20 { &[] } else { rest.get(header..).unwrap_or_default() };
            with_ports(rest, Packet { tcp_flags, payload, ..packet })
        }
        UDP => with_ports(rest, Packet { payload: rest.get(8..).unwrap_or_default(), ..packet }),
        SCTP => with_ports(rest, packet),
        ICMP | ICMPV6 => Packet { icmp_type: rest.first().copied(), ..packet },
        _ => packet,
    }
}

fn with_ports<'a>(rest: &'a [u8], packet: Packet<'a>) -> Packet<'a> {
    match be16(rest, 0).zip(be16(rest, 2)) {
        Some((source_port, destination_port)) => Packet { source_port, destination_port, ..packet },
        None => packet,
    }
}
