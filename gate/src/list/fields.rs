//! The fields of a kind of item: what lists may be filtered and sorted by, and what `fields=` may name.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::reason::Reason;
use utoipa::ToSchema;

use super::path::{Path, SEGMENTS_MAX};
use super::shape::{Named, Shape};
use crate::problem::Problem;

/// The fields of a kind of item, with the shape of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields(Arc<Shape>);

impl Fields {
    /// These fields, of whatever shape.
    pub fn new<F: Into<String>>(fields: impl IntoIterator<Item = F>) -> Self {
        Self(Arc::new(Shape::Object(fields.into_iter().map(|field| (field.into(), Shape::Any)).collect())))
    }

    /// The fields of `T`, flattened ones too, as its schema lists them. Costs a little: keep what it returns.
    pub fn of<T: ToSchema>() -> Self {
        let mut named = Vec::new();
        T::schemas(&mut named);
        let named: Named =
            named.into_iter().filter_map(|(name, schema)| Some((name, serde_json::to_value(schema).ok()?))).collect();
        let schema = serde_json::to_value(T::schema()).unwrap_or_default();
        let shape = Shape::read(&schema, &named);
        let known = matches!(shape, Shape::Object(_));
        Self(Arc::new(if known { shape } else { Shape::Object(BTreeMap::new()) }))
    }

    /// Whether there is such a field at the top.
    pub fn contains(&self, field: &str) -> bool {
        matches!(&*self.0, Shape::Object(fields) if fields.contains_key(field))
    }

    /// The shape of what stands at a path, or what to say of a path that leads nowhere.
    pub(crate) fn shape(&self, path: &Path) -> Result<Shape, UnknownField> {
        self.0.at(path.names()).ok_or_else(|| self.unknown(path))
    }

    /// Reads a path with dots, as `fields`, `sort` and the names of filters have it.
    pub(super) fn path(&self, text: &str) -> Result<Path, Problem> {
        let path = Path::parse(text).ok_or_else(|| {
            let message = format!("a field is a name, or up to {SEGMENTS_MAX} with dots between them: metadata.team");
            Problem::new(Reason::QueryInvalid, message)
        })?;
        match self.shape(&path) {
            Ok(_) => Ok(path),
            Err(unknown) => Err(Problem::new(Reason::QueryInvalid, unknown.to_string())),
        }
    }

    fn unknown(&self, path: &Path) -> UnknownField {
        let names = path.names();
        let known = (0..names.len()).rev().find_map(|end| Some((end, self.0.at(names.get(..end)?)?)));
        let (end, shape) = known.unwrap_or((0, (*self.0).clone()));
        UnknownField {
            name: names.get(end).cloned().unwrap_or_default(),
            within: names.get(..end).unwrap_or_default().join("."),
            known: shape.names().into_iter().map(str::to_owned).collect(),
        }
    }
}

/// A path that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no field {name}{}; expected {}", self.place(), self.expected())]
pub(crate) struct UnknownField {
    name: String,
    within: String,
    known: Vec<String>,
}

impl UnknownField {
    /// What would have been right.
    pub(crate) fn expected(&self) -> String {
        if self.known.is_empty() {
            return format!("nothing below {}", self.within);
        }
        format!("one of the fields {}", self.known.join(", "))
    }

    fn place(&self) -> String {
        if self.within.is_empty() { String::new() } else { format!(" in {}", self.within) }
    }
}
