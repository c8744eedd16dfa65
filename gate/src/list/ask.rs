//! What a caller asks of a list: which page, in which order, and which items.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write;

use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::Uri;
use axum::http::request::Parts;
use schemas::reason::Reason;
use serde_json::Value;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::{Fields, compare};
use crate::problem::Problem;
use crate::query;

pub const PER_PAGE_DEFAULT: usize = 50;
pub const PER_PAGE_MAX: usize = 100;
const FILTERS_MAX: usize = 20;

/// Which part of the list is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// `page` counts from 1.
    Page { page: usize, per_page: usize },
    /// The newest items first, those older than `before_id` if that is given.
    Newest { limit: usize, before_id: Option<String> },
}

/// By which field the list is ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    pub field: String,
    pub descending: bool,
}

/// The query parameters of a list. What is neither `page`, `per_page` (or `page_size`), `limit`, `before_id` nor `sort`
/// is a filter: a field and the value that it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    cut: Cut,
    sort: Option<Sort>,
    filters: BTreeMap<String, String>,
    path: String,
    pairs: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for ListQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let original = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
        Self::parse(original)
    }
}

impl ListQuery {
    /// Reads the query of a URI; its path is where the next page will be.
    pub fn parse(uri: &Uri) -> Result<Self, Problem> {
        let pairs = query::pairs(uri)?;
        let mut given: BTreeMap<String, String> = pairs.iter().cloned().collect();
        let sort = given.remove("sort").map(|text| Sort::parse(&text)).transpose()?;
        let cut = cut(&mut given)?;
        if sort.is_some() && matches!(cut, Cut::Newest { .. }) {
            return Err(invalid("sort", "limit and before_id show the newest first: leave sort out, or use page"));
        }
        if given.len() > FILTERS_MAX {
            let message = format!("a list takes at most {FILTERS_MAX} filters");
            return Err(Problem::new(Reason::QueryInvalid, message));
        }
        Ok(Self { cut, sort, filters: given, path: uri.path().to_owned(), pairs })
    }

    pub fn cut(&self) -> &Cut {
        &self.cut
    }

    pub fn sort(&self) -> Option<&Sort> {
        self.sort.as_ref()
    }

    pub fn filters(&self) -> &BTreeMap<String, String> {
        &self.filters
    }

    /// Takes a parameter that the handler itself understands out of the filters.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.filters.remove(name)
    }

    /// Refuses filters and orders by fields that the items do not have.
    pub(super) fn check(&self, fields: &Fields) -> Result<(), Problem> {
        let unknown = |name: &str| {
            let message = format!("there is no field {name} to filter or sort by; there are {}", fields.names());
            invalid(name, &message)
        };
        if let Some(name) = self.filters.keys().find(|name| !fields.contains(name)) {
            return Err(unknown(name));
        }
        match &self.sort {
            Some(sort) if !fields.contains(&sort.field) => Err(unknown(&sort.field).field("sort")),
            _ => Ok(()),
        }
    }

    pub(super) fn lets_through(&self, item: &Value) -> bool {
        self.filters.iter().all(|(field, wanted)| compare::matches(item.get(field), wanted))
    }

    /// The same question with one parameter changed.
    pub(super) fn uri_with(&self, name: &str, value: &str) -> String {
        let mut uri = format!("{}?", self.path);
        let kept = self.pairs.iter().filter(|(other, _)| other != name);
        for (name, value) in kept.map(|(name, value)| (name.as_str(), value.as_str())).chain([(name, value)]) {
            if !uri.ends_with('?') {
                uri.push('&');
            }
            encode(&mut uri, name);
            uri.push('=');
            encode(&mut uri, value);
        }
        uri
    }
}

impl Sort {
    fn parse(text: &str) -> Result<Self, Problem> {
        let (field, descending) = text.strip_prefix('-').map_or((text, false), |field| (field, true));
        if field.is_empty() {
            return Err(invalid("sort", "sort names a field, with - before it to turn the order round"));
        }
        Ok(Self { field: field.to_owned(), descending })
    }

    pub(super) fn order(&self, one: &Value, other: &Value) -> Ordering {
        let order = compare::order(one.get(&self.field), other.get(&self.field));
        if self.descending { order.reverse() } else { order }
    }
}

fn cut(given: &mut BTreeMap<String, String>) -> Result<Cut, Problem> {
    let page = number(given, "page", usize::MAX)?;
    let per_page = match (number(given, "per_page", PER_PAGE_MAX)?, number(given, "page_size", PER_PAGE_MAX)?) {
        (Some(_), Some(_)) => return Err(invalid("page_size", "page_size is another name for per_page: give one")),
        (one, other) => one.or(other),
    };
    let limit = number(given, "limit", PER_PAGE_MAX)?;
    let before_id = given.remove("before_id");
    if limit.is_none() && before_id.is_none() {
        return Ok(Cut::Page { page: page.unwrap_or(1), per_page: per_page.unwrap_or(PER_PAGE_DEFAULT) });
    }
    if page.is_some() || per_page.is_some() {
        let name = if limit.is_some() { "limit" } else { "before_id" };
        return Err(invalid(name, "use either page and per_page, or limit and before_id"));
    }
    Ok(Cut::Newest { limit: limit.unwrap_or(PER_PAGE_DEFAULT), before_id })
}

fn number(given: &mut BTreeMap<String, String>, name: &str, max: usize) -> Result<Option<usize>, Problem> {
    let Some(text) = given.remove(name) else { return Ok(None) };
    match text.parse::<usize>() {
        Ok(number) if (1..=max).contains(&number) => Ok(Some(number)),
        _ if max == usize::MAX => Err(invalid(name, &format!("{name} is a whole number from 1"))),
        _ => Err(invalid(name, &format!("{name} is a whole number from 1 to {max}"))),
    }
}

fn invalid(name: &str, message: &str) -> Problem {
    Problem::new(Reason::QueryInvalid, message).field(name)
}

fn encode(uri: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
}

impl utoipa::IntoParams for ListQuery {
    fn into_params(_place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |name: &str, kind: Type, description: &str| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Query)
                .description(Some(description))
                .schema(Some(ObjectBuilder::new().schema_type(kind)))
                .build()
        };
        vec![
            parameter("page", Type::Integer, "Which page, from 1"),
            parameter("per_page", Type::Integer, "How many on a page, 1 to 100; also page_size. 50 if absent"),
            parameter("limit", Type::Integer, "The newest so many, 1 to 100; not together with page"),
            parameter("before_id", Type::String, "Only what is older than the one with this id, newest first"),
            parameter("sort", Type::String, "A field to order by; with - before it the other way round"),
        ]
    }
}
