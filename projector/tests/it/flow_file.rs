//! Encoding keeps every row, puts it where it belongs and says truly what is in a file.

use std::net::IpAddr;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use parquet::basic::Encoding;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;
use projector::flow_file::{DeviceBatch, FlowFile, ROW_GROUP_ROWS_MAX, encode, hour_of};
use proptest::prelude::*;
use schemas::flow::{address_bytes, address_of};
use schemas::id::{CommitId, DeviceId, OrgId, Ulid};

use crate::rows::{HOUR_START_US, batch, lines, read};

fn device(number: u128) -> DeviceId {
    DeviceId::new(Ulid::from_parts(1, number))
}

fn encoded(batches: &[DeviceBatch], threads: usize) -> Vec<FlowFile> {
    let org: OrgId = "acme".parse().unwrap();
    encode(batches, &org, CommitId::new(Ulid::from_parts(1, 1)), threads).unwrap()
}

/// What the table is sorted by.
fn order(batch: &RecordBatch) -> Vec<(i64, String, [u8; 16], i64)> {
    let times = batch.column_by_name("time").unwrap().as_primitive::<TimestampMicrosecondType>();
    let sources = batch.column_by_name("src").unwrap().as_fixed_size_binary();
    let devices = batch.column_by_name("device").unwrap().as_dictionary::<Int32Type>();
    let devices = devices.downcast_dict::<arrow::array::StringArray>().unwrap();
    let rows = times.values().iter().zip(sources.iter()).zip(devices);
    rows.map(|((time, source), device)| {
        let source = source.unwrap().try_into().unwrap();
        (time.div_euclid(60_000_000), device.unwrap().to_owned(), source, *time)
    })
    .collect()
}

fn check(batches: &[DeviceBatch], threads: usize) {
    let files = encoded(batches, threads);
    let mut found = Vec::new();
    let mut hours = Vec::new();
    for FlowFile { file, bytes } in &files {
        let rows = read(bytes);
        let keys: Vec<_> = rows.iter().flat_map(order).collect();
        assert!(keys.is_sorted());
        assert_eq!((file.bytes, file.rows), (bytes.len() as u64, keys.len() as u64));
        let times = keys.iter().map(|key| key.3);
        assert_eq!((file.time_min_us, file.time_max_us), (times.clone().min().unwrap(), times.max().unwrap()));
        assert_eq!(hour_of(file.time_min_us), hour_of(file.time_max_us), "a file never crosses an hour");
        hours.push(hour_of(file.time_min_us));
        let sources = keys.iter().map(|key| key.2);
        assert_eq!(address_bytes(file.src_min), sources.clone().min().unwrap());
        assert_eq!(address_bytes(file.src_max), sources.max().unwrap());
        let targets: Vec<[u8; 16]> = rows
            .iter()
            .flat_map(|rows| rows.column_by_name("dst").unwrap().as_fixed_size_binary().iter())
            .map(|target| target.unwrap().try_into().unwrap())
            .collect();
        assert_eq!(file.dst_min, address_of(*targets.iter().min().unwrap()));
        assert_eq!(file.dst_max, address_of(*targets.iter().max().unwrap()));
        let devices = keys.iter().map(|key| &key.1);
        assert_eq!((&file.device_min, &file.device_max), (devices.clone().min().unwrap(), devices.max().unwrap()));
        found.extend(lines(None, &rows));
    }
    assert!(hours.windows(2).all(|pair| pair[0] < pair[1]), "one file an hour: {hours:?}");
    found.sort_unstable();
    let mut given: Vec<String> =
        batches.iter().flat_map(|batch| lines(Some(batch.device), std::slice::from_ref(&batch.rows))).collect();
    given.sort_unstable();
    assert_eq!(found, given);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_row_is_in_one_file_in_order(
        parts in prop::collection::vec((0u128..4, 0usize..200, -3i64..3, 1i64..9_000), 1..6),
        seed: u64,
        threads in 1usize..4,
    ) {
        let batches: Vec<DeviceBatch> = parts
            .into_iter()
            .enumerate()
            .map(|(n, (number, rows, minutes, span_s))| DeviceBatch {
                device: device(number),
                rows: batch(seed ^ n as u64, rows, HOUR_START_US + minutes * 60_000_000, span_s * 1_000_000),
            })
            .collect();
        check(&batches, threads);
    }
}

#[test]
fn times_of_a_broken_clock_have_their_hour_too() {
    let batches: Vec<DeviceBatch> = [i64::MIN, -1, 0, i64::MAX - 10]
        .into_iter()
        .map(|time| DeviceBatch { device: device(1), rows: batch(1, 3, time, 1) })
        .collect();
    let files = encoded(&batches, 1);
    assert_eq!(files.len(), 4);
    assert!(files.iter().all(|file| hour_of(file.file.time_min_us) == hour_of(file.file.time_max_us)));
}

#[test]
fn a_file_is_laid_out_to_be_searched() {
    let batches: Vec<DeviceBatch> = (0..9)
        .map(|n| DeviceBatch { device: device(n % 3), rows: batch(n as u64, 16_000, HOUR_START_US, 600_000_000) })
        .collect();
    let files = encoded(&batches, 2);
    let [FlowFile { file, bytes }] = &files[..] else { panic!("one hour, one file") };
    assert_eq!(file.path, "acme/flows/hour=2024-11-21T13/cmt_00000000010000000000000001-0.parquet");
    check(&batches, 2);

    let properties = ReaderProperties::builder().set_read_bloom_filter(true).build();
    let options = ReadOptionsBuilder::new().with_reader_properties(properties).with_page_index().build();
    let reader = SerializedFileReader::new_with_options(bytes::Bytes::from(bytes.clone()), options).unwrap();
    let metadata: &ParquetMetaData = reader.metadata();
    assert_eq!(metadata.num_row_groups(), 144_000usize.div_ceil(ROW_GROUP_ROWS_MAX));
    assert!(metadata.offset_index().is_some() && metadata.column_index().is_some());
    let column = |name: &str| schemas::flow::table_schema().index_of(name).unwrap();
    let time = metadata.row_group(0).column(column("time"));
    assert!(time.encodings().any(|encoding| encoding == Encoding::DELTA_BINARY_PACKED));
    let group = reader.get_row_group(0).unwrap();
    let filter = group.get_column_bloom_filter(column("src")).expect("a filter on src");
    let IpAddr::V6(absent) = "2001:db8:ffff::1".parse().unwrap() else { panic!("IPv6") };
    assert!(filter.check(&address_bytes(file.src_min)[..]) && !filter.check(&absent.octets()[..]));
    assert!(group.get_column_bloom_filter(column("dst")).is_some());
}
