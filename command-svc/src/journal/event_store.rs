//! EventStoreDB as the journal: the truth is appended there, and each commit is carried on to EVENTS.
//!
//! An org's commits are the events of its stream `netkeep-<org>`: event id = commit id, data = the commit's bytes. The
//! subject `events.<org>` holds a prefix of that stream, the same bytes in the same order, because the only thing ever
//! published there is the commit that follows the subject's last one, under the check that this is still its last.
//! Where the subject stands in the stream is told by comparing bytes: a commit holds the hash of the event before it,
//! so two equal commits have equal histories.
//!
//! An append goes to EventStoreDB under the expected revision and then to EVENTS, and is acknowledged with its EVENTS
//! sequence. If the second half fails, its outcome is unknown: the actor reads on, and reading begins with carrying
//! over what EVENTS lacks. So nothing is decided on a state without that commit, which also holds the memory of its
//! command ids: a repeated command gets its first answer. [`relay`] does the same for orgs that nobody writes to.

mod client;
mod relay;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bus::log::{Log, LogMessage};
use bus::{AppendError, Bus, Error};
use bytes::Bytes;
use client::{Client, Failure, Kept};
use eventstore::ClientSettings;
use schemas::id::{CommitId, OrgId};

use super::BadChoice;

/// An org's commits are in the stream of this name.
pub const STREAM_PREFIX: &str = "netkeep-";
/// The type of each event there.
pub const EVENT_TYPE: &str = "netkeep.commit.v1";
/// Where relays note how far they looked through `$all`.
pub const CHECKPOINT_STREAM: &str = "netkeep_relay";

/// What the headers of a message may take of its size.
const HEADERS_BYTES_MAX: usize = 1_024;
/// How often carrying over begins anew because another one carries too.
const OVERTAKEN_MAX: usize = 10;

/// Reads a connection string, and the files that it names: the client itself would find fault with them too late.
pub fn settings(connection: &str) -> Result<ClientSettings, BadChoice> {
    let parsed = connection.parse::<ClientSettings>();
    // The client's own message repeats the connection string.
    let why = |error: &eventstore::ClientSettingsParseError| match error.error() {
        Some(error) => error.to_string(),
        None => "see the documentation of EventStoreDB connection strings".to_owned(),
    };
    let settings = parsed.map_err(|error| BadChoice::Malformed(why(&error)))?;
    let certificate = settings.user_certificate().into_iter().flat_map(|(cert, key)| [cert, key]);
    for file in settings.tls_ca_file().into_iter().chain(certificate) {
        std::fs::read(file).map_err(|error| BadChoice::Malformed(format!("{file}: {error}")))?;
    }
    Ok(settings)
}

/// Lets this process have its one TLS library: two are linked in, and the client of EventStoreDB insists on settling it.
///
/// To be called before anything else uses TLS. That client sets itself up in a task and panics there if the choice was
/// made before; others panic if it was not made.
pub async fn settle_tls() -> Result<(), Error> {
    let settled = || rustls::crypto::CryptoProvider::get_default().is_some();
    let failed = |cause: String| Error::Failed { what: "set up TLS", cause };
    let settings = "esdb://localhost?tls=false".parse::<ClientSettings>().map_err(|error| failed(error.to_string()))?;
    let _client = eventstore::Client::new(settings).map_err(|error| failed(error.to_string()))?;
    let settling = async {
        while !settled() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    let limit = std::time::Duration::from_secs(10);
    tokio::time::timeout(limit, settling).await.map_err(|_| Error::TimedOut { what: "set up TLS" })
}

/// The journal. Cloning shares it.
#[derive(Clone)]
pub struct EventStore(Arc<Inner>);

struct Inner {
    client: Client,
    events: Log,
    /// What a message of the bus may hold.
    commit_bytes_max: usize,
    /// How far each org was carried, as far as this process knows. Whoever carries holds the lock.
    orgs: Mutex<HashMap<OrgId, Arc<tokio::sync::Mutex<Option<Carried>>>>>,
}

/// How far an org was carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Carried {
    /// The EVENTS sequence of its last commit there; 0 for none.
    position: u64,
    /// How many commits that is: the revision that the next one has in EventStoreDB.
    commits: u64,
}

/// Why an org could not be carried.
#[derive(Debug, thiserror::Error)]
enum Stuck {
    #[error("EventStoreDB: {0}")]
    Store(#[from] Failure),
    #[error("{0}")]
    Bus(#[from] Error),
    #[error("not carried to the bus yet: {0}")]
    Append(#[from] AppendError),
    #[error("the last commit on the bus (position {0}) is not in EventStoreDB: these are two histories")]
    Diverged(u64),
    #[error("others carry at the same time")]
    Overtaken,
}

impl From<Stuck> for Error {
    fn from(stuck: Stuck) -> Self {
        Self::Failed { what: "read EventStoreDB", cause: stuck.to_string() }
    }
}

impl EventStore {
    /// Sets up the client; it connects when it is first used.
    pub fn open(settings: ClientSettings, bus: &Bus) -> Result<Self, Error> {
        let commit_bytes_max = bus.payload_bytes_max().saturating_sub(HEADERS_BYTES_MAX);
        let client = Client::new(settings)?;
        Ok(Self(Arc::new(Inner { client, events: bus.events(), commit_bytes_max, orgs: Mutex::default() })))
    }

    /// Appends a commit to EventStoreDB and carries it to EVENTS.
    pub async fn append(&self, org: &OrgId, expected: u64, id: CommitId, message: Bytes) -> Result<u64, AppendError> {
        let Inner { client, events, commit_bytes_max, .. } = &*self.0;
        // What is in EventStoreDB has to get to the bus: what cannot is not begun.
        if message.len() > *commit_bytes_max {
            return Err(AppendError::Refused(format!("a commit of {} bytes is too large", message.len())));
        }
        let org_lock = self.org(org);
        let mut held = org_lock.lock().await;
        let at = match *held {
            Some(at) if at.position == expected => at,
            _ => self.carry(org, &mut held).await.map_err(|stuck| AppendError::Unknown(stuck.to_string()))?,
        };
        if at.position != expected {
            return Err(AppendError::Conflict);
        }
        // Until both halves are done this process does not know how far the org is.
        *held = None;
        match client.append(&stream(org), at.commits, id, &message).await {
            Ok(()) => {}
            Err(Failure::Conflict) => return Err(AppendError::Conflict),
            Err(Failure::Refused(cause)) => return Err(AppendError::Refused(cause)),
            Err(Failure::Unknown(cause)) => return Err(AppendError::Unknown(cause)),
        }
        let position = events
            .append(org, expected, id, message)
            .await
            .map_err(|cause| AppendError::Unknown(format!("in EventStoreDB, but not on the bus: {cause}")))?;
        *held = Some(Carried { position, commits: at.commits + 1 });
        Ok(position)
    }

    /// The EVENTS sequence of the org's last commit, once all of its commits are there.
    pub async fn last_position(&self, org: &OrgId) -> Result<u64, Error> {
        let org_lock = self.org(org);
        let mut held = org_lock.lock().await;
        Ok(self.carry(org, &mut held).await?.position)
    }

    /// The org's commits after an EVENTS sequence, once all of them are there.
    pub async fn read(&self, org: &OrgId, after: u64) -> Result<Vec<LogMessage>, Error> {
        self.last_position(org).await?;
        self.0.events.replay(org, after).await
    }

    /// Looks through EventStoreDB for commits that nobody carries, for ever.
    pub async fn relay(&self) {
        relay::run(self).await;
    }

    fn org(&self, org: &OrgId) -> Arc<tokio::sync::Mutex<Option<Carried>>> {
        let mut orgs = self.0.orgs.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(orgs.entry(org.clone()).or_default())
    }

    /// Carries the commit of a revision, and what is before it, unless this was done.
    async fn carry_up_to(&self, org: &OrgId, revision: u64) -> Result<(), Stuck> {
        let org_lock = self.org(org);
        let mut held = org_lock.lock().await;
        if held.is_none_or(|at| at.commits <= revision) {
            self.carry(org, &mut held).await?;
        }
        Ok(())
    }

    /// Carries what EVENTS lacks of an org.
    async fn carry(&self, org: &OrgId, held: &mut Option<Carried>) -> Result<Carried, Stuck> {
        let known = held.take();
        for _ in 0..OVERTAKEN_MAX {
            let at = self.place(org, known).await?;
            if let Some(at) = self.carry_from(org, at).await? {
                *held = Some(at);
                return Ok(at);
            }
        }
        Err(Stuck::Overtaken)
    }

    /// Finds the last commit of EVENTS in EventStoreDB.
    async fn place(&self, org: &OrgId, known: Option<Carried>) -> Result<Place, Stuck> {
        let Inner { client, events, .. } = &*self.0;
        let stream = stream(org);
        let end_of = |commits: &[Kept]| commits.first().map_or(0, |newest| newest.revision + 1);
        if let Some(at) = known
            && at.commits == end_of(&client.newest(&stream).await?)
        {
            return Ok(Place { at, end: at.commits });
        }
        // The bus is asked first: what is there was in EventStoreDB before, so whoever asks that later finds it.
        let last = events.last(org).await?;
        let mut commits = client.newest(&stream).await?;
        let end = end_of(&commits);
        let Some(last) = last else {
            return Ok(Place { at: Carried { position: 0, commits: 0 }, end });
        };
        loop {
            if let Some(found) = commits.iter().find(|kept| kept.data == last.payload) {
                return Ok(Place { at: Carried { position: last.position, commits: found.revision + 1 }, end });
            }
            let oldest = commits.last().map_or(0, |oldest| oldest.revision);
            let Some(before) = oldest.checked_sub(1) else { return Err(Stuck::Diverged(last.position)) };
            commits = client.backwards(&stream, before).await?;
        }
    }

    /// Publishes the commits after a place, in order. `None`: another one did that, and went further.
    async fn carry_from(&self, org: &OrgId, place: Place) -> Result<Option<Carried>, Stuck> {
        let Inner { client, events, .. } = &*self.0;
        let Place { mut at, mut end } = place;
        while at.commits < end {
            let page = client.forwards(&stream(org), at.commits).await?;
            let Some(newest) = page.last() else { return Ok(None) };
            end = end.max(newest.revision + 1);
            for commit in page {
                if commit.revision != at.commits {
                    let gap = format!("revision {} of {} is missing", at.commits, stream(org));
                    return Err(Failure::Refused(gap).into());
                }
                let position = match events.append(org, at.position, commit.id, commit.data.clone()).await {
                    Ok(position) => position,
                    Err(error @ (AppendError::Conflict | AppendError::Unknown(_))) => match events.last(org).await? {
                        Some(last) if last.payload == commit.data => last.position,
                        Some(last) if last.position > at.position => return Ok(None),
                        Some(_) | None => return Err(error.into()),
                    },
                    Err(error @ AppendError::Refused(_)) => return Err(error.into()),
                };
                at = Carried { position, commits: commit.revision + 1 };
            }
        }
        Ok(Some(at))
    }
}

/// Where the subject of an org stands in its stream.
struct Place {
    at: Carried,
    /// How many commits the stream has.
    end: u64,
}

fn stream(org: &OrgId) -> String {
    format!("{STREAM_PREFIX}{org}")
}
