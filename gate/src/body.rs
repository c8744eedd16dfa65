//! Bodies: JSON in, with the path of a bad field in the error, and JSON out.

mod lines;

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemas::reason::Reason;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

pub(crate) use lines::parse_lines;
pub use lines::{NdJson, is_ndjson};

/// What is read as JSON. Other suffixes of `+json` mean something by their structure that is not read here.
const JSON: [&str; 2] = ["application/json", "application/merge-patch+json"];
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(25);

/// A JSON body, read from a request or written to an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        expect_json(request.headers())?;
        let body = read(request, state).await?;
        parse(&body).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response(),
            Err(error) => Problem::internal(format!("an answer cannot be written as JSON: {error}")).into_response(),
        }
    }
}

/// Refuses other content types; a body without one is taken for JSON.
pub(crate) fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    if essence(headers).is_none_or(|essence| JSON.contains(&essence.as_str())) {
        return Ok(());
    }
    Err(Problem::new(Reason::ContentTypeUnsupported, "send the body as Content-Type: application/json")
        .field("Content-Type"))
}

/// The content type without its parameters, in lower case.
fn essence(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().unwrap_or_default();
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Reads the whole body, decoded, up to the limit of the route.
pub(crate) async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    read_within(request, state, BODY_TIMEOUT).await
}

async fn read_within<S: Send + Sync>(request: Request, state: &S, limit: Duration) -> Result<Bytes, Problem> {
    let Ok(body) = tokio::time::timeout(limit, Bytes::from_request(request, state)).await else {
        let message = format!("the body did not arrive within {} s", limit.as_secs());
        return Err(Problem::new(Reason::BodyTimeout, message));
    };
    body.map_err(|rejection: BytesRejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(Reason::BodyTooLarge, "the body, decoded, is larger than this call reads")
        } else {
            Problem::new(Reason::BodyInvalid, "the body broke off, or is not what its Content-Encoding says")
        }
    })
}

/// Reads JSON, and says where it is not what was expected.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() {
        return Err(Problem::new(Reason::BodyInvalid, "the body is empty; this call reads JSON"));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        refuse(error.inner(), &path)
    })?;
    reader.end().map_err(|error| refuse(&error, "."))?;
    Ok(value)
}

/// Reads a JSON value as a body is read.
pub fn from_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| refuse(error.inner(), &error.path().to_string()))
}

fn refuse(error: &serde_json::Error, path: &str) -> Problem {
    let text = error.to_string();
    if !error.is_data() {
        return Problem::new(Reason::BodyInvalid, format!("the body is not JSON: {text}"));
    }
    // The field says where; line and column would only repeat it.
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let problem = Problem::new(Reason::BodyInvalid, message);
    match place(path, message) {
        Some(field) => problem.field(field),
        None => problem,
    }
}

/// The path of the field that an error is about; of a missing one, the path that it should have.
pub(crate) fn place(path: &str, message: &str) -> Option<String> {
    let parent = if path == "." { "" } else { path };
    let missing = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match (parent, missing) {
        ("", None) => None,
        ("", Some(name)) => Some(name.to_owned()),
        (parent, None) => Some(parent.to_owned()),
        (parent, Some(name)) => Some(format!("{parent}.{name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use schemas::rule::NewRule;

    fn refused(body: &str) -> (Option<String>, String) {
        let problem = parse::<NewRule>(body.as_bytes()).unwrap_err();
        assert_eq!(problem.reason, Reason::BodyInvalid);
        (problem.field, problem.message)
    }

    const RULE: &str = r#""zone_from":"WAN","zone_to":"LAN","action":"drop""#;

    #[test]
    fn the_field_at_fault_is_named() {
        assert_eq!(refused(&format!(r#"{{"name":7,{RULE}}}"#)).0.as_deref(), Some("name"));
        assert_eq!(refused(&format!("{{{RULE}}}")), (Some("name".to_owned()), "missing field `name`".to_owned()));
        let (field, message) = refused(&format!(r#"{{"name":"a","colour":"red",{RULE}}}"#));
        assert_eq!(field.as_deref(), Some("colour"));
        assert!(message.starts_with("unknown field `colour`") && !message.contains("line"), "{message}");
        let (field, _) = refused(&format!(r#"{{"name":"a","metadata":{{"k":1}},{RULE}}}"#));
        assert_eq!(field.as_deref(), Some("metadata.k"));
    }

    #[test]
    fn what_is_not_json_is_said_to_be_so() {
        assert!(refused("{").1.starts_with("the body is not JSON"));
        assert!(refused("").1.contains("empty"));
        assert!(refused(&format!(r#"{{"name":"a",{RULE}}} x"#)).1.starts_with("the body is not JSON"));
    }

    #[test]
    fn content_types_with_parameters_and_suffixes_are_json() {
        let check = |text: &str| expect_json(&HeaderMap::from_iter([(CONTENT_TYPE, text.parse().unwrap())])).is_ok();
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert!(check(good), "{good}");
        }
        for bad in ["text/plain", "application/x-www-form-urlencoded", "", "text/json", "application/json-patch+json"] {
            assert!(!check(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let never = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        let request = Request::new(axum::body::Body::from_stream(never));
        let problem = read_within(request, &(), Duration::from_millis(10)).await.unwrap_err();
        assert_eq!((problem.reason, problem.reason.status()), (Reason::BodyTimeout, 408));
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse::<NewRule>(&body);
        }
    }
}
