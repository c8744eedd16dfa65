//! Packets as bytes, each carrying its number, and the programs that send them and see which pass.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::generated::Generated;
use crate::namespace::Namespace;

/// Forgets all connections, then sends: `4|6 destination hex` by itself, `interface hex` as a frame.
pub(crate) const SEND: &str = r#"
import socket, struct, sys
flush = struct.pack("=IHHIIBBH", 20, 0x102, 5, 1, 0, 0, 0, 0)
netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
netlink.send(flush)
assert struct.unpack_from("=i", netlink.recv(4096), 16)[0] == 0
sockets = {}
for line in sys.stdin:
    way, *destination, data = line.split()
    if way not in sockets:
        if way in "46":
            family = socket.AF_INET if way == "4" else socket.AF_INET6
            sockets[way] = socket.socket(family, socket.SOCK_RAW, 255)
        else:
            sockets[way] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            sockets[way].bind((way, 0))
    if destination:
        try:
            sockets[way].sendto(bytes.fromhex(data), (destination[0], 0))
        except PermissionError:
            pass  # What the output chain denies, the kernel says at once.
    else:
        sockets[way].send(bytes.fromhex(data))
"#;

/// Sees the packets by their numbers: all of them in `arrived`, in `passed` those that our table let through.
pub(crate) const WITNESS: &str = "
table inet witness {
	set arrived4 {
		typeof ip id
		flags dynamic
		size 65535
	}
	set arrived6 {
		typeof ip6 flowlabel
		flags dynamic
		size 65535
	}
	set passed4 {
		typeof ip id
		flags dynamic
		size 65535
	}
	set passed6 {
		typeof ip6 flowlabel
		flags dynamic
		size 65535
	}
	chain arrived {
		ct state established,related return
		ip saddr 10.0.0.0/8 add @arrived4 { ip id }
		ip6 saddr fd00::/16 add @arrived6 { ip6 flowlabel }
	}
	chain passed {
		ct state established,related return
		ip saddr 10.0.0.0/8 add @passed4 { ip id }
		ip6 saddr fd00::/16 add @passed6 { ip6 flowlabel }
	}
	chain input_before {
		type filter hook input priority -10; policy accept;
		jump arrived
	}
	chain input_after {
		type filter hook input priority 10; policy accept;
		jump passed
	}
	chain forward_before {
		type filter hook forward priority -10; policy accept;
		jump arrived
	}
	chain forward_after {
		type filter hook forward priority 10; policy accept;
		jump passed
	}
	chain output_before {
		type filter hook output priority -10; policy accept;
		jump arrived
	}
	chain output_after {
		type filter hook output priority 10; policy accept;
		jump passed
	}
}
";

/// The numbers in both sets of the witness.
pub(crate) fn witnessed(router: &Namespace, set: &str) -> BTreeSet<u64> {
    let sets = router.nft_list(&["table", "inet", "witness"], "set");
    let ours = sets.iter().filter(|found| found["name"].as_str().is_some_and(|name| name.starts_with(set)));
    let elements = ours.filter_map(|found| found["elem"].as_array()).flatten();
    elements.map(|element| element.as_u64().or_else(|| element["elem"]["val"].as_u64()).expect("a number")).collect()
}

/// The IP packet with this number: the first of a connection of its own.
pub(crate) fn bytes(packet: &Generated, number: u16) -> Vec<u8> {
    let payload = payload(packet, number);
    let length = u16::try_from(payload.len()).expect("short");
    let mut bytes = match (packet.source, packet.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut header = vec![0x45, 0];
            header.extend((length + 20).to_be_bytes());
            header.extend(number.to_be_bytes());
            header.extend([0, 0, 64, packet.protocol, 0, 0]);
            header.extend(source.octets());
            header.extend(destination.octets());
            let sum = checksum(&header);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            header
        }
        (source, destination) => {
            let mut header = vec![0x60, 0];
            header.extend(number.to_be_bytes());
            header.extend(length.to_be_bytes());
            header.extend([packet.protocol, 64]);
            for ip in [source, destination] {
                let IpAddr::V6(v6) = ip else { panic!("one family") };
                header.extend(v6.octets());
            }
            header
        }
    };
    bytes.extend(payload);
    bytes
}

/// What conntrack takes for a beginning. Transport checksums are left out: the router is told not to look.
fn payload(packet: &Generated, number: u16) -> Vec<u8> {
    let mut payload = Vec::new();
    if let Some(port) = packet.port {
        payload.extend((number + 10_000).to_be_bytes());
        payload.extend(port.to_be_bytes());
    }
    match packet.protocol {
        6 => payload.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]),
        17 => payload.extend([0, 12, 0, 0, 1, 2, 3, 4]),
        132 => {
            payload.extend([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0xff, 0xff, 0, 1, 0, 1, 0, 0, 0, 1])
        }
        1 | 58 => {
            payload.extend([if packet.protocol == 1 { 8 } else { 128 }, 0, 0, 0]);
            payload.extend(number.to_be_bytes());
            payload.extend([0, 1]);
        }
        _ => payload.extend([0; 16]),
    }
    payload
}

fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).expect("folded")
}
