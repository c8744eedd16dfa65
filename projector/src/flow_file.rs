//! Flow batches as files of the flow table: decoded, sorted and encoded; pure, without I/O.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use parquet::errors::ParquetError;
use schemas::files::File;
use schemas::id::{CommitId, DeviceId, OrgId};

mod columns;
mod inspect;
mod order;
mod stats;
mod writing;

pub use inspect::{AHEAD_MINUTES_MAX, BadBatch, DECODED_BYTES_MAX, Extent, HOURS_MAX, decode, inspect};
pub use writing::ROW_GROUP_ROWS_MAX;

/// Rows of one device.
#[derive(Debug, Clone)]
pub struct DeviceBatch {
    pub device: DeviceId,
    /// With the columns of `schemas::flow::batch_schema`.
    pub rows: RecordBatch,
}

/// One Parquet file with the columns of `schemas::flow::table_schema`, and what the catalogue says about it.
#[derive(Debug, Clone)]
pub struct FlowFile {
    pub file: File,
    pub bytes: Vec<u8>,
}

/// The rows cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    #[error("the column {0:?} is not as it should be")]
    Column(&'static str),
    #[error("{0} rows are too many for one change of the table")]
    TooManyRows(usize),
    #[error("an encoding thread panicked")]
    Panicked,
}

/// Encodes rows as one file for each hour that they fall in, sorted by minute, device, source address and time.
///
/// The columns are divided among `threads`; the caller's own thread only waits.
pub fn encode(
    batches: &[DeviceBatch],
    org: &OrgId,
    commit: CommitId,
    threads: usize,
) -> Result<Vec<FlowFile>, EncodeError> {
    let hours = order::hours(batches)?;
    let paths = hours.iter().enumerate().map(|(n, hour)| path(org, hour.hour, commit, n)).collect();
    writing::write(batches, hours, paths, threads.max(1))
}

/// The hour, counted from 1970, that a time in microseconds falls in.
pub fn hour_of(time_us: i64) -> i64 {
    time_us.div_euclid(HOUR_US)
}

const HOUR_US: i64 = 3_600_000_000;

fn path(org: &OrgId, hour: i64, commit: CommitId, number: usize) -> String {
    format!("{org}/flows/hour={}/{commit}-{number}.parquet", hour_label(hour))
}

/// `2026-11-21T13`; outside of four-digit years, which only a broken clock gives, the bare number.
fn hour_label(hour: i64) -> String {
    let seconds = hour.checked_mul(3_600);
    let time = seconds.and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
    let time = time.filter(|time| (0..=9_999).contains(&chrono::Datelike::year(time)));
    time.map_or_else(|| hour.to_string(), |time| time.format("%Y-%m-%dT%H").to_string())
}

#[cfg(test)]
mod tests {
    use super::{hour_label, hour_of};

    #[test]
    fn an_hour_is_named_as_people_write_it() {
        assert_eq!(hour_label(hour_of(1_795_266_000_000_000)), "2026-11-21T13");
        assert_eq!(hour_label(hour_of(-1)), "1969-12-31T23");
        assert_eq!(hour_label(hour_of(i64::MAX)), "2562047788");
        assert_eq!(hour_label(hour_of(i64::MIN)), "-2562047789");
    }
}
