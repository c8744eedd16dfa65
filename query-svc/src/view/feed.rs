//! The feed of an org: brings its changes in, and shows readers what came together.

use std::sync::Arc;

use bus::Bus;
use bus::bucket::Change;
use bus::log::LogMessage;
use futures::stream::{BoxStream, select_all};
use futures::{FutureExt, StreamExt};
use schemas::subjects::{PRESENCE_BUCKET, STATE_BUCKET};
use tracing::{error, warn};

use super::events::Events;
use super::held::{Held, Progress, Snapshot};
use super::models::Incoming;
use super::presence::Presence;
use crate::clock::now;

/// What is there already is taken in before it is shown, up to so many messages.
const TOGETHER_MAX: usize = 256;

enum News {
    Model(Change),
    Events(LogMessage),
    Files(LogMessage),
    Presence(Change),
}

/// Brings an org's changes in, for ever.
pub(super) async fn run(bus: Bus, held: Arc<Held>) {
    let org = held.org().clone();
    let all = format!("{org}.>");
    let sources: [BoxStream<'_, News>; 4] = [
        bus.bucket(STATE_BUCKET).watch(&all).map(News::Model).boxed(),
        bus.bucket(PRESENCE_BUCKET).watch(&all).map(News::Presence).boxed(),
        bus.events().follow(Some(&org), 0).map(News::Events).boxed(),
        bus.files().follow(Some(&org), 0).map(News::Files).boxed(),
    ];
    let mut news = select_all(sources);
    let mut feed = Feed::new(held);
    while let Some(first) = news.next().await {
        feed.take(first);
        for _ in 1..TOGETHER_MAX {
            let Some(Some(more)) = news.next().now_or_never() else { break };
            feed.take(more);
        }
        feed.show();
    }
}

/// What came in. Readers see copies of it, so they never wait for it.
struct Feed {
    held: Arc<Held>,
    models: Incoming,
    events: Events,
    presence: Presence,
    progress: Progress,
}

impl Feed {
    fn new(held: Arc<Held>) -> Self {
        Self {
            held,
            models: Incoming::default(),
            events: Events::default(),
            presence: Presence::default(),
            progress: Progress::default(),
        }
    }

    fn take(&mut self, news: News) {
        match news {
            News::Model(change) => self.take_model(&change),
            News::Events(message) => {
                self.events.take(message.position, &message.payload);
                self.progress.events = message.position;
            }
            News::Files(message) => self.take_files(&message),
            News::Presence(change) => self.take_presence(&change),
        }
    }

    fn take_model(&mut self, change: &Change) {
        let key = change.key.strip_prefix(self.held.org().as_str()).and_then(|key| key.strip_prefix('.'));
        match key {
            Some(key) => self.models.take(key, change.value.as_ref()),
            None => error!("a read model of another org: {}", change.key),
        }
        self.progress.bucket = change.revision;
        self.progress.head = self.models.shown().head.position;
    }

    fn take_files(&mut self, message: &LogMessage) {
        let commit = serde_json::from_slice(&message.payload)
            .inspect_err(|error| error!("the file catalogue at {} cannot be read: {error}", message.position));
        self.held.take_files(message.position, commit.ok().as_ref());
        self.progress.files = message.position;
    }

    fn take_presence(&mut self, change: &Change) {
        let Some(value) = &change.value else { return };
        let device = change.key.split_once('.').and_then(|(_, device)| device.parse().ok());
        match (device, serde_json::from_slice(value)) {
            (Some(device), Ok(heartbeat)) => self.presence.take(device, heartbeat, now()),
            (_, _) => warn!("a heartbeat that cannot be read: {}", change.key),
        }
    }

    fn show(&self) {
        let snapshot = Snapshot {
            position: self.progress.position(),
            models: self.models.shown().clone(),
            events: self.events.clone(),
            presence: self.presence.clone(),
            is_past: false,
        };
        self.held.show(Arc::new(snapshot), self.progress);
    }
}
