//! An org's file catalogue, read from its log.

use bus::Bus;
use chrono::{DateTime, Utc};
use schemas::files::{Catalogue, FilesCommit};
use schemas::id::{CommitId, OrgId};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::clock;
use crate::parked::park;
use crate::retry::until_done;

/// A catalogue change that nobody can read.
#[derive(Debug, Serialize)]
struct ParkedFiles<'a> {
    org: &'a OrgId,
    position: u64,
    error: String,
    at: DateTime<Utc>,
}

/// Adds the changes that are new in the log, and says their ids. `None` if the projector stops.
///
/// A change that cannot be read is parked and left out, as every other reader of the catalogue leaves it out: its
/// files are not in the table, and what it covers is written again.
pub(super) async fn follow(
    bus: &Bus,
    stop: &CancellationToken,
    org: &OrgId,
    catalogue: &mut Catalogue,
) -> Option<Vec<CommitId>> {
    let (log, after) = (bus.files(), catalogue.position);
    let messages = until_done(stop, "read the file catalogue", || log.replay(org, after)).await?;
    let mut ids = Vec::with_capacity(messages.len());
    for message in messages {
        let position = message.position;
        match serde_json::from_slice::<FilesCommit>(&message.payload) {
            Ok(commit) => {
                catalogue.apply(position, &commit);
                ids.push(commit.id);
            }
            Err(error) => {
                error!("the catalogue change of {org} at {position} cannot be read and is left out: {error}");
                catalogue.position = position;
                let parked = ParkedFiles { org, position, error: error.to_string(), at: clock::now() };
                park(bus, stop, &format!("files.{org}.{position}"), &parked).await.then_some(())?;
            }
        }
    }
    Some(ids)
}
