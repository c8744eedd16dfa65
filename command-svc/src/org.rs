//! An org as the write side holds it: its state, the end of its chain, and the answers of the last day.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use imbl::{OrdMap, OrdSet};
use schemas::commit::{BrokenChain, ChainHead, Commit};
use schemas::event::Recorded;
use schemas::state::OrgState;

use crate::answer::Answer;

/// How long an `Idempotency-Key` is remembered.
pub const REMEMBERED: Duration = Duration::hours(24);

/// The fold of an org's log. Cloning it costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Org {
    pub state: OrgState,
    pub chain: ChainHead,
    /// The EVENTS sequence of the org's last commit; 0 for none.
    pub position: u64,
    answers: OrdMap<String, Arc<Remembered>>,
    answers_by_time: OrdSet<(DateTime<Utc>, String)>,
    /// Keys of answers whose commit is not appended yet.
    answers_pending: Vec<String>,
    /// What happened before is too old to be remembered.
    begin: Option<DateTime<Utc>>,
}

/// A command that came with an `Idempotency-Key`.
#[derive(Debug, Clone)]
pub struct Remembered {
    pub command_hash: String,
    pub answer: Answer,
}

impl Org {
    /// An org whose log is about to be read: what would be forgotten by `now` is not remembered at all.
    pub fn read_at(now: DateTime<Utc>) -> Self {
        Self { begin: now.checked_sub_signed(REMEMBERED), ..Self::default() }
    }

    /// Adds a commit of the log.
    pub fn follow(&mut self, position: u64, message: &[u8]) -> Result<Commit, BrokenChain> {
        let commit = Commit::parse(message)?;
        for stored in &commit.events {
            let recorded = self.chain.follow(stored.get())?;
            self.apply(&recorded, position);
        }
        self.position = position;
        Ok(commit)
    }

    /// Adds an event that is about to be appended.
    pub fn apply_stored(&mut self, recorded: &Recorded, stored: &str) {
        self.chain = self.chain.next(stored);
        self.apply(recorded, 0);
    }

    /// Says where the events that were applied last are in the log.
    pub fn appended(&mut self, position: u64) {
        self.position = position;
        for key in std::mem::take(&mut self.answers_pending) {
            if let Some(remembered) = self.answers.get_mut(&key) {
                let answer = Answer { position, ..remembered.answer.clone() };
                *remembered = Arc::new(Remembered { command_hash: remembered.command_hash.clone(), answer });
            }
        }
    }

    fn apply(&mut self, recorded: &Recorded, position: u64) {
        self.state.apply(recorded);
        let meta = &recorded.meta;
        // As it was when the command was decided: a key that was free again then is so here too.
        self.forget(meta.time);
        let Some(command_hash) = &meta.commandhash else { return };
        if self.begin.is_some_and(|begin| meta.time < begin) {
            return;
        }
        let key = memory_key(&meta.actor, &meta.commandid);
        if let Some(known) = self.answers.get_mut(&key) {
            let Remembered { command_hash, answer } = Remembered::clone(known);
            let mut answer = answer;
            answer.and(recorded);
            *known = Arc::new(Remembered { command_hash, answer });
        } else {
            let answer = Answer { position, ..Answer::to(recorded) };
            self.answers.insert(key.clone(), Arc::new(Remembered { command_hash: command_hash.clone(), answer }));
            if position == 0 {
                self.answers_pending.push(key.clone());
            }
            self.answers_by_time.insert((meta.time, key));
        }
    }

    /// What was answered to a command id of this actor, if that is not longer ago than a day.
    pub fn remembered(&self, actor: &str, command_id: &str) -> Option<&Arc<Remembered>> {
        self.answers.get(&memory_key(actor, command_id))
    }

    /// Forgets the answers that are older than a day.
    pub fn forget(&mut self, now: DateTime<Utc>) {
        while let Some((time, key)) = self.answers_by_time.get_min().cloned() {
            if now - time <= REMEMBERED {
                break;
            }
            self.answers.remove(&key);
            self.answers_by_time.remove(&(time, key));
        }
    }
}

/// One actor's keys mean nothing to another.
fn memory_key(actor: &str, command_id: &str) -> String {
    format!("{actor} {command_id}")
}
