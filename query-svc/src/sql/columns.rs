//! Columns: what a kind of resource has in SQL, read from the schema of how it is shown.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Text,
    Int,
    Float,
    Flag,
    Time,
    Texts,
    /// Text by text.
    Map,
    /// Anything else, as the text of its JSON.
    Json,
}

/// A column, named like the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) holds: Holds,
}

/// Schemas that go deeper hold anything.
const DEPTH_MAX: usize = 8;

type Named = Vec<(String, Value)>;

/// The columns of what has this schema: `id`, `revision` and `name` first, its times last.
pub(super) fn columns_of<T: ToSchema>() -> Vec<Column> {
    let mut named = Vec::new();
    T::schemas(&mut named);
    let named: Named =
        named.into_iter().filter_map(|(name, schema)| Some((name, serde_json::to_value(schema).ok()?))).collect();
    let mut columns = Vec::new();
    fields(&serde_json::to_value(T::schema()).unwrap_or_default(), &named, 0, &mut columns);
    columns.sort_by(|one: &Column, other| (place(&one.name), &one.name).cmp(&(place(&other.name), &other.name)));
    columns.dedup_by(|one, other| one.name == other.name);
    columns
}

fn place(name: &str) -> usize {
    const FIRST: [&str; 3] = ["id", "revision", "name"];
    const LAST: [&str; 2] = ["created_at", "updated_at"];
    let first = FIRST.iter().position(|first| *first == name);
    let last = || LAST.iter().position(|last| *last == name).map(|at| at + FIRST.len() + 1);
    first.or_else(last).unwrap_or(FIRST.len())
}

fn fields(schema: &Value, named: &Named, depth: usize, columns: &mut Vec<Column>) {
    if depth > DEPTH_MAX {
        return;
    }
    if let Some(schema) = referred(schema, named) {
        return fields(schema, named, depth + 1, columns);
    }
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        fields(part, named, depth + 1, columns);
    }
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        columns.push(Column { name: name.clone(), holds: holds(field, named, 0) });
    }
}

fn referred<'a>(schema: &Value, named: &'a Named) -> Option<&'a Value> {
    let path = schema.get("$ref")?.as_str()?;
    let name = path.rsplit('/').next().unwrap_or_default();
    named.iter().find(|(other, _)| other == name).map(|(_, schema)| schema)
}

fn holds(schema: &Value, named: &Named, depth: usize) -> Holds {
    if depth > DEPTH_MAX {
        return Holds::Json;
    }
    let below = |schema: &Value| holds(schema, named, depth + 1);
    if let Some(schema) = referred(schema, named) {
        return below(schema);
    }
    for name in ["oneOf", "anyOf", "allOf"] {
        if let Some(variants) = schema.get(name).and_then(Value::as_array) {
            let mut all = variants.iter().filter(|variant| !is_null(variant)).map(below);
            let first = all.next().unwrap_or(Holds::Json);
            return if all.all(|other| other == first) { first } else { Holds::Json };
        }
    }
    let names: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
        _ => Vec::new(),
    };
    match names.as_slice() {
        ["string"] if schema.get("format").and_then(Value::as_str) == Some("date-time") => Holds::Time,
        ["string"] => Holds::Text,
        ["integer"] => Holds::Int,
        ["number"] => Holds::Float,
        ["boolean"] => Holds::Flag,
        ["array"] if schema.get("items").map(below) == Some(Holds::Text) => Holds::Texts,
        ["object"] if schema.get("additionalProperties").map(below) == Some(Holds::Text) => Holds::Map,
        _ => Holds::Json,
    }
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}

impl Column {
    pub(super) fn new(name: &str, holds: Holds) -> Self {
        Self { name: name.to_owned(), holds }
    }

    pub(super) fn field(&self) -> Field {
        let item = || Arc::new(Field::new("item", DataType::Utf8, true));
        let holds = match self.holds {
            Holds::Text | Holds::Json => DataType::Utf8,
            Holds::Int => DataType::Int64,
            Holds::Float => DataType::Float64,
            Holds::Flag => DataType::Boolean,
            Holds::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Holds::Texts => DataType::List(item()),
            Holds::Map => {
                let (key, value) =
                    (Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true));
                let entry = DataType::Struct(Fields::from(vec![key, value]));
                DataType::Map(Arc::new(Field::new("entries", entry, false)), false)
            }
        };
        Field::new(&self.name, holds, true)
    }

    /// Makes what stands in a row fit the column.
    pub(super) fn fit(&self, row: &mut Map<String, Value>) {
        if let (Holds::Text | Holds::Json, Some(value)) = (self.holds, row.get_mut(&self.name))
            && !value.is_null()
            && !(self.holds == Holds::Text && value.is_string())
        {
            *value = Value::String(value.to_string());
        }
        // Times with a sign before the year are no times to Arrow, and one of them would cost the whole table.
        let signed = |value: &Value| value.as_str().is_some_and(|text| text.starts_with(['+', '-']));
        if self.holds == Holds::Time && row.get(&self.name).is_some_and(signed) {
            row.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::nat_rule::NatRule;
    use schemas::policy::Policy;
    use schemas::rule::Rule;
    use schemas::view::{DeviceView, SetupKeyView, UserView};

    use super::*;

    fn holds(columns: &[Column], name: &str) -> Option<Holds> {
        columns.iter().find(|column| column.name == name).map(|column| column.holds)
    }

    #[test]
    fn a_time_beyond_arrow_is_absent() {
        let left = |at: &str| {
            let mut row = Map::from_iter([("at".to_owned(), Value::from(at))]);
            Column::new("at", Holds::Time).fit(&mut row);
            row.len()
        };
        assert_eq!((left("2026-11-22T00:00:00Z"), left("+10000-01-01T00:00:00Z")), (1, 0));
    }

    #[test]
    fn columns_follow_the_schema() {
        let rules = columns_of::<Rule>();
        for (name, expected) in [
            ("id", Holds::Text),
            ("order", Holds::Int),
            ("metadata", Holds::Map),
            ("tags", Holds::Texts),
            ("enabled", Holds::Flag),
            ("zone_from", Holds::Text),
            ("sources", Holds::Texts),
            ("ports", Holds::Texts),
            ("protocol", Holds::Text),
            ("action", Holds::Text),
            ("firewall_id", Holds::Text),
            ("service_ids", Holds::Texts),
            ("schedule", Holds::Json),
            ("expires_at", Holds::Time),
        ] {
            assert_eq!(holds(&rules, name), Some(expected), "{name}");
        }
        let names: Vec<&str> = rules.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(
            (&names[..3], &names[names.len() - 2..]),
            (&["id", "revision", "name"][..], &["created_at", "updated_at"][..])
        );
        assert_eq!(holds(&columns_of::<Policy>(), "rules"), Some(Holds::Json));
        assert_eq!(holds(&columns_of::<NatRule>(), "type"), Some(Holds::Text));
        assert_eq!(holds(&columns_of::<NatRule>(), "group_ids"), Some(Holds::Texts));
    }

    #[test]
    fn what_is_flattened_has_its_columns_and_what_is_hidden_none() {
        let keys = columns_of::<SetupKeyView>();
        assert_eq!((holds(&keys, "type"), holds(&keys, "state")), (Some(Holds::Text), Some(Holds::Text)));
        let devices = columns_of::<DeviceView>();
        assert_eq!((holds(&devices, "interfaces"), holds(&devices, "online")), (Some(Holds::Json), Some(Holds::Flag)));
        assert_eq!(holds(&devices, "device"), None);
        let users = columns_of::<UserView>();
        for hidden in ["person", "email_hash", "subject_hash"] {
            assert_eq!(holds(&users, hidden), None, "{hidden}");
        }
    }
}
