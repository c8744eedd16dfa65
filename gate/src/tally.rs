//! Tallies: what a request counted for, shared between the one who counts and the one who tells the caller.

use std::sync::{Arc, OnceLock};

use axum::http::Extensions;

use crate::limits::{Class, Standing};

/// The count of one request.
#[derive(Debug, Clone)]
pub(crate) struct Tally(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    class: Class,
    standing: OnceLock<Standing>,
}

impl Tally {
    /// The tally of a request to a path.
    pub(crate) fn new(path: &str) -> Self {
        Self(Arc::new(Inner { class: Class::of(path), standing: OnceLock::new() }))
    }

    /// The tally of a request; a new one if the request did not come through `serve`.
    pub(crate) fn of(extensions: &Extensions, path: &str) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_else(|| Self::new(path))
    }

    /// Counts the request, but only once however often somebody asks who calls.
    pub(crate) fn count(&self, count: impl FnOnce(Class) -> Standing) -> &Standing {
        self.0.standing.get_or_init(|| count(self.0.class))
    }

    /// Where the caller stands, if it was found out who calls.
    pub(crate) fn standing(&self) -> Option<&Standing> {
        self.0.standing.get()
    }
}
