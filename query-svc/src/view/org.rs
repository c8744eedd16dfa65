//! One org in memory, kept up to date by its feeds for as long as it is held.

use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use futures::StreamExt;
use schemas::id::OrgId;
use schemas::reason::Reason;
use schemas::subjects::{PRESENCE_BUCKET, STATE_BUCKET, head_key};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::held::{Held, Progress, Snapshot};
use crate::error::Refused;

/// An org in memory.
pub(crate) struct OrgView {
    pub(crate) held: Arc<Held>,
    /// One for each query that may run at once.
    pub(crate) slots: Arc<Semaphore>,
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
        let feed = AbortOnDropHandle::new(tokio::spawn(feed(bus.clone(), held.clone())));
        let there =
            |progress: &Progress| progress.bucket >= bucket && progress.events >= events && progress.files >= files;
        let mut progress = held.progress();
        match tokio::time::timeout(LOAD_TIMEOUT, progress.wait_for(there)).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => {
                return Err(Refused::new(Reason::BusUnavailable, "the org could not be loaded in time"));
            }
        }
        Ok(Self { held, slots: Arc::new(Semaphore::new(queries_max)), _feed: feed })
    }

    /// The org at this moment, or as soon as the position asked for is visible.
    pub(crate) async fn at(&self, min: Option<u64>) -> Result<Snapshot, Refused> {
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

/// Brings an org's changes in, for ever.
async fn feed(bus: Bus, held: Arc<Held>) {
    let org = held.org().clone();
    let all = format!("{org}.>");
    let mut models = Box::pin(bus.bucket(STATE_BUCKET).watch(&all));
    let mut presence = Box::pin(bus.bucket(PRESENCE_BUCKET).watch(&all));
    let mut events = Box::pin(bus.events().follow(Some(&org), 0));
    let mut files = Box::pin(bus.files().follow(Some(&org), 0));
    loop {
        tokio::select! {
            Some(change) = models.next() => held.take_model(change),
            Some(message) = events.next() => held.take_events(&message),
            Some(message) = files.next() => held.take_files(&message),
            Some(change) = presence.next() => held.take_presence(&change),
            else => return,
        }
    }
}
