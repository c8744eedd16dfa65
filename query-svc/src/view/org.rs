//! One org in memory, kept up to date by its feeds for as long as it is held.

use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use schemas::id::OrgId;
use schemas::reason::Reason;
use schemas::subjects::{STATE_BUCKET, head_key};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::feed;
use super::held::{Held, Progress, Snapshot};
use crate::error::Refused;

/// An org in memory.
pub(crate) struct OrgView {
    pub(crate) held: Arc<Held>,
    /// One for each query that may run at once.
    pub(crate) slots: Arc<Semaphore>,
    /// Long folds of the past are made one after the other.
    pub(crate) folding: Semaphore,
    _feed: AbortOnDropHandle<()>,
}

/// How long loading an org may take.
const LOAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a read waits for the position that it asks for.
const POSITION_TIMEOUT: Duration = Duration::from_secs(5);

impl OrgView {
    /// Loads an org: everything that was there when it was asked for.
    pub(crate) async fn load(bus: &Bus, org: &OrgId, queries_max: usize) -> Result<Self, Refused> {
        let head = bus.bucket(STATE_BUCKET).read(&head_key(org)).await?;
        let (bucket, _) =
            head.ok_or_else(|| Refused::new(Reason::OrgMissing, format!("the org {org} does not exist")))?;
        let events = bus.events().last(org).await?.map_or(0, |last| last.position);
        let files = bus.files().last(org).await?.map_or(0, |last| last.position);

        let held = Arc::new(Held::new(org.clone()));
        let feed = AbortOnDropHandle::new(tokio::spawn(feed::run(bus.clone(), held.clone())));
        let there =
            |progress: &Progress| progress.bucket >= bucket && progress.events >= events && progress.files >= files;
        let mut progress = held.progress();
        match tokio::time::timeout(LOAD_TIMEOUT, progress.wait_for(there)).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => {
                return Err(Refused::new(Reason::BusUnavailable, "the org could not be loaded in time"));
            }
        }
        Ok(Self { held, slots: Arc::new(Semaphore::new(queries_max)), folding: Semaphore::new(1), _feed: feed })
    }

    /// The org at this moment, or as soon as the position asked for is visible.
    pub(crate) async fn at(&self, min: Option<u64>) -> Result<Arc<Snapshot>, Refused> {
        if let Some(min) = min {
            let mut progress = self.held.progress();
            let reached = progress.wait_for(|progress| progress.position() >= min);
            match tokio::time::timeout(POSITION_TIMEOUT, reached).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => {
                    let at = self.held.progress().borrow().position();
                    let message = format!("position {min} was asked for, {at} is visible");
                    return Err(Refused::new(Reason::PositionTimeout, message));
                }
            }
        }
        Ok(self.held.snapshot())
    }
}
