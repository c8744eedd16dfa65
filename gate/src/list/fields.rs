//! The fields that lists of a kind may be filtered and sorted by.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use utoipa::ToSchema;

/// The top-level fields of a kind of item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields(Arc<BTreeSet<String>>);

impl Fields {
    /// These fields.
    pub fn new<F: Into<String>>(fields: impl IntoIterator<Item = F>) -> Self {
        Self(Arc::new(fields.into_iter().map(Into::into).collect()))
    }

    /// The fields of `T`, flattened ones too, as its schema lists them. Costs a little: keep what it returns.
    pub fn of<T: ToSchema>() -> Self {
        let mut named = Vec::new();
        T::schemas(&mut named);
        let named: Vec<(String, Value)> =
            named.into_iter().filter_map(|(name, schema)| Some((name, serde_json::to_value(schema).ok()?))).collect();
        let mut fields = BTreeSet::new();
        collect(&serde_json::to_value(T::schema()).unwrap_or_default(), &named, &mut fields);
        Self(Arc::new(fields))
    }

    pub fn contains(&self, field: &str) -> bool {
        self.0.contains(field)
    }

    pub(super) fn names(&self) -> String {
        self.0.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

fn collect(schema: &Value, named: &[(String, Value)], fields: &mut BTreeSet<String>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        fields.extend(properties.keys().cloned());
    }
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        let name = part.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
        let target = name.and_then(|name| named.iter().find(|(other, _)| other == name));
        collect(target.map_or(part, |(_, schema)| schema), named, fields);
    }
}
