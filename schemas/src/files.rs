//! The file catalogue: which Parquet files are a table, as a log of atomic changes on `files.<org>`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{CommitId, DeviceId, OrgId};

/// One atomic change of an org's tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FilesCommit {
    pub org: OrgId,
    pub id: CommitId,
    /// The table that the files belong to: `flows`.
    pub table: String,
    pub add: Vec<File>,
    /// Paths of files that are no longer part of the table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// The FLOWS messages whose rows these files hold; what they cover is never written again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<Covers>,
}

/// A range of the FLOWS stream, for one org.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covers {
    /// Stream sequences, both included. Messages of other orgs lie between.
    pub first: u64,
    pub last: u64,
    /// The last batch number of each device in the range: a batch sent twice has the same number twice.
    pub batches: BTreeMap<DeviceId, u64>,
}

/// One file of a table. Paths are relative to the root of the object store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// `<org>/flows/hour=2026-11-21T13/<commit id>-<n>.parquet`.
    pub path: String,
    pub bytes: u64,
    pub rows: u64,
    /// The smallest and largest `time`, in microseconds since 1970-01-01 UTC, both included.
    pub time_min_us: i64,
    pub time_max_us: i64,
    /// The smallest and largest address, as text.
    pub src_min: std::net::IpAddr,
    pub src_max: std::net::IpAddr,
    pub dst_min: std::net::IpAddr,
    pub dst_max: std::net::IpAddr,
    /// The smallest and largest device id, as text.
    pub device_min: String,
    pub device_max: String,
}

/// An org's catalogue: the fold of its changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalogue {
    /// The stream sequence of the last change.
    pub position: u64,
    /// The files of the table, by path.
    pub files: BTreeMap<String, Arc<File>>,
    /// The last FLOWS sequence that is in a file; 0 for none.
    pub covered: u64,
    /// The last batch of each device that is in a file.
    pub batches: BTreeMap<DeviceId, u64>,
}

impl Catalogue {
    /// Adds a change that is at `position` of the FILES stream; one that is already in changes nothing.
    pub fn apply(&mut self, position: u64, commit: &FilesCommit) {
        if position <= self.position {
            return;
        }
        self.position = position;
        for path in &commit.remove {
            self.files.remove(path);
        }
        for file in &commit.add {
            self.files.insert(file.path.clone(), Arc::new(file.clone()));
        }
        if let Some(covers) = &commit.covers {
            self.covered = self.covered.max(covers.last);
            self.batches.extend(covers.batches.iter().map(|(device, batch)| (*device, *batch)));
        }
    }

    /// Whether the rows of a FLOWS message are in the table already: the message itself, or the same batch sent twice.
    pub fn holds(&self, sequence: u64, device: DeviceId, batch: u64) -> bool {
        sequence <= self.covered || self.batches.get(&device).is_some_and(|last| batch <= *last)
    }
}
