//! The files of an org's flow table, with what the catalogue knows of each as DataFusion statistics.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use schemas::files::{Catalogue, File};
use schemas::flow::{ADDRESS_BYTES, address_bytes, table_schema};

/// One file of the flow table.
#[derive(Debug, Clone)]
pub struct FlowFile {
    pub file: Arc<File>,
    pub(crate) statistics: Arc<Statistics>,
}

/// The files of a flow table at one position of its catalogue, newest first.
#[derive(Debug, Default)]
pub struct FlowFiles {
    pub position: u64,
    pub files: Vec<FlowFile>,
}

impl FlowFiles {
    /// The files of a catalogue. `known` are files of an earlier position, whose statistics are taken over.
    pub fn of(catalogue: &Catalogue, known: &Self) -> Self {
        let schema = table_schema();
        let known: std::collections::HashMap<&str, &FlowFile> =
            known.files.iter().map(|file| (file.file.path.as_str(), file)).collect();
        let flow_file = |file: &Arc<File>| match known.get(file.path.as_str()) {
            Some(known) => FlowFile::clone(known),
            None => FlowFile { file: file.clone(), statistics: Arc::new(statistics(file, &schema)) },
        };
        let mut files: Vec<FlowFile> = catalogue.files.values().map(flow_file).collect();
        files.sort_by_key(|file| std::cmp::Reverse((file.file.time_max_us, file.file.time_min_us)));
        Self { position: catalogue.position, files }
    }
}

fn statistics(file: &File, schema: &SchemaRef) -> Statistics {
    let column = |field: &arrow::datatypes::FieldRef| {
        let bounds = match field.name().as_str() {
            "time" => Some((time(file.time_min_us), time(file.time_max_us))),
            "src" => Some((address(file.src_min), address(file.src_max))),
            "dst" => Some((address(file.dst_min), address(file.dst_max))),
            "device" => Some((label(&file.device_min), label(&file.device_max))),
            _ => None,
        };
        match bounds {
            Some((min, max)) => ColumnStatistics::new_unknown()
                .with_null_count(Precision::Exact(0))
                .with_min_value(Precision::Exact(min))
                .with_max_value(Precision::Exact(max)),
            None => ColumnStatistics::new_unknown(),
        }
    };
    Statistics {
        num_rows: Precision::Exact(usize::try_from(file.rows).unwrap_or(usize::MAX)),
        total_byte_size: Precision::Absent,
        column_statistics: schema.fields().iter().map(column).collect(),
    }
}

fn time(us: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(us), Some("UTC".into()))
}

fn address(ip: std::net::IpAddr) -> ScalarValue {
    ScalarValue::FixedSizeBinary(ADDRESS_BYTES, Some(address_bytes(ip).to_vec()))
}

fn label(text: &str) -> ScalarValue {
    ScalarValue::Dictionary(Box::new(DataType::Int32), Box::new(ScalarValue::from(text)))
}
