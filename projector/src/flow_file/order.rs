//! Which row goes where: the sort order of the flow table and its division by hour.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::datatypes::TimestampMicrosecondType;
use schemas::id::DeviceId;

use super::{DeviceBatch, EncodeError};

/// The rows of one hour, as indices into the batches laid end to end, in table order.
pub(super) struct Hour {
    pub(super) hour: i64,
    pub(super) rows: UInt32Array,
}

const MINUTE_US: i64 = 60_000_000;

/// Minutes since 1970 fit 39 bits and a sign; moved up, they sort as unsigned.
const MINUTE_BIAS: i64 = 1 << 39;
const DEVICE_BITS: u32 = 24;
const MICROS_BITS: u32 = 26;
const ROW_BITS: u32 = 32;

/// A row's sort key with the row itself at its end: minute, device, upper half of src; lower half of src, microseconds
/// in the minute, row.
type Key = [u128; 2];

/// Sorts all rows and divides them by hour, earliest first.
pub(super) fn hours(batches: &[DeviceBatch]) -> Result<Vec<Hour>, EncodeError> {
    let mut keys = keys(batches)?;
    keys.sort_unstable();
    Ok(keys
        .chunk_by(|a, b| hour(a) == hour(b))
        .map(|keys| Hour { hour: keys.first().map_or(0, hour), rows: keys.iter().map(row).collect() })
        .collect())
}

fn keys(batches: &[DeviceBatch]) -> Result<Vec<Key>, EncodeError> {
    let count: usize = batches.iter().map(|batch| batch.rows.num_rows()).sum();
    // Row numbers are 32 bits in the key and in the indices; dictionary keys are signed.
    if i32::try_from(count).is_err() {
        return Err(EncodeError::TooManyRows(count));
    }
    let devices: Vec<DeviceId> =
        batches.iter().map(|batch| batch.device).collect::<BTreeSet<_>>().into_iter().collect();
    if devices.len() >= 1 << DEVICE_BITS {
        return Err(EncodeError::TooManyRows(count));
    }
    let mut keys = Vec::with_capacity(count);
    for DeviceBatch { device, rows } in batches {
        let rank = devices.binary_search(device).unwrap_or(0) as u128;
        push_keys(rank, rows, &mut keys)?;
    }
    Ok(keys)
}

fn push_keys(rank: u128, rows: &RecordBatch, keys: &mut Vec<Key>) -> Result<(), EncodeError> {
    let times = rows.column_by_name("time").and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let times = times.ok_or(EncodeError::Column("time"))?;
    let sources = rows.column_by_name("src").and_then(|column| column.as_fixed_size_binary_opt());
    let sources = sources.ok_or(EncodeError::Column("src"))?;
    for (time, source) in times.values().iter().zip(sources.iter()) {
        let source = source.and_then(|bytes| bytes.try_into().ok()).map(u128::from_be_bytes);
        let source = source.ok_or(EncodeError::Column("src"))?;
        let minute = (time.div_euclid(MINUTE_US) + MINUTE_BIAS) as u128;
        let micros = time.rem_euclid(MINUTE_US) as u128;
        let row = keys.len() as u128;
        keys.push([
            (minute << (DEVICE_BITS + 64)) | (rank << 64) | (source >> 64),
            (source << 64) | (micros << (64 - MICROS_BITS)) | row,
        ]);
    }
    Ok(())
}

fn hour(key: &Key) -> i64 {
    let minute = (key[0] >> (DEVICE_BITS + 64)) as i64 - MINUTE_BIAS;
    minute.div_euclid(60)
}

fn row(key: &Key) -> u32 {
    (key[1] & ((1 << ROW_BITS) - 1)) as u32
}
