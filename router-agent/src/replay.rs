//! Capture files as a source of packets: pcap and pcapng, through the same path as live traffic.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use crate::flow_table::{Flow, FlowTable, Window};
use crate::packet::{self, Link};

mod pcap;
mod pcapng;

/// No link carries a larger packet; a record that claims one is damage.
const FRAME_BYTES_MAX: usize = 262_144 + 64;
const FLOWS_MAX: usize = 1_000_000;
/// The window by whose ends flows are closed while a file is summed up.
const WINDOW_US: i64 = 5_000_000;

/// Why a capture file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    #[error("neither a pcap nor a pcapng file")]
    Unknown,
    #[error("the file is damaged: {0}")]
    Damaged(&'static str),
}

/// A frame as it was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub at_us: i64,
    /// Absent for a link type that carries no IP, or none that is read here.
    pub link: Option<Link>,
    pub bytes: &'a [u8],
}

/// Reads a capture file from its beginning.
pub struct Reader {
    format: Format,
}

enum Format {
    Pcap(pcap::Pcap<Source>),
    PcapNg(pcapng::PcapNg<Source>),
}

type Source = io::Chain<io::Cursor<[u8; 4]>, BufReader<File>>;

impl Reader {
    pub fn open(path: &Path) -> Result<Self, ReplayError> {
        let mut file = BufReader::new(File::open(path)?);
        let mut magic = [0; 4];
        file.read_exact(&mut magic)?;
        let source = io::Cursor::new(magic).chain(file);
        let format = if pcapng::is_magic(magic) {
            Format::PcapNg(pcapng::PcapNg::new(source))
        } else {
            Format::Pcap(pcap::Pcap::open(source)?)
        };
        Ok(Self { format })
    }

    /// The next frame; nothing at the end, also where the last record was cut off.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReplayError> {
        match &mut self.format {
            Format::Pcap(pcap) => pcap.next_frame(),
            Format::PcapNg(pcapng) => pcapng.next_frame(),
        }
    }
}

/// A flow of a whole capture file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayedFlow {
    pub protocol: u8,
    pub initiator: (IpAddr, u16),
    pub responder: (IpAddr, u16),
    pub vlan: Option<u16>,
    pub window: Window,
}

/// The flows of a capture file, over its whole time: windows of one connection are added up.
pub fn replay(path: &Path) -> Result<Vec<ReplayedFlow>, ReplayError> {
    let mut reader = Reader::open(path)?;
    let mut table = FlowTable::new(FLOWS_MAX);
    let interface: Arc<str> = Arc::from("replay");
    let mut flows = Sum::default();
    let mut window_end_us = None;
    while let Some(frame) = reader.next_frame()? {
        let Some(packet) = frame.link.and_then(|link| packet::parse(link, frame.bytes)) else { continue };
        let end_us = *window_end_us.get_or_insert(frame.at_us + WINDOW_US);
        if frame.at_us >= end_us {
            table.close_window(frame.at_us, false, &mut |flow, window| flows.add(flow, window));
            window_end_us = Some(frame.at_us + WINDOW_US);
        }
        table.observe(&packet, &interface, frame.at_us);
    }
    table.close_window(i64::MAX / 2, true, &mut |flow, window| flows.add(flow, window));
    Ok(flows.by_ends.into_values().collect())
}

type Ends = (u8, (IpAddr, u16), (IpAddr, u16));

#[derive(Default)]
struct Sum {
    by_ends: BTreeMap<Ends, ReplayedFlow>,
}

impl Sum {
    fn add(&mut self, flow: &Flow, mut window: Window) {
        let a = (flow.initiator.ip, flow.initiator.port);
        let b = (flow.responder.ip, flow.responder.port);
        let Some(known) = self.by_ends.get_mut(&(flow.protocol, a.min(b), a.max(b))) else {
            let new = ReplayedFlow { protocol: flow.protocol, initiator: a, responder: b, vlan: flow.vlan, window };
            self.by_ends.insert((flow.protocol, a.min(b), a.max(b)), new);
            return;
        };
        if known.initiator != a {
            window.bytes.reverse();
            window.packets.reverse();
        }
        let sum = &mut known.window;
        for side in [0, 1] {
            sum.bytes[side] += window.bytes[side];
            sum.packets[side] += window.packets[side];
        }
        sum.first_us = sum.first_us.min(window.first_us);
        sum.last_us = sum.last_us.max(window.last_us);
        sum.tcp_flags |= window.tcp_flags;
        sum.started |= window.started;
        sum.ended |= window.ended;
        sum.domain = sum.domain.take().or(window.domain);
    }
}

/// What a LINKTYPE number (tcpdump.org/linktypes.html) stands for.
fn link_of(number: u32) -> Option<Link> {
    // The upper half tells of frame check sequences.
    match number & 0xffff {
        1 => Some(Link::Ethernet),
        12 | 14 | 101 | 228 | 229 => Some(Link::Ip),
        113 => Some(Link::Sll),
        276 => Some(Link::Sll2),
        0 | 108 => Some(Link::Null),
        _ => None,
    }
}

/// Fills `buffer`, or says that the file ended before.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> Result<bool, ReplayError> {
    match source.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reads numbers in the byte order of who wrote the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let pair = bytes.get(at..at.saturating_add(2)).and_then(|pair| pair.try_into().ok()).unwrap_or_default();
        match self {
            Self::Little => u16::from_le_bytes(pair),
            Self::Big => u16::from_be_bytes(pair),
        }
    }

    fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let four = bytes.get(at..at.saturating_add(4)).and_then(|four| four.try_into().ok()).unwrap_or_default();
        match self {
            Self::Little => u32::from_le_bytes(four),
            Self::Big => u32::from_be_bytes(four),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn read_all(bytes: &[u8]) -> Result<usize, ReplayError> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("written");
        let mut reader = Reader::open(file.path())?;
        let mut count = 0;
        while let Some(frame) = reader.next_frame()? {
            count += usize::from(frame.link.is_some());
        }
        Ok(count)
    }

    #[test]
    fn what_is_no_capture_is_refused() {
        assert!(matches!(read_all(b"hello, world, this is no capture"), Err(ReplayError::Unknown)));
        assert!(matches!(read_all(b""), Err(ReplayError::Io(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_readers_panic(
            magic in prop_oneof![
                Just([0xd4u8, 0xc3, 0xb2, 0xa1]), Just([0xa1u8, 0xb2, 0x3c, 0x4d]), Just([0x0au8, 0x0d, 0x0d, 0x0a]),
            ],
            rest in proptest::collection::vec(prop_oneof![Just(0u8), 0u8..8, any::<u8>()], 0..200),
        ) {
            let mut bytes = magic.to_vec();
            bytes.extend(rest);
            let _ = read_all(&bytes);
        }
    }
}
