//! Sign-in: who a person with a JWT is to the org, as the service that keeps the users says.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use schemas::access::Role;
use schemas::id::{OrgId, UserId};
use tokio::time::Instant;

use crate::problem::Problem;

/// How long an answer holds; who blocks a user says [`SignIns::forget`] as well.
const TTL: Duration = Duration::from_secs(60);
const KNOWN_MAX: usize = 10_000;
/// Sign-ins of different persons seldom wait for each other; those of one person do.
const TURNS: usize = 64;

/// What a verified JWT says of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    pub org: OrgId,
    pub issuer: String,
    pub subject: String,
    pub email: Option<String>,
    pub name: Option<String>,
    /// The role that the JWT gives, bounded by `--jwt-role-max`.
    pub role: Role,
}

/// Who the person is to the org.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedIn {
    pub user_id: UserId,
    pub role: Role,
    pub blocked: bool,
}

/// Finds the user of a person, and makes it at the first sign-in. The same person may come twice.
pub type SignInHook = Arc<dyn Fn(SignIn) -> BoxFuture<'static, Result<SignedIn, Problem>> + Send + Sync>;

/// A hook, and what it said lately.
pub(crate) struct SignIns {
    hook: SignInHook,
    known: Mutex<HashMap<(OrgId, String), Known>>,
    turns: Vec<tokio::sync::Mutex<()>>,
    hasher: RandomState,
    /// How often something was forgotten: what was asked before must not be remembered after.
    forgotten: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    said: SignedIn,
    /// The role that the JWT gave.
    role: Role,
    /// How often a user had changed when the hook was asked.
    version: u64,
    at: Instant,
}

impl SignIns {
    pub(crate) fn new(hook: SignInHook) -> Self {
        let turns = (0..TURNS).map(|_| tokio::sync::Mutex::default()).collect();
        Self { hook, known: Mutex::default(), turns, hasher: RandomState::new(), forgotten: AtomicU64::new(0) }
    }

    /// Who a person is. Refusals of the hook are not remembered, and an answer holds only until a user changes.
    pub(crate) async fn ask(&self, person: SignIn, version: u64) -> Result<SignedIn, Problem> {
        let key = (person.org.clone(), person.subject.clone());
        if let Some(said) = self.known(&key, person.role, version) {
            return Ok(said);
        }
        let turn = usize::try_from(self.hasher.hash_one(&key) % (TURNS as u64)).unwrap_or(0);
        let _turn = self.turns[turn].lock().await;
        // Whoever was here before may have asked already.
        if let Some(said) = self.known(&key, person.role, version) {
            return Ok(said);
        }
        let (before, role) = (self.forgotten.load(Ordering::SeqCst), person.role);
        let said = (self.hook)(person).await?;
        let mut known = self.lock();
        if self.forgotten.load(Ordering::SeqCst) == before {
            if known.len() >= KNOWN_MAX {
                known.retain(|_, known| known.at.elapsed() < TTL);
            }
            if known.len() >= KNOWN_MAX {
                known.clear();
            }
            known.insert(key, Known { said, role, version, at: Instant::now() });
        }
        Ok(said)
    }

    /// Asks anew when this person comes next.
    pub(crate) fn forget(&self, org: &OrgId, subject: &str) {
        let mut known = self.lock();
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        known.remove(&(org.clone(), subject.to_owned()));
    }

    fn known(&self, key: &(OrgId, String), role: Role, version: u64) -> Option<SignedIn> {
        let known = self.lock();
        let is_so = |known: &&Known| (known.role, known.version) == (role, version) && known.at.elapsed() < TTL;
        let known = known.get(key).filter(is_so);
        known.map(|known| known.said)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(OrgId, String), Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SignIns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIns").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::FutureExt;
    use schemas::id::Ulid;

    use super::*;

    fn person(subject: &str, role: Role) -> SignIn {
        let (issuer, org) = ("https://issuer.example".to_owned(), "acme".parse().unwrap());
        SignIn { org, issuer, subject: subject.to_owned(), email: None, name: None, role }
    }

    /// Sign-ins that count how often the hook is asked.
    fn counted() -> (Arc<SignIns>, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let hook: SignInHook = Arc::new(move |person: SignIn| {
            let count = count.clone();
            async move {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok(SignedIn { user_id: UserId::new(Ulid::from_parts(1, 1)), role: person.role, blocked: false })
            }
            .boxed()
        });
        (Arc::new(SignIns::new(hook)), asked)
    }

    #[tokio::test]
    async fn a_person_is_asked_about_once_until_forgotten() {
        let (known, asked) = counted();
        let all = (0..20).map(|_| known.ask(person("ann", Role::Viewer), 0));
        assert!(futures::future::join_all(all).await.iter().all(Result::is_ok));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        known.ask(person("bob", Role::Viewer), 0).await.unwrap();
        // Another role in the JWT is news.
        known.ask(person("ann", Role::Admin), 0).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 3);
        known.forget(&"acme".parse().unwrap(), "ann");
        known.ask(person("ann", Role::Admin), 0).await.unwrap();
        known.ask(person("bob", Role::Viewer), 0).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 4);
        // A user changed: it may have been this one.
        known.ask(person("bob", Role::Viewer), 1).await.unwrap();
        known.ask(person("bob", Role::Viewer), 1).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 5);
    }

    #[tokio::test]
    async fn what_was_asked_before_it_was_forgotten_is_not_remembered() {
        let (known, asked) = counted();
        let ann = person("ann", Role::Viewer);
        let asking = tokio::spawn({
            let (known, ann) = (known.clone(), ann.clone());
            async move { known.ask(ann, 0).await }
        });
        while asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        known.forget(&ann.org, "ann");
        asking.await.unwrap().unwrap();
        known.ask(ann, 0).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn the_memory_is_bounded() {
        let (known, _) = counted();
        for n in 0..KNOWN_MAX + 10 {
            known.ask(person(&n.to_string(), Role::Viewer), 0).await.unwrap();
        }
        assert!(known.lock().len() <= KNOWN_MAX);
    }
}
