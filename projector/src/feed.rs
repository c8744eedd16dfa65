//! The feed reaction: each event by itself, once.

use std::sync::Arc;

use bus::Bus;
use bus::feed::FeedEnd;
use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use crate::counts::Counts;
use crate::parked::park_large;
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
/// What an event's headers have at most.
const HEADERS_BYTES_MAX: usize = 1_024;

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
        if new.is_empty() {
            return;
        }
        let mut patience = Patience::new(stop, "publish on the feed");
        loop {
            // The server drops those that an earlier try has stored: they carry their event ids.
            match self.try_publish(&new).await {
                Ok((published, end)) => {
                    self.counts.feed_published.add(published);
                    self.end = end;
                    return;
                }
                Err(error) if patience.after(&error).await => {}
                Err(_) => return,
            }
        }
    }

    /// Publishes what fits a message, and says how many did and where the feed ends then.
    async fn try_publish(&self, events: &[&Happened]) -> Result<(u64, FeedEnd), bus::Error> {
        let bytes_max = self.bus.payload_bytes_max().saturating_sub(HEADERS_BYTES_MAX);
        let (mut pending, mut end) = (Pending::new(), self.end);
        for event in events {
            let (meta, stored) = (&event.recorded.meta, event.stored.get());
            let (position, revision) = (event.position, meta.revision);
            if stored.len() > bytes_max {
                let key = format!("feed.{}.{revision}", meta.org);
                park_large(&self.bus, &self.counts, &key, &meta.org, revision, stored.len()).await?;
                continue;
            }
            let publish = self.bus.publish_feed(&event.recorded, stored, position);
            pending.push(publish.await?).await?;
            end = FeedEnd { position, revision };
        }
        Ok((pending.settle().await?, end))
    }
}

fn is_new(end: FeedEnd, event: &Happened, now: DateTime<Utc>) -> bool {
    let after = (event.position, event.recorded.meta.revision) > (end.position, end.revision);
    after && now - event.recorded.meta.time < KEPT
}
