//! The journal: where an org's commits are appended and read. JetStream, or EventStoreDB with JetStream behind it.
//!
//! Whatever the journal, a position is a sequence of the EVENTS stream: that is what readers wait for. With
//! [`Journal::EventStore`] the truth is in EventStoreDB and EVENTS is its copy, one message a commit; an append is
//! answered when the commit is in both (see [`event_store`]).

#[cfg(feature = "eventstore")]
pub mod event_store;

use bus::log::Log;
use bus::{AppendError, Bus, Error};
use bytes::Bytes;
#[cfg(feature = "eventstore")]
use event_store::EventStore;
use schemas::id::{CommitId, OrgId};
use tokio_util::sync::CancellationToken;

/// A store of commits.
#[derive(Clone)]
pub enum Journal {
    JetStream(Box<Log>),
    #[cfg(feature = "eventstore")]
    EventStore(EventStore),
}

/// A commit as it was stored.
pub struct Stored {
    pub position: u64,
    pub message: Bytes,
}

/// Which journal to use, by its name: `jetstream`, or the connection string of an EventStoreDB.
#[derive(Clone)]
pub struct Choice(Which);

#[derive(Clone)]
enum Which {
    JetStream,
    #[cfg(feature = "eventstore")]
    EventStore(Box<eventstore::ClientSettings>),
}

/// The name is of no journal that this program has. Connection strings hold passwords: they are not repeated.
#[derive(Debug, thiserror::Error)]
pub enum BadChoice {
    #[error("the journal is `jetstream` or `esdb://host:port`")]
    Unknown,
    #[error("this netkeep was built without EventStoreDB: build it with --features eventstore")]
    NotBuiltIn,
    #[error("the connection string of the journal is wrong: {0}")]
    Malformed(String),
}

impl std::str::FromStr for Choice {
    type Err = BadChoice;

    fn from_str(name: &str) -> Result<Self, BadChoice> {
        if name == "jetstream" {
            return Ok(Self(Which::JetStream));
        }
        if !name.starts_with("esdb://") && !name.starts_with("esdb+discover://") {
            return Err(BadChoice::Unknown);
        }
        #[cfg(feature = "eventstore")]
        return event_store::settings(name).map(|settings| Self(Which::EventStore(Box::new(settings))));
        #[cfg(not(feature = "eventstore"))]
        Err(BadChoice::NotBuiltIn)
    }
}

impl Choice {
    /// Opens the journal. Nothing is asked of it yet.
    pub fn open(self, bus: &Bus) -> Result<Journal, Error> {
        match self.0 {
            Which::JetStream => Ok(Journal::jetstream(bus)),
            #[cfg(feature = "eventstore")]
            Which::EventStore(settings) => EventStore::open(*settings, bus).map(Journal::EventStore),
        }
    }
}

impl Journal {
    pub fn jetstream(bus: &Bus) -> Self {
        Self::JetStream(Box::new(bus.events()))
    }

    /// Appends a commit, if the org's last one is still at `expected`.
    pub async fn append(&self, org: &OrgId, expected: u64, id: CommitId, message: Bytes) -> Result<u64, AppendError> {
        match self {
            Self::JetStream(log) => log.append(org, expected, id, message).await,
            #[cfg(feature = "eventstore")]
            Self::EventStore(store) => store.append(org, expected, id, message).await,
        }
    }

    /// The position of the org's last commit; 0 for none.
    pub async fn last_position(&self, org: &OrgId) -> Result<u64, Error> {
        match self {
            Self::JetStream(log) => Ok(log.last(org).await?.map_or(0, |message| message.position)),
            #[cfg(feature = "eventstore")]
            Self::EventStore(store) => store.last_position(org).await,
        }
    }

    /// The org's commits after a position, up to the last one of this moment.
    pub async fn read(&self, org: &OrgId, after: u64) -> Result<Vec<Stored>, Error> {
        let messages = match self {
            Self::JetStream(log) => log.replay(org, after).await?,
            #[cfg(feature = "eventstore")]
            Self::EventStore(store) => store.read(org, after).await?,
        };
        let stored = messages.into_iter().map(|it| Stored { position: it.position, message: it.payload });
        Ok(stored.collect())
    }

    /// Brings to the bus what others appended and could not bring there, until it is stopped.
    pub async fn relay(&self, stop: CancellationToken) {
        match self {
            Self::JetStream(_) => stop.cancelled().await,
            #[cfg(feature = "eventstore")]
            Self::EventStore(store) => {
                tokio::select! { () = stop.cancelled() => {} () = store.relay() => {} }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_chosen_by_its_name() {
        assert!("jetstream".parse::<Choice>().is_ok());
        for wrong in ["", "JetStream", "http://localhost", "esdb:localhost"] {
            assert!(matches!(wrong.parse::<Choice>(), Err(BadChoice::Unknown)), "{wrong}");
        }
    }

    #[cfg(not(feature = "eventstore"))]
    #[test]
    fn event_store_is_refused_where_it_is_not_built_in() {
        assert!(matches!("esdb://localhost:2113".parse::<Choice>(), Err(BadChoice::NotBuiltIn)));
    }

    #[cfg(feature = "eventstore")]
    #[test]
    fn a_connection_string_is_checked_before_anything_is_done_and_never_repeated() {
        assert!("esdb://localhost:2113?tls=false".parse::<Choice>().is_ok());
        assert!("esdb://a:2113,b:2113,c:2113?tls=false".parse::<Choice>().is_ok());
        for wrong in ["esdb://", "esdb://admin:hunter2@localhost:x", "esdb://admin:hunter2@h?tlsCaFile=/nowhere.pem"] {
            let Err(error) = wrong.parse::<Choice>() else { panic!("{wrong} was taken") };
            assert!(matches!(error, BadChoice::Malformed(_)), "{wrong}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
