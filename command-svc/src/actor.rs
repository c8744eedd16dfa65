//! The actor of one org: decides the commands that wait for it as one group and appends them as one commit.

use std::time::Duration;

use bus::AppendError;
use schemas::event::Recorded;
use schemas::id::OrgId;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use crate::clock::{now, random_ulid};
use crate::group::{Decided, decide_group};
use crate::journal::Journal;
use crate::org::Org;
use crate::secrets::Secrets;
use crate::submission::{Accepted, Failure, Submission};

/// Commands in one commit.
const GROUP_MAX: usize = 256;
/// How long a commit is tried while the log does not answer.
const APPEND_DEADLINE: Duration = Duration::from_secs(20);
/// How long reading an org's log may take: a cold start reads all of it.
const READ_DEADLINE: Duration = Duration::from_secs(120);
const RETRY: Duration = Duration::from_millis(100);
/// An org that nobody writes to leaves memory.
pub const IDLE: Duration = Duration::from_secs(600);

/// Is told of each event that is in the log, in order.
pub type Observer = std::sync::Arc<dyn Fn(&OrgId, &Recorded) + Send + Sync>;

pub struct Actor {
    pub id: OrgId,
    pub journal: Journal,
    pub observer: Observer,
    pub secrets: Secrets,
    pub inbox: mpsc::Receiver<Submission>,
}

impl Actor {
    /// Works until the inbox is closed and empty, or nothing came for a while.
    pub async fn run(mut self) {
        let mut org = None;
        let mut group = Vec::with_capacity(GROUP_MAX);
        loop {
            match timeout(IDLE, self.inbox.recv_many(&mut group, GROUP_MAX)).await {
                Ok(0) => return,
                Ok(_) => self.carry_out(&mut org, std::mem::take(&mut group)).await,
                Err(_) if self.inbox.is_empty() => {
                    // Who sends from here on finds the inbox closed and asks for a new actor.
                    self.inbox.close();
                    debug!("org {} is idle", self.id);
                }
                Err(_) => {}
            }
        }
    }

    /// Carries out commands and answers them, in as many commits as it takes.
    async fn carry_out(&self, org: &mut Option<Org>, mut group: Vec<Submission>) {
        while !group.is_empty() {
            match self.commit(org, &group).await {
                Ok(results) => {
                    for (submission, result) in group.drain(..results.len()).zip(results) {
                        // Who does not wait any more does not need the answer.
                        let _ = submission.reply.send(result);
                    }
                }
                Err(failure) => {
                    warn!("org {}: {failure}", self.id);
                    for submission in group.drain(..) {
                        let _ = submission.reply.send(Err(failure.clone()));
                    }
                }
            }
        }
    }

    /// Decides as many of the group as one commit takes, and appends them.
    async fn commit(
        &self,
        held: &mut Option<Org>,
        group: &[Submission],
    ) -> Result<Vec<Result<Accepted, Failure>>, Failure> {
        let deadline = Instant::now() + APPEND_DEADLINE;
        if held.is_none() {
            *held = Some(self.load().await?);
        }
        let org = held.get_or_insert_default();
        loop {
            let decided = decide_group(&self.id, org, group, now(), &self.secrets, random_ulid)?;
            match self.append(org, decided, deadline).await? {
                Some(results) => return Ok(results),
                None if Instant::now() > deadline => {
                    return Err(Failure::LogUnavailable("other writers were faster for too long".to_owned()));
                }
                None => {}
            }
        }
    }

    /// Appends what was decided. `None`: the log had moved on; `org` follows it, and the group is to be decided again.
    async fn append(
        &self,
        org: &mut Org,
        decided: Decided,
        deadline: Instant,
    ) -> Result<Option<Vec<Result<Accepted, Failure>>>, Failure> {
        let Decided { mut results, commit, mut after, events } = decided;
        let Some((id, message)) = commit else {
            // Neither a refusal nor "it is so already" may rest on an old state.
            let stale = self.catch_up(org, None).await?.moved;
            return Ok((!stale).then_some(results));
        };
        loop {
            match self.journal.append(&self.id, org.position, id, message.clone()).await {
                Ok(position) => {
                    after.appended(position);
                    *org = after;
                    break;
                }
                Err(AppendError::Refused(cause)) => return Err(Failure::LogUnavailable(cause)),
                Err(AppendError::Conflict | AppendError::Unknown(_)) => {
                    let caught_up = self.catch_up(org, Some(id)).await;
                    match caught_up {
                        Ok(CaughtUp { ours: true, .. }) => break,
                        Ok(CaughtUp { moved: true, .. }) => return Ok(None),
                        Ok(_) | Err(Failure::LogUnavailable(_)) if Instant::now() < deadline => sleep(RETRY).await,
                        Ok(_) => return Err(Failure::LogUnavailable("not acknowledged in time".to_owned())),
                        Err(failure) => return Err(failure),
                    }
                }
            }
        }
        for event in &events {
            (self.observer)(&self.id, event);
        }
        for result in results.iter_mut().flatten() {
            if let Accepted::Done(answer) = result
                && answer.position == 0
            {
                answer.position = org.position;
            }
        }
        Ok(Some(results))
    }

    async fn load(&self) -> Result<Org, Failure> {
        let mut org = Org::read_at(now());
        self.catch_up(&mut org, None).await?;
        Ok(org)
    }

    /// Folds what the log holds after the org's position, and looks for a commit of our own in it.
    async fn catch_up(&self, org: &mut Org, ours: Option<schemas::id::CommitId>) -> Result<CaughtUp, Failure> {
        let late = |_| Failure::LogUnavailable("the log was not read in time".to_owned());
        timeout(READ_DEADLINE, self.read_on(org, ours)).await.map_err(late)?
    }

    async fn read_on(&self, org: &mut Org, ours: Option<schemas::id::CommitId>) -> Result<CaughtUp, Failure> {
        let unavailable = |error: bus::Error| Failure::LogUnavailable(error.to_string());
        let mut caught_up = CaughtUp::default();
        if self.journal.last_position(&self.id).await.map_err(unavailable)? == org.position {
            return Ok(caught_up);
        }
        for stored in self.journal.read(&self.id, org.position).await.map_err(unavailable)? {
            let commit = org.follow(stored.position, &stored.message);
            let commit = commit.map_err(|broken| Failure::LogDamaged(broken.to_string()))?;
            caught_up.moved = true;
            caught_up.ours |= Some(commit.id) == ours;
        }
        Ok(caught_up)
    }
}

#[derive(Default)]
struct CaughtUp {
    moved: bool,
    ours: bool,
}
