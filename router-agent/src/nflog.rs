//! The kernel's own word on packets: netfilter log messages (NFLOG) whose prefix names the rule and the verdict.

use std::io::{self, Read};
use std::time::Duration;

use schemas::rule::Action;
use socket2::{Domain, Protocol, Socket, Type};

use crate::socket::grow_receive_buffer;

const NETLINK: i32 = libc::AF_NETLINK;
const NETFILTER: i32 = libc::NETLINK_NETFILTER;

/// `NFNL_SUBSYS_ULOG` with the messages `PACKET` and `CONFIG` (linux/netfilter/nfnetlink_log.h).
const MESSAGE_PACKET: u16 = 4 << 8;
const MESSAGE_CONFIG: u16 = 4 << 8 | 1;
const MESSAGE_ERROR: u16 = 2;
const FLAGS_REQUEST_ACK: u16 = 1 | 4;

const CONFIG_COMMAND: u16 = 1;
const CONFIG_MODE: u16 = 2;
const CONFIG_TIMEOUT: u16 = 4;
const CONFIG_THRESHOLD: u16 = 5;
const COMMAND_BIND: u8 = 1;
const COPY_PACKET: u8 = 2;

const PACKET_PAYLOAD: u16 = 9;
const PACKET_PREFIX: u16 = 10;

/// All headers, also behind IPv6 extensions.
const COPY_BYTES: u32 = 256;
/// In hundredths of a second: how long the kernel may collect messages.
const TIMEOUT: u32 = 5;
const THRESHOLD: u32 = 64;

const HEADER: usize = 16;
const FAMILY_HEADER: usize = 4;
const BUFFER_BYTES: usize = 256 * 1024;

/// How long a read waits, so that whoever reads can be stopped.
const READ_TIMEOUT: Duration = Duration::from_millis(200);

/// A listener on one log group.
pub struct NfLog {
    socket: Socket,
    buffer: Vec<u8>,
}

/// What the kernel logged about one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logged<'a> {
    /// The rule's number; 0 where the default decided.
    pub number: u32,
    pub action: Action,
    /// From the IP header on.
    pub datagram: &'a [u8],
}

impl NfLog {
    /// Joins a log group; one process can.
    pub fn listen(group: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::from(NETLINK), Type::RAW, Some(Protocol::from(NETFILTER)))?;
        grow_receive_buffer(&socket);
        socket.set_read_timeout(Some(READ_TIMEOUT))?;
        let mut log = Self { socket, buffer: vec![0; BUFFER_BYTES] };
        let mut mode = COPY_BYTES.to_be_bytes().to_vec();
        mode.extend([COPY_PACKET, 0]);
        log.configure(group, &[(CONFIG_COMMAND, vec![COMMAND_BIND])])?;
        log.configure(
            group,
            &[
                (CONFIG_MODE, mode),
                (CONFIG_TIMEOUT, TIMEOUT.to_be_bytes().to_vec()),
                (CONFIG_THRESHOLD, THRESHOLD.to_be_bytes().to_vec()),
            ],
        )?;
        Ok(log)
    }

    /// Waits a moment for messages and gives each; none if none came.
    pub fn read(&mut self, each: &mut dyn FnMut(Logged<'_>)) -> io::Result<()> {
        let size = match (&self.socket).read(&mut self.buffer) {
            Ok(size) => size,
            Err(error) if is_passing(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        messages(self.buffer.get(..size).unwrap_or_default(), &mut |kind, body| {
            if kind == MESSAGE_PACKET
                && let Some(logged) = logged(body)
            {
                each(logged);
            }
        });
        Ok(())
    }

    fn configure(&mut self, group: u16, attributes: &[(u16, Vec<u8>)]) -> io::Result<()> {
        self.socket.send(&request(group, attributes))?;
        let mut answer = None;
        // Packets of a group that is joined already may come before the answer.
        for _ in 0..64 {
            let size = (&self.socket).read(&mut self.buffer)?;
            messages(self.buffer.get(..size).unwrap_or_default(), &mut |kind, body| {
                if kind == MESSAGE_ERROR {
                    answer = body.get(..4).and_then(|code| code.try_into().ok()).map(i32::from_ne_bytes);
                }
            });
            match answer {
                Some(0) => return Ok(()),
                Some(code) => return Err(io::Error::from_raw_os_error(code.saturating_neg())),
                None => {}
            }
        }
        Err(io::Error::other("the kernel does not answer"))
    }
}

/// Nothing came, or more came than fit: the kernel counts on.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
        || error.raw_os_error() == Some(libc::ENOBUFS)
}

/// A configuration message: netlink header, netfilter header with the group, attributes.
fn request(group: u16, attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![0, 0];
    body.extend(group.to_be_bytes());
    for (kind, value) in attributes {
        let size = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        body.extend(size.to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let mut message = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX).to_ne_bytes().to_vec();
    message.extend(MESSAGE_CONFIG.to_ne_bytes());
    message.extend(FLAGS_REQUEST_ACK.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// Gives each netlink message's type and body.
fn messages<'a>(mut rest: &'a [u8], each: &mut dyn FnMut(u16, &'a [u8])) {
    while let (Some(size), Some(kind)) = (ne32(rest, 0), ne16(rest, 4)) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let Some(body) = rest.get(HEADER..size) else { return };
        each(kind, body);
        rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
    }
}

/// Reads a packet message: its prefix and its payload.
fn logged(body: &[u8]) -> Option<Logged<'_>> {
    let mut rest = body.get(FAMILY_HEADER..)?;
    let (mut prefix, mut datagram) = (None, None);
    while let (Some(size), Some(kind)) = (ne16(rest, 0), ne16(rest, 2)) {
        let size = usize::from(size);
        let Some(value) = rest.get(4..size) else { break };
        match kind & 0x3fff {
            PACKET_PREFIX => prefix = Some(value),
            PACKET_PAYLOAD => datagram = Some(value),
            _ => {}
        }
        rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
    }
    let prefix = std::str::from_utf8(prefix?).ok()?.trim_end_matches('\0');
    let (number, action) = policy::nft::parse_log_prefix(prefix)?;
    Some(Logged { number, action, datagram: datagram? })
}

fn ne16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

fn ne32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(value.len() + 4).expect("short").to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(attributes: &[u8]) -> Vec<u8> {
        let size = u32::try_from(HEADER + FAMILY_HEADER + attributes.len()).expect("short");
        let mut bytes = size.to_ne_bytes().to_vec();
        bytes.extend(MESSAGE_PACKET.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend([2, 0, 0, 5]);
        bytes.extend(attributes);
        bytes
    }

    fn read(bytes: &[u8]) -> Vec<(u32, Action, usize)> {
        let mut found = Vec::new();
        messages(bytes, &mut |_, body| {
            found.extend(logged(body).map(|one| (one.number, one.action, one.datagram.len())));
        });
        found
    }

    #[test]
    fn several_messages_in_one_read_are_all_told() {
        let one = [attribute(PACKET_PREFIX, b"nk:17:d\0"), attribute(PACKET_PAYLOAD, &[0x45; 20])].concat();
        let two = [attribute(PACKET_PREFIX, b"nk:0:a\0"), attribute(PACKET_PAYLOAD, &[0x45; 21])].concat();
        let foreign = [attribute(PACKET_PREFIX, b"other\0"), attribute(PACKET_PAYLOAD, &[0x45; 20])].concat();
        let bytes = [message(&one), message(&foreign), message(&two)].concat();
        assert_eq!(read(&bytes), [(17, Action::Drop, 20), (0, Action::Accept, 21)]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(attributes in proptest::collection::vec(any::<u8>(), 0..80), size in 0u32..120) {
            let mut bytes = message(&attributes);
            read(&bytes);
            bytes[..4].copy_from_slice(&size.to_ne_bytes());
            read(&bytes);
        }
    }
}
