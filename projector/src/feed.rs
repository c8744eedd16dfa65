//! The feed reaction: each event by itself, once.

use std::sync::Arc;

use bus::Bus;
use bus::feed::FeedEnd;
use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use crate::counts::Counts;
use crate::pending::Pending;
use crate::retry::{Patience, until_done};
use crate::views::fold::Happened;

/// Publishes what is not on the feed yet.
pub(crate) struct Feed {
    bus: Bus,
    counts: Arc<Counts>,
    end: FeedEnd,
}

/// How long the feed keeps an event. What is older was published and has left the feed, or comes too late for it.
const KEPT: TimeDelta = TimeDelta::days(7);

impl Feed {
    pub(crate) fn new(bus: Bus, counts: Arc<Counts>) -> Self {
        Self { bus, counts, end: FeedEnd::default() }
    }

    /// Finds out where the feed ends; `None` if the projector stops.
    pub(crate) async fn open(&mut self, stop: &CancellationToken) -> Option<()> {
        let bus = &self.bus;
        self.end = until_done(stop, "read the end of the feed", || bus.feed_end()).await?;
        Some(())
    }

    /// Whether the feed still ends where it was left.
    pub(crate) async fn is_intact(&self) -> Result<bool, bus::Error> {
        Ok(self.bus.feed_end().await? == self.end)
    }

    /// Publishes the new ones among `events`, in order. Returns early only if the projector stops.
    pub(crate) async fn publish(&mut self, stop: &CancellationToken, events: &[Happened], now: DateTime<Utc>) {
        let new: Vec<&Happened> = events.iter().filter(|event| is_new(self.end, event, now)).collect();
        let Some(last) = new.last() else { return };
        let end = FeedEnd { position: last.position, revision: last.recorded.meta.revision };
        let mut patience = Patience::new(stop, "publish on the feed");
        loop {
            // The server drops those that an earlier try has stored: they carry their event ids.
            match self.try_publish(&new).await {
                Ok(published) => {
                    self.counts.feed_published.add(published);
                    self.end = end;
                    return;
                }
                Err(error) if patience.after(&error).await => {}
                Err(_) => return,
            }
        }
    }

    async fn try_publish(&self, events: &[&Happened]) -> Result<u64, bus::Error> {
        let mut pending = Pending::new();
        for event in events {
            let publish = self.bus.publish_feed(&event.recorded, event.stored.get(), event.position);
            pending.push(publish.await?).await?;
        }
        pending.settle().await
    }
}

fn is_new(end: FeedEnd, event: &Happened, now: DateTime<Utc>) -> bool {
    let after = (event.position, event.recorded.meta.revision) > (end.position, end.revision);
    after && now - event.recorded.meta.time < KEPT
}
