//! How fields of items compare: with a filter's text, and with each other.

use std::cmp::Ordering;

use serde_json::{Number, Value};

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
        (Some(Value::Number(one)), Some(Value::Number(other))) => numbers(one, other),
        (Some(Value::String(one)), Some(Value::String(other))) => texts(one, other),
        (Some(Value::Bool(one)), Some(Value::Bool(other))) => one.cmp(other),
        (one, other) => rank(one).cmp(&rank(other)),
    }
}

/// By size, exactly: a total order needs that two whole numbers never look equal beside a fraction.
pub(crate) fn numbers(one: &Number, other: &Number) -> Ordering {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        (Some(one), None) => beside(one, fraction(other)),
        (None, Some(other)) => beside(other, fraction(one)).reverse(),
        (None, None) => fraction(one).partial_cmp(&fraction(other)).unwrap_or(Ordering::Equal),
    }
}

/// By characters, but times by time: `…:00Z` is before `…:00.5Z`, although `Z` is after `.`.
pub(crate) fn texts(one: &str, other: &str) -> Ordering {
    instant(one).cmp(instant(other))
}

fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn fraction(number: &Number) -> f64 {
    number.as_f64().unwrap_or_default()
}

/// Whole numbers of JSON are far below what `as` cuts off.
fn beside(whole: i128, fraction: f64) -> Ordering {
    let floor = fraction.floor();
    whole.cmp(&(floor as i128)).then(if fraction > floor { Ordering::Less } else { Ordering::Equal })
}

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
