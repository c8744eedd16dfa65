//! Bodies: JSON in, with the path of a bad field in the error, and JSON out.

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
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    if is_json {
        return Ok(());
    }
    Err(Problem::new(Reason::ContentTypeUnsupported, "send the body as Content-Type: application/json")
        .field("Content-Type"))
}

/// Reads the whole body, up to the limit of the route.
pub(crate) async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(Reason::BodyTooLarge, "the body is larger than this call reads")
        } else {
            Problem::new(Reason::BodyInvalid, "the body broke off")
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
        for bad in ["text/plain", "application/x-www-form-urlencoded", "", "text/json"] {
            assert!(!check(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse::<NewRule>(&body);
        }
    }
}
