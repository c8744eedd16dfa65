//! The tables made of read models: their columns, and their rows from JSON.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow::json::ReaderBuilder;
use chrono::{DateTime, Utc};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::MemTable;
use schemas::device::{Device, InterfaceName};
use schemas::kind::Kind;
use schemas::setup_key::SetupKey;
use schemas::view::{DeviceView, SetupKeyView};
use schemas::zone::ZoneName;
use serde::Serialize;
use serde_json::Value;

use super::memory::Kept;

/// A device with what is nested in it beside it.
#[derive(Serialize)]
pub(super) struct DeviceRow {
    #[serde(flatten)]
    device: Device,
    /// The interfaces that belong to a zone, and their zones, in the same order.
    interface_names: Vec<InterfaceName>,
    interface_zones: Vec<Option<ZoneName>>,
    applied_revision: Option<u64>,
    applied_at: Option<DateTime<Utc>>,
    desired_revision: Option<u64>,
    in_sync: bool,
    failure_error: Option<String>,
    failure_at: Option<DateTime<Utc>>,
    online: bool,
    last_seen: Option<DateTime<Utc>>,
}

impl DeviceRow {
    pub(super) fn of(view: DeviceView) -> Self {
        let in_sync = is_in_sync(&view);
        let DeviceView { device, desired, online, last_seen, .. } = view;
        Self {
            interface_names: device.interfaces.iter().map(|interface| interface.name.clone()).collect(),
            interface_zones: device.interfaces.iter().map(|interface| interface.zone.clone()).collect(),
            applied_revision: device.applied.as_ref().map(|applied| applied.revision),
            applied_at: device.applied.as_ref().map(|applied| applied.at),
            desired_revision: desired.map(|desired| desired.revision),
            in_sync,
            failure_error: device.failure.as_ref().map(|failure| failure.error.clone()),
            failure_at: device.failure.as_ref().map(|failure| failure.at),
            online,
            last_seen,
            device,
        }
    }
}

/// Whether a device runs what it should.
pub(crate) fn is_in_sync(view: &DeviceView) -> bool {
    match (&view.desired, &view.device.applied) {
        (Some(desired), Some(applied)) => desired.hash == applied.hash,
        (_, _) => false,
    }
}

pub(super) fn setup_key(key: &SetupKey, now: DateTime<Utc>) -> SetupKeyView {
    SetupKeyView { state: key.state(now), setup_key: key.clone() }
}

pub(super) fn json<T: Serialize>(rows: impl IntoIterator<Item = T>) -> Result<Vec<Value>> {
    let rows: serde_json::Result<Vec<Value>> = rows.into_iter().map(serde_json::to_value).collect();
    rows.map_err(|error| DataFusionError::External(Box::new(error)))
}

/// A table of read models.
pub(super) fn table(kind: Kind, rows: &[Value], kept: &Kept) -> Result<MemTable> {
    let schema = schema(kind);
    let batch = batch(&schema, rows)?;
    kept.take(kind.plural(), batch.get_array_memory_size())?;
    MemTable::try_new(schema, vec![vec![batch]])
}

/// Rows of JSON as columns; what has no column is left out.
pub(super) fn batch(schema: &SchemaRef, rows: &[Value]) -> Result<RecordBatch> {
    let mut decoder = ReaderBuilder::new(schema.clone()).with_batch_size(rows.len().max(1)).build_decoder()?;
    decoder.serialize(rows)?;
    Ok(decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(schema.clone())))
}

fn schema(kind: Kind) -> SchemaRef {
    let mut fields = vec![text("id"), int("revision")];
    fields.extend(match kind {
        Kind::Rule => vec![
            int("number"),
            text("name"),
            text("description"),
            map("metadata"),
            flag("enabled"),
            int("order"),
            text("zone_from"),
            text("zone_to"),
            texts("sources"),
            texts("destinations"),
            text("protocol"),
            texts("ports"),
            text("action"),
            flag("log"),
        ],
        Kind::Zone => vec![text("name"), text("description"), map("metadata"), flag("predefined")],
        Kind::Device => vec![
            text("name"),
            text("description"),
            map("metadata"),
            text("mode"),
            text("public_key"),
            text("agent_version"),
            text("setup_key_id"),
            texts("interface_names"),
            texts("interface_zones"),
            flag("online"),
            time("last_seen"),
            flag("in_sync"),
            int("desired_revision"),
            int("applied_revision"),
            time("applied_at"),
            text("failure_error"),
            time("failure_at"),
        ],
        Kind::SetupKey => vec![
            text("name"),
            text("description"),
            map("metadata"),
            text("type"),
            text("prefix"),
            text("state"),
            int("usage_limit"),
            int("used_times"),
            time("expires_at"),
            flag("revoked"),
        ],
        Kind::ApiToken => {
            vec![text("name"), text("description"), text("owner_id"), text("role"), text("prefix"), time("expires_at")]
        }
        Kind::User => vec![text("role")],
        Kind::Org | Kind::Event | Kind::Flow => Vec::new(),
    });
    fields.extend([time("created_at"), time("updated_at")]);
    Arc::new(Schema::new(fields))
}

pub(super) fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

pub(super) fn int(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

pub(super) fn time(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true)
}

fn flag(name: &str) -> Field {
    Field::new(name, DataType::Boolean, true)
}

fn texts(name: &str) -> Field {
    Field::new(name, DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))), true)
}

fn map(name: &str) -> Field {
    let entry = Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)]);
    Field::new(name, DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false), true)
}
