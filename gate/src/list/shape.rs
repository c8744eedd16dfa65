//! Shapes: what kind of value a field has, read from the schema of its resource.

use std::collections::BTreeMap;

use serde_json::Value;

/// Schemas that go deeper are taken for [`Shape::Any`]; so are those that contain themselves.
const DEPTH_MAX: usize = 8;

/// What kind of value a field has. A field that may be null has the shape of what it is otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Anything; a path may go on below it.
    Any,
    Null,
    Bool,
    Number,
    Text,
    Time,
    List(Box<Shape>),
    Object(BTreeMap<String, Shape>),
    /// An object with any keys, and values of one shape.
    Map(Box<Shape>),
}

/// The schemas that others refer to, by name.
pub(super) type Named = Vec<(String, Value)>;

impl Shape {
    pub(super) fn read(schema: &Value, named: &Named) -> Self {
        read(schema, named, 0)
    }

    /// The shape at a path below this one.
    pub(crate) fn at(&self, names: &[String]) -> Option<Self> {
        let Some((name, rest)) = names.split_first() else { return Some(self.clone()) };
        match self {
            Self::Any => Some(Self::Any),
            Self::Object(fields) => fields.get(name)?.at(rest),
            Self::Map(values) => values.at(rest),
            Self::List(entries) => entries.at(names).map(|found| Self::List(Box::new(found))),
            Self::Null | Self::Bool | Self::Number | Self::Text | Self::Time => None,
        }
    }

    /// The names that may follow, if they are known.
    pub(crate) fn names(&self) -> Vec<&str> {
        match self {
            Self::Object(fields) => fields.keys().map(String::as_str).collect(),
            Self::List(entries) => entries.names(),
            Self::Any | Self::Map(_) | Self::Null | Self::Bool | Self::Number | Self::Text | Self::Time => Vec::new(),
        }
    }

    /// The shape for a person.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Any => "any value",
            Self::Null => "null",
            Self::Bool => "true or false",
            Self::Number => "a number",
            Self::Text => "text",
            Self::Time => "a time",
            Self::List(_) => "a list",
            Self::Object(_) | Self::Map(_) => "an object",
        }
    }

    /// The shape of what is both of two.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Object(one), Self::Object(other)) => Self::Object(merged(one, other)),
            (Self::Any, one) | (one, _) => one,
        }
    }

    /// The shape of what is either of two.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Null, one) | (one, Self::Null) => one,
            (Self::Object(one), Self::Object(other)) => Self::Object(merged(one, other)),
            (one, other) if one == other => one,
            _ => Self::Any,
        }
    }
}

fn read(schema: &Value, named: &Named, depth: usize) -> Shape {
    if depth > DEPTH_MAX {
        return Shape::Any;
    }
    let below = |schema: &Value| read(schema, named, depth + 1);
    if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
        let name = path.rsplit('/').next().unwrap_or_default();
        return named.iter().find(|(other, _)| other == name).map_or(Shape::Any, |(_, schema)| below(schema));
    }
    if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
        return parts.iter().map(below).reduce(Shape::and).unwrap_or(Shape::Any);
    }
    for name in ["oneOf", "anyOf"] {
        if let Some(variants) = schema.get(name).and_then(Value::as_array) {
            return variants.iter().map(below).reduce(Shape::or).unwrap_or(Shape::Any);
        }
    }
    match schema.get("type") {
        Some(Value::String(name)) => one(name, schema, &below),
        Some(Value::Array(names)) => {
            let shapes = names.iter().filter_map(Value::as_str).map(|name| one(name, schema, &below));
            shapes.reduce(Shape::or).unwrap_or(Shape::Any)
        }
        _ => Shape::Any,
    }
}

fn one(name: &str, schema: &Value, below: &impl Fn(&Value) -> Shape) -> Shape {
    match name {
        "null" => Shape::Null,
        "boolean" => Shape::Bool,
        "integer" | "number" => Shape::Number,
        "string" if schema.get("format").and_then(Value::as_str) == Some("date-time") => Shape::Time,
        "string" => Shape::Text,
        "array" => Shape::List(Box::new(schema.get("items").map_or(Shape::Any, below))),
        "object" => match (schema.get("properties").and_then(Value::as_object), schema.get("additionalProperties")) {
            (Some(fields), _) => {
                Shape::Object(fields.iter().map(|(name, field)| (name.clone(), below(field))).collect())
            }
            (None, Some(values @ Value::Object(_))) => Shape::Map(Box::new(below(values))),
            (None, _) => Shape::Map(Box::new(Shape::Any)),
        },
        _ => Shape::Any,
    }
}

fn merged(mut one: BTreeMap<String, Shape>, other: BTreeMap<String, Shape>) -> BTreeMap<String, Shape> {
    for (name, shape) in other {
        let shape = match one.remove(&name) {
            Some(known) => known.or(shape),
            None => shape,
        };
        one.insert(name, shape);
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shapes_are_read_from_every_form_of_a_schema() {
        let object = |fields: Value| json!({"type": "object", "properties": fields});
        let named: Named = vec![
            ("Id".to_owned(), json!({"type": "string"})),
            ("Loop".to_owned(), object(json!({"inner": {"$ref": "#/components/schemas/Loop"}}))),
        ];
        let id = json!({"$ref": "#/components/schemas/Id"});
        let text = || Box::new(Shape::Text);
        for (schema, shape) in [
            (json!({}), Shape::Any),
            (json!({"type": ["integer", "null"]}), Shape::Number),
            (json!({"type": ["string", "integer"]}), Shape::Any),
            (json!({"type": "string", "format": "date-time"}), Shape::Time),
            (json!({"oneOf": [{"type": "null"}, id]}), Shape::Text),
            (json!({"allOf": [id, {"description": "An id"}]}), Shape::Text),
            (json!({"$ref": "#/components/schemas/Nobody"}), Shape::Any),
            (json!({"type": "array", "items": id}), Shape::List(text())),
            (json!({"type": "object", "additionalProperties": id}), Shape::Map(text())),
            (json!({"type": "object"}), Shape::Map(Box::new(Shape::Any))),
            (
                json!({"oneOf": [object(json!({"a": id})), object(json!({"a": {"type": "boolean"}, "b": id}))]}),
                Shape::Object(BTreeMap::from([("a".to_owned(), Shape::Any), ("b".to_owned(), Shape::Text)])),
            ),
        ] {
            assert_eq!(Shape::read(&schema, &named), shape, "{schema}");
        }
        let looped = Shape::read(&json!({"$ref": "#/components/schemas/Loop"}), &named);
        assert!(looped.at(&["inner".to_owned(), "inner".to_owned()]).is_some());
    }

    #[test]
    fn a_path_through_a_list_is_a_list() {
        let ports = Shape::List(Box::new(Shape::Object(BTreeMap::from([("zone".to_owned(), Shape::Text)]))));
        assert_eq!(ports.at(&["zone".to_owned()]), Some(Shape::List(Box::new(Shape::Text))));
        assert_eq!(ports.at(&["colour".to_owned()]), None);
    }
}
