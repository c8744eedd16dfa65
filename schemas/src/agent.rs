//! What a device says to the control plane over the bus.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A device's answer to a config. Sent as a request, again and again until it is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The revision of the config.
    pub revision: u64,
    /// SHA-256 of the config's bytes, in hexadecimal.
    pub hash: String,
    pub outcome: Outcome,
    /// By the device's clock.
    pub at: DateTime<Utc>,
}

/// What became of a config on its device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// In force, and the control plane was reached over it.
    Applied,
    /// Refused before it was in force: the previous ruleset never left.
    Failed { error: String },
    /// In force, but the control plane could not be reached over it: the previous ruleset is back.
    Reverted { error: String },
}

/// The answer to a [`Report`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum ReportAnswer {
    /// It is an event now (or was already).
    Recorded { position: u64 },
    /// It was refused for good: sending it again is of no use.
    Refused { reason: String, message: String },
}

/// A device's sign of life, published every few seconds; counts since the agent started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Heartbeat {
    pub at: DateTime<Utc>,
    pub agent_version: String,
    /// The revision in force; 0 before the first.
    pub revision: u64,
    pub packets_seen: u64,
    /// Packets that the kernel dropped before the agent read them.
    pub packets_missed: u64,
    pub flows_active: u64,
    /// Flows given up because the flow table was full.
    pub flows_evicted: u64,
    pub rows_sent: u64,
    /// Batches on disk that are not acknowledged yet.
    pub batches_spooled: u64,
    /// Batches given up because the spool was full.
    pub batches_dropped: u64,
}
