//! Operations: each request has an id, in its answer and in the log.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use schemas::id::OperationId;
use ulid::Ulid;

/// The header of every answer that names its operation.
pub const HEADER: &str = "netkeep-operation-id";

/// The operation that a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation(pub OperationId);

impl Operation {
    /// A new id. What the caller sends is never used: ids would be no proof of anything.
    pub(crate) fn fresh() -> Self {
        Self(OperationId::new(Ulid::new()))
    }

    /// The operation of a request; a new one if the request did not come through `serve`.
    pub(crate) fn of(parts: &Parts) -> Self {
        parts.extensions.get::<Self>().copied().unwrap_or_else(Self::fresh)
    }
}

impl<S: Sync> FromRequestParts<S> for Operation {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}
