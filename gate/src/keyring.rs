//! The keyring: what each secret and each device key opens, in memory. Services feed it from the bus.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use schemas::credential::{Credential, CredentialKey};

/// All credentials, shared by whoever holds a clone.
#[derive(Debug, Clone, Default)]
pub struct Keyring(Arc<RwLock<HashMap<CredentialKey, Credential>>>);

impl Keyring {
    pub fn put(&self, key: CredentialKey, credential: Credential) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key, credential);
    }

    pub fn remove(&self, key: &CredentialKey) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    pub fn find(&self, key: &CredentialKey) -> Option<Credential> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }
}
