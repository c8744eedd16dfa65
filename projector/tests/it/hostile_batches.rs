//! Batches that are not what they should be are told apart, and harm nobody.

use arrow::array::{Int32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use chrono::{DateTime, Utc};
use projector::flow_file::{AHEAD_MINUTES_MAX, BadBatch, HOURS_MAX, decode, inspect};
use proptest::prelude::*;
use schemas::flow::{BATCH_ROWS_MAX, encode};
use std::sync::{Arc, LazyLock};

use crate::rows::{HOUR_START_US, batch};

static VALID: LazyLock<Vec<u8>> = LazyLock::new(|| encode(&batch(1, 300, HOUR_START_US, 1_000_000)).unwrap());

/// When the batches arrive: two days after their rows.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(HOUR_START_US + 48 * 3_600_000_000).unwrap()
}

/// The valid batch, packed as a writer may choose.
fn packed(how: Option<CompressionType>) -> Vec<u8> {
    let rows = batch(1, 300, HOUR_START_US, 1_000_000);
    let options = IpcWriteOptions::default().try_with_compression(how).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), rows.schema_ref(), options).unwrap();
    writer.write(&rows).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn a_good_batch_is_read() {
    let (batches, hours) = decode(&VALID, now()).unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 300);
    assert_eq!(hours.len(), 1);
    let extent = inspect(&VALID).unwrap();
    assert_eq!(extent.rows, 300);
    assert!(extent.bytes > 300 * 100, "{extent:?}");
}

#[test]
fn a_batch_out_of_bounds_is_refused() {
    let large = batch(1, BATCH_ROWS_MAX + 1, HOUR_START_US, 1);
    assert_eq!(decode(&encode(&large).unwrap(), now()), Err(BadBatch::TooManyRows));
    let long = batch(1, 1_000, HOUR_START_US, (HOURS_MAX as i64 + 2) * 3_600_000_000);
    assert_eq!(decode(&encode(&long).unwrap(), now()), Err(BadBatch::TooManyHours));
    let schema = Arc::new(Schema::new(vec![Field::new("time", DataType::Int32, false)]));
    let other = RecordBatch::try_new(schema, vec![Arc::new(Int32Array::from(vec![1]))]).unwrap();
    assert!(matches!(decode(&encode(&other).unwrap(), now()), Err(BadBatch::Content(_))));
    for bytes in [&b"x"[..], b"not arrow at all", &[0xff; 64]] {
        assert!(matches!(decode(bytes, now()), Err(BadBatch::Framing(_))), "{bytes:?}");
    }
    // An empty message is no stream at all.
    assert!(decode(b"", now()).is_err());
}

#[test]
fn a_batch_is_packed_with_zstd_or_not_at_all() {
    let lz4 = packed(Some(CompressionType::LZ4_FRAME));
    assert!(schemas::flow::decode(&lz4).is_ok(), "the decoder itself would take it");
    assert_eq!(inspect(&lz4), Err(BadBatch::Codec));
    assert_eq!(decode(&lz4, now()), Err(BadBatch::Codec));
    for good in [packed(Some(CompressionType::ZSTD)), packed(None)] {
        assert_eq!(inspect(&good).unwrap().rows, 300);
        assert!(decode(&good, now()).is_ok());
    }
}

#[test]
fn a_batch_from_the_future_is_refused_and_an_old_one_is_not() {
    let ahead_us = AHEAD_MINUTES_MAX * 60_000_000;
    let at = |first_us| decode(&encode(&batch(1, 1, first_us, 1)).unwrap(), now());
    let now_us = now().timestamp_micros();
    assert!(at(now_us + ahead_us).is_ok());
    assert_eq!(at(now_us + ahead_us + 1), Err(BadBatch::BadClock));
    assert_eq!(at(i64::MAX - 1), Err(BadBatch::BadClock));
    assert!(at(0).is_ok());
}

#[test]
fn a_batch_that_asks_for_more_memory_than_there_is_gets_none() {
    // Every packed buffer begins with its unpacked length: claim the most wherever one is found.
    let mut tried = 0;
    for at in (0..VALID.len() - 16).step_by(8) {
        let length = i64::from_le_bytes(VALID[at..at + 8].try_into().unwrap());
        let is_frame = VALID[at + 8..at + 12] == [0x28, 0xb5, 0x2f, 0xfd];
        if is_frame && (1..1 << 20).contains(&length) {
            let mut bomb = VALID.clone();
            bomb[at..at + 8].copy_from_slice(&(1i64 << 50).to_le_bytes());
            assert_eq!(decode(&bomb, now()), Err(BadBatch::TooLarge));
            tried += 1;
        }
    }
    assert!(tried > 10, "{tried}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_damaged_batch_never_does_harm(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = VALID.clone();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        // What still reads as a batch must be encodable, or say that it is not.
        if let Ok((batches, _)) = decode(&bytes, now()) {
            let device = schemas::id::DeviceId::new(schemas::id::Ulid::from_parts(1, 1));
            let batches: Vec<_> =
                batches.into_iter().map(|rows| projector::flow_file::DeviceBatch { device, rows }).collect();
            let commit = schemas::id::CommitId::new(schemas::id::Ulid::from_parts(1, 1));
            let _ = projector::flow_file::encode(&batches, &"acme".parse().unwrap(), commit, 1);
        }
    }
}
