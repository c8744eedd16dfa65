//! Setup keys: secrets with which devices enrol themselves.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::GroupId;
use crate::resource::{Reference, Related};
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

crate::resource! {
    /// A setup key of an org. Its secret is shown once, when it is created, and kept as a hash.
    SetupKey(SetupKeyId) from NewSetupKey {
        name: Name,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        metadata: Metadata,
        #[serde(default, rename = "type")]
        key_type: SetupKeyType,
        /// How many devices may enrol; 0 means any number. A one-off key has 1.
        #[serde(default)]
        usage_limit: u32,
        /// When the key ends; absent means never.
        #[serde(default)]
        expires_at: Option<DateTime<Utc>>,
        /// `true` revokes the key for good.
        #[serde(default)]
        revoked: bool,
        /// The groups that its devices are put into.
        #[serde(default, alias = "auto_groups")]
        auto_group_ids: Vec<GroupId>,
        /// Whether its devices leave the org when they have been offline for ten minutes.
        #[serde(default)]
        ephemeral: bool,
        /// Whether its devices wait for an approval before they get a ruleset.
        #[serde(default)]
        approval_required: bool,
    }
    given {
        /// Seconds until the key ends, for who would rather not reckon; not together with `expires_at`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_in: Option<u32>,
    }
    kept {
        /// The first characters of the secret, to recognise it by.
        prefix: String,
        used_times: u32,
        #[serde(default)]
        last_used_at: Option<DateTime<Utc>>,
    }
    aliases {
        "auto_groups" => "auto_group_ids",
    }
}

impl Related for SetupKey {
    fn unique_name(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }

    fn references(&self, note: &mut dyn FnMut(&'static str, Reference)) {
        self.auto_group_ids.iter().for_each(|id| note("auto_group_ids", (*id).into()));
    }
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
