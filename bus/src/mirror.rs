//! Mirrors: a bucket of small values held in memory, for who must answer without waiting.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::watch;
use tracing::warn;

use crate::bucket::Bucket;
use crate::error::Error;

/// Keys that are held; what comes after these is read when it is asked for.
const HELD_MAX: usize = 1_000_000;

/// The values of a bucket. Cloning shares them.
pub(crate) struct Mirror<V> {
    bucket: Bucket,
    parse: fn(&Bytes) -> Option<V>,
    held: Arc<RwLock<HashMap<Box<str>, V>>>,
    complete: watch::Sender<bool>,
}

impl<V> Clone for Mirror<V> {
    fn clone(&self) -> Self {
        let Self { bucket, parse, held, complete } = self;
        Self { bucket: bucket.clone(), parse: *parse, held: held.clone(), complete: complete.clone() }
    }
}

impl<V: Clone> Mirror<V> {
    pub(crate) fn new(bucket: Bucket, parse: fn(&Bytes) -> Option<V>) -> Self {
        Self { bucket, parse, held: Arc::default(), complete: watch::Sender::new(false) }
    }

    pub(crate) fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Follows the bucket for ever.
    pub(crate) async fn follow(&self) -> Result<(), Error> {
        if self.bucket.is_empty().await? {
            self.complete.send_replace(true);
        }
        let mut changes = pin!(self.bucket.watch(">"));
        while let Some(change) = changes.next().await {
            match change.value.as_ref().map(|value| (self.parse)(value)) {
                Some(Some(value)) => self.hold(&change.key, value),
                Some(None) => warn!("the value of {} in a bucket cannot be read", change.key),
                None => self.forget(&change.key),
            }
            if change.pending == 0 {
                self.complete.send_replace(true);
            }
        }
        Ok(())
    }

    /// Waits until everything that was there at the start is held.
    pub(crate) async fn complete(&self) {
        let mut complete = self.complete.subscribe();
        // The sender is held by this mirror itself.
        let _ = complete.wait_for(|complete| *complete).await;
    }

    pub(crate) fn get(&self, key: &str) -> Option<V> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// The value of a key, from the bucket itself if it is not held.
    pub(crate) async fn read(&self, key: &str) -> Result<Option<V>, Error> {
        if let Some(held) = self.get(key) {
            return Ok(Some(held));
        }
        let found = self.bucket.read(key).await?;
        Ok(found.and_then(|(_, value)| (self.parse)(&value)))
    }

    pub(crate) fn hold(&self, key: &str, value: V) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.len() < HELD_MAX || held.contains_key(key) {
            held.insert(key.into(), value);
        }
    }

    pub(crate) fn forget(&self, key: &str) {
        self.held.write().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// The keys that are held.
    pub(crate) fn keys(&self) -> Vec<Box<str>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}
