//! Flow rows, made up, and as text to compare.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Int16Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use schemas::flow::{ADDRESS_BYTES, address_bytes, batch_schema};
use schemas::id::DeviceId;

/// 2024-11-21T13:00:00Z.
pub(crate) const HOUR_START_US: i64 = 1_732_194_000_000_000;

/// Made-up rows with times from `first_us` on, over `span_us`.
pub(crate) fn batch(seed: u64, rows: usize, first_us: i64, span_us: i64) -> RecordBatch {
    let mut random = StdRng::seed_from_u64(seed);
    let random = &mut random;
    let label = |values: Vec<Option<String>>| -> ArrayRef {
        Arc::new(values.iter().map(Option::as_deref).collect::<DictionaryArray<Int32Type>>())
    };
    let pick = |random: &mut StdRng, from: &[&str]| Some(from[random.random_range(0..from.len())].to_owned());
    let optional = |random: &mut StdRng, text: Option<String>| text.filter(|_| random.random_bool(0.8));
    let mut columns: Vec<ArrayRef> = Vec::new();
    let times = (0..rows).map(|_| first_us.saturating_add(random.random_range(0..span_us.max(1))));
    columns.push(Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")));
    columns.push(Arc::new((0..rows).map(|_| random.random_range(0..60_000)).collect::<Int32Array>()));
    columns.push(label((0..rows).map(|_| pick(random, &["forward", "in", "out"])).collect()));
    for _ in 0..2 {
        let zones = (0..rows).map(|_| {
            let zone = pick(random, &["LAN", "WAN", "DMZ"]);
            optional(random, zone)
        });
        columns.push(label(zones.collect()));
    }
    columns.push(label((0..rows).map(|_| pick(random, &["eth0", "eth1"])).collect()));
    columns.push(Arc::new((0..rows).map(|_| random.random_bool(0.1).then_some(7)).collect::<Int32Array>()));
    for _ in 0..2 {
        let addresses = (0..rows).map(|_| match random.random_bool(0.1) {
            true => std::net::Ipv6Addr::from((0x2001_0db8_u128 << 96) | random.random_range(0..50)).octets(),
            false => address_bytes([10, 0, random.random_range(0..4), random.random()].into()),
        });
        let bytes: Vec<u8> = addresses.flatten().collect();
        columns.push(Arc::new(FixedSizeBinaryArray::new(ADDRESS_BYTES, bytes.into(), None)));
    }
    for _ in 0..2 {
        columns.push(Arc::new((0..rows).map(|_| random.random_range(0..=65_535)).collect::<Int32Array>()));
    }
    columns.push(Arc::new((0..rows).map(|_| [6i16, 17, 1][random.random_range(0..3)]).collect::<Int16Array>()));
    columns.push(Arc::new((0..rows).map(|_| random.random_range(0..64i16)).collect::<Int16Array>()));
    columns.push(Arc::new((0..rows).map(|_| random.random_bool(0.1).then_some(8i16)).collect::<Int16Array>()));
    for _ in 0..4 {
        columns.push(Arc::new((0..rows).map(|_| random.random_range(0..1_000_000i64)).collect::<Int64Array>()));
    }
    for _ in 0..2 {
        columns.push(Arc::new((0..rows).map(|_| Some(random.random::<bool>())).collect::<BooleanArray>()));
    }
    columns.push(label((0..rows).map(|_| pick(random, &["accept", "drop", "reject"])).collect()));
    columns.push(label((0..rows).map(|_| pick(random, &["kernel", "evaluated"])).collect()));
    let rules = (0..rows).map(|_| {
        let rule = pick(random, &["rule_01jcz3k9mv5x8q2w4e6r7t9y0a", "rule_01jcz3k9mv5x8q2w4e6r7t9y0b"]);
        optional(random, rule)
    });
    columns.push(label(rules.collect()));
    columns.push(Arc::new(Int64Array::from(vec![9; rows])));
    let domains = (0..rows).map(|_| random.random_bool(0.3).then(|| format!("host{}.example", random.random::<u8>())));
    columns.push(Arc::new(domains.collect::<StringArray>()));
    RecordBatch::try_new(batch_schema(), columns).unwrap()
}

/// Each row as text, with its device; sorted, because a table has no order of its own.
pub(crate) fn lines(device: Option<DeviceId>, batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        let options = FormatOptions::new().with_null("-");
        // Without chrono-tz, arrow cannot write times of a named zone.
        let time = batch.column(0).as_primitive::<TimestampMicrosecondType>().reinterpret_cast::<Int64Type>();
        let mut columns = batch.columns().to_vec();
        columns[0] = Arc::new(time);
        let columns: Vec<_> =
            columns.iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let mut fields: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            if let Some(device) = device {
                fields.insert(1, device.to_string());
            }
            lines.push(fields.join("|"));
        }
    }
    lines.sort_unstable();
    lines
}

/// The rows of a Parquet file in the order of the file.
pub(crate) fn read(bytes: &[u8]) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(bytes)).unwrap();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    assert!(batches.iter().all(|batch| batch.schema().fields() == schemas::flow::table_schema().fields()));
    assert!(batches.iter().all(|batch| batch.columns().iter().all(|column| column.len() == batch.num_rows())));
    batches
}
