//! Sorted rows to Parquet: each column is laid end to end, put in order and encoded by one thread.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use arrow::array::UInt32Array;
use arrow::compute::take;
use arrow::datatypes::Field;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use schemas::flow::{batch_schema, table_schema};

use super::order::Hour;
use super::stats::Bounds;
use super::{DeviceBatch, EncodeError, FlowFile};

/// The rows of a row group; the last one of a file has fewer.
pub const ROW_GROUP_ROWS_MAX: usize = 128 * 1024;
/// The rows between two entries of the page index.
const PAGE_ROWS_MAX: usize = 16 * 1024;
/// Columns that are asked for by value.
const BLOOM_COLUMNS: [&str; 3] = ["src", "dst", "rule"];
const BLOOM_FALSE_POSITIVES: f64 = 0.01;
/// Columns whose values hardly repeat: differences take less room than a dictionary.
const DELTA_COLUMNS: [&str; 3] = ["time", "duration_ms", "src_port"];
/// Below, threads cost more than they save.
const ROWS_PER_THREAD_MIN: usize = 4_096;

/// A file that is being written.
struct Draft {
    path: String,
    writer: SerializedFileWriter<Vec<u8>>,
    rows: usize,
    row_groups: usize,
}

/// The work on one column: its pieces in the order of files and row groups.
struct ColumnWork {
    number: usize,
    pieces: Vec<(UInt32Array, ArrowColumnWriter)>,
}

pub(super) fn write(
    batches: &[DeviceBatch],
    hours: Vec<Hour>,
    paths: Vec<String>,
    threads: usize,
) -> Result<Vec<FlowFile>, EncodeError> {
    let expected = batch_schema();
    if batches.iter().any(|batch| batch.rows.schema_ref().fields() != expected.fields()) {
        return Err(EncodeError::Column("of a batch"));
    }
    let (drafts, work) = open(hours, paths)?;
    let rows: usize = drafts.iter().map(|draft| draft.rows).sum();
    let threads = threads.min(rows / ROWS_PER_THREAD_MIN).max(1);
    let mut columns: Vec<_> = encode_columns(batches, work, threads)?.into_iter().map(Vec::into_iter).collect();
    drafts.into_iter().map(|draft| assemble(draft, &mut columns)).collect()
}

fn open(hours: Vec<Hour>, paths: Vec<String>) -> Result<(Vec<Draft>, VecDeque<ColumnWork>), EncodeError> {
    let schema = table_schema();
    let mut work: VecDeque<ColumnWork> =
        (0..schema.fields().len()).map(|number| ColumnWork { number, pieces: Vec::new() }).collect();
    let mut drafts = Vec::with_capacity(hours.len());
    for (hour, path) in hours.into_iter().zip(paths) {
        let rows = hour.rows.len();
        let properties = properties(rows.min(ROW_GROUP_ROWS_MAX));
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?;
        let (writer, factory) = writer.into_serialized_writer()?;
        let row_groups = rows.div_ceil(ROW_GROUP_ROWS_MAX);
        for group in 0..row_groups {
            let first = group * ROW_GROUP_ROWS_MAX;
            let piece = hour.rows.slice(first, (rows - first).min(ROW_GROUP_ROWS_MAX));
            let writers = factory.create_column_writers(group)?;
            for (column, writer) in work.iter_mut().zip(writers) {
                column.pieces.push((piece.clone(), writer));
            }
        }
        drafts.push(Draft { path, writer, rows, row_groups });
    }
    Ok((drafts, work))
}

/// Encodes all columns and gives their chunks by column.
fn encode_columns(
    batches: &[DeviceBatch],
    work: VecDeque<ColumnWork>,
    threads: usize,
) -> Result<Vec<Vec<ArrowColumnChunk>>, EncodeError> {
    let schema = table_schema();
    let count = work.len();
    let work = Mutex::new(work);
    let encode = || {
        let mut done = Vec::new();
        loop {
            let next = work.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(ColumnWork { number, pieces }) = next else { return Ok(done) };
            done.push((number, encode_column(batches, schema.field(number), pieces)?));
        }
    };
    let mut columns: Vec<Vec<ArrowColumnChunk>> = (0..count).map(|_| Vec::new()).collect();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(encode)).collect();
        for worker in workers {
            let done: Result<Vec<_>, EncodeError> = worker.join().map_err(|_| EncodeError::Panicked)?;
            for (number, chunks) in done? {
                columns[number] = chunks;
            }
        }
        Ok(columns)
    })
}

fn encode_column(
    batches: &[DeviceBatch],
    field: &Field,
    pieces: Vec<(UInt32Array, ArrowColumnWriter)>,
) -> Result<Vec<ArrowColumnChunk>, EncodeError> {
    let column = super::columns::column(batches, field)?;
    pieces
        .into_iter()
        .map(|(rows, mut writer)| {
            let sorted = take(&column, &rows, None)?;
            for leaf in compute_leaves(field, &sorted)? {
                writer.write(&leaf)?;
            }
            Ok(writer.close()?)
        })
        .collect()
}

fn assemble(draft: Draft, columns: &mut [std::vec::IntoIter<ArrowColumnChunk>]) -> Result<FlowFile, EncodeError> {
    let Draft { path, mut writer, rows, row_groups } = draft;
    let mut bounds = Bounds::default();
    for _ in 0..row_groups {
        let mut group = writer.next_row_group()?;
        for column in columns.iter_mut() {
            let chunk = column.next().ok_or(EncodeError::Panicked)?;
            chunk.append_to_row_group(&mut group)?;
        }
        bounds.widen(&*group.close()?)?;
    }
    let bytes = writer.into_inner()?;
    Ok(FlowFile { file: bounds.file(path, bytes.len() as u64, rows as u64)?, bytes })
}

fn properties(row_group_rows: usize) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_created_by("netkeep".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_data_page_row_count_limit(PAGE_ROWS_MAX);
    for name in DELTA_COLUMNS {
        let column = ColumnPath::from(name);
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    // The filters begin with room for a distinct value in each row and are folded to what is needed.
    let distinct_max = row_group_rows.max(1) as u64;
    for name in BLOOM_COLUMNS {
        let column = ColumnPath::from(name);
        properties = properties
            .set_column_bloom_filter_fpp(column.clone(), BLOOM_FALSE_POSITIVES)
            .set_column_bloom_filter_max_ndv(column, distinct_max);
    }
    properties.build()
}
