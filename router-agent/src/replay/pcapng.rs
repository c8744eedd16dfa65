//! The pcapng format (draft-ietf-opsawg-pcapng): sections, interfaces with their own clocks, packet blocks.

use std::io::Read;

use super::{FRAME_BYTES_MAX, Frame, Order, ReplayError, fill, link_of};
use crate::packet::Link;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET_OLD: u32 = 2;
const PACKET_SIMPLE: u32 = 3;
const PACKET: u32 = 6;

const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;

/// A block is a packet with a few options; what is much larger is damage.
const BLOCK_BYTES_MAX: usize = FRAME_BYTES_MAX + 65_536;
const INTERFACES_MAX: usize = 4_096;

pub(super) fn is_magic(magic: [u8; 4]) -> bool {
    u32::from_be_bytes(magic) == SECTION
}

pub(super) struct PcapNg<R> {
    source: R,
    order: Order,
    interfaces: Vec<Interface>,
    buffer: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Interface {
    link: Option<Link>,
    snap_bytes: usize,
    ticks_per_second: u64,
    offset_seconds: i64,
}

/// Where a packet lies in the block that was read.
struct Found {
    at_us: i64,
    link: Option<Link>,
    start: usize,
    size: usize,
}

impl<R: Read> PcapNg<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, order: Order::Little, interfaces: Vec::new(), buffer: Vec::new() }
    }

    pub(super) fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReplayError> {
        while let Some(kind) = self.next_block()? {
            let found = match kind {
                SECTION => {
                    self.interfaces.clear();
                    None
                }
                INTERFACE => {
                    self.add_interface();
                    None
                }
                PACKET => self.find(self.order.u32(&self.buffer, 0), 20),
                PACKET_OLD => self.find(u32::from(self.order.u16(&self.buffer, 0)), 20),
                PACKET_SIMPLE => self.find_simple(),
                _ => None,
            };
            if let Some(Found { at_us, link, start, size }) = found {
                let bytes = self.buffer.get(start..start.saturating_add(size)).unwrap_or_default();
                return Ok(Some(Frame { at_us, link, bytes }));
            }
        }
        Ok(None)
    }

    /// Reads the next block's body into the buffer and gives its kind.
    fn next_block(&mut self) -> Result<Option<u32>, ReplayError> {
        let mut header = [0; 8];
        if !fill(&mut self.source, &mut header)? {
            return Ok(None);
        }
        let mut known = 0;
        if self.order.u32(&header, 0) == SECTION {
            let mut order = [0; 4];
            if !fill(&mut self.source, &mut order)? {
                return Ok(None);
            }
            self.order = match u32::from_le_bytes(order) {
                0x1a2b_3c4d => Order::Little,
                0x4d3c_2b1a => Order::Big,
                _ => return Err(ReplayError::Damaged("a section has no byte order")),
            };
            known = 4;
        }
        let kind = self.order.u32(&header, 0);
        let total = usize::try_from(self.order.u32(&header, 4)).unwrap_or(usize::MAX);
        if !(12 + known..=BLOCK_BYTES_MAX).contains(&total) || !total.is_multiple_of(4) {
            return Err(ReplayError::Damaged("a block has no sensible length"));
        }
        self.buffer.resize(total - 8 - known, 0);
        if !fill(&mut self.source, &mut self.buffer)? {
            return Ok(None);
        }
        self.buffer.truncate(total - 12 - known);
        Ok(Some(kind))
    }

    fn add_interface(&mut self) {
        if self.interfaces.len() >= INTERFACES_MAX {
            return;
        }
        let order = self.order;
        let mut interface = Interface {
            link: link_of(u32::from(order.u16(&self.buffer, 0))),
            snap_bytes: usize::try_from(order.u32(&self.buffer, 4)).unwrap_or(0),
            ticks_per_second: 1_000_000,
            offset_seconds: 0,
        };
        let mut options = self.buffer.get(8..).unwrap_or_default();
        while options.len() >= 4 {
            let (kind, size) = (order.u16(options, 0), usize::from(order.u16(options, 2)));
            let value = options.get(4..4 + size).unwrap_or_default();
            match (kind, value.len()) {
                (0, _) => break,
                (OPTION_RESOLUTION, 1) => interface.ticks_per_second = ticks(value.first().copied().unwrap_or(6)),
                (OPTION_OFFSET, 8) => interface.offset_seconds = wide(order, value),
                _ => {}
            }
            options = options.get(4 + size.next_multiple_of(4)..).unwrap_or_default();
        }
        self.interfaces.push(interface);
    }

    fn find(&self, interface: u32, start: usize) -> Option<Found> {
        let interface = self.interfaces.get(usize::try_from(interface).ok()?)?;
        let order = self.order;
        let ticks = u64::from(order.u32(&self.buffer, 4)) << 32 | u64::from(order.u32(&self.buffer, 8));
        let size = usize::try_from(order.u32(&self.buffer, 12)).ok()?;
        let us = u128::from(ticks) * 1_000_000 / u128::from(interface.ticks_per_second);
        let at_us = i64::try_from(us).ok()?.checked_add(interface.offset_seconds.checked_mul(1_000_000)?)?;
        (start.checked_add(size)? <= self.buffer.len()).then_some(Found { at_us, link: interface.link, start, size })
    }

    /// A simple packet has no time of its own.
    fn find_simple(&self) -> Option<Found> {
        let interface = self.interfaces.first()?;
        let original = usize::try_from(self.order.u32(&self.buffer, 0)).ok()?;
        let snapped = if interface.snap_bytes == 0 { original } else { original.min(interface.snap_bytes) };
        let size = snapped.min(self.buffer.len().checked_sub(4)?);
        Some(Found { at_us: 0, link: interface.link, start: 4, size })
    }
}

/// The ticks in a second: a power of ten, or of two where the high bit says so.
fn ticks(resolution: u8) -> u64 {
    let exponent = u32::from(resolution & 0x7f);
    let base: u64 = if resolution & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(exponent).unwrap_or(1_000_000)
}

fn wide(order: Order, bytes: &[u8]) -> i64 {
    let eight = bytes.get(..8).and_then(|eight| eight.try_into().ok()).unwrap_or_default();
    match order {
        Order::Little => i64::from_le_bytes(eight),
        Order::Big => i64::from_be_bytes(eight),
    }
}
