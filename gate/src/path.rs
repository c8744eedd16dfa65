//! Path parameters, with the name of a bad one in the error.

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use schemas::reason::Reason;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// The path parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(path) => Ok(Self(path.0)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => {
                let problem = refuse(error.into_kind());
                Err(match only_parameter(parts, state).await {
                    Some(name) if problem.field.is_none() && problem.reason == Reason::PathInvalid => {
                        problem.field(name)
                    }
                    _ => problem,
                })
            }
            Err(error) => {
                Err(Problem::internal(format!("a handler reads path parameters that its route lacks: {error}")))
            }
        }
    }
}

/// The name of the route's parameter if it has but one: then axum does not say which it was.
async fn only_parameter<S: Send + Sync>(parts: &mut Parts, state: &S) -> Option<String> {
    let all = RawPathParams::from_request_parts(parts, state).await.ok()?;
    let mut names = all.iter().map(|(name, _)| name.to_owned());
    let first = names.next();
    first.filter(|_| names.next().is_none())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "axum's error kinds are not exhaustive")]
fn refuse(kind: ErrorKind) -> Problem {
    let invalid = |message: String| Problem::new(Reason::PathInvalid, message);
    match kind {
        ErrorKind::DeserializeError { key, message, .. } => invalid(message).field(key),
        ErrorKind::ParseErrorAtKey { key, expected_type, .. } => invalid(format!("not a {expected_type}")).field(key),
        ErrorKind::ParseErrorAtIndex { expected_type, .. } | ErrorKind::ParseError { expected_type, .. } => {
            invalid(format!("a part of the path is not a {expected_type}"))
        }
        ErrorKind::InvalidUtf8InPathParam { key } => invalid("not UTF-8".to_owned()).field(key),
        ErrorKind::Message(message) => invalid(message),
        kind => Problem::internal(format!("a handler reads other path parameters than its route has: {kind}")),
    }
}
