//! Uses: when each API token was used last, and when each user came with a JWT last. Counted here; whoever runs the
//! service takes [`Uses::due`] now and then and keeps it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use schemas::id::{ApiTokenId, OrgId, UserId};
use tokio::time::Instant;

/// No use is told more often.
const PERIOD: Duration = Duration::from_secs(60);
/// Uses that are remembered at one time. What was told goes first; what cannot be remembered is not told.
const USES_MAX: usize = 100_000;

/// What was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Used {
    ApiToken(ApiTokenId),
    /// A user came with a JWT.
    User(UserId),
}

impl std::fmt::Display for Used {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ApiToken(id) => id.fmt(f),
            Self::User(id) => id.fmt(f),
        }
    }
}

/// A use that is to be told: of which org, of what, and when.
pub type Told = (OrgId, Used, DateTime<Utc>);

/// The last uses. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Uses(Arc<Mutex<HashMap<Used, Use>>>);

#[derive(Debug)]
struct Use {
    org: OrgId,
    at: DateTime<Utc>,
    /// Which use was told, and when.
    told: Option<(DateTime<Utc>, Instant)>,
}

impl Use {
    fn is_due(&self, now: Instant) -> bool {
        self.told.is_none_or(|(at, when)| at < self.at && now.duration_since(when) >= PERIOD)
    }
}

impl Uses {
    pub(crate) fn note(&self, used: Used, org: &OrgId, at: DateTime<Utc>) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = uses.get_mut(&used) {
            known.at = at;
            return;
        }
        if uses.len() >= USES_MAX {
            uses.retain(|_, known| known.told.is_none_or(|(told, _)| told < known.at));
        }
        if uses.len() < USES_MAX {
            uses.insert(used, Use { org: org.clone(), at, told: None });
        }
    }

    /// The uses that are to be told: the first of each at once, later ones a minute after the one that was told before.
    /// They count as told.
    pub fn due(&self) -> Vec<Told> {
        self.due_at(Instant::now())
    }

    fn due_at(&self, now: Instant) -> Vec<Told> {
        self.take(|known| known.is_due(now), now)
    }

    /// All uses that were not told yet, for the last time.
    pub fn rest(&self) -> Vec<Told> {
        self.take(|known| known.told.is_none_or(|(told, _)| told < known.at), Instant::now())
    }

    fn take(&self, wanted: impl Fn(&Use) -> bool, now: Instant) -> Vec<Told> {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = uses.iter_mut().filter(|(_, known)| wanted(known));
        let told = due.map(|(used, known)| {
            known.told = Some((known.at, now));
            (known.org.clone(), *used, known.at)
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use schemas::id::Ulid;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn token(n: u64) -> Used {
        Used::ApiToken(ApiTokenId::new(Ulid::from_parts(n, 0)))
    }

    #[test]
    fn the_first_use_is_told_at_once_and_later_ones_once_a_minute() {
        let (uses, acme) = (Uses::default(), "acme".parse::<OrgId>().unwrap());
        let begun = Instant::now();
        let due = |minutes: u32| uses.due_at(begun + PERIOD * minutes);
        uses.note(token(1), &acme, at(1));
        uses.note(token(1), &acme, at(2));
        assert_eq!(due(0), [(acme.clone(), token(1), at(2))]);
        assert_eq!(due(0), []);
        uses.note(token(1), &acme, at(3));
        assert_eq!(due(0), []);
        assert_eq!(due(1), [(acme.clone(), token(1), at(3))]);
        assert_eq!(due(2), [], "a token that is not used is not told of");
        uses.note(token(1), &acme, at(4));
        uses.note(token(1), &acme, at(5));
        assert_eq!(due(2), [(acme.clone(), token(1), at(5))]);
        uses.note(token(1), &acme, at(6));
        assert_eq!(uses.rest(), [(acme.clone(), token(1), at(6))]);
        assert_eq!(uses.rest(), []);
    }

    #[test]
    fn the_memory_is_bounded() {
        let (uses, acme) = (Uses::default(), "acme".parse::<OrgId>().unwrap());
        for n in 0..USES_MAX as u64 + 10 {
            uses.note(token(n), &acme, at(1));
        }
        assert_eq!(uses.due().len(), USES_MAX);
        // What was told makes room.
        uses.note(token(u64::from(u32::MAX)), &acme, at(2));
        assert_eq!(uses.due().len(), 1);
    }
}
