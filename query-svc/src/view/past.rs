//! States of the past: the fold of an org's events up to a revision or a time.

use std::collections::VecDeque;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use schemas::event::UnknownEvent;
use schemas::id::OrgId;
use schemas::kind::Kind;
use schemas::state::OrgState;
use schemas::view::Head;

use super::events::Events;
use super::held::Snapshot;
use super::models::Models;

/// Which past is asked for: a revision of the org, or a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Revision(u64),
    Time(DateTime<Utc>),
}

/// There is no such past.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPast {
    #[error("at takes a revision of the org, or a time as of RFC 3339 like 2026-11-21T13:00:00Z")]
    Unread,
    #[error("revisions begin with 1")]
    Zero,
    #[error("the org is at revision {head}, there is no {asked} yet")]
    Revision { asked: u64, head: u64 },
    #[error("that time is still to come")]
    Future,
    #[error("the org was founded at {0}, later than that")]
    Founding(String),
    #[error("the org has no events")]
    Nothing,
}

impl FromStr for At {
    type Err = NoPast;

    fn from_str(text: &str) -> Result<Self, NoPast> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self::Revision).map_err(|_| NoPast::Unread);
        }
        // A plus sign in a query is a space once it is decoded.
        text.replace(' ', "+").parse().map(Self::Time).map_err(|_| NoPast::Unread)
    }
}

impl At {
    /// The revision that is asked for.
    pub(crate) fn revision(self, events: &Events, now: DateTime<Utc>) -> Result<u64, NoPast> {
        let (Some(first), Some(last)) = (events.all.front(), events.all.back()) else { return Err(NoPast::Nothing) };
        match self {
            Self::Revision(0) => Err(NoPast::Zero),
            Self::Revision(asked) if asked > last.revision => Err(NoPast::Revision { asked, head: last.revision }),
            Self::Revision(asked) => Ok(asked),
            // The clock that wrote the last event may be ahead of this one.
            Self::Time(time) if time > now.max(last.time) => Err(NoPast::Future),
            Self::Time(time) => {
                let found = events.all.iter().rev().find(|event| event.time <= time);
                let founded = || NoPast::Founding(first.time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));
                found.map(|event| event.revision).ok_or_else(founded)
            }
        }
    }
}

/// Folds that are kept for who asks again.
const FOLDS_MAX: usize = 16;
/// Resources and entries of all folds that are kept. The newest fold is kept whatever its size.
const FOLDED_MAX: usize = 300_000;

struct Fold {
    org: OrgId,
    state: Arc<OrgState>,
    weight: usize,
}

/// The last folds, newest last. Folds of one org share what they have in common.
#[derive(Default)]
pub(crate) struct Folds(Mutex<VecDeque<Fold>>);

impl Folds {
    /// The fold of this revision, or the nearest one before it.
    pub(crate) fn nearest(&self, org: &OrgId, revision: u64) -> Option<Arc<OrgState>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.iter().filter(|fold| fold.org == *org && fold.state.revision <= revision);
        before.max_by_key(|fold| fold.state.revision).map(|fold| fold.state.clone())
    }

    pub(crate) fn keep(&self, org: &OrgId, state: &Arc<OrgState>) {
        let weight = weight(state);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|fold| fold.org != *org || fold.state.revision != state.revision);
        kept.push_back(Fold { org: org.clone(), state: state.clone(), weight });
        while kept.len() > 1
            && (kept.len() > FOLDS_MAX || kept.iter().map(|fold| fold.weight).sum::<usize>() > FOLDED_MAX)
        {
            kept.pop_front();
        }
    }
}

fn weight(state: &OrgState) -> usize {
    let resources: usize = Kind::ALL.iter().map(|kind| state.count(*kind)).sum();
    resources + state.list_entries.values().map(imbl::OrdMap::len).sum::<usize>()
}

/// How many events are between a fold and a revision.
pub(crate) fn distance(events: &Events, from: Option<&OrgState>, revision: u64) -> usize {
    index(events, revision).saturating_sub(from.map_or(0, |state| index(events, state.revision)))
}

/// The state at a revision, from an earlier one on.
pub(crate) fn fold(events: &Events, from: Option<&OrgState>, revision: u64) -> Result<OrgState, UnknownEvent> {
    let mut state = from.cloned().unwrap_or_default();
    let begin = index(events, state.revision);
    for event in events.all.iter().skip(begin).take_while(|event| event.revision <= revision) {
        state.apply(&event.recorded()?);
    }
    Ok(state)
}

/// How many events there are up to a revision.
fn index(events: &Events, revision: u64) -> usize {
    events.all.binary_search_by(|event| event.revision.cmp(&revision)).map_or_else(|at| at, |at| at + 1)
}

impl Snapshot {
    /// The org as it was at a state of the past. What devices should run and whether they were there is not recorded.
    pub(crate) fn of_past(&self, state: &Arc<OrgState>) -> Self {
        let revision = state.revision;
        let at = self.events.all.binary_search_by(|event| event.revision.cmp(&revision)).ok();
        let position = at.and_then(|at| self.events.all.get(at)).map_or(self.position, |event| event.position);
        let models = Models::of(Head { position, revision }, OrgState::clone(state));
        let events = Events::of_lists(position, state.clone());
        Self { position, models: Arc::new(models), events, presence: Default::default(), is_past: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn org(name: &str) -> OrgId {
        name.parse().expect("an org")
    }

    fn state(revision: u64) -> Arc<OrgState> {
        let mut state = OrgState::default();
        state.revision = revision;
        Arc::new(state)
    }

    #[test]
    fn a_past_is_a_revision_or_a_time() {
        assert_eq!("12".parse(), Ok(At::Revision(12)));
        let time = "2026-11-21T13:00:00Z".parse().expect("a time");
        for text in ["2026-11-21T13:00:00Z", "2026-11-21T14:00:00+01:00", "2026-11-21T14:00:00 01:00"] {
            assert_eq!(text.parse(), Ok(At::Time(time)), "{text}");
        }
        for bad in ["yesterday", "-1", "99999999999999999999", "2026-11-21", "1.5"] {
            assert_eq!(bad.parse::<At>(), Err(NoPast::Unread), "{bad}");
        }
    }

    #[test]
    fn the_nearest_fold_before_a_revision_is_found_and_few_are_kept() {
        let folds = Folds::default();
        for revision in [3, 9, 5] {
            folds.keep(&org("acme"), &state(revision));
        }
        let nearest = |org: &OrgId, revision| folds.nearest(org, revision).map(|state| state.revision);
        assert_eq!(nearest(&org("acme"), 8), Some(5));
        assert_eq!(nearest(&org("acme"), 9), Some(9));
        assert_eq!(nearest(&org("acme"), 2), None);
        assert_eq!(nearest(&org("other"), 9), None);
        (0..40).for_each(|revision| folds.keep(&org("other"), &state(revision)));
        assert_eq!(nearest(&org("acme"), 9), None);
        assert_eq!(folds.0.lock().expect("free").len(), FOLDS_MAX);
    }
}
