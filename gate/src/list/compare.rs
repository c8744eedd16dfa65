//! How fields of items compare: with a filter's text, and with each other.

use std::cmp::Ordering;

use serde_json::Value;

/// Whether a field has the value that a filter names; a list has it if one of its entries has.
pub(super) fn matches(field: Option<&Value>, wanted: &str) -> bool {
    match field {
        None | Some(Value::Null) => wanted == "null",
        Some(Value::String(text)) => text == wanted,
        Some(Value::Bool(on)) => wanted == if *on { "true" } else { "false" },
        Some(Value::Number(number)) => number.to_string() == wanted,
        Some(Value::Array(entries)) => entries.iter().any(|entry| matches(Some(entry), wanted)),
        Some(Value::Object(_)) => false,
    }
}

/// Numbers by size, text by its characters, times by time; what is absent comes last.
pub(super) fn order(one: Option<&Value>, other: Option<&Value>) -> Ordering {
    match (one, other) {
        (Some(Value::Number(one)), Some(Value::Number(other))) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => one.cmp(&other),
            _ => one.as_f64().unwrap_or(f64::NAN).total_cmp(&other.as_f64().unwrap_or(f64::NAN)),
        },
        (Some(Value::String(one)), Some(Value::String(other))) => instant(one).cmp(instant(other)),
        (Some(Value::Bool(one)), Some(Value::Bool(other))) => one.cmp(other),
        (one, other) => rank(one).cmp(&rank(other)),
    }
}

/// `…:00Z` is before `…:00.5Z`, although `Z` is after `.`.
fn instant(text: &str) -> &str {
    let is_time = text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T');
    if is_time { text.strip_suffix('Z').unwrap_or(text) } else { text }
}

fn rank(value: Option<&Value>) -> u8 {
    match value {
        Some(Value::Bool(_)) => 0,
        Some(Value::Number(_)) => 1,
        Some(Value::String(_)) => 2,
        Some(Value::Array(_)) => 3,
        Some(Value::Object(_)) => 4,
        None | Some(Value::Null) => 5,
    }
}
