//! The memory of one org: what its feed shows, and where readers find it.

use std::sync::{Arc, PoisonError, RwLock};

use schemas::files::{Catalogue, FilesCommit};
use schemas::id::OrgId;
use tokio::sync::watch;

use super::events::Events;
use super::models::Models;
use super::presence::Presence;
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
    pub(crate) models: Arc<Models>,
    pub(crate) events: Events,
    pub(crate) presence: Presence,
    /// Whether the moment is one of the past that was asked for.
    pub(crate) is_past: bool,
}

#[derive(Debug, Default)]
struct Files {
    catalogue: Catalogue,
    listed: Arc<FlowFiles>,
}

/// What is known of one org. Only its feed writes.
#[derive(Debug)]
pub(crate) struct Held {
    org: OrgId,
    seen: RwLock<Arc<Snapshot>>,
    files: RwLock<Files>,
    progress: watch::Sender<Progress>,
}

impl Held {
    pub(crate) fn new(org: OrgId) -> Self {
        Self { org, seen: RwLock::default(), files: RwLock::default(), progress: watch::Sender::default() }
    }

    pub(crate) fn org(&self) -> &OrgId {
        &self.org
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.seen.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows readers the org as it is from here on, then says how far that is.
    pub(super) fn show(&self, snapshot: Arc<Snapshot>, progress: Progress) {
        let before = std::mem::replace(&mut *self.seen.write().unwrap_or_else(PoisonError::into_inner), snapshot);
        self.progress.send_if_modified(|shown| std::mem::replace(shown, progress) != progress);
        drop(before);
    }

    /// The files of the flow table. They come in every second and are asked for now and then, so the list is made
    /// when it is wanted, and sorted while nobody waits for it.
    pub(crate) fn flows(&self) -> Arc<FlowFiles> {
        let (position, files) = {
            let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
            if files.listed.position == files.catalogue.position {
                return files.listed.clone();
            }
            (files.catalogue.position, files.catalogue.files.values().cloned().collect())
        };
        let listed = Arc::new(FlowFiles::new(position, files));
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        if files.listed.position < position {
            files.listed = listed.clone();
        }
        listed
    }

    /// Takes in a change of the catalogue; one that cannot be read only moves the position on.
    pub(super) fn take_files(&self, position: u64, commit: Option<&FilesCommit>) {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        match commit {
            Some(commit) => files.catalogue.apply(position, commit),
            None => files.catalogue.position = position,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn commit() -> FilesCommit {
        FilesCommit {
            org: "acme".parse().expect("an org"),
            id: "cmt_01jcz3k9mv5x8q2w4e6r7t9y0a".parse().expect("an id"),
            table: "flows".to_owned(),
            add: Vec::new(),
            remove: Vec::new(),
            covers: None,
        }
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
        let commit = commit();
        thread::spawn(move || {
            for position in 1..=CHANGES {
                writer.take_files(position, Some(&commit));
                writer.show(Arc::default(), Progress::default());
            }
        });
        for _ in 0..3 {
            finished.recv_timeout(std::time::Duration::from_secs(30)).expect("nobody waits for ever");
        }
    }
}
