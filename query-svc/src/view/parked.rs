//! What the projector could not digest: the commit that stopped an org.

use std::time::Duration;

use bus::Bus;
use schemas::id::OrgId;
use schemas::subjects::PARKED_BUCKET;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::held::Snapshot;

/// The commit that stopped an org.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Parked {
    /// Where it is in the event log; reads do not get there.
    pub(crate) position: u64,
    pub(crate) error: String,
}

const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

impl Snapshot {
    /// The first commit that the read models are without.
    fn next_commit(&self) -> Option<u64> {
        let head = self.models.head.position;
        let at = self.events.all.binary_search_by(|event| event.position.cmp(&(head + 1))).unwrap_or_else(|at| at);
        let unread = self.events.broken.as_ref().map(|broken| broken.position);
        self.events.all.get(at).map(|event| event.position).or(unread.filter(|position| *position > head))
    }
}

/// Looks whether the org's next commit was parked. A look that fails says no.
pub(super) async fn look(bus: &Bus, org: &OrgId, seen: &Snapshot) -> Option<Parked> {
    let key = format!("events.{org}.{}", seen.next_commit()?);
    let found = match tokio::time::timeout(LOOK_TIMEOUT, bus.bucket(PARKED_BUCKET).read(&key)).await {
        Ok(Ok(found)) => found?,
        Ok(Err(error)) => {
            warn!("looking for {key} in {PARKED_BUCKET}: {error}");
            return None;
        }
        Err(_) => {
            warn!("looking for {key} in {PARKED_BUCKET} took too long");
            return None;
        }
    };
    serde_json::from_slice(&found.1).inspect_err(|error| warn!("{key} in {PARKED_BUCKET} cannot be read: {error}")).ok()
}
