//! Keeps the keyring true to the event log, for the services of this process.
//!
//! The log itself is read, not a view of it: a view may lag behind or be rolled back, and what was revoked would open
//! doors again until it caught up.

use std::collections::HashSet;

use bus::Bus;
use bus::log::LogMessage;
use futures::StreamExt;
use gate::Keyring;
use schemas::commit::Commit;
use schemas::credential::{Change, CredentialKey, changed_by};
use schemas::event::{Event, Recorded};
use schemas::id::{ApiTokenId, OrgId, UserId};
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::erasure::Erasure;

/// Commits that are taken together, if that many wait.
const CHUNK: usize = 1_024;

/// Feeds the keyring for ever; tells `loaded` once it knows all that was in the log at the start, and `revoked` of
/// each device key that is taken away after that. `erasure` learns whose keys are whose.
pub(crate) async fn keep(
    bus: Bus,
    keyring: Keyring,
    loaded: oneshot::Sender<()>,
    revoked: Option<mpsc::UnboundedSender<String>>,
    erasure: Option<Erasure>,
) -> anyhow::Result<()> {
    let log = bus.events();
    let end = log.last_position().await?;
    let mut loaded = Some(loaded);
    let mut tell = |position: u64| {
        if position >= end
            && let Some(loaded) = loaded.take()
        {
            let _ = loaded.send(());
        }
    };
    tell(0);
    let mut commits = Box::pin(log.follow(None, 0).ready_chunks(CHUNK));
    while let Some(chunk) = commits.next().await {
        let position = chunk.last().map_or(0, |message| message.position);
        let events: Vec<Happened> = chunk.iter().flat_map(happened).collect();
        if let Some(erasure) = &erasure {
            events.iter().for_each(|it| erasure.note(&it.org, &it.event, it.position > end));
            erasure.read_to(position);
        }
        for (org, change) in last_words(&events) {
            let revoked_key = keyring.apply(&org, change);
            if let (Some(revoked), Some(key), true) = (&revoked, revoked_key, position > end) {
                let _ = revoked.send(key);
            }
        }
        tell(position);
    }
    Ok(())
}

/// Only the last word on each credential counts: what is given and taken in one chunk opens nothing in between.
fn last_words(events: &[Happened]) -> Vec<(OrgId, Change)> {
    let change = |it: &Happened| changed_by(&it.org, &it.event).map(|change| (it.org.clone(), change));
    let changes: Vec<(OrgId, Change)> = events.iter().filter_map(change).collect();
    let mut said = HashSet::new();
    let mut last: Vec<(OrgId, Change)> =
        changes.into_iter().rev().filter(|(org, change)| said.insert((org.clone(), about(change)))).collect();
    last.reverse();
    last
}

/// What a change is about.
#[derive(PartialEq, Eq, Hash)]
enum About {
    Key(CredentialKey),
    Token(ApiTokenId),
    User(UserId),
    Org,
}

fn about(change: &Change) -> About {
    match change {
        Change::Gives(key, _) | Change::Takes(key) => About::Key(key.clone()),
        Change::Changes(id, _) => About::Token(*id),
        Change::User { id, .. } | Change::UserGone(id) => About::User(*id),
        Change::Org(..) => About::Org,
    }
}

/// An event that may concern who comes in.
struct Happened {
    org: OrgId,
    position: u64,
    event: Event,
}

/// The events of a commit that may concern who comes in.
fn happened(message: &LogMessage) -> Vec<Happened> {
    let commit = match Commit::parse(&message.payload) {
        Ok(commit) => commit,
        Err(error) => {
            error!("the commit of {} at {} cannot be read: {error}", message.org, message.position);
            return Vec::new();
        }
    };
    let concerned = commit.events.iter().filter(|stored| may_concern(stored.get()));
    let recorded = concerned.filter_map(|stored| Recorded::parse(stored.get()).ok());
    let happened = |it: Recorded| Happened { org: message.org.clone(), position: message.position, event: it.event };
    recorded.map(happened).collect()
}

/// Most events are about rules; they are not worth reading twice.
fn may_concern(stored: &str) -> bool {
    ["\"netkeep.api_token.", "\"netkeep.setup_key.", "\"netkeep.device.", "\"netkeep.user.", "\"netkeep.org."]
        .iter()
        .any(|it| stored.contains(it))
}
