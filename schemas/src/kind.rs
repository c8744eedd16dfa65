//! The kinds of resource. One word serves as module, KV key, SQL table and URL segment.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Org,
    User,
    ApiToken,
    Zone,
    Rule,
    SetupKey,
    Device,
    /// The audit trail: every event of the org.
    Event,
    /// The traffic that devices saw.
    Flow,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Org,
        Self::User,
        Self::ApiToken,
        Self::Zone,
        Self::Rule,
        Self::SetupKey,
        Self::Device,
        Self::Event,
        Self::Flow,
    ];

    /// The singular, as in event names: `rule` in `rule.created`.
    pub fn singular(self) -> &'static str {
        match self {
            Self::Org => "org",
            Self::User => "user",
            Self::ApiToken => "api_token",
            Self::Zone => "zone",
            Self::Rule => "rule",
            Self::SetupKey => "setup_key",
            Self::Device => "device",
            Self::Event => "event",
            Self::Flow => "flow",
        }
    }

    /// The plural, as in KV keys, SQL tables and (with `-`) URL segments.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Org => "orgs",
            Self::User => "users",
            Self::ApiToken => "api_tokens",
            Self::Zone => "zones",
            Self::Rule => "rules",
            Self::SetupKey => "setup_keys",
            Self::Device => "devices",
            Self::Event => "events",
            Self::Flow => "flows",
        }
    }

    pub fn from_plural(plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.plural() == plural)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.singular().replace('_', " "))
    }
}
