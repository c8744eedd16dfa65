//! Positions: how far the answer's state is, and how far the caller wants it to be.

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use schemas::reason::Reason;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::problem::Problem;

/// The header of an answer: the position in the event log that it was computed at.
pub const HEADER: &str = "netkeep-position";
/// The header of a request: the position that the answer must have seen.
pub const MIN_HEADER: &str = "netkeep-min-position";

/// The position that the answer must have seen, from `Netkeep-Min-Position`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Min(pub Option<u64>);

/// Says in the answer at which position it was computed.
pub fn positioned(response: impl IntoResponse, position: u64) -> Response {
    let mut response = response.into_response();
    response.headers_mut().insert(HEADER, HeaderValue::from(position));
    response
}

impl<S: Sync> FromRequestParts<S> for Min {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(MIN_HEADER) else { return Ok(Self(None)) };
        let position = value.to_str().ok().and_then(|text| text.trim().parse().ok());
        let invalid = || {
            Problem::new(Reason::HeaderInvalid, "a position is a whole number, as Netkeep-Position gave it")
                .field("Netkeep-Min-Position")
        };
        position.map(|position| Self(Some(position))).ok_or_else(invalid)
    }
}

impl utoipa::IntoParams for Min {
    fn into_params(_place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            ParameterBuilder::new()
                .name("Netkeep-Min-Position")
                .parameter_in(ParameterIn::Header)
                .description(Some("Waits, for a bounded time, until the answer has seen this position"))
                .schema(Some(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0))))
                .build(),
        ]
    }
}
