//! API tokens: secrets with which programs call the API.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use crate::access::{Role, Scope};
use crate::id::UserId;
use crate::resource::{Reference, Related};
use crate::text::{Description, Metadata, Name};

crate::resource! {
    /// An API token of a user. Its secret is shown once, when it is created, and kept as a hash.
    ApiToken(ApiTokenId) from NewApiToken {
        name: Name,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        metadata: Metadata,
        /// When the token ends; absent means never.
        #[serde(default)]
        expires_at: Option<DateTime<Utc>>,
        /// What the token is good for, beside its role; empty means all that the role may.
        #[serde(default)]
        scopes: Vec<Scope>,
        /// `true` revokes the token for good.
        #[serde(default)]
        revoked: bool,
    }
    given {
        /// Absent means the caller's own role.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<Role>,
        /// The user that the token is for; absent means the caller. Only admins make tokens for others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_id: Option<UserId>,
        /// Seconds until the token ends; not together with `expires_at`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_in: Option<u32>,
    }
    kept {
        owner_id: UserId,
        /// What the token may do; never more than its owner.
        role: Role,
        /// The first characters of the secret, to recognise it by.
        prefix: String,
    }
}

impl Related for ApiToken {
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }

    fn references(&self, note: &mut dyn FnMut(&'static str, Reference)) {
        for id in self.scopes.iter().flat_map(|scope| &scope.device_groups) {
            note("scopes", (*id).into());
        }
    }
}
