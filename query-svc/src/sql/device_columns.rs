//! What devices have in SQL beside their fields: what is nested in those, each in a column of its own.

use serde_json::{Map, Value};

use super::columns::{Column, Holds};

type Take = fn(&Map<String, Value>) -> Value;

const COLUMNS: [(&str, Holds, Take); 8] = [
    ("interface_names", Holds::Texts, |device| each(device, "interfaces", "name")),
    ("interface_zones", Holds::Texts, |device| each(device, "interfaces", "zone")),
    ("in_sync", Holds::Flag, |device| {
        let (desired, applied) = (within(device, "desired", "hash"), within(device, "applied", "hash"));
        Value::Bool(desired == applied && !desired.is_null())
    }),
    ("desired_revision", Holds::Int, |device| within(device, "desired", "revision")),
    ("applied_revision", Holds::Int, |device| within(device, "applied", "revision")),
    ("applied_at", Holds::Time, |device| within(device, "applied", "at")),
    ("failure_error", Holds::Text, |device| within(device, "failure", "error")),
    ("failure_at", Holds::Time, |device| within(device, "failure", "at")),
];

pub(super) fn columns() -> impl Iterator<Item = Column> {
    COLUMNS.iter().map(|(name, holds, _)| Column::new(name, *holds))
}

pub(super) fn add(device: &mut Map<String, Value>) {
    let added: Vec<(String, Value)> =
        COLUMNS.iter().map(|(name, _, take)| ((*name).to_owned(), take(device))).collect();
    device.extend(added);
}

fn within(device: &Map<String, Value>, outer: &str, inner: &str) -> Value {
    device.get(outer).and_then(|outer| outer.get(inner)).cloned().unwrap_or_default()
}

/// A field of each entry of a list, in the order of the list.
fn each(device: &Map<String, Value>, list: &str, field: &str) -> Value {
    let entries = device.get(list).and_then(Value::as_array).into_iter().flatten();
    entries.map(|entry| entry.get(field).cloned().unwrap_or_default()).collect()
}
