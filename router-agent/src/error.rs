//! What can stop the agent.

use std::path::PathBuf;

/// Why the agent cannot start or go on. What passes by itself (an unreachable bus, a full disk) is retried and logged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the state of the device in {path} cannot be read or written")]
    State { path: PathBuf, source: std::io::Error },
    #[error("{path} is damaged: {what}; a device with a lost identity is enrolled anew from an empty folder")]
    Damaged { path: PathBuf, what: String },
    #[error("{0} is in use by another agent")]
    InUse(PathBuf),
    #[error("the device is not enrolled: a setup key is needed (--setup-key or NETKEEP_SETUP_KEY)")]
    SetupKeyMissing,
    #[error("enrolment was refused with status {status}: {message}")]
    EnrolmentRefused { status: u16, message: String },
    #[error("the control plane's answer to the enrolment cannot be used: {0}")]
    EnrolmentAnswer(String),
    #[error("the HTTP client cannot be built")]
    Http(#[from] reqwest::Error),
    #[error("the capture file {path} cannot be replayed")]
    Replay { path: PathBuf, source: crate::replay::ReplayError },
    #[error("a part of the agent ended unexpectedly: {0}")]
    Task(String),
}

impl Error {
    pub(crate) fn state(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::State { path, source }
    }
}
