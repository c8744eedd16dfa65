//! Credentials: what a secret or a key opens, as the events of an org say.

use chrono::{DateTime, Utc};

use crate::access::Role;
use crate::event::{Event, SecretHash};
use crate::id::{ApiTokenId, DeviceId, OrgId, SetupKeyId, UserId};

/// What a secret or a key opens.
#[derive(Debug, Clone, PartialEq)]
pub enum Credential {
    ApiToken { org: OrgId, id: ApiTokenId, owner_id: UserId, role: Role, expires_at: Option<DateTime<Utc>> },
    SetupKey { org: OrgId, id: SetupKeyId },
    Device { org: OrgId, id: DeviceId },
}

/// What the bearer of a credential shows, hashed if it is a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialKey {
    Secret(SecretHash),
    DeviceKey(String),
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
