//! Credentials: what a secret or a key opens, as kept in the KV bucket `credentials`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::access::Role;
use crate::event::{Event, SecretHash};
use crate::id::{ApiTokenId, DeviceId, OrgId, SetupKeyId, UserId};

/// What a secret or a key opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Credential {
    ApiToken { org: OrgId, id: ApiTokenId, owner_id: UserId, role: Role, expires_at: Option<DateTime<Utc>> },
    SetupKey { org: OrgId, id: SetupKeyId },
    Device { org: OrgId, id: DeviceId },
}

/// The KV key of a credential: what the bearer shows, hashed if it is a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialKey {
    Secret(SecretHash),
    DeviceKey(String),
}

impl CredentialKey {
    pub fn to_kv_key(&self) -> String {
        match self {
            Self::Secret(hash) => format!("secret.{}", hash.0),
            Self::DeviceKey(public_key) => format!("device.{public_key}"),
        }
    }

    pub fn from_kv_key(key: &str) -> Option<Self> {
        match key.split_once('.')? {
            ("secret", hash) => Some(Self::Secret(SecretHash(hash.to_owned()))),
            ("device", public_key) => Some(Self::DeviceKey(public_key.to_owned())),
            _ => None,
        }
    }
}

/// What an event changes about credentials; `None` as the credential takes it away.
pub fn changed_by(org: &OrgId, event: &Event) -> Option<(CredentialKey, Option<Credential>)> {
    match event {
        Event::ApiTokenCreated { api_token, secret_hash } => Some((
            CredentialKey::Secret(secret_hash.clone()),
            Some(Credential::ApiToken {
                org: org.clone(),
                id: api_token.id,
                owner_id: api_token.owner_id,
                role: api_token.role,
                expires_at: api_token.expires_at,
            }),
        )),
        Event::SetupKeyCreated { setup_key, secret_hash } => Some((
            CredentialKey::Secret(secret_hash.clone()),
            Some(Credential::SetupKey { org: org.clone(), id: setup_key.id }),
        )),
        Event::DeviceEnrolled { device } => Some((
            CredentialKey::DeviceKey(device.public_key.clone()),
            Some(Credential::Device { org: org.clone(), id: device.id }),
        )),
        Event::ApiTokenDeleted { secret_hash, .. } | Event::SetupKeyDeleted { secret_hash, .. } => {
            Some((CredentialKey::Secret(secret_hash.clone()), None))
        }
        Event::DeviceDeleted { public_key, .. } => Some((CredentialKey::DeviceKey(public_key.clone()), None)),
        Event::OrgCreated { .. }
        | Event::UserCreated { .. }
        | Event::ApiTokenUpdated { .. }
        | Event::ZoneCreated { .. }
        | Event::ZoneUpdated { .. }
        | Event::ZoneDeleted { .. }
        | Event::RuleCreated { .. }
        | Event::RuleUpdated { .. }
        | Event::RuleDeleted { .. }
        | Event::RulesReordered { .. }
        | Event::SetupKeyUpdated { .. }
        | Event::DeviceUpdated { .. }
        | Event::DeviceConfigApplied { .. }
        | Event::DeviceConfigFailed { .. } => None,
    }
}
