//! The journal: where an org's commits are appended and read. JetStream today; the seam is here for other stores.

use bus::log::Log;
use bus::{AppendError, Bus, Error};
use bytes::Bytes;
use schemas::id::{CommitId, OrgId};

/// A store of commits.
#[derive(Clone)]
pub enum Journal {
    JetStream(Log),
}

/// A commit as it was stored.
pub struct Stored {
    pub position: u64,
    pub message: Bytes,
}

impl Journal {
    pub fn jetstream(bus: &Bus) -> Self {
        Self::JetStream(bus.events())
    }

    /// Appends a commit, if the org's last one is still at `expected`.
    pub async fn append(&self, org: &OrgId, expected: u64, id: CommitId, message: Bytes) -> Result<u64, AppendError> {
        match self {
            Self::JetStream(log) => log.append(org, expected, id, message).await,
        }
    }

    /// The position of the org's last commit; 0 for none.
    pub async fn last_position(&self, org: &OrgId) -> Result<u64, Error> {
        match self {
            Self::JetStream(log) => Ok(log.last(org).await?.map_or(0, |message| message.position)),
        }
    }

    /// The org's commits after a position, up to the last one of this moment.
    pub async fn read(&self, org: &OrgId, after: u64) -> Result<Vec<Stored>, Error> {
        match self {
            Self::JetStream(log) => {
                let messages = log.replay(org, after).await?;
                let stored = messages.into_iter().map(|it| Stored { position: it.position, message: it.payload });
                Ok(stored.collect())
            }
        }
    }
}
