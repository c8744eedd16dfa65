//! The orgs that are being written to: an actor each, started on the first command.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use schemas::command::Command;
use schemas::id::OrgId;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::actor::{Actor, Observer};
use crate::journal::Journal;
use crate::secrets::Secrets;
use crate::submission::{Accepted, Failure, Options, Origin, Submission};

/// Commands that may wait for one org.
const INBOX_MAX: usize = 4_096;

/// Where commands are submitted. Cloning shares it.
#[derive(Clone)]
pub struct Orgs {
    journal: Journal,
    observer: Observer,
    secrets: Secrets,
    inboxes: Arc<Mutex<HashMap<OrgId, mpsc::Sender<Submission>>>>,
    actors: TaskTracker,
    stopping: CancellationToken,
}

impl Orgs {
    pub fn new(journal: Journal, observer: Observer, secrets: Secrets) -> Self {
        let inboxes = Arc::default();
        Self { journal, observer, secrets, inboxes, actors: TaskTracker::new(), stopping: CancellationToken::new() }
    }

    /// Submits a command and waits for what becomes of it.
    pub async fn submit(
        &self,
        org: &OrgId,
        command: Command,
        origin: Origin,
        options: Options,
    ) -> Result<Accepted, Failure> {
        let (reply, answer) = oneshot::channel();
        let mut submission = Submission { command, origin, options, reply };
        loop {
            if self.stopping.is_cancelled() {
                return Err(Failure::Stopping);
            }
            match self.inbox(org).try_send(submission) {
                Ok(()) => break,
                Err(mpsc::error::TrySendError::Full(_)) => return Err(Failure::Overloaded),
                // The actor went idle in this moment: another one takes over.
                Err(mpsc::error::TrySendError::Closed(back)) => {
                    submission = back;
                    self.remove_closed(org);
                }
            }
        }
        answer.await.unwrap_or(Err(Failure::Stopping))
    }

    /// Takes no more commands and waits until those taken are answered.
    pub async fn drain(&self) {
        self.stopping.cancel();
        self.lock().clear();
        self.actors.close();
        self.actors.wait().await;
    }

    fn inbox(&self, org: &OrgId) -> mpsc::Sender<Submission> {
        let mut inboxes = self.lock();
        if let Some(inbox) = inboxes.get(org) {
            return inbox.clone();
        }
        let (sender, inbox) = mpsc::channel(INBOX_MAX);
        let Self { journal, observer, secrets, .. } = self.clone();
        self.actors.spawn(Actor { id: org.clone(), journal, observer, secrets, inbox }.run());
        inboxes.insert(org.clone(), sender.clone());
        sender
    }

    fn remove_closed(&self, org: &OrgId) {
        let mut inboxes = self.lock();
        if inboxes.get(org).is_some_and(mpsc::Sender::is_closed) {
            inboxes.remove(org);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<OrgId, mpsc::Sender<Submission>>> {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
