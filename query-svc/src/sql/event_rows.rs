//! The table `events`: the audit trail.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::datasource::MemTable;

use super::memory::Kept;
use super::rows::{int, text, time};
use crate::view::events::{Events, StoredEvent};

const BATCH_ROWS: usize = 8_192;
/// What a row takes beside the text of its event, at most.
const ROW_BYTES: usize = 128;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        int("revision"),
        int("position"),
        time("time"),
        text("name"),
        text("kind"),
        text("subject"),
        text("actor"),
        text("credential"),
        text("sourceip"),
        text("command_id"),
        text("id"),
        text("data"),
        text("prevhash"),
    ]))
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
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let ints = |value: fn(&StoredEvent) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(events.iter().map(|event| number(value(event)))))
    };
    let texts = |value: fn(&StoredEvent) -> Option<&str>| -> ArrayRef {
        Arc::new(events.iter().map(|event| value(event)).collect::<StringArray>())
    };
    let owned = |value: fn(&StoredEvent) -> String| -> ArrayRef {
        Arc::new(events.iter().map(|event| Some(value(event))).collect::<StringArray>())
    };
    let times = events.iter().map(|event| event.meta.time.timestamp_micros());
    let columns: Vec<ArrayRef> = vec![
        ints(|event| event.meta.revision),
        ints(|event| event.position),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
        texts(|event| Some(&event.name)),
        texts(|event| event.kind.map(|kind| kind.singular())),
        texts(|event| Some(&event.meta.subject)),
        texts(|event| Some(&event.meta.actor)),
        texts(|event| Some(&event.meta.credential)),
        texts(|event| event.meta.sourceip.as_deref()),
        texts(|event| Some(&event.meta.commandid)),
        owned(|event| event.meta.id.to_string()),
        texts(|event| Some(event.data())),
        texts(|event| Some(&event.meta.prevhash)),
    ];
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}
