//! Evaluates filters over JSON: total, so that every expression has a value for every item.

use std::borrow::Cow;
use std::cmp::Ordering;

use chrono::{DateTime, TimeDelta, Utc};
use schemas::address::{Address, Span};
use serde_json::Value;

use super::{Compare, Expr, Test};
use crate::list::compare::{numbers, texts};

/// What an expression comes to.
enum Val<'a> {
    Json(Cow<'a, Value>),
    Time(DateTime<Utc>),
}

/// Whether an expression is true; what is neither true nor false is not.
pub(super) fn holds(expr: &Expr, item: &Value, now: DateTime<Utc>) -> bool {
    match expr {
        Expr::And(parts) => parts.iter().all(|part| holds(part, item, now)),
        Expr::Or(parts) => parts.iter().any(|part| holds(part, item, now)),
        Expr::Not(of) => !holds(of, item, now),
        Expr::Compare(sign, one, other) => compare(*sign, &value(one, item, now), &value(other, item, now)),
        Expr::Test(test, on, with) => tested(*test, &value(on, item, now), &value(with, item, now)),
        Expr::Within(network, of) => matches!(value(of, item, now), Val::Json(of) if within(network, &of)),
        Expr::Literal(_)
        | Expr::Field(_)
        | Expr::Now
        | Expr::Instant(_)
        | Expr::Timestamp(_)
        | Expr::Moved(..)
        | Expr::Size(_) => matches!(value(expr, item, now), Val::Json(value) if *value == Value::Bool(true)),
    }
}

fn value<'a>(expr: &'a Expr, item: &'a Value, now: DateTime<Utc>) -> Val<'a> {
    match expr {
        Expr::Literal(value) => Val::Json(Cow::Borrowed(value)),
        Expr::Field(path) => path.of(item).map_or(Val::NULL, Val::Json),
        Expr::Now => Val::Time(now),
        Expr::Instant(time) => Val::Time(*time),
        Expr::Timestamp(of) => value(of, item, now).time().map_or(Val::NULL, Val::Time),
        Expr::Moved(of, steps) => {
            let moved = value(of, item, now).time().and_then(|time| {
                let step =
                    |time: DateTime<Utc>, step: &i64| time.checked_add_signed(TimeDelta::try_milliseconds(*step)?);
                steps.iter().try_fold(time, step)
            });
            moved.map_or(Val::NULL, Val::Time)
        }
        Expr::Size(of) => Val::owned(size(&value(of, item, now)).into()),
        Expr::Test(..) | Expr::Within(..) | Expr::Compare(..) | Expr::Not(_) | Expr::And(_) | Expr::Or(_) => {
            Val::owned(holds(expr, item, now).into())
        }
    }
}

impl Val<'_> {
    const NULL: Self = Self::Json(Cow::Owned(Value::Null));

    fn owned(value: Value) -> Self {
        Self::Json(Cow::Owned(value))
    }

    fn time(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Time(time) => Some(*time),
            Self::Json(value) => time(value),
        }
    }
}

fn time(value: &Value) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(value.as_str()?).ok().map(|time| time.to_utc())
}

/// Characters, entries or fields; what is absent has none.
fn size(value: &Val<'_>) -> usize {
    match value {
        Val::Json(value) => match &**value {
            Value::String(text) => text.chars().count(),
            Value::Array(entries) => entries.len(),
            Value::Object(fields) => fields.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        },
        Val::Time(_) => 0,
    }
}

fn compare(sign: Compare, one: &Val<'_>, other: &Val<'_>) -> bool {
    match sign {
        Compare::Equal => equal(one, other),
        Compare::Unequal => !equal(one, other),
        Compare::Less => order(one, other).is_some_and(Ordering::is_lt),
        Compare::LessOrEqual => order(one, other).is_some_and(Ordering::is_le),
        Compare::Greater => order(one, other).is_some_and(Ordering::is_gt),
        Compare::GreaterOrEqual => order(one, other).is_some_and(Ordering::is_ge),
        Compare::In => contains(other, one),
    }
}

fn equal(one: &Val<'_>, other: &Val<'_>) -> bool {
    match (one, other) {
        (Val::Json(one), Val::Json(other)) => same(one, other),
        _ => order(one, other).is_some_and(Ordering::is_eq),
    }
}

/// Equality of JSON, where numbers are equal if they are as large, however they are written.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => numbers(one, other).is_eq(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (one, other) => one == other,
    }
}

/// The order of two numbers, two texts or two times; others have none.
fn order(one: &Val<'_>, other: &Val<'_>) -> Option<Ordering> {
    match (one, other) {
        (Val::Json(one), Val::Json(other)) => match (&**one, &**other) {
            (Value::Number(one), Value::Number(other)) => Some(numbers(one, other)),
            (Value::String(one), Value::String(other)) => Some(texts(one, other)),
            _ => None,
        },
        (one, other) => Some(one.time()?.cmp(&other.time()?)),
    }
}

/// Whether a list has an entry, an object a key.
fn contains(all: &Val<'_>, one: &Val<'_>) -> bool {
    let Val::Json(all) = all else { return false };
    match &**all {
        Value::Array(entries) => entries.iter().any(|entry| equal(&Val::Json(Cow::Borrowed(entry)), one)),
        Value::Object(fields) => {
            matches!(one, Val::Json(key) if key.as_str().is_some_and(|key| fields.contains_key(key)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn tested(test: Test, on: &Val<'_>, with: &Val<'_>) -> bool {
    if let (Val::Json(on), Val::Json(with)) = (on, with)
        && let (Value::String(on), Value::String(with)) = (&**on, &**with)
    {
        return match test {
            Test::StartsWith => on.starts_with(with.as_str()),
            Test::EndsWith => on.ends_with(with.as_str()),
            Test::Contains => on.contains(with.as_str()),
        };
    }
    let is_list = matches!(on, Val::Json(on) if on.is_array());
    test == Test::Contains && is_list && contains(on, with)
}

/// Whether an address, a block or a range lies in a network as a whole; of a list, whether one does.
fn within(network: &Span, value: &Value) -> bool {
    match value {
        Value::String(text) => match text.parse() {
            Ok(Address::Span(span)) => network.contains(span.first()) && network.contains(span.last()),
            Ok(Address::Any) | Err(_) => false,
        },
        Value::Array(entries) => entries.iter().any(|entry| within(network, entry)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}
