//! The memory of one org: what its feeds bring, and snapshots of it.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bus::bucket::Change;
use bus::log::LogMessage;
use schemas::files::{Catalogue, FilesCommit};
use schemas::id::OrgId;
use tokio::sync::watch;
use tracing::{error, warn};

use super::events::Events;
use super::models::{Incoming, Models};
use super::presence::Presence;
use crate::clock::now;
use crate::sql::FlowFiles;

/// How far each feed of an org is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The revision of the state bucket.
    pub(crate) bucket: u64,
    /// The position of the read models.
    pub(crate) head: u64,
    pub(crate) events: u64,
    pub(crate) files: u64,
}

impl Progress {
    /// The position up to which everything is visible.
    pub(crate) fn position(&self) -> u64 {
        self.head.min(self.events)
    }
}

/// An org at one moment. Cloning costs nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) position: u64,
    pub(crate) models: Models,
    pub(crate) events: Events,
    pub(crate) presence: Presence,
}

#[derive(Debug, Default)]
struct Memory {
    models: Incoming,
    events: Events,
    presence: Presence,
    catalogue: Catalogue,
    flows: Arc<FlowFiles>,
}

/// What is known of one org. Only its feed writes.
#[derive(Debug)]
pub(crate) struct Held {
    org: OrgId,
    memory: RwLock<Memory>,
    progress: watch::Sender<Progress>,
}

impl Held {
    pub(crate) fn new(org: OrgId) -> Self {
        Self { org, memory: RwLock::default(), progress: watch::Sender::default() }
    }

    pub(crate) fn org(&self) -> &OrgId {
        &self.org
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let memory = self.read();
        Snapshot {
            position: memory.models.shown().head.position.min(memory.events.position),
            models: memory.models.shown().clone(),
            events: memory.events.clone(),
            presence: memory.presence.clone(),
        }
    }

    /// The files of the flow table. They come in every second and are asked for now and then, so the list is made
    /// when it is wanted, and sorted while nobody waits for it.
    pub(crate) fn flows(&self) -> Arc<FlowFiles> {
        let (position, files) = {
            let memory = self.read();
            if memory.flows.position == memory.catalogue.position {
                return memory.flows.clone();
            }
            (memory.catalogue.position, memory.catalogue.files.values().cloned().collect())
        };
        let listed = Arc::new(FlowFiles::new(position, files));
        let mut memory = self.write();
        if memory.flows.position < position {
            memory.flows = listed.clone();
        }
        listed
    }

    pub(crate) fn take_model(&self, change: Change) {
        let key = change.key.strip_prefix(self.org.as_str()).and_then(|key| key.strip_prefix('.'));
        let head = {
            let mut memory = self.write();
            match key {
                Some(key) => memory.models.take(key, change.value),
                None => error!("a read model of another org: {}", change.key),
            }
            memory.models.shown().head.position
        };
        self.progress.send_modify(|progress| {
            progress.bucket = change.revision;
            progress.head = head;
        });
    }

    pub(crate) fn take_events(&self, message: &LogMessage) {
        self.write().events.take(message.position, &message.payload);
        self.progress.send_modify(|progress| progress.events = message.position);
    }

    pub(crate) fn take_files(&self, message: &LogMessage) {
        match serde_json::from_slice::<FilesCommit>(&message.payload) {
            Ok(commit) => self.write().catalogue.apply(message.position, &commit),
            Err(error) => {
                error!("the file catalogue at {} cannot be read: {error}", message.position);
                self.write().catalogue.position = message.position;
            }
        }
        self.progress.send_modify(|progress| progress.files = message.position);
    }

    pub(crate) fn take_presence(&self, change: &Change) {
        let Some(value) = &change.value else { return };
        let device = change.key.split_once('.').and_then(|(_, device)| device.parse().ok());
        match (device, serde_json::from_slice(value)) {
            (Some(device), Ok(heartbeat)) => self.write().presence.take(device, heartbeat, now()),
            (_, _) => warn!("a heartbeat that cannot be read: {}", change.key),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use schemas::files::FilesCommit;

    use super::*;

    fn message(position: u64) -> LogMessage {
        let org: OrgId = "acme".parse().expect("an org");
        let commit = FilesCommit {
            org: org.clone(),
            id: "cmt_01jcz3k9mv5x8q2w4e6r7t9y0a".parse().expect("an id"),
            table: "flows".to_owned(),
            add: Vec::new(),
            remove: Vec::new(),
            covers: None,
        };
        let payload = serde_json::to_vec(&commit).expect("JSON").into();
        LogMessage { org, position, payload }
    }

    #[test]
    fn readers_and_a_writer_never_wait_for_each_other_for_ever() {
        const CHANGES: u64 = 20_000;
        let held = Arc::new(Held::new("acme".parse().expect("an org")));
        let (done, finished) = std::sync::mpsc::channel();
        for _ in 0..3 {
            let (held, done) = (held.clone(), done.clone());
            thread::spawn(move || {
                let mut last = 0;
                while last < CHANGES {
                    held.snapshot();
                    let listed = held.flows().position;
                    assert!(listed >= last, "the list went back from {last} to {listed}");
                    last = listed;
                }
                done.send(())
            });
        }
        let writer = held.clone();
        thread::spawn(move || (1..=CHANGES).for_each(|position| writer.take_files(&message(position))));
        for _ in 0..3 {
            finished.recv_timeout(std::time::Duration::from_secs(30)).expect("nobody waits for ever");
        }
    }
}
