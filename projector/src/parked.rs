//! What could not be digested, put where a person can look at it: the bucket `parked`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bus::Bus;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use schemas::id::{DeviceId, OrgId};
use schemas::subjects;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::retry::until_done;

/// A commit that stopped its org.
#[derive(Debug, Serialize)]
pub(crate) struct ParkedCommit<'a> {
    pub(crate) org: &'a OrgId,
    /// Where it is in the event log.
    pub(crate) position: u64,
    pub(crate) error: String,
    pub(crate) at: DateTime<Utc>,
}

/// A flow batch that no file holds.
#[derive(Debug, Serialize)]
pub(crate) struct ParkedBatch<'a> {
    pub(crate) org: &'a OrgId,
    pub(crate) device: DeviceId,
    pub(crate) sequence: u64,
    pub(crate) batch: u64,
    pub(crate) error: String,
    pub(crate) bytes: usize,
    /// How it begins, in base64.
    pub(crate) head: String,
    pub(crate) at: DateTime<Utc>,
}

const HEAD_BYTES: usize = 512;

/// The beginning of a payload, in base64.
pub(crate) fn head(payload: &[u8]) -> String {
    STANDARD.encode(payload.get(..HEAD_BYTES).unwrap_or(payload))
}

/// Puts something where a person can look at it. False if the projector stopped before it was there.
pub(crate) async fn park(bus: &Bus, stop: &CancellationToken, key: &str, what: &impl Serialize) -> bool {
    let value = Bytes::from(serde_json::to_vec(what).unwrap_or_default());
    let bucket = bus.bucket(subjects::PARKED_BUCKET);
    until_done(stop, "park", || async { bucket.put(key, value.clone()).await?.await }).await.is_some()
}
