//! API tokens: secrets with which programs call the API.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::access::Role;
use crate::id::{ApiTokenId, UserId};
use crate::text::{Description, Name};

/// An API token of a user. Its secret is shown once, when it is created, and kept as a hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ApiToken {
    pub id: ApiTokenId,
    /// The org revision of this token's last change; also its ETag.
    pub revision: u64,
    pub name: Name,
    pub description: Description,
    pub owner_id: UserId,
    /// What the token may do; never more than its owner.
    pub role: Role,
    /// The first characters of the secret, to recognise it by.
    pub prefix: String,
    pub expires_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What to create an API token from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiToken {
    pub name: Name,
    #[serde(default)]
    pub description: Description,
    /// Absent means the caller's own role.
    pub role: Option<Role>,
    /// When the token ends; absent means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// Seconds until the token ends; not together with `expires_at`.
    pub expires_in: Option<u32>,
}

/// What to change of an API token; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiTokenPatch {
    pub name: Option<Name>,
    pub description: Option<Description>,
}
