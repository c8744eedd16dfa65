//! What could not be digested, put where a person can look at it: the bucket `parked`.

use std::fmt::Display;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bus::Bus;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use schemas::id::{DeviceId, OrgId};
use schemas::subjects;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::clock;
use crate::counts::Counts;
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

/// What no message can carry: a device's config, a read model, an event for the feed.
#[derive(Debug, Serialize)]
struct ParkedValue<'a> {
    org: &'a OrgId,
    revision: u64,
    error: String,
    bytes: usize,
    at: DateTime<Utc>,
}

const HEAD_BYTES: usize = 512;
const REASON_CHARS_MAX: usize = 1_000;

/// What an error says, cut where it quotes a whole message: a parked key is small.
pub(crate) fn reason(error: &impl Display) -> String {
    error.to_string().chars().take(REASON_CHARS_MAX).collect()
}

/// The beginning of a payload, in base64.
pub(crate) fn head(payload: &[u8]) -> String {
    STANDARD.encode(payload.get(..HEAD_BYTES).unwrap_or(payload))
}

/// Puts something where a person can look at it. False if the projector stopped before it was there.
pub(crate) async fn park(bus: &Bus, stop: &CancellationToken, key: &str, what: &impl Serialize) -> bool {
    until_done(stop, "park", || put(bus, key, what)).await.is_some()
}

/// Parks something of `bytes` that is too large for the bus. Once: whoever calls has other orgs to serve.
pub(crate) async fn park_large(
    bus: &Bus,
    counts: &Counts,
    key: &str,
    org: &OrgId,
    revision: u64,
    bytes: usize,
) -> Result<(), bus::Error> {
    let bytes_max = bus.payload_bytes_max();
    let error = format!("it has {bytes} bytes, and a message at most {bytes_max}");
    error!("{key} is left out at revision {revision} and parked: {error}");
    put(bus, key, &ParkedValue { org, revision, error, bytes, at: clock::now() }).await?;
    counts.values_parked.add(1);
    Ok(())
}

async fn put(bus: &Bus, key: &str, what: &impl Serialize) -> Result<(), bus::Error> {
    let value = Bytes::from(serde_json::to_vec(what).unwrap_or_default());
    bus.bucket(subjects::PARKED_BUCKET).put(key, value).await?.await.map(drop)
}
