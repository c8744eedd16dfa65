//! Problems: how the API says no.

use std::fmt;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemas::id::OperationId;
use schemas::kind::Kind;
use schemas::reason::{Code, Reason};
use serde::Serialize;
use serde_json::Value;

/// The longest message that an answer carries; longer ones are cut.
pub const MESSAGE_CHARS_MAX: usize = 1_000;

/// A refusal, as the caller may know it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}: {message}", reason.name())]
pub struct Problem {
    pub reason: Reason,
    /// What is wrong, for a person; lower-case, no full stop.
    pub message: String,
    /// The place in the body, or the name of the parameter or header.
    pub field: Option<String>,
    pub details: Option<Value>,
    pub retry_after_s: Option<u32>,
}

/// The body of every refusal.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = Error)]
pub struct ProblemBody {
    pub error: ProblemDetail,
}

/// Why the API said no.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = ErrorDetail)]
pub struct ProblemDetail {
    /// The class of the error: what a program branches on.
    pub code: Code,
    /// The very condition; `/errors` explains each.
    pub reason: Reason,
    /// What is wrong, for a person.
    pub message: String,
    /// The place in the body, or the name of the parameter or header.
    pub field: Option<String>,
    /// More about it; its shape depends on the reason.
    pub details: Option<Value>,
    /// Finds this request in the log of the server.
    pub operation_id: Option<OperationId>,
}

impl Problem {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARS_MAX) {
            message.truncate(end);
            message.push('…');
        }
        Self { reason, message, field: None, details: None, retry_after_s: None }
    }

    /// Says which field, parameter or header is at fault.
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    pub fn details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// Says when to try again.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    pub fn not_found(kind: Kind, id: impl fmt::Display) -> Self {
        Self::new(Reason::ResourceNotFound, format!("there is no {kind} {id}"))
    }

    /// Logs what failed and tells the caller nothing but that something did.
    pub fn internal(error: impl fmt::Display) -> Self {
        tracing::error!("internal error: {error:#}");
        Self::new(Reason::Internal, "something failed that should not; the operation id finds it in the log")
    }

    /// The refusal as a body.
    pub fn body(&self, operation: Option<OperationId>) -> ProblemBody {
        ProblemBody {
            error: ProblemDetail {
                code: self.reason.code(),
                reason: self.reason,
                message: self.message.clone(),
                field: self.field.clone(),
                details: self.details.clone(),
                operation_id: operation,
            },
        }
    }

    /// The refusal as an answer, with the operation id in its body.
    pub(crate) fn answer(self, operation: Option<OperationId>) -> Response {
        let status = StatusCode::from_u16(self.reason.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let json = serde_json::to_vec(&self.body(operation)).unwrap_or_default();
        let mut response = (status, json).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        // `serve` finds the problem here and writes it again with the operation id of the request.
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.answer(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_an_answer_with_its_status() {
        for reason in Reason::ALL {
            let response = Problem::new(*reason, "because").into_response();
            assert_eq!(response.status().as_u16(), reason.status(), "{reason:?}");
            assert!(response.status().is_client_error() || response.status().is_server_error());
        }
    }

    #[test]
    fn who_is_told_to_come_back_is_told_when() {
        let response = Problem::new(Reason::Overloaded, "busy").retry_after(3).into_response();
        assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), "3");
        assert!(Problem::new(Reason::Overloaded, "busy").into_response().headers().get(RETRY_AFTER).is_none());
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        let problem = Problem::new(Reason::BodyInvalid, "é".repeat(2_000));
        assert_eq!(problem.message.chars().count(), MESSAGE_CHARS_MAX + 1);
    }

    #[test]
    fn the_caller_is_not_told_what_failed_inside() {
        let body = Problem::internal("disk /dev/sda1 is full").body(None);
        assert!(!serde_json::to_string(&body).unwrap().contains("sda1"));
    }
}
