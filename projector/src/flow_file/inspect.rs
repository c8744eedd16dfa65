//! Flow batches as devices send them, read with suspicion: a device may be anybody's by now.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::ipc;
use chrono::{DateTime, TimeDelta, Utc};
use schemas::flow::BATCH_ROWS_MAX;

use super::hour_of;

/// The largest batch when it is unpacked.
pub const DECODED_BYTES_MAX: usize = 16 << 20;
/// The most hours that the rows of one batch fall in: each is a file.
pub const HOURS_MAX: usize = 24;
/// How far ahead of the clock here a row may be.
pub const AHEAD_MINUTES_MAX: i64 = 60;

/// How large a batch says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub rows: usize,
    pub bytes: usize,
}

/// A batch that no file will hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBatch {
    #[error("not an Arrow IPC stream: {0}")]
    Framing(&'static str),
    #[error("unpacked it has more than {DECODED_BYTES_MAX} bytes")]
    TooLarge,
    #[error("it has more than {BATCH_ROWS_MAX} rows")]
    TooManyRows,
    #[error("its rows fall in more than {HOURS_MAX} hours")]
    TooManyHours,
    #[error("its clock is wrong: a row is more than {AHEAD_MINUTES_MAX} minutes ahead of the time of its arrival")]
    BadClock,
    #[error("it is packed in another way than with zstd")]
    Codec,
    #[error("not a flow batch: {0}")]
    Content(String),
}

const CONTINUATION: [u8; 4] = [0xff; 4];

/// Walks over a batch without unpacking it. The decoder allocates what a batch says it needs, so that is checked first.
pub fn inspect(payload: &[u8]) -> Result<Extent, BadBatch> {
    let mut rest = payload;
    let mut extent = Extent { rows: 0, bytes: 0 };
    while !rest.is_empty() {
        let marker: &[u8; 4] = take(&mut rest)?;
        if *marker != CONTINUATION {
            return Err(BadBatch::Framing("a message does not begin as one"));
        }
        let length = u32::from_le_bytes(*take(&mut rest)?) as usize;
        if length == 0 {
            break;
        }
        let (head, after) = rest.split_at_checked(length).ok_or(BadBatch::Framing("a message is cut off"))?;
        let message = ipc::root_as_message(head).map_err(|_| BadBatch::Framing("a message cannot be read"))?;
        let body = usize::try_from(message.bodyLength()).ok().and_then(|body| after.split_at_checked(body));
        let (body, after) = body.ok_or(BadBatch::Framing("a body is cut off"))?;
        if let Some(rows) = message.header_as_record_batch() {
            extent.rows += bounded(rows.length(), BATCH_ROWS_MAX).ok_or(BadBatch::TooManyRows)?;
            extent.bytes += unpacked_bytes(&rows, body)?;
        } else if let Some(labels) = message.header_as_dictionary_batch().and_then(|labels| labels.data()) {
            bounded(labels.length(), BATCH_ROWS_MAX).ok_or(BadBatch::TooManyRows)?;
            extent.bytes += unpacked_bytes(&labels, body)?;
        }
        if extent.rows > BATCH_ROWS_MAX {
            return Err(BadBatch::TooManyRows);
        }
        if extent.bytes > DECODED_BYTES_MAX {
            return Err(BadBatch::TooLarge);
        }
        rest = after;
    }
    Ok(extent)
}

/// Unpacks a batch that is there at `now`, and says in which hours its rows fall.
pub fn decode(payload: &[u8], now: DateTime<Utc>) -> Result<(Vec<RecordBatch>, BTreeSet<i64>), BadBatch> {
    inspect(payload)?;
    // The decoder asserts some of what it reads.
    let decoded = catch_unwind(AssertUnwindSafe(|| schemas::flow::decode(payload)));
    let decoded = decoded.map_err(|_| BadBatch::Content("the decoder gave up".to_owned()))?;
    let batches = decoded.map_err(|error| BadBatch::Content(error.to_string()))?;
    let latest_us = (now + TimeDelta::minutes(AHEAD_MINUTES_MAX)).timestamp_micros();
    let mut hours = BTreeSet::new();
    for batch in &batches {
        let times = batch.column_by_name("time").and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
        let times = times.ok_or_else(|| BadBatch::Content("no times".to_owned()))?;
        let mut last = None;
        for time in times.values() {
            if *time > latest_us {
                return Err(BadBatch::BadClock);
            }
            let hour = hour_of(*time);
            if last != Some(hour) {
                hours.insert(hour);
                last = Some(hour);
            }
            if hours.len() > HOURS_MAX {
                return Err(BadBatch::TooManyHours);
            }
        }
    }
    Ok((batches, hours))
}

/// What the buffers of one message have when they are unpacked: each packed one begins with that number.
fn unpacked_bytes(rows: &ipc::RecordBatch<'_>, body: &[u8]) -> Result<usize, BadBatch> {
    let packed = rows.compression();
    // The decoder unpacks LZ4 without a bound and compares lengths afterwards.
    if packed.is_some_and(|packed| packed.codec() != ipc::CompressionType::ZSTD) {
        return Err(BadBatch::Codec);
    }
    let is_packed = packed.is_some();
    let mut total = 0usize;
    for buffer in rows.buffers().into_iter().flatten() {
        let buffer = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let bytes = buffer.and_then(|(offset, length)| body.get(offset..offset.checked_add(length)?));
        let bytes = bytes.ok_or(BadBatch::Framing("a buffer is cut off"))?;
        let unpacked = match bytes.first_chunk() {
            _ if !is_packed => bytes.len(),
            None if bytes.is_empty() => 0,
            None => return Err(BadBatch::Framing("a packed buffer is cut off")),
            Some(prefix) => match i64::from_le_bytes(*prefix) {
                -1 => bytes.len(),
                unpacked => bounded(unpacked, DECODED_BYTES_MAX).ok_or(BadBatch::TooLarge)?,
            },
        };
        total = total.saturating_add(unpacked);
    }
    Ok(total)
}

fn bounded(number: i64, most: usize) -> Option<usize> {
    usize::try_from(number).ok().filter(|number| *number <= most)
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], BadBatch> {
    let (taken, after) = rest.split_first_chunk().ok_or(BadBatch::Framing("it is cut off"))?;
    *rest = after;
    Ok(taken)
}
