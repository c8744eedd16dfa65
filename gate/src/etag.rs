//! ETags: the revision of a resource, so that who has it already need not get it again.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// What the caller has already, from `If-None-Match`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IfNoneMatch {
    revisions: Vec<u64>,
    any: bool,
}

/// Adds the revision of the resource to its answer, as `ETag: "<revision>"`.
pub fn etagged(response: impl IntoResponse, revision: u64) -> Response {
    let mut response = response.into_response();
    if let Ok(value) = HeaderValue::try_from(format!("\"{revision}\"")) {
        response.headers_mut().insert(ETAG, value);
    }
    response
}

/// Reads one entity tag, `"12"`, `W/"12"` or `12`, as a revision.
pub(crate) fn revision(tag: &str) -> Option<u64> {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let tag = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(tag);
    let digits = !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_digit());
    if digits { tag.parse().ok() } else { None }
}

impl IfNoneMatch {
    /// Whether the caller has this revision already.
    pub fn has(&self, revision: u64) -> bool {
        self.any || self.revisions.contains(&revision)
    }

    /// The answer with its ETag, or 304 without a body if the caller has this revision already.
    pub fn respond(&self, revision: u64, response: impl IntoResponse) -> Response {
        if self.has(revision) { etagged(StatusCode::NOT_MODIFIED, revision) } else { etagged(response, revision) }
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let mut wanted = Self::default();
        for value in parts.headers.get_all(IF_NONE_MATCH) {
            let text = value.to_str().unwrap_or_default();
            wanted.any |= text.trim() == "*";
            wanted.revisions.extend(text.split(',').filter_map(revision));
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_strong_weak_and_bare() {
        for tag in ["\"12\"", "W/\"12\"", "12", " \"12\" "] {
            assert_eq!(revision(tag), Some(12), "{tag}");
        }
        for tag in ["", "\"\"", "\"x\"", "+12", "-1", "\"12", "1 2", "99999999999999999999999"] {
            assert_eq!(revision(tag), None, "{tag}");
        }
    }
}
