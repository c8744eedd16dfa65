//! Why a query has no answer: DataFusion's errors as reasons.

use datafusion::common::DataFusionError;
use schemas::reason::Reason;
use tracing::{error, warn};

/// A query that was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SqlError {
    pub reason: Reason,
    /// For the caller to read.
    pub message: String,
}

/// The setting that DataFusion names when its temporary files are too large.
const SPILL_QUOTA: &str = "max_temp_directory_size";
const MESSAGE_CHARS_MAX: usize = 1_000;

impl SqlError {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        let message = match message.char_indices().nth(MESSAGE_CHARS_MAX) {
            Some((end, _)) => format!("{}…", &message[..end]),
            None => message,
        };
        Self { reason, message }
    }

    /// What an error means before the query ran.
    pub(super) fn planning(error: DataFusionError) -> Self {
        match Self::of(error) {
            // An expression of constants is worked out while planning.
            Self { reason: Reason::SqlFailed, message } => Self { reason: Reason::SqlInvalid, message },
            other => other,
        }
    }

    /// What an error means while the query ran.
    pub(super) fn of(error: DataFusionError) -> Self {
        let message = error.strip_backtrace();
        // The disk quota comes as text inside an I/O error inside an Arrow error.
        if message.contains(SPILL_QUOTA) {
            return Self::new(Reason::SqlMemory, "the query needs more memory and disk than allowed");
        }
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::new(Reason::SqlMemory, message),
            DataFusionError::SQL(..)
            | DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::Configuration(_)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Substrait(_) => Self::new(Reason::SqlInvalid, message),
            DataFusionError::Execution(_) | DataFusionError::ArrowError(..) | DataFusionError::Diagnostic(..) => {
                Self::new(Reason::SqlFailed, message)
            }
            DataFusionError::ObjectStore(_) | DataFusionError::ParquetError(_) | DataFusionError::IoError(_) => {
                error!("reading the store: {message}");
                Self::new(Reason::StoreUnavailable, "a file of the table could not be read")
            }
            DataFusionError::Internal(_)
            | DataFusionError::ExecutionJoin(_)
            | DataFusionError::External(_)
            | DataFusionError::Context(..)
            | DataFusionError::Collection(_)
            | DataFusionError::Shared(_)
            | DataFusionError::Ffi(_) => {
                warn!("a query failed inside the engine: {message}");
                Self::new(Reason::SqlFailed, "the query failed inside the engine")
            }
        }
    }
}
