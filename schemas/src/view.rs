//! Views: what the projector keeps in KV and the API shows.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::access::Role;
use crate::agent::Heartbeat;
use crate::api_token::ApiToken;
use crate::device::Device;
use crate::firewall::Firewall;
use crate::group::Group;
use crate::id::{DeviceId, UserId};
use crate::setup_key::{SetupKey, SetupKeyState};
use crate::text::{Description, Metadata, Name};
use crate::user::{Email, Person, User, UserKind, UserStatus};

/// The value of an org's head key: how far its read models are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The EVENTS stream sequence of the last commit that is in the read models.
    pub position: u64,
    /// The revision of its last event.
    pub revision: u64,
}

/// The config that a device should run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Desired {
    /// The org revision that it was compiled at.
    pub revision: u64,
    /// SHA-256 of the config, in hexadecimal.
    pub hash: String,
}

/// A device as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeviceView {
    #[serde(flatten)]
    pub device: Device,
    /// The config that the device should run; compare with `applied`.
    pub desired: Option<Desired>,
    /// Whether a heartbeat arrived within the last seconds.
    pub online: bool,
    pub last_seen: Option<DateTime<Utc>>,
    /// The last heartbeat of an online device.
    pub heartbeat: Option<Heartbeat>,
}

/// A setup key as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SetupKeyView {
    #[serde(flatten)]
    pub setup_key: SetupKey,
    pub state: SetupKeyState,
}

/// A group as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GroupView {
    #[serde(flatten)]
    pub group: Group,
    pub devices_count: usize,
    /// The ids of its devices, in the form in which they are written.
    pub device_ids: Vec<DeviceId>,
    pub devices: Vec<NamedDevice>,
    /// How many others refer to it, devices aside: firewalls, policies, rules, routes …
    pub used: usize,
}

/// A device by id and name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NamedDevice {
    pub id: DeviceId,
    pub name: Name,
}

/// A firewall as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FirewallView {
    #[serde(flatten)]
    pub firewall: Firewall,
    /// How many rules belong to it.
    pub rules_count: usize,
}

/// A user as the API shows it: without what is sealed or hashed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UserView {
    pub id: UserId,
    /// The org revision of its last change; also its ETag.
    pub revision: u64,
    pub kind: UserKind,
    pub is_service_user: bool,
    pub role: Role,
    pub status: UserStatus,
    /// A blocked user's tokens and sign-ins are refused.
    pub blocked: bool,
    pub name: Option<Name>,
    pub email: Option<Email>,
    pub description: Description,
    pub metadata: Metadata,
    /// When a JWT of the user came last, within a minute.
    pub last_sign_in_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl UserView {
    /// The user with what was sealed of it, if that is known.
    pub fn new(user: &User, person: Option<Person>, last_sign_in_at: Option<DateTime<Utc>>) -> Self {
        let Person { name, email } = person.unwrap_or_default();
        Self { name, email, last_sign_in_at, ..user.into() }
    }
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            revision: user.revision,
            kind: user.kind,
            is_service_user: user.kind == UserKind::Service,
            role: user.role,
            status: user.status(),
            blocked: user.blocked,
            name: None,
            email: None,
            description: user.description.clone(),
            metadata: user.metadata.clone(),
            last_sign_in_at: None,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// An API token as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ApiTokenView {
    #[serde(flatten)]
    pub api_token: ApiToken,
    /// When it was used last, within a minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A setup key with its secret: the answer to its creation, and only that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SetupKeyWithSecret {
    #[serde(flatten)]
    pub setup_key: SetupKeyView,
    /// The secret, `nks_…`; it is not shown again.
    pub key: String,
}

/// An API token with its secret: the answer to its creation, and only that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ApiTokenWithSecret {
    #[serde(flatten)]
    pub api_token: ApiToken,
    /// The secret, `nk_…`; it is not shown again.
    pub token: String,
}
