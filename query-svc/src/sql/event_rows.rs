//! The table `events`: the audit trail.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{DataFusionError, Result};

use datafusion::datasource::MemTable;
use schemas::event::Meta;

use super::columns::{Column, Holds};
use super::memory::Kept;
use crate::view::events::{Events, StoredEvent};

const COLUMNS: [&str; 13] = [
    "revision",
    "position",
    "time",
    "name",
    "kind",
    "subject",
    "actor",
    "credential",
    "sourceip",
    "command_id",
    "id",
    "data",
    "prevhash",
];
const BATCH_ROWS: usize = 8_192;
/// What a row takes beside the text of its event, at most.
const ROW_BYTES: usize = 128;

fn schema() -> SchemaRef {
    let column = |name: &str| match name {
        "revision" | "position" => Column::new(name, Holds::Int),
        "time" => Column::new(name, Holds::Time),
        _ => Column::new(name, Holds::Text),
    };
    Arc::new(Schema::new(COLUMNS.map(|name| column(name).field()).to_vec()))
}

/// The table of all events, for which there must be room before it is made.
pub(super) fn table(events: &Events, kept: &Kept) -> Result<MemTable> {
    let schema = schema();
    // Every text of a row is part of its event; builders grow by doubling.
    let bytes = events.all.iter().map(|event| 2 * (event.stored.get().len() + ROW_BYTES)).sum();
    kept.take("events", bytes)?;
    let events: Vec<&StoredEvent> = events.all.iter().map(Arc::as_ref).collect();
    let batches: Result<Vec<RecordBatch>> = events.chunks(BATCH_ROWS).map(|events| batch(&schema, events)).collect();
    MemTable::try_new(schema, vec![batches?])
}

fn batch(schema: &SchemaRef, events: &[&StoredEvent]) -> Result<RecordBatch> {
    let metas: Result<Vec<Meta>, _> = events.iter().map(|event| event.meta()).collect();
    let metas = metas.map_err(|error| DataFusionError::External(Box::new(error)))?;
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let ints = |value: fn(&StoredEvent) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(events.iter().map(|event| number(value(event)))))
    };
    let texts = |value: fn(&StoredEvent) -> Option<&str>| -> ArrayRef {
        Arc::new(events.iter().map(|event| value(event)).collect::<StringArray>())
    };
    let said =
        |value: fn(&Meta) -> Option<&str>| -> ArrayRef { Arc::new(metas.iter().map(value).collect::<StringArray>()) };
    let times = events.iter().map(|event| event.time.timestamp_micros());
    let columns: Vec<ArrayRef> = vec![
        ints(|event| event.revision),
        ints(|event| event.position),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
        texts(|event| Some(&event.name)),
        texts(|event| event.kind.map(|kind| kind.singular())),
        texts(|event| Some(&event.subject)),
        texts(|event| Some(&event.actor)),
        said(|meta| Some(&meta.credential)),
        said(|meta| meta.sourceip.as_deref()),
        said(|meta| Some(&meta.commandid)),
        Arc::new(events.iter().map(|event| Some(event.id.to_string())).collect::<StringArray>()),
        texts(|event| Some(event.data())),
        said(|meta| Some(&meta.prevhash)),
    ];
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}
