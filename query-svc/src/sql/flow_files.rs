//! The files of an org's flow table, with what the catalogue knows of each as DataFusion statistics.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, ScalarValue, Statistics};
use schemas::files::{Catalogue, File};
use schemas::flow::{ADDRESS_BYTES, address_bytes};

/// The files of a flow table at one position of its catalogue, newest first.
#[derive(Debug, Default)]
pub struct FlowFiles {
    pub position: u64,
    pub files: Vec<Arc<File>>,
}

impl FlowFiles {
    /// The files of a catalogue.
    pub fn of(catalogue: &Catalogue) -> Self {
        Self::new(catalogue.position, catalogue.files.values().cloned().collect())
    }

    /// Files in any order.
    pub(crate) fn new(position: u64, mut files: Vec<Arc<File>>) -> Self {
        files.sort_by_key(|file| Reverse((file.time_max_us, file.time_min_us)));
        Self { position, files }
    }
}

/// The smallest and largest value of a column in a file, where the catalogue knows them.
fn bounds(file: &File, column: &str) -> Option<(ScalarValue, ScalarValue)> {
    match column {
        "time" => Some((time(file.time_min_us), time(file.time_max_us))),
        "src" => Some((address(file.src_min), address(file.src_max))),
        "dst" => Some((address(file.dst_min), address(file.dst_max))),
        "device" => Some((label(&file.device_min), label(&file.device_max))),
        _ => None,
    }
}

pub(super) fn statistics(file: &File, schema: &SchemaRef) -> Statistics {
    let column = |field: &arrow::datatypes::FieldRef| match bounds(file, field.name()) {
        Some((min, max)) => ColumnStatistics::new_unknown()
            .with_null_count(Precision::Exact(0))
            .with_min_value(Precision::Exact(min))
            .with_max_value(Precision::Exact(max)),
        None => ColumnStatistics::new_unknown(),
    };
    Statistics {
        num_rows: Precision::Exact(usize::try_from(file.rows).unwrap_or(usize::MAX)),
        total_byte_size: Precision::Absent,
        column_statistics: schema.fields().iter().map(column).collect(),
    }
}

/// What files have together; nothing for no files.
pub(super) fn summary(files: &[Arc<File>], schema: &SchemaRef) -> Option<Statistics> {
    let (first, rest) = files.split_first()?;
    let all = rest.iter().fold(File::clone(first), |mut all, file| {
        all.rows = all.rows.saturating_add(file.rows);
        all.time_min_us = all.time_min_us.min(file.time_min_us);
        all.time_max_us = all.time_max_us.max(file.time_max_us);
        // In the order of the bytes in the table.
        all.src_min = std::cmp::min_by_key(all.src_min, file.src_min, |ip| address_bytes(*ip));
        all.src_max = std::cmp::max_by_key(all.src_max, file.src_max, |ip| address_bytes(*ip));
        all.dst_min = std::cmp::min_by_key(all.dst_min, file.dst_min, |ip| address_bytes(*ip));
        all.dst_max = std::cmp::max_by_key(all.dst_max, file.dst_max, |ip| address_bytes(*ip));
        if file.device_min < all.device_min {
            all.device_min.clone_from(&file.device_min);
        }
        if file.device_max > all.device_max {
            all.device_max.clone_from(&file.device_max);
        }
        all
    });
    Some(statistics(&all, schema))
}

/// The bounds of many files, to find those that may hold an answer.
pub(super) struct Bounds<'a>(pub(super) &'a [Arc<File>]);

impl Bounds<'_> {
    fn of(&self, column: &Column, side: fn((ScalarValue, ScalarValue)) -> ScalarValue) -> Option<ArrayRef> {
        let values: Option<Vec<ScalarValue>> =
            self.0.iter().map(|file| bounds(file, column.name()).map(side)).collect();
        ScalarValue::iter_to_array(values?).ok()
    }
}

impl PruningStatistics for Bounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.of(column, |(min, _)| min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.of(column, |(_, max)| max)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        bounds(self.0.first()?, column.name())?;
        Some(Arc::new(UInt64Array::from_value(0, self.0.len())))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.0.iter().map(|file| file.rows))))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

fn time(us: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(us), Some("UTC".into()))
}

fn address(ip: IpAddr) -> ScalarValue {
    ScalarValue::FixedSizeBinary(ADDRESS_BYTES, Some(address_bytes(ip).to_vec()))
}

fn label(text: &str) -> ScalarValue {
    ScalarValue::Dictionary(Box::new(DataType::Int32), Box::new(ScalarValue::from(text)))
}
