//! Versions of the API: a caller names one in `Netkeep-Version`, or gets the newest.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use schemas::reason::Reason;
use serde_json::json;

use crate::problem::Problem;

/// The header of a request that names a version, and of every answer that says which one it is in.
pub const HEADER: HeaderName = HeaderName::from_static("netkeep-version");

/// Every version that is answered, oldest first.
pub const KNOWN: [&str; 1] = [NEWEST];
/// What a caller gets who names none.
pub const NEWEST: &str = "2026-11-22";

/// The version that a request is answered in.
pub(crate) fn wanted(headers: &HeaderMap) -> Result<&'static str, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(NEWEST) };
    let text = value.to_str().unwrap_or_default().trim();
    let known = KNOWN.into_iter().find(|known| *known == text && values.next().is_none());
    known.ok_or_else(|| {
        let message = format!("there is no version {text:?} of the API; known are {}", KNOWN.join(", "));
        Problem::new(Reason::VersionUnknown, message).field("Netkeep-Version").details(json!({"known": KNOWN}))
    })
}

pub(crate) fn write(version: &'static str, headers: &mut HeaderMap) {
    headers.insert(HEADER, HeaderValue::from_static(version));
}
