//! The relay: looks through `$all` for commits that are not on the bus and carries them there.
//!
//! Whoever appends carries by itself; what is left for the relay is what a writer could not finish: it ended, or the
//! bus was away. Every replica runs one, and any number may: see [`super`] for why none publishes twice. It asks for
//! new events each second. A subscription would be told at once, but `eventstore` 4.0 spins for ever on one that the
//! server ended, and finding the rare left-over a second later is soon enough.

use std::time::Duration;

use bus::AppendError;
use bytes::Bytes;
use eventstore::Position;
use schemas::id::OrgId;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::client::{Failure, Seen};
use super::{CHECKPOINT_STREAM, EventStore, STREAM_PREFIX, Stuck};

const POLL: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_secs(1);
/// After so many events of others it notes where it is, too.
const EVENTS_UNNOTED_MAX: usize = 10_000;

/// How far relays have looked, kept in EventStoreDB.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Checkpoint {
    commit: u64,
    prepare: u64,
    /// What EVENTS had at that time: if it has less, it is not what was carried to.
    events_position: u64,
}

/// Runs for ever.
pub(super) async fn run(store: &EventStore) {
    let mut relay = Relay { store, after: None, is_first: true, commits: 0, events: 0 };
    loop {
        match relay.begin().await {
            Ok(()) => break,
            Err(stuck) => warn!("the relay cannot begin: {stuck}"),
        }
        sleep(RETRY).await;
    }
    loop {
        match relay.round().await {
            Ok(true) => {}
            Ok(false) => sleep(POLL).await,
            Err(stuck) => {
                warn!("the relay tries again: {stuck}");
                sleep(RETRY).await;
            }
        }
    }
}

struct Relay<'a> {
    store: &'a EventStore,
    after: Option<Position>,
    /// Whether nobody ever noted how far relays are.
    is_first: bool,
    /// Commits and events that were looked at since that was noted last.
    commits: usize,
    events: usize,
}

impl Relay<'_> {
    /// Goes on where relays were, if the bus is still the one that they carried to.
    async fn begin(&mut self) -> Result<(), Stuck> {
        let inner = &self.store.0;
        let Some(note) = inner.client.note(CHECKPOINT_STREAM).await? else { return Ok(()) };
        self.is_first = false;
        let present = inner.events.last_position().await?;
        match serde_json::from_slice::<Checkpoint>(&note) {
            Ok(at) if at.events_position <= present => {
                self.after = Some(Position { commit: at.commit, prepare: at.prepare });
            }
            Ok(at) => info!("EVENTS had {} commits and has {present}: carrying from the first", at.events_position),
            Err(error) => warn!("the relay's note is malformed, so it looks from the first event on: {error}"),
        }
        Ok(())
    }

    /// Looks at the next events. Says whether there were any.
    async fn round(&mut self) -> Result<bool, Stuck> {
        let page = self.store.0.client.all(self.after).await?;
        let is_more = !page.is_empty();
        for seen in page {
            self.look_at(&seen).await?;
            self.after = Some(seen.position);
        }
        // The note is itself an event: on nothing else than notes none is written.
        if self.commits > 0 || self.events > EVENTS_UNNOTED_MAX {
            self.note().await?;
        }
        Ok(is_more)
    }

    async fn look_at(&mut self, seen: &Seen) -> Result<(), Stuck> {
        self.events += 1;
        let Some(Ok(org)) = seen.stream.strip_prefix(STREAM_PREFIX).map(str::parse::<OrgId>) else { return Ok(()) };
        match self.store.carry_up_to(&org, seen.revision).await {
            Ok(()) => {}
            // One org for which no trying helps does not hold up the others; each command to it says so again.
            Err(
                stuck @ (Stuck::Diverged(_)
                | Stuck::Store(Failure::Refused(_))
                | Stuck::Append(AppendError::Refused(_))),
            ) => error!("org {org} stays as it is on the bus: {stuck}"),
            Err(stuck @ (Stuck::Store(_) | Stuck::Bus(_) | Stuck::Append(_) | Stuck::Overtaken)) => return Err(stuck),
        }
        self.commits += 1;
        Ok(())
    }

    async fn note(&mut self) -> Result<(), Stuck> {
        let inner = &self.store.0;
        let Some(Position { commit, prepare }) = self.after else { return Ok(()) };
        let events_position = inner.events.last_position().await?;
        let note = serde_json::to_vec(&Checkpoint { commit, prepare, events_position });
        let note = note.map_err(|error| Failure::Unknown(error.to_string()))?;
        inner.client.write_note(CHECKPOINT_STREAM, Bytes::from(note), self.is_first).await?;
        (self.is_first, self.commits, self.events) = (false, 0, 0);
        Ok(())
    }
}
