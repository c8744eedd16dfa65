//! What can go wrong for good.

/// The projector cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Bus(#[from] bus::Error),
    #[error("the key that signs device configs must be an account key with its seed")]
    SigningKey,
    #[error("the object store {0:?} is not supported: expected a folder or file://<folder>")]
    StoreUnsupported(String),
    #[error("the object store at {path}: {source}")]
    Store { path: String, source: std::io::Error },
    #[error("a part of the projector ended: {0}")]
    Ended(String),
}
