//! One org's events, folded and checked: pure.

use bus::log::LogMessage;
use schemas::commit::{BrokenChain, ChainHead, Commit};
use schemas::event::Recorded;
use schemas::id::OrgId;
use schemas::state::OrgState;
use serde_json::value::RawValue;

/// The state of an org at a position of the event log.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    pub(crate) state: OrgState,
    pub(crate) position: u64,
    chain: ChainHead,
}

/// One event of the log.
#[derive(Debug)]
pub(crate) struct Happened {
    pub(crate) position: u64,
    pub(crate) recorded: Recorded,
    pub(crate) stored: Box<RawValue>,
}

/// Is told the state before and after an event.
pub(crate) type Note<'n> = &'n mut dyn FnMut(&OrgState, &OrgState, &Happened);

/// A commit that cannot be folded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Undigested {
    #[error(transparent)]
    Broken(#[from] BrokenChain),
    #[error("the commit says that it belongs to {0:?}")]
    Foreign(OrgId),
}

impl Fold {
    /// Adds one commit, whole or not at all, and says what happened; nothing if it is in already. `note` gets the state
    /// before and after each event.
    pub(crate) fn follow(
        &mut self,
        message: &LogMessage,
        mut note: Option<Note<'_>>,
    ) -> Result<Vec<Happened>, Undigested> {
        if message.position <= self.position {
            return Ok(Vec::new());
        }
        let commit = Commit::parse(&message.payload).map_err(BrokenChain::from)?;
        if commit.org != message.org {
            return Err(Undigested::Foreign(commit.org));
        }
        let mut chain = self.chain.clone();
        let mut happened = Vec::with_capacity(commit.events.len());
        for stored in commit.events {
            let recorded = chain.follow(stored.get())?;
            if recorded.meta.org != message.org {
                return Err(Undigested::Foreign(recorded.meta.org));
            }
            happened.push(Happened { position: message.position, recorded, stored });
        }
        for event in &happened {
            // A copy costs the fold the places that it changes next: only for who asks.
            let before = note.is_some().then(|| self.state.clone());
            self.state.apply(&event.recorded);
            if let Some((note, before)) = note.as_mut().zip(before) {
                note(&before, &self.state, event);
            }
        }
        self.chain = chain;
        self.position = message.position;
        Ok(happened)
    }
}
