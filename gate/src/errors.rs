//! `/errors`: every reason that the API gives, for people and for programs.

use std::fmt::Write;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::{Html, IntoResponse, Response};
use schemas::reason::{Code, Reason};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::body::Json;

pub(crate) fn router() -> OpenApiRouter<()> {
    OpenApiRouter::default().routes(routes!(errors))
}

/// One condition under which the API says no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct ReasonEntry {
    reason: Reason,
    code: Code,
    status: u16,
    /// One sentence about the condition.
    title: &'static str,
    /// Whether the same request may succeed later without a change.
    retryable: bool,
}

/// Every reason that the API gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Reasons {
    data: Vec<ReasonEntry>,
}

/// Lists every reason that the API gives: as a page for browsers, else as JSON.
#[utoipa::path(get, path = "/errors", tag = "about", responses((status = 200, body = Reasons)), security(()))]
pub(crate) async fn errors(headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        Html(page()).into_response()
    } else {
        Json(Reasons { data: all() }).into_response()
    }
}

fn all() -> Vec<ReasonEntry> {
    let entry = |reason: &Reason| ReasonEntry {
        reason: *reason,
        code: reason.code(),
        status: reason.status(),
        title: reason.title(),
        retryable: reason.is_retryable(),
    };
    Reason::ALL.iter().map(entry).collect()
}

/// The page. Every text in it is a constant without characters that HTML reads.
fn page() -> String {
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Netkeep: errors</title>\
         <style>body{font:16px/1.5 sans-serif;margin:2em auto;max-width:60em}td{padding:.2em 1em .2em 0;\
         vertical-align:top}</style><h1>Errors</h1><table><tr><th>reason<th>code<th>status<th>meaning",
    );
    for entry in all() {
        let name = entry.reason.name();
        let code = serde_json::to_value(entry.code).unwrap_or_default();
        let code = code.as_str().unwrap_or_default();
        let _ =
            write!(html, "<tr id=\"{name}\"><td><code>{name}</code><td>{code}<td>{}<td>{}", entry.status, entry.title);
    }
    html.push_str("</table></html>");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_title_has_characters_that_html_reads() {
        assert!(Reason::ALL.iter().all(|reason| !reason.title().contains(['<', '>', '&'])));
    }
}
