//! What a caller asks of a list: which page, in which order, and which items.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use schemas::reason::Reason;

use crate::problem::Problem;
use crate::query;

pub const PER_PAGE_DEFAULT: usize = 50;
pub const PER_PAGE_MAX: usize = 100;
const FILTERS_MAX: usize = 20;
const SORT_KEYS_MAX: usize = 8;

/// Which part of the list is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// `page` counts from 1.
    Page { page: usize, per_page: usize },
    /// The newest items first, those older than `before_id` if that is given.
    Newest { limit: usize, before_id: Option<String> },
}

/// A field by which the list is ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    pub field: String,
    pub descending: bool,
}

/// The query parameters of a list. What is neither `page`, `per_page` (or `page_size`), `limit`, `before_id`, `sort`,
/// `filter` nor `fields` is a field and the value that it must have.
///
/// A handler that cuts its pages itself refuses what it leaves in [`filters`](Self::filters); `filter` and `fields` are
/// there too, so that none of them is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    cut: Cut,
    sort: Vec<Sort>,
    filters: BTreeMap<String, String>,
    path: String,
    pairs: Vec<(String, String)>,
    /// Scheme and host of the server, as the caller calls it; empty where the caller does not say.
    server: String,
    sized: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for ListQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let original = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
        let mut query = Self::parse(original)?;
        query.server = server(&parts.headers);
        Ok(query)
    }
}

/// Scheme and host as the caller sees them: links in answers lead back to where the question came from.
fn server(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = if text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
    text("host").map(|host| format!("{scheme}://{host}")).unwrap_or_default()
}

impl ListQuery {
    /// Reads the query of a URI; its path is where the next page will be.
    pub fn parse(uri: &Uri) -> Result<Self, Problem> {
        let pairs = query::pairs(uri)?;
        let mut given: BTreeMap<String, String> = pairs.iter().cloned().collect();
        let sort = given.remove("sort").map(|text| Sort::parse(&text)).transpose()?.unwrap_or_default();
        let sized = given.contains_key("page_size");
        let cut = cut(&mut given)?;
        if !sort.is_empty() && matches!(cut, Cut::Newest { .. }) {
            return Err(invalid("sort", "limit and before_id show the newest first: leave sort out, or use page"));
        }
        if given.len() > FILTERS_MAX {
            let message = format!("a list takes at most {FILTERS_MAX} filters");
            return Err(Problem::new(Reason::QueryInvalid, message));
        }
        let path = uri.path().to_owned();
        Ok(Self { cut, sort, filters: given, path, pairs, server: String::new(), sized })
    }

    pub fn cut(&self) -> &Cut {
        &self.cut
    }

    /// The fields to order by, the first before the others; none for the list's own order.
    pub fn sort(&self) -> &[Sort] {
        &self.sort
    }

    /// The parameters that are not about pages and order: `filter`, `fields`, and fields with their values.
    pub fn filters(&self) -> &BTreeMap<String, String> {
        &self.filters
    }

    /// Takes a parameter that the handler itself understands out of the filters.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.filters.remove(name)
    }

    /// Whether the caller counts in `page_size`: then the answer counts in `total_records`, too.
    pub(super) fn is_sized(&self) -> bool {
        self.sized
    }

    /// The question itself, as a whole URI.
    pub(super) fn uri(&self) -> String {
        let mut uri = format!("{}{}?", self.server, self.path);
        self.pairs.iter().for_each(|(name, value)| add(&mut uri, name, value));
        uri
    }

    /// A path of this server as a whole URI.
    pub(super) fn whole(&self, path: &str) -> String {
        format!("{}{path}", self.server)
    }

    /// The same question with one parameter changed.
    pub(super) fn uri_with(&self, name: &str, value: &str) -> String {
        let mut uri = format!("{}?", self.path);
        let kept = self.pairs.iter().filter(|(other, _)| other != name);
        for (name, value) in kept.map(|(name, value)| (name.as_str(), value.as_str())).chain([(name, value)]) {
            add(&mut uri, name, value);
        }
        uri
    }
}

impl Sort {
    fn parse(text: &str) -> Result<Vec<Self>, Problem> {
        let keys = text.split(',').map(|key| {
            let (field, descending) = key.strip_prefix('-').map_or((key, false), |field| (field, true));
            Self { field: field.to_owned(), descending }
        });
        let keys: Vec<Self> = keys.take(SORT_KEYS_MAX + 1).collect();
        if keys.len() > SORT_KEYS_MAX || keys.iter().any(|key| key.field.is_empty()) {
            let message = format!("sort names up to {SORT_KEYS_MAX} fields, with - before one to turn it round");
            return Err(invalid("sort", &message));
        }
        Ok(keys)
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
    Ok(Cut::Newest { limit: limit.unwrap_or(PER_PAGE_MAX), before_id })
}

fn number(given: &mut BTreeMap<String, String>, name: &str, max: usize) -> Result<Option<usize>, Problem> {
    let Some(text) = given.remove(name) else { return Ok(None) };
    match text.parse::<usize>() {
        Ok(number) if (1..=max).contains(&number) => Ok(Some(number)),
        _ if max == usize::MAX => Err(invalid(name, &format!("{name} is a whole number from 1"))),
        _ => Err(invalid(name, &format!("{name} is a whole number from 1 to {max}"))),
    }
}

pub(super) fn invalid(name: &str, message: &str) -> Problem {
    Problem::new(Reason::QueryInvalid, message).field(name)
}

fn add(uri: &mut String, name: &str, value: &str) {
    if !uri.ends_with('?') {
        uri.push('&');
    }
    encode(uri, name);
    uri.push('=');
    encode(uri, value);
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
