//! What a projector has done since it started, as numbers to watch.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start of the process.
#[derive(Debug, Default)]
pub struct Counts {
    pub commits_folded: Count,
    pub keys_written: Count,
    pub configs_pushed: Count,
    pub feed_published: Count,
    pub events_parked: Count,
    /// Orgs that left memory because nobody wrote to them.
    pub orgs_rested: Count,
    /// Configs, read models and events for the feed that are larger than a message may be.
    pub values_parked: Count,
    pub heartbeats: Count,
    pub flow_rows_written: Count,
    pub flow_files_written: Count,
    /// Batches that were in the table already: redelivered, or sent twice.
    pub flow_batches_repeated: Count,
    pub flow_batches_parked: Count,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
