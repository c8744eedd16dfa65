//! The keyring: what each secret and each device key opens and what each org allows, in memory. Services feed it from
//! the bus.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use schemas::access::Role;
use schemas::address::Span;
use schemas::credential::{Change, Credential, CredentialKey};
use schemas::id::{ApiTokenId, OrgId, UserId};
use schemas::plan::Plan;

/// All credentials, shared by whoever holds a clone.
#[derive(Debug, Clone, Default)]
pub struct Keyring(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    credentials: RwLock<Credentials>,
    users: RwLock<Users>,
    /// How often a user changed.
    users_version: AtomicU64,
    orgs: RwLock<HashMap<OrgId, Arc<OrgFacts>>>,
    /// What an org has of which nothing is known.
    nothing_known: Arc<OrgFacts>,
}

#[derive(Debug, Default)]
struct Credentials {
    by_key: HashMap<CredentialKey, Credential>,
    /// Where the API tokens are that may change.
    tokens: HashMap<ApiTokenId, CredentialKey>,
}

#[derive(Debug, Default)]
struct Users {
    facts: HashMap<UserId, UserFacts>,
    /// Who signs in as whom, by the keyed hash of issuer and subject.
    by_subject: HashMap<String, UserId>,
    subjects: HashMap<UserId, String>,
}

/// What the front door must know of the user that API tokens belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserFacts {
    /// No token of the user can do more.
    pub role: Role,
    pub blocked: bool,
}

/// What the front door must know of an org.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrgFacts {
    pub plan: Plan,
    /// The addresses that the API may be called from; none means any.
    pub api_sources: Vec<Span>,
}

impl Keyring {
    pub fn put(&self, key: CredentialKey, credential: Credential) {
        let mut credentials = self.0.credentials.write().unwrap_or_else(PoisonError::into_inner);
        if let Credential::ApiToken { id, .. } = &credential {
            credentials.tokens.insert(*id, key.clone());
        }
        credentials.by_key.insert(key, credential);
    }

    /// Makes an API token another; one that is not there stays so.
    pub fn change(&self, id: &ApiTokenId, credential: Credential) {
        let mut credentials = self.0.credentials.write().unwrap_or_else(PoisonError::into_inner);
        let Credentials { by_key, tokens } = &mut *credentials;
        if let Some(token) = tokens.get(id).and_then(|key| by_key.get_mut(key)) {
            *token = credential;
        }
    }

    pub fn remove(&self, key: &CredentialKey) {
        let mut credentials = self.0.credentials.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(Credential::ApiToken { id, .. }) = credentials.by_key.remove(key) {
            credentials.tokens.remove(&id);
        }
    }

    pub fn find(&self, key: &CredentialKey) -> Option<Credential> {
        self.0.credentials.read().unwrap_or_else(PoisonError::into_inner).by_key.get(key).cloned()
    }

    /// Takes in what an event changes; says the key of a device that opens nothing from here on.
    pub fn apply(&self, org: &OrgId, change: Change) -> Option<String> {
        match change {
            Change::Gives(key, credential) => self.put(key, credential),
            Change::Changes(id, credential) => self.change(&id, credential),
            Change::Takes(key) => {
                self.remove(&key);
                if let CredentialKey::DeviceKey(public_key) = key {
                    return Some(public_key);
                }
            }
            Change::User { id, role, blocked, subject_hash } => {
                self.set_user(id, UserFacts { role, blocked });
                self.set_subject(id, subject_hash);
            }
            Change::UserGone(id) => self.remove_user(&id),
            Change::Org(plan, api_sources) => self.set_org(org, OrgFacts { plan, api_sources }),
        }
        None
    }

    pub fn set_user(&self, id: UserId, facts: UserFacts) {
        self.change_users(|users| {
            users.facts.insert(id, facts);
        });
    }

    pub fn remove_user(&self, id: &UserId) {
        self.change_users(|users| {
            users.facts.remove(id);
            users.subjects.remove(id).map(|subject| users.by_subject.remove(&subject));
        });
    }

    pub fn user(&self, id: &UserId) -> Option<UserFacts> {
        self.0.users.read().unwrap_or_else(PoisonError::into_inner).facts.get(id).copied()
    }

    /// Says as whom somebody signs in.
    pub fn set_subject(&self, id: UserId, subject_hash: Option<String>) {
        self.change_users(|users| {
            users.subjects.remove(&id).map(|subject| users.by_subject.remove(&subject));
            if let Some(subject) = subject_hash {
                users.by_subject.insert(subject.clone(), id);
                users.subjects.insert(id, subject);
            }
        });
    }

    /// The user who signs in so.
    pub fn user_of_subject(&self, subject_hash: &str) -> Option<(UserId, UserFacts)> {
        let users = self.0.users.read().unwrap_or_else(PoisonError::into_inner);
        let id = users.by_subject.get(subject_hash)?;
        users.facts.get(id).map(|facts| (*id, *facts))
    }

    /// Another number means that some user changed.
    pub(crate) fn users_version(&self) -> u64 {
        self.0.users_version.load(Ordering::SeqCst)
    }

    fn change_users(&self, change: impl FnOnce(&mut Users)) {
        change(&mut self.0.users.write().unwrap_or_else(PoisonError::into_inner));
        self.0.users_version.fetch_add(1, Ordering::SeqCst);
    }

    pub fn set_org(&self, org: &OrgId, facts: OrgFacts) {
        let mut orgs = self.0.orgs.write().unwrap_or_else(PoisonError::into_inner);
        // Most orgs are as all are; there may be many.
        if facts == OrgFacts::default() {
            orgs.remove(org);
        } else {
            orgs.insert(org.clone(), Arc::new(facts));
        }
    }

    /// What is known of an org.
    pub fn org(&self, org: &OrgId) -> Arc<OrgFacts> {
        let orgs = self.0.orgs.read().unwrap_or_else(PoisonError::into_inner);
        orgs.get(org).unwrap_or(&self.0.nothing_known).clone()
    }
}

impl OrgFacts {
    /// Whether the API may be called from an address.
    pub fn admits(&self, source: std::net::IpAddr) -> bool {
        self.api_sources.is_empty() || self.api_sources.iter().any(|span| span.contains(source))
    }
}
