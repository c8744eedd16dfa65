//! Keeps the keyring true to the event log, for the services of this process.
//!
//! The log itself is read, not a view of it: a view may lag behind or be rolled back, and what was revoked would open
//! doors again until it caught up.

use std::collections::HashMap;

use bus::Bus;
use bus::log::LogMessage;
use futures::StreamExt;
use gate::Keyring;
use schemas::commit::Commit;
use schemas::credential::{Credential, CredentialKey, changed_by};
use schemas::event::Recorded;
use tokio::sync::{mpsc, oneshot};
use tracing::error;

/// Commits that are taken together, if that many wait.
const CHUNK: usize = 1_024;

/// Feeds the keyring for ever; tells `loaded` once it knows all that was in the log at the start, and `revoked` of
/// each device key that is taken away after that.
pub(crate) async fn keep(
    bus: Bus,
    keyring: Keyring,
    loaded: oneshot::Sender<()>,
    revoked: Option<mpsc::UnboundedSender<String>>,
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
        // Only the last word on each credential counts: what is given and taken in one chunk opens nothing in between.
        let mut last_words = HashMap::new();
        for message in &chunk {
            last_words.extend(changes(message));
        }
        for (key, credential) in last_words {
            match (credential, key) {
                (Some(credential), key) => keyring.put(key, credential),
                (None, key) => {
                    keyring.remove(&key);
                    if let (Some(revoked), CredentialKey::DeviceKey(public_key), true) = (&revoked, key, position > end)
                    {
                        let _ = revoked.send(public_key);
                    }
                }
            }
        }
        tell(position);
    }
    Ok(())
}

/// What a commit changes about credentials.
fn changes(message: &LogMessage) -> Vec<(CredentialKey, Option<Credential>)> {
    let commit = match Commit::parse(&message.payload) {
        Ok(commit) => commit,
        Err(error) => {
            error!("the commit of {} at {} cannot be read: {error}", message.org, message.position);
            return Vec::new();
        }
    };
    let concerned = commit.events.iter().filter(|stored| may_concern(stored.get()));
    let recorded = concerned.filter_map(|stored| Recorded::parse(stored.get()).ok());
    recorded.filter_map(|recorded| changed_by(&message.org, &recorded.event)).collect()
}

/// Most events are about rules; they are not worth reading twice.
fn may_concern(stored: &str) -> bool {
    ["\"netkeep.api_token.", "\"netkeep.setup_key.", "\"netkeep.device."].iter().any(|it| stored.contains(it))
}
