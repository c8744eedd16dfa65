//! Link layers: from a frame to its IP datagram.

use super::{Link, be16};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;
const QINQ_OLD: u16 = 0x9100;
const PPPOE_SESSION: u16 = 0x8864;

/// More tags than this are no traffic that a router forwards.
const TAGS_MAX: usize = 4;

/// The outermost VLAN and the datagram, if the frame holds IP.
pub(super) fn open(link: Link, frame: &[u8]) -> Option<(Option<u16>, &[u8])> {
    match link {
        Link::Ethernet => typed(be16(frame, 12)?, frame.get(14..)?),
        Link::Ip => Some((None, frame)),
        Link::Sll => typed(be16(frame, 14)?, frame.get(16..)?),
        Link::Sll2 => typed(be16(frame, 0)?, frame.get(20..)?),
        // The family is in the byte order of who captured; the IP header tells its version by itself.
        Link::Null => Some((None, frame.get(4..)?)),
    }
}

/// Passes tags until the IP header.
fn typed(mut kind: u16, mut rest: &[u8]) -> Option<(Option<u16>, &[u8])> {
    let mut vlan = None;
    for _ in 0..=TAGS_MAX {
        match kind {
            IPV4 | IPV6 => return Some((vlan, rest)),
            VLAN | QINQ | QINQ_OLD => {
                vlan = vlan.or(Some(be16(rest, 0)? & 0x0fff));
                kind = be16(rest, 2)?;
                rest = rest.get(4..)?;
            }
            PPPOE_SESSION => {
                kind = match be16(rest, 6)? {
                    0x0021 => IPV4,
                    0x0057 => IPV6,
                    _ => return None,
                };
                rest = rest.get(8..)?;
            }
            _ => return None,
        }
    }
    None
}
