//! NDJSON bodies: one JSON value a line, for lists that are long.

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use schemas::reason::Reason;
use serde::de::DeserializeOwned;

use super::{essence, parse, read};
use crate::problem::Problem;

const NDJSON: [&str; 2] = ["application/x-ndjson", "application/ndjson"];

/// A body of JSON values, one a line. The route says with `DefaultBodyLimit` how large it may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NdJson<T>(pub Vec<T>);

/// Whether a body is NDJSON, for routes that read that as well as JSON.
pub fn is_ndjson(headers: &HeaderMap) -> bool {
    essence(headers).is_some_and(|essence| NDJSON.contains(&essence.as_str()))
}

impl<T, S> FromRequest<S> for NdJson<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_ndjson(request.headers()) {
            let message = "send the body as Content-Type: application/x-ndjson";
            return Err(Problem::new(Reason::ContentTypeUnsupported, message).field("Content-Type"));
        }
        let body = read(request, state).await?;
        parse_lines(&body).map(Self)
    }
}

/// Reads JSON values, one a line; empty lines are passed over. The field of an error begins with the line, from 1.
pub(crate) fn parse_lines<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, Problem> {
    let lines = body.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.map(|(index, line)| (index + 1, line.trim_ascii())).filter(|(_, line)| !line.is_empty());
    let read = |(number, line): (usize, &[u8])| {
        parse(line).map_err(|mut problem: Problem| {
            let place = problem.field.take().map(|field| format!(".{field}")).unwrap_or_default();
            problem.field(format!("lines[{number}]{place}"))
        })
    };
    lines.map(read).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::header::CONTENT_TYPE;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        n: u32,
    }

    #[test]
    fn each_line_is_a_value_of_its_own() {
        let read = |text: &str| parse_lines::<Entry>(text.as_bytes());
        assert_eq!(read("{\"n\":1}\n{\"n\":2}\r\n\n{\"n\":3}"), Ok([1, 2, 3].map(|n| Entry { n }).to_vec()));
        assert_eq!(read(""), Ok(vec![]));
        let field = |text: &str| read(text).unwrap_err().field;
        assert_eq!(field("{\"n\":1}\n{\"n\":\"x\"}").as_deref(), Some("lines[2].n"));
        assert_eq!(field("{\"n\":1}\n\n{").as_deref(), Some("lines[3]"));
        assert_eq!(field("{\"n\":1} {\"n\":2}").as_deref(), Some("lines[1]"));
    }

    #[test]
    fn ndjson_has_two_names() {
        let check = |text: &str| is_ndjson(&HeaderMap::from_iter([(CONTENT_TYPE, text.parse().unwrap())]));
        assert!(check("application/x-ndjson") && check("application/ndjson; charset=utf-8"));
        assert!(!check("application/json") && !is_ndjson(&HeaderMap::new()));
    }
}
