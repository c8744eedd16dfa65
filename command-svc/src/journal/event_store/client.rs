//! The client of EventStoreDB as the journal uses it: always the leader, never without a deadline, alive after an outage.
//!
//! `eventstore` 4.0 by itself ends for good when it cannot connect, stays with the node of a cluster that it chose
//! first, and panics on answers that it does not know; here these become a new client and errors.

use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use eventstore::{
    AppendToStreamOptions, ClientSettings, EventData, ExpectedRevision, Position, ReadAllOptions, ReadStream,
    ReadStreamOptions, RecordedEvent, StreamPosition,
};
use futures::FutureExt;
use schemas::id::{CommitId, Ulid};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};
use tracing::warn;
use uuid::Uuid;

use super::EVENT_TYPE;

/// How long one call may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long a client is kept that may be stuck to a dead node.
const PATIENCE: Duration = Duration::from_secs(10);
/// A new client reads all certificates of the machine: not more often than this.
const RENEWAL: Duration = Duration::from_millis(200);
/// What is read in one call ends with the event that reaches one of these.
const PAGE_EVENTS_MAX: usize = 256;
const PAGE_BYTES_MAX: usize = 4 << 20;
/// The status codes of gRPC that say that the request itself is wrong: `InvalidArgument` and `FailedPrecondition`.
const WRONG_REQUEST: [i32; 2] = [3, 9];

/// Why a call had no success.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the stream has moved on")]
    Conflict,
    /// It was not done, and will not be when it is tried again.
    #[error("refused: {0}")]
    Refused(String),
    /// It may or may not have been done.
    #[error("{0}")]
    Unknown(String),
}

/// A commit in EventStoreDB.
pub(super) struct Kept {
    pub(super) revision: u64,
    pub(super) id: CommitId,
    pub(super) data: Bytes,
}

/// An event of `$all`.
pub(super) struct Seen {
    pub(super) position: Position,
    pub(super) stream: String,
    pub(super) revision: u64,
}

pub(super) struct Client {
    settings: ClientSettings,
    current: Mutex<Current>,
}

struct Current {
    client: eventstore::Client,
    since: Instant,
    generation: u64,
}

impl Client {
    pub(super) fn new(settings: ClientSettings) -> Result<Self, bus::Error> {
        let failed = |error: eventstore::Error| bus::Error::Failed {
            what: "set up the client of EventStoreDB",
            cause: error.to_string(),
        };
        let client = eventstore::Client::new(settings.clone()).map_err(failed)?;
        Ok(Self { settings, current: Mutex::new(Current { client, since: Instant::now(), generation: 0 }) })
    }

    /// Appends a commit, if the stream holds so many. EventStoreDB takes a repetition of the same append for done.
    pub(super) async fn append(&self, stream: &str, commits: u64, id: CommitId, data: &Bytes) -> Result<(), Failure> {
        let expected = match commits.checked_sub(1) {
            None => ExpectedRevision::NoStream,
            Some(last) => ExpectedRevision::Exact(last),
        };
        let options = AppendToStreamOptions::default().requires_leader(true).expected_revision(expected);
        let event = event(id, data)?;
        let stream = stream.to_owned();
        self.call(|client| async move { client.append_to_stream(stream, &options, event).await.map(|_| ()) }).await
    }

    /// The stream's last commit, if it has one.
    pub(super) async fn newest(&self, stream: &str) -> Result<Vec<Kept>, Failure> {
        self.read(stream, ReadStreamOptions::default().position(StreamPosition::End).max_count(1)).await
    }

    /// A page of commits from a revision on, newer ones first.
    pub(super) async fn backwards(&self, stream: &str, from: u64) -> Result<Vec<Kept>, Failure> {
        let options = ReadStreamOptions::default().position(StreamPosition::Position(from)).backwards();
        self.read(stream, options.max_count(PAGE_EVENTS_MAX)).await
    }

    /// A page of commits from a revision on.
    pub(super) async fn forwards(&self, stream: &str, from: u64) -> Result<Vec<Kept>, Failure> {
        let options = ReadStreamOptions::default().position(StreamPosition::Position(from)).forwards();
        self.read(stream, options.max_count(PAGE_EVENTS_MAX)).await
    }

    async fn read(&self, stream: &str, options: ReadStreamOptions) -> Result<Vec<Kept>, Failure> {
        let options = options.requires_leader(true);
        let name = stream.to_owned();
        let events = self
            .call(|client| async move {
                match client.read_stream(name, &options).await {
                    Ok(events) => page(events).await,
                    Err(error) => none_if_absent(error),
                }
            })
            .await?;
        let kept = |event: RecordedEvent| match event.event_type.as_str() {
            EVENT_TYPE => Ok(Kept { revision: event.revision, id: commit_id(event.id), data: event.data }),
            other => Err(Failure::Refused(format!("{stream} holds an event of the type {other}, which is not ours"))),
        };
        events.into_iter().map(kept).collect()
    }

    /// A page of all events after a position, or from the first on.
    pub(super) async fn all(&self, after: Option<Position>) -> Result<Vec<Seen>, Failure> {
        let start = after.map_or(StreamPosition::Start, StreamPosition::Position);
        let options = ReadAllOptions::default().requires_leader(true).position(start).max_count(PAGE_EVENTS_MAX);
        let events = self.call(|client| async move { page(client.read_all(&options).await?).await }).await?.into_iter();
        let seen = events.map(|it| Seen { position: it.position, stream: it.stream_id, revision: it.revision });
        // Reading from a position begins with the event at it.
        Ok(seen.filter(|seen| after.is_none_or(|after| seen.position > after)).collect())
    }

    /// The data of a stream's last event, whatever its type.
    pub(super) async fn note(&self, stream: &'static str) -> Result<Option<Bytes>, Failure> {
        let options = ReadStreamOptions::default().requires_leader(true).position(StreamPosition::End).max_count(1);
        let events = self.call(|client| async move {
            match client.read_stream(stream, &options).await {
                Ok(events) => page(events).await,
                Err(error) => none_if_absent(error),
            }
        });
        Ok(events.await?.pop().map(|event| event.data))
    }

    /// Writes the last event of a stream that keeps only its newest.
    pub(super) async fn write_note(&self, stream: &'static str, data: Bytes, is_first: bool) -> Result<(), Failure> {
        let options = AppendToStreamOptions::default().requires_leader(true);
        let event = EventData::binary("netkeep.relay.v1", data);
        self.call(|client| async move {
            if is_first {
                let keep = eventstore::StreamMetadata { max_count: Some(1), ..eventstore::StreamMetadata::default() };
                client.set_stream_metadata(stream, &options, &keep).await?;
            }
            client.append_to_stream(stream, &options, event).await.map(|_| ())
        })
        .await
    }

    async fn call<T, F>(&self, work: impl FnOnce(eventstore::Client) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, eventstore::Error>>,
    {
        let (client, generation) = {
            let current = self.current();
            (current.client.clone(), current.generation)
        };
        let failed = match timeout(DEADLINE, AssertUnwindSafe(work(client)).catch_unwind()).await {
            Ok(Ok(Ok(value))) => return Ok(value),
            Ok(Ok(Err(error))) => error,
            Ok(Err(_panic)) => return Err(Failure::Unknown("the answer was not understood".to_owned())),
            Err(_) => eventstore::Error::DeadlineExceeded,
        };
        if self.is_lost(&failed) {
            self.renew(generation);
        }
        Err(failed.into())
    }

    /// Whether the client is of no more use.
    fn is_lost(&self, error: &eventstore::Error) -> bool {
        use eventstore::Error::{ConnectionClosed, DeadlineExceeded, GrpcConnectionError, ServerError};
        let is_cluster = self.settings.hosts().len() > 1 || self.settings.is_dns_discovery_enabled();
        let is_old = self.current().since.elapsed() > PATIENCE;
        matches!(error, ConnectionClosed | GrpcConnectionError(_))
            || (matches!(error, ServerError(_) | DeadlineExceeded) && is_cluster && is_old)
    }

    fn renew(&self, generation: u64) {
        let mut current = self.current();
        if current.generation != generation || current.since.elapsed() < RENEWAL {
            return;
        }
        match eventstore::Client::new(self.settings.clone()) {
            Ok(client) => *current = Current { client, since: Instant::now(), generation: generation + 1 },
            Err(error) => warn!("cannot set up the client of EventStoreDB again: {error}"),
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads until the end of a page.
async fn page(mut events: ReadStream) -> Result<Vec<RecordedEvent>, eventstore::Error> {
    let (mut page, mut bytes) = (Vec::new(), 0);
    while bytes < PAGE_BYTES_MAX {
        match events.next().await {
            Ok(Some(event)) => {
                if let Some(event) = event.link.or(event.event) {
                    bytes += event.data.len();
                    page.push(event);
                }
            }
            Ok(None) => break,
            Err(error) if page.is_empty() => return none_if_absent(error),
            Err(error) => return Err(error),
        }
    }
    Ok(page)
}

/// A stream that does not exist is one without events.
fn none_if_absent(error: eventstore::Error) -> Result<Vec<RecordedEvent>, eventstore::Error> {
    if matches!(error, eventstore::Error::ResourceNotFound) { Ok(Vec::new()) } else { Err(error) }
}

/// JSON where it is JSON, so that the server's own tools show it; the bytes are the same either way.
fn event(id: CommitId, data: &Bytes) -> Result<EventData, Failure> {
    let event = match serde_json::from_slice::<&RawValue>(data) {
        Ok(json) if json.get().len() == data.len() => {
            EventData::json(EVENT_TYPE, &json).map_err(|error| Failure::Refused(error.to_string()))?
        }
        Ok(_) | Err(_) => EventData::binary(EVENT_TYPE, data.clone()),
    };
    Ok(event.id(Uuid::from_u128(id.ulid().0)))
}

fn commit_id(id: Uuid) -> CommitId {
    CommitId::new(Ulid(id.as_u128()))
}

impl From<eventstore::Error> for Failure {
    fn from(error: eventstore::Error) -> Self {
        use eventstore::Error;
        match &error {
            Error::WrongExpectedVersion { .. } => Self::Conflict,
            Error::AccessDenied | Error::ResourceDeleted | Error::UnsupportedFeature => {
                Self::Refused(error.to_string())
            }
            Error::Grpc { code, .. } if WRONG_REQUEST.contains(&(*code as i32)) => Self::Refused(error.to_string()),
            Error::Grpc { .. }
            | Error::ServerError(_)
            | Error::NotLeaderException(_)
            | Error::ConnectionClosed
            | Error::GrpcConnectionError(_)
            | Error::InternalParsingError(_)
            | Error::ResourceAlreadyExists
            | Error::ResourceNotFound
            | Error::InternalClientError
            | Error::DeadlineExceeded
            | Error::InitializationError(_)
            | Error::IllegalStateError(_) => Self::Unknown(error.to_string()),
        }
    }
}
