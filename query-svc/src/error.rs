//! What goes wrong: refusals that callers see, and errors that stop the service.

use gate::Problem;
use schemas::reason::Reason;
use tracing::warn;

use crate::sql::SqlError;

/// The service could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("query-svc: {0}")]
    Bus(#[from] bus::Error),
    #[error("the store {path} cannot be opened: {cause}")]
    Store { path: String, cause: String },
    #[error("the query engine: {0}")]
    Engine(String),
}

/// A read that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl From<bus::Error> for Refused {
    fn from(error: bus::Error) -> Self {
        warn!("reading from the bus: {error}");
        Self::new(Reason::BusUnavailable, "the bus cannot be reached")
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::new(refused.reason, refused.message)
    }
}

impl From<SqlError> for Problem {
    fn from(error: SqlError) -> Self {
        let problem = Self::new(error.reason, error.message);
        if error.reason.is_retryable() { problem.retry_after(1) } else { problem }
    }
}
