//! Setup keys: secrets with which devices enrol themselves.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::SetupKeyId;
use crate::text::{Description, Metadata, Name};

/// Whether a setup key serves once or many times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SetupKeyType {
    #[default]
    OneOff,
    Reusable,
}

/// What a setup key is good for at a given time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SetupKeyState {
    Valid,
    /// Its usage limit is reached.
    Overused,
    Expired,
    Revoked,
}

/// A setup key of an org. Its secret is shown once, when it is created, and kept as a hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SetupKey {
    pub id: SetupKeyId,
    /// The org revision of this key's last change; also its ETag.
    pub revision: u64,
    pub name: Name,
    pub description: Description,
    pub metadata: Metadata,
    #[serde(rename = "type")]
    pub key_type: SetupKeyType,
    /// The first characters of the secret, to recognise it by.
    pub prefix: String,
    /// How many devices may enrol; 0 means any number. A one-off key has 1.
    pub usage_limit: u32,
    pub used_times: u32,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl SetupKey {
    pub fn state(&self, now: DateTime<Utc>) -> SetupKeyState {
        if self.revoked {
            SetupKeyState::Revoked
        } else if self.expires_at.is_some_and(|at| at <= now) {
            SetupKeyState::Expired
        } else if self.usage_limit > 0 && self.used_times >= self.usage_limit {
            SetupKeyState::Overused
        } else {
            SetupKeyState::Valid
        }
    }
}

/// What to create a setup key from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSetupKey {
    pub name: Name,
    #[serde(default)]
    pub description: Description,
    #[serde(default)]
    pub metadata: Metadata,
    #[serde(default, rename = "type")]
    pub key_type: SetupKeyType,
    /// For reusable keys; 0 means any number.
    #[serde(default)]
    pub usage_limit: u32,
    /// When the key ends; absent means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// Seconds until the key ends, for who would rather not reckon; not together with `expires_at`.
    pub expires_in: Option<u32>,
}

/// What to change of a setup key; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupKeyPatch {
    pub name: Option<Name>,
    pub description: Option<Description>,
    pub metadata: Option<Metadata>,
    /// `true` revokes the key for good; `false` is refused for a key that is revoked.
    pub revoked: Option<bool>,
}
