//! Which fields of an item come back: `fields=id,name,metadata.team`, on lists and on single reads.

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Fields;
use super::ask::invalid;
use super::pick::Wanted;
use crate::problem::Problem;
use crate::query;

const FIELDS_MAX: usize = 50;

/// The fields that come back; all of them unless the caller named some.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selected(Option<Wanted>);

impl Selected {
    /// Reads the parameter `fields`.
    pub fn parse(text: Option<&str>, fields: &Fields) -> Result<Self, Problem> {
        let Some(text) = text else { return Ok(Self(None)) };
        let mut wanted = Wanted::default();
        for (index, name) in text.split(',').enumerate() {
            if index == FIELDS_MAX {
                return Err(invalid("fields", &format!("fields names at most {FIELDS_MAX} fields")));
            }
            wanted.add(&fields.path(name.trim()).map_err(|problem| problem.field("fields"))?);
        }
        Ok(Self(Some(wanted)))
    }

    /// Writes an item as JSON, with the selected fields only.
    pub fn write<T: Serialize + ?Sized>(&self, item: &T, body: &mut Vec<u8>) -> Result<(), Problem> {
        let written = match &self.0 {
            None => serde_json::to_writer(body, item),
            Some(wanted) => wanted.of(item).and_then(|picked| serde_json::to_writer(body, &picked)),
        };
        written.map_err(|error| Problem::internal(format!("an item cannot be written as JSON: {error}")))
    }
}

/// The parameter `fields` of a single read; it takes no other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldsQuery(Option<String>);

impl FieldsQuery {
    /// Answers with an item, or with those of its fields that the caller named.
    pub fn answer<T: Serialize + ?Sized>(&self, item: &T, fields: &Fields) -> Result<Response, Problem> {
        let mut body = Vec::with_capacity(1024);
        Selected::parse(self.0.as_deref(), fields)?.write(item, &mut body)?;
        Ok(json(body))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for FieldsQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        if parts.uri.query().is_none_or(str::is_empty) {
            return Ok(Self(None));
        }
        let mut fields = None;
        for (name, value) in query::pairs(&parts.uri)? {
            if name != "fields" {
                return Err(invalid(&name, &format!("there is no parameter {name}; there is fields")));
            }
            fields = Some(value);
        }
        Ok(Self(fields))
    }
}

/// An answer of JSON that is written already.
pub(super) fn json(body: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}
