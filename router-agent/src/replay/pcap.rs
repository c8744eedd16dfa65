//! The classic pcap format (draft-ietf-opsawg-pcap), in microseconds or nanoseconds, in either byte order.

use std::io::Read;

use super::{FRAME_BYTES_MAX, Frame, Order, ReplayError, fill, link_of};
use crate::packet::Link;

pub(super) struct Pcap<R> {
    source: R,
    order: Order,
    ticks_per_us: u32,
    link: Option<Link>,
    buffer: Vec<u8>,
}

impl<R: Read> Pcap<R> {
    pub(super) fn open(mut source: R) -> Result<Self, ReplayError> {
        let mut header = [0; 24];
        let whole = fill(&mut source, &mut header)?;
        let magic = |order: Order| order.u32(&header, 0);
        let (order, ticks_per_us) = match (magic(Order::Little), magic(Order::Big)) {
            (0xa1b2_c3d4, _) => (Order::Little, 1),
            (_, 0xa1b2_c3d4) => (Order::Big, 1),
            (0xa1b2_3c4d, _) => (Order::Little, 1_000),
            (_, 0xa1b2_3c4d) => (Order::Big, 1_000),
            _ => return Err(ReplayError::Unknown),
        };
        if !whole {
            return Err(ReplayError::Damaged("the file header is cut off"));
        }
        Ok(Self { source, order, ticks_per_us, link: link_of(order.u32(&header, 20)), buffer: Vec::new() })
    }

    pub(super) fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReplayError> {
        let mut header = [0; 16];
        if !fill(&mut self.source, &mut header)? {
            return Ok(None);
        }
        let seconds = i64::from(self.order.u32(&header, 0));
        let fraction = i64::from(self.order.u32(&header, 4) / self.ticks_per_us);
        let size = usize::try_from(self.order.u32(&header, 8)).unwrap_or(usize::MAX);
        if size > FRAME_BYTES_MAX {
            return Err(ReplayError::Damaged("a packet is larger than any link carries"));
        }
        self.buffer.resize(size, 0);
        if !fill(&mut self.source, &mut self.buffer)? {
            return Ok(None);
        }
        Ok(Some(Frame { at_us: seconds * 1_000_000 + fraction, link: self.link, bytes: &self.buffer }))
    }
}
