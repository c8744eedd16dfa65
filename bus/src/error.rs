//! What can go wrong on the bus.

use std::fmt::Display;

/// The bus did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("cannot connect to NATS at {urls}: {cause}")]
    Connect { urls: String, cause: String },
    #[error("{what}: {cause}")]
    Failed { what: &'static str, cause: String },
    #[error("{what} was not answered in time")]
    TimedOut { what: &'static str },
    /// The stream is full: back off and send again.
    #[error("the stream is full: {0}")]
    Full(String),
    #[error("{0} is malformed: {1}")]
    Malformed(&'static str, String),
}

/// Turns any error into an [`Error`] that says what was being done.
pub(crate) trait During<T> {
    fn during(self, what: &'static str) -> Result<T, Error>;
}

impl<T, E: Display> During<T> for Result<T, E> {
    fn during(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|cause| Error::Failed { what, cause: cause.to_string() })
    }
}

/// Why an append was not acknowledged.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// Somebody else appended first: read on and decide again.
    #[error("the log has moved on")]
    Conflict,
    /// It may or may not have been written: only the log itself can tell.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// It was not written.
    #[error("refused: {0}")]
    Refused(String),
}
