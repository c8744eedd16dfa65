//! Credentials: what a secret or a key opens, as the events of an org say.

use chrono::{DateTime, Utc};

use crate::access::{Role, Scope};
use crate::address::Span;
use crate::api_token::ApiToken;
use crate::event::{Event, SecretHash};
use crate::id::{ApiTokenId, DeviceId, OrgId, SetupKeyId, UserId};
use crate::plan::Plan;
use crate::resource::{AnyResource, ResourceId};

/// What a secret or a key opens.
#[derive(Debug, Clone, PartialEq)]
pub enum Credential {
    ApiToken {
        org: OrgId,
        id: ApiTokenId,
        owner_id: UserId,
        role: Role,
        expires_at: Option<DateTime<Utc>>,
        scopes: Vec<Scope>,
        revoked: bool,
    },
    SetupKey {
        org: OrgId,
        id: SetupKeyId,
    },
    Device {
        org: OrgId,
        id: DeviceId,
    },
}

/// What the bearer of a credential shows, hashed if it is a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialKey {
    Secret(SecretHash),
    DeviceKey(String),
}

/// What an event changes about who may come in.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Gives(CredentialKey, Credential),
    Takes(CredentialKey),
    /// An API token that is there already is another.
    Changes(ApiTokenId, Credential),
    /// What a user may do at most.
    User {
        id: UserId,
        role: Role,
        blocked: bool,
        /// By which the user is known at the next sign-in.
        subject_hash: Option<String>,
    },
    UserGone(UserId),
    /// What an org allows.
    Org(Plan, Vec<Span>),
}

/// What an event changes about credentials.
pub fn changed_by(org: &OrgId, event: &Event) -> Option<Change> {
    match event {
        Event::Created { resource: AnyResource::ApiToken(token), secret_hash: Some(hash) } => {
            Some(Change::Gives(CredentialKey::Secret(hash.clone()), api_token(org, token)))
        }
        Event::Updated { resource: AnyResource::ApiToken(token), .. } => {
            Some(Change::Changes(token.id, api_token(org, token)))
        }
        Event::Created { resource: AnyResource::SetupKey(key), secret_hash: Some(hash) } => Some(Change::Gives(
            CredentialKey::Secret(hash.clone()),
            Credential::SetupKey { org: org.clone(), id: key.id },
        )),
        Event::DeviceEnrolled { device } => Some(Change::Gives(
            CredentialKey::DeviceKey(device.public_key.clone()),
            Credential::Device { org: org.clone(), id: device.id },
        )),
        Event::Deleted { secret_hash: Some(hash), .. } => Some(Change::Takes(CredentialKey::Secret(hash.clone()))),
        Event::Deleted { public_key: Some(key), .. } => Some(Change::Takes(CredentialKey::DeviceKey(key.clone()))),
        Event::Created { resource: AnyResource::User(user), .. }
        | Event::Updated { resource: AnyResource::User(user), .. } => {
            let subject_hash = user.subject_hash.clone();
            Some(Change::User { id: user.id, role: user.role, blocked: user.blocked, subject_hash })
        }
        Event::Deleted { id: ResourceId::User(id), .. } => Some(Change::UserGone(*id)),
        Event::OrgCreated { org } | Event::OrgUpdated { org, .. } => {
            Some(Change::Org(org.plan, org.api_sources.clone()))
        }
        Event::Created { .. }
        | Event::Updated { .. }
        | Event::Deleted { .. }
        | Event::RulesReordered { .. }
        | Event::EntriesChanged { .. }
        | Event::DeviceConfigApplied { .. }
        | Event::DeviceConfigFailed { .. } => None,
    }
}

fn api_token(org: &OrgId, token: &ApiToken) -> Credential {
    Credential::ApiToken {
        org: org.clone(),
        id: token.id,
        owner_id: token.owner_id,
        role: token.role,
        expires_at: token.expires_at,
        scopes: token.scopes.clone(),
        revoked: token.revoked,
    }
}
