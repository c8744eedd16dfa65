//! What is known beside the events of orgs: who users are, and when something was used last.

use std::time::Duration;

use bus::people::People;
use bus::uses::Uses;
use chrono::{DateTime, Utc};
use schemas::id::OrgId;
use schemas::user::{Person, User};
use tracing::warn;

/// How long to wait before following what broke off.
const RETRY: Duration = Duration::from_secs(1);

/// What is known beside events, of all orgs. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Aside {
    people: People,
    uses: Uses,
}

impl Aside {
    pub(crate) fn new(people: People, uses: Uses) -> Self {
        Self { people, uses }
    }

    /// Keeps itself up to date, for ever.
    pub(crate) async fn follow(&self) {
        loop {
            let ended = tokio::try_join!(self.people.clone().follow(), self.uses.clone().follow());
            warn!("following names and last uses ended, and begins again: {:?}", ended.err());
            tokio::time::sleep(RETRY).await;
        }
    }

    /// What was sealed of a user, until their key is erased.
    pub(crate) fn person(&self, org: &OrgId, user: &User) -> Option<Person> {
        self.people.open(org, user.person.as_ref()?)
    }

    /// When a token was used or a user signed in last.
    pub(crate) fn last_use(&self, org: &OrgId, id: impl ToString) -> Option<DateTime<Utc>> {
        self.uses.last(org, &id.to_string())
    }
}
