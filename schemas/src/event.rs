//! Events: what happened to an org, as CloudEvents 1.0 in their JSON form.
//!
//! A created or updated event carries the whole resource after the change, so that one event is enough to project,
//! to audit and to restore. The stored form never changes: a new shape is a new variant with a new version.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::api_token::ApiToken;
use crate::device::{Applied, ApplyFailure, Device};
use crate::id::{ApiTokenId, DeviceId, EventId, OrgId, RuleId, SetupKeyId, ZoneId};
use crate::kind::Kind;
use crate::org::Org;
use crate::rule::{MovedRule, Rule};
use crate::setup_key::SetupKey;
use crate::user::User;
use crate::zone::Zone;

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    #[serde(rename = "netkeep.org.created.v1")]
    OrgCreated { org: Org },
    #[serde(rename = "netkeep.user.created.v1")]
    UserCreated { user: User },
    #[serde(rename = "netkeep.api_token.created.v1")]
    ApiTokenCreated { api_token: ApiToken, secret_hash: SecretHash },
    #[serde(rename = "netkeep.api_token.updated.v1")]
    ApiTokenUpdated { api_token: ApiToken, changed: Vec<String> },
    #[serde(rename = "netkeep.api_token.deleted.v1")]
    ApiTokenDeleted { id: ApiTokenId, secret_hash: SecretHash },
    #[serde(rename = "netkeep.zone.created.v1")]
    ZoneCreated { zone: Zone },
    #[serde(rename = "netkeep.zone.updated.v1")]
    ZoneUpdated { zone: Zone, changed: Vec<String> },
    #[serde(rename = "netkeep.zone.deleted.v1")]
    ZoneDeleted { id: ZoneId },
    #[serde(rename = "netkeep.rule.created.v1")]
    RuleCreated { rule: Rule },
    #[serde(rename = "netkeep.rule.updated.v1")]
    RuleUpdated { rule: Rule, changed: Vec<String> },
    #[serde(rename = "netkeep.rule.deleted.v1")]
    RuleDeleted { id: RuleId },
    /// Only the rules whose place changed.
    #[serde(rename = "netkeep.rule.reordered.v1")]
    RulesReordered { moved: Vec<MovedRule> },
    #[serde(rename = "netkeep.setup_key.created.v1")]
    SetupKeyCreated { setup_key: SetupKey, secret_hash: SecretHash },
    #[serde(rename = "netkeep.setup_key.updated.v1")]
    SetupKeyUpdated { setup_key: SetupKey, changed: Vec<String> },
    #[serde(rename = "netkeep.setup_key.deleted.v1")]
    SetupKeyDeleted { id: SetupKeyId, secret_hash: SecretHash },
    #[serde(rename = "netkeep.device.enrolled.v1")]
    DeviceEnrolled { device: Device },
    #[serde(rename = "netkeep.device.updated.v1")]
    DeviceUpdated { device: Device, changed: Vec<String> },
    #[serde(rename = "netkeep.device.deleted.v1")]
    DeviceDeleted { id: DeviceId, public_key: String },
    #[serde(rename = "netkeep.device.config_applied.v1")]
    DeviceConfigApplied { id: DeviceId, applied: Applied },
    #[serde(rename = "netkeep.device.config_failed.v1")]
    DeviceConfigFailed { id: DeviceId, failure: ApplyFailure },
}

/// The SHA-256 of a secret, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretHash(pub String);

impl SecretHash {
    pub fn of(secret: &str) -> Self {
        Self(crate::digest::sha256_hex(secret.as_bytes()))
    }
}

impl Event {
    /// The kind of resource that this event is about.
    pub fn kind(&self) -> Kind {
        match self {
            Self::OrgCreated { .. } => Kind::Org,
            Self::UserCreated { .. } => Kind::User,
            Self::ApiTokenCreated { .. } | Self::ApiTokenUpdated { .. } | Self::ApiTokenDeleted { .. } => {
                Kind::ApiToken
            }
            Self::ZoneCreated { .. } | Self::ZoneUpdated { .. } | Self::ZoneDeleted { .. } => Kind::Zone,
            Self::RuleCreated { .. }
            | Self::RuleUpdated { .. }
            | Self::RuleDeleted { .. }
            | Self::RulesReordered { .. } => Kind::Rule,
            Self::SetupKeyCreated { .. } | Self::SetupKeyUpdated { .. } | Self::SetupKeyDeleted { .. } => {
                Kind::SetupKey
            }
            Self::DeviceEnrolled { .. }
            | Self::DeviceUpdated { .. }
            | Self::DeviceDeleted { .. }
            | Self::DeviceConfigApplied { .. }
            | Self::DeviceConfigFailed { .. } => Kind::Device,
        }
    }

    /// What happened to it, in the past tense: `created` in `rule.created`.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::OrgCreated { .. }
            | Self::UserCreated { .. }
            | Self::ApiTokenCreated { .. }
            | Self::ZoneCreated { .. }
            | Self::RuleCreated { .. }
            | Self::SetupKeyCreated { .. } => "created",
            Self::ApiTokenUpdated { .. }
            | Self::ZoneUpdated { .. }
            | Self::RuleUpdated { .. }
            | Self::SetupKeyUpdated { .. }
            | Self::DeviceUpdated { .. } => "updated",
            Self::ApiTokenDeleted { .. }
            | Self::ZoneDeleted { .. }
            | Self::RuleDeleted { .. }
            | Self::SetupKeyDeleted { .. }
            | Self::DeviceDeleted { .. } => "deleted",
            Self::RulesReordered { .. } => "reordered",
            Self::DeviceEnrolled { .. } => "enrolled",
            Self::DeviceConfigApplied { .. } => "config_applied",
            Self::DeviceConfigFailed { .. } => "config_failed",
        }
    }

    /// The event's short name, as filters and subscriptions use it: `rule.created`.
    pub fn name(&self) -> String {
        format!("{}.{}", self.kind().singular(), self.verb())
    }

    /// The id of the resource; a reordering concerns the rules of the org as a whole and names the org.
    pub fn subject(&self, org: &OrgId) -> String {
        match self {
            Self::OrgCreated { org } => org.id.to_string(),
            Self::UserCreated { user } => user.id.to_string(),
            Self::ApiTokenCreated { api_token, .. } | Self::ApiTokenUpdated { api_token, .. } => {
                api_token.id.to_string()
            }
            Self::ApiTokenDeleted { id, .. } => id.to_string(),
            Self::ZoneCreated { zone } | Self::ZoneUpdated { zone, .. } => zone.id.to_string(),
            Self::ZoneDeleted { id } => id.to_string(),
            Self::RuleCreated { rule } | Self::RuleUpdated { rule, .. } => rule.id.to_string(),
            Self::RuleDeleted { id } => id.to_string(),
            Self::RulesReordered { .. } => org.to_string(),
            Self::SetupKeyCreated { setup_key, .. } | Self::SetupKeyUpdated { setup_key, .. } => {
                setup_key.id.to_string()
            }
            Self::SetupKeyDeleted { id, .. } => id.to_string(),
            Self::DeviceEnrolled { device } | Self::DeviceUpdated { device, .. } => device.id.to_string(),
            Self::DeviceDeleted { id, .. }
            | Self::DeviceConfigApplied { id, .. }
            | Self::DeviceConfigFailed { id, .. } => id.to_string(),
        }
    }
}

/// The CloudEvents attributes of an event, and Netkeep's extensions of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    pub specversion: SpecVersion,
    pub id: EventId,
    /// `/orgs/<org>`.
    pub source: String,
    /// The id of the resource.
    pub subject: String,
    pub time: DateTime<Utc>,
    pub org: OrgId,
    /// 1, 2, 3 … without a gap in each org.
    pub revision: u64,
    /// Who did it: a user, a device, or `system`.
    pub actor: String,
    /// With what they proved it: a token id, `jwt`, a setup key id, a device key.
    pub credential: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sourceip: Option<String>,
    pub commandid: String,
    /// SHA-256 of the request that came with an `Idempotency-Key`: the same key with another request is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commandhash: Option<String>,
    /// The operation that this event belongs to.
    pub correlationid: String,
    /// SHA-256 of the stored bytes of the org's previous event; 64 zeros before the first.
    pub prevhash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// CloudEvents `specversion`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpecVersion {
    #[serde(rename = "1.0")]
    V1,
}

/// An event with its attributes, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recorded {
    #[serde(flatten)]
    pub meta: Meta,
    #[serde(flatten)]
    pub event: Event,
}

/// The stored bytes are not an event that this version knows.
#[derive(Debug, thiserror::Error)]
#[error("not an event that this version knows: {0}")]
pub struct UnknownEvent(#[from] serde_json::Error);

impl Recorded {
    /// Reads an event from its stored form.
    pub fn parse(stored: &str) -> Result<Self, UnknownEvent> {
        Ok(Self { meta: serde_json::from_str(stored)?, event: serde_json::from_str(stored)? })
    }
}
