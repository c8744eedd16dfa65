//! Flow tables for tests: rows, and the Parquet files that hold them.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Int16Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use schemas::files::File;
use schemas::flow::{address_bytes, table_schema};

/// What differs between the rows of a test.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) time_us: i64,
    pub(crate) device: String,
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) dst_port: i32,
    pub(crate) protocol: i16,
    pub(crate) verdict: &'static str,
    pub(crate) rule: Option<String>,
    pub(crate) bytes_sent: i64,
    pub(crate) domain: Option<String>,
}

/// 2026-11-21T13:00:00Z.
pub(crate) const HOUR_US: i64 = 1_795_266_000_000_000;

impl Row {
    pub(crate) fn at(time_us: i64) -> Self {
        Self {
            time_us,
            device: "dev_01jcz3k9mv5x8q2w4e6r7t9y0a".to_owned(),
            src: IpAddr::from([10, 0, 0, 1]),
            dst: IpAddr::from([192, 0, 2, 1]),
            dst_port: 443,
            protocol: 6,
            verdict: "accept",
            rule: None,
            bytes_sent: 100,
            domain: None,
        }
    }
}

pub(crate) fn batch(rows: &[Row]) -> RecordBatch {
    let labels = |label: &dyn Fn(&Row) -> Option<String>| -> ArrayRef {
        let texts: Vec<Option<String>> = rows.iter().map(label).collect();
        Arc::new(texts.iter().map(Option::as_deref).collect::<DictionaryArray<Int32Type>>())
    };
    let fixed = |text: &'static str| labels(&|_| Some(text.to_owned()));
    let longs = |value: &dyn Fn(&Row) -> i64| -> ArrayRef {
        Arc::new(rows.iter().map(value).map(Some).collect::<Int64Array>())
    };
    let ints = |value: &dyn Fn(&Row) -> i32| -> ArrayRef {
        Arc::new(rows.iter().map(value).map(Some).collect::<Int32Array>())
    };
    let shorts = |value: &dyn Fn(&Row) -> i16| -> ArrayRef {
        Arc::new(rows.iter().map(value).map(Some).collect::<Int16Array>())
    };
    let flags = |value: bool| -> ArrayRef { Arc::new(BooleanArray::from(vec![value; rows.len()])) };
    let ips = |value: &dyn Fn(&Row) -> IpAddr| -> ArrayRef {
        let bytes = rows.iter().map(|row| address_bytes(value(row)));
        Arc::new(FixedSizeBinaryArray::try_from_iter(bytes).unwrap())
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.time_us)).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        labels(&|row| Some(row.device.clone())),
        ints(&|_| 10),
        fixed("forward"),
        fixed("LAN"),
        fixed("WAN"),
        fixed("eth0"),
        Arc::new(Int32Array::from(vec![None; rows.len()])),
        ips(&|row| row.src),
        ips(&|row| row.dst),
        ints(&|_| 50_000),
        ints(&|row| row.dst_port),
        shorts(&|row| row.protocol),
        shorts(&|_| 2),
        Arc::new(Int16Array::from(vec![None; rows.len()])),
        longs(&|row| row.bytes_sent),
        longs(&|_| 50),
        longs(&|_| 2),
        longs(&|_| 1),
        flags(true),
        flags(false),
        labels(&|row| Some(row.verdict.to_owned())),
        fixed("kernel"),
        labels(&|row| row.rule.clone()),
        longs(&|_| 1),
        Arc::new(rows.iter().map(|row| row.domain.clone()).collect::<StringArray>()),
    ];
    RecordBatch::try_new(table_schema(), columns).unwrap()
}

/// Writes the rows, in their order, as one file of an org's table.
pub(crate) fn write(store: &Path, org: &str, name: &str, rows: &[Row]) -> File {
    let path = format!("{org}/flows/hour=2026-11-21T13/{name}.parquet");
    let full = store.join(&path);
    std::fs::create_dir_all(full.parent().unwrap()).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(Default::default()))
        .set_column_bloom_filter_enabled(ColumnPath::from("src"), true)
        .set_column_bloom_filter_enabled(ColumnPath::from("dst"), true)
        .set_max_row_group_row_count(Some(1_000))
        .build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(&full).unwrap(), table_schema(), Some(properties)).unwrap();
    writer.write(&batch(rows)).unwrap();
    writer.close().unwrap();
    let by_bytes = |ip: &IpAddr| address_bytes(*ip);
    File {
        path,
        bytes: std::fs::metadata(&full).unwrap().len(),
        rows: rows.len() as u64,
        time_min_us: rows.iter().map(|row| row.time_us).min().unwrap(),
        time_max_us: rows.iter().map(|row| row.time_us).max().unwrap(),
        src_min: rows.iter().map(|row| row.src).min_by_key(by_bytes).unwrap(),
        src_max: rows.iter().map(|row| row.src).max_by_key(by_bytes).unwrap(),
        dst_min: rows.iter().map(|row| row.dst).min_by_key(by_bytes).unwrap(),
        dst_max: rows.iter().map(|row| row.dst).max_by_key(by_bytes).unwrap(),
        device_min: rows.iter().map(|row| row.device.clone()).min().unwrap(),
        device_max: rows.iter().map(|row| row.device.clone()).max().unwrap(),
    }
}
