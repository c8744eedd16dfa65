//! Commits: the events that were appended together, one message on `events.<org>`, and the hash chain through them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::digest::sha256_hex;
use crate::event::{Recorded, UnknownEvent};
use crate::id::{CommitId, OrgId};

/// One message of the event log. The events are kept as the bytes that were hashed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Commit {
    pub org: OrgId,
    pub id: CommitId,
    pub events: Vec<Box<RawValue>>,
}

/// `prevhash` of an org's first event.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The event log is not what was written.
#[derive(Debug, thiserror::Error)]
pub enum BrokenChain {
    #[error("the message is not a commit: {0}")]
    NotACommit(#[from] serde_json::Error),
    #[error("revision {revision}: {source}")]
    NotAnEvent { revision: u64, source: UnknownEvent },
    #[error("expected revision {expected}, found {found}")]
    Gap { expected: u64, found: u64 },
    #[error("revision {revision} does not follow the event before it: its prevhash differs")]
    Hash { revision: u64 },
}

/// The end of an org's hash chain: where the next event is hung on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    pub revision: u64,
    pub hash: String,
}

impl Default for ChainHead {
    fn default() -> Self {
        Self { revision: 0, hash: GENESIS.to_owned() }
    }
}

impl ChainHead {
    /// The head after an event with these stored bytes.
    pub fn next(&self, stored: &str) -> Self {
        Self { revision: self.revision + 1, hash: sha256_hex(stored.as_bytes()) }
    }

    /// Checks one stored event against this head, reads it and moves the head on.
    pub fn follow(&mut self, stored: &str) -> Result<Recorded, BrokenChain> {
        let expected = self.revision + 1;
        let recorded =
            Recorded::parse(stored).map_err(|source| BrokenChain::NotAnEvent { revision: expected, source })?;
        if recorded.meta.revision != expected {
            return Err(BrokenChain::Gap { expected, found: recorded.meta.revision });
        }
        if recorded.meta.prevhash != self.hash {
            return Err(BrokenChain::Hash { revision: expected });
        }
        *self = self.next(stored);
        Ok(recorded)
    }
}

impl Commit {
    pub fn parse(message: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(message)
    }
}
