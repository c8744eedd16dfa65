//! Events to read models: one loop reads the log, folds each org, writes what changed and sets off the reactions.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use bus::log::LogMessage;
use futures::StreamExt;
use schemas::id::OrgId;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock;
use crate::config::Config;
use crate::configs::Configs;
use crate::counts::Counts;
use crate::feed::Feed;
use crate::parked::{ParkedCommit, park, reason};
use crate::retry::until_done;
use crate::views::fold::{Happened, Undigested};
use crate::views::view::View;

mod changes;
pub(crate) mod fold;
mod view;

/// All orgs' read models.
pub(crate) struct Views {
    bus: Bus,
    configs: Configs,
    feed: Feed,
    counts: Arc<Counts>,
    views: HashMap<OrgId, View>,
    /// Orgs that stay in memory though nobody writes to them.
    awake_max: usize,
    /// An org that nobody writes to for so long may leave memory.
    idle: Duration,
    /// The connection that everything so far was written over.
    connects: u64,
}

/// The bus may not have what was written to it.
struct Lost;

/// Commits that are folded before what they changed is written, if that many wait.
const COMMITS_MAX: usize = 64;
/// How long the log is quiet before the connection is looked at.
const QUIET: Duration = Duration::from_secs(1);
/// Orgs that are written at once.
const ORGS_MAX: usize = 8;

impl Views {
    pub(crate) fn new(bus: Bus, configs: Configs, feed: Feed, counts: Arc<Counts>, config: &Config) -> Self {
        let (awake_max, idle) = (config.awake_max(), config.org_idle());
        Self { bus, configs, feed, counts, views: HashMap::new(), awake_max, idle, connects: 0 }
    }

    /// Follows the event log until it is time to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        while let Some(Lost) = self.follow(&stop).await {
            warn!("the bus may have lost what it had acknowledged: beginning from the start of the event log");
        }
    }

    /// Follows the event log from its start; `None` once it is time to stop.
    ///
    /// What was there at the start is folded first and written once, so that a device gets its newest config and not
    /// every one since it was enrolled.
    async fn follow(&mut self, stop: &CancellationToken) -> Option<Lost> {
        self.views.clear();
        self.connects = self.bus.connects();
        self.feed.open(stop).await?;
        let log = self.bus.events();
        let end = until_done(stop, "read the end of the event log", || log.last_position()).await?;
        let mut is_caught_up = end == 0;
        let mut messages = pin!(log.follow(None, 0).ready_chunks(COMMITS_MAX));
        loop {
            let chunk = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                chunk = messages.next() => chunk?,
                () = tokio::time::sleep(QUIET) => Vec::new(),
            };
            if is_caught_up && self.has_lost(stop).await? {
                return Some(Lost);
            }
            if chunk.is_empty() && !self.views.values().any(View::is_due) {
                if is_caught_up {
                    self.let_rest();
                }
                continue;
            }
            let happened = self.fold(stop, &chunk, end).await?;
            if let Some(last) = chunk.last().map(|message| message.position)
                && !is_caught_up
                && last >= end
            {
                is_caught_up = true;
                info!(orgs = self.views.len(), "the read models have caught up with the event log at {last}");
                self.views.values_mut().for_each(View::note_all_devices);
            }
            if is_caught_up {
                self.flush().await;
            }
            self.feed.publish(stop, &happened, clock::now()).await;
            if is_caught_up && self.bus.connects() != self.connects {
                // The connection broke while this was written: what was written before may be gone.
                return Some(Lost);
            }
        }
    }

    /// Lets go of the orgs that nobody writes to, but for those that somebody wrote to last.
    fn let_rest(&mut self) {
        let mut awake: Vec<&mut View> = self.views.values_mut().filter(|view| !view.is_resting).collect();
        let Some(many) = awake.len().checked_sub(self.awake_max).filter(|many| *many > 0) else { return };
        awake.sort_by_key(|view| view.fold.position);
        for view in awake.into_iter().take(many).filter(|view| view.is_idle(self.idle)) {
            view.rest();
            self.counts.orgs_rested.add(1);
        }
    }

    /// Whether the bus came back without something that it had acknowledged. It loses from the end: what is kept in
    /// order is whole if its last key is there.
    async fn has_lost(&mut self, stop: &CancellationToken) -> Option<bool> {
        let connects = self.bus.connects();
        if connects == self.connects {
            return Some(false);
        }
        let this = &*self;
        let is_intact = until_done(stop, "check the read models", || this.is_intact());
        let is_intact = is_intact.await?;
        self.connects = connects;
        Some(!is_intact)
    }

    async fn is_intact(&self) -> Result<bool, bus::Error> {
        for view in self.views.values() {
            if !view.is_intact(&self.bus).await? {
                return Ok(false);
            }
        }
        Ok(self.feed.is_intact().await? && self.configs.is_intact().await?)
    }

    /// Folds commits; `None` if the projector stops.
    async fn fold(&mut self, stop: &CancellationToken, chunk: &[LogMessage], end: u64) -> Option<Vec<Happened>> {
        let mut all = Vec::new();
        for message in chunk {
            if !self.views.contains_key(&message.org) {
                // An org that is new to the log has no read models beyond it.
                let end = end.max(message.position);
                let view = until_done(stop, "open the read models", || View::open(&self.bus, &message.org, end));
                self.views.insert(message.org.clone(), view.await?);
            }
            let Some(view) = self.views.get_mut(&message.org) else { continue };
            if view.is_parked {
                continue;
            }
            if view.is_resting {
                let (bus, org, position) = (&self.bus, &message.org, view.fold.position);
                let fold = until_done(stop, "fold an org again", || View::fold_at(bus, org, position));
                view.wake(fold.await?);
            }
            if message.position > end {
                view.is_written_to();
            }
            match view.follow(message) {
                Ok(happened) => {
                    self.counts.commits_folded.add(1);
                    all.extend(happened);
                }
                Err(undigested) => {
                    view.is_parked = true;
                    self.park(stop, message, &undigested).await?;
                }
            }
        }
        Some(all)
    }

    async fn park(&self, stop: &CancellationToken, message: &LogMessage, undigested: &Undigested) -> Option<()> {
        let LogMessage { org, position, .. } = message;
        error!("the commit of {org} at {position} cannot be digested, the org is not projected further: {undigested}");
        self.counts.events_parked.add(1);
        let parked = ParkedCommit { org, position: *position, error: reason(undigested), at: clock::now() };
        park(&self.bus, stop, &format!("events.{org}.{position}"), &parked).await.then_some(())
    }

    /// Tries once for each org that has something to write: an org that fails has its turn again and holds up no other.
    async fn flush(&mut self) {
        let Self { bus, configs, counts, views, .. } = self;
        let (bus, configs, counts) = (&*bus, &*configs, &**counts);
        let due = views.values_mut().filter(|view| view.is_due());
        futures::stream::iter(due).for_each_concurrent(ORGS_MAX, |view| view.flush(bus, configs, counts)).await;
    }
}
