//! Refusals: the domain said no. Each has its reason, and names the field or the resources it is about.

use std::borrow::Cow;

use schemas::id::{OrgId, RuleId};
use schemas::kind::Kind;
use schemas::reason::Reason;
use schemas::resource::ResourceId;
use serde_json::{Value, json};

/// Why a command is not accepted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no org {0}")]
    OrgMissing(OrgId),
    #[error("the org {0} exists already")]
    OrgExists(OrgId),
    #[error("there is no {kind} {id}")]
    NotFound { kind: Kind, id: String },
    #[error("another {kind} is named {name:?}")]
    NameTaken { kind: Kind, name: String },
    #[error("there is no zone {zone:?}")]
    ZoneUnknown { field: &'static str, zone: String },
    #[error("there is no {} {id}", .id.kind())]
    ReferenceUnknown { field: &'static str, id: ResourceId },
    #[error("an object cannot contain itself")]
    Cycle { field: &'static str },
    #[error("{cause}")]
    Invalid { field: &'static str, cause: String },
    #[error("{cause}")]
    PatchInvalid { field: Option<String>, cause: String },
    #[error("{0}")]
    Fixed(&'static str),
    #[error("a zone keeps its name: rules and devices refer to it")]
    ZoneRenamed,
    #[error("LOCAL is the device itself and any is every zone: neither is created or has interfaces")]
    ZoneReserved { field: &'static str },
    #[error("zone {0:?} is predefined and cannot be deleted")]
    ZonePredefined(String),
    #[error("{kind} {name:?} is in use by {} other resources", .users.len())]
    InUse { kind: Kind, name: String, users: Vec<String> },
    #[error("{0} is empty and would match nothing; leave it out to match everything")]
    ListEmpty(&'static str),
    #[error("{field} has {length} entries, more than {max}")]
    ListTooLong { field: &'static str, length: usize, max: usize },
    #[error("ports need protocol tcp, udp or sctp")]
    PortsWithoutProtocol,
    #[error("sources and destinations have no address family in common")]
    FamiliesDisjoint,
    #[error("the order must name every rule exactly once: {} missing, {} unknown, {} twice", .missing.len(), .unknown.len(), .twice.len())]
    OrderIncomplete { missing: Vec<RuleId>, unknown: Vec<RuleId>, twice: Vec<RuleId> },
    #[error("the expiry lies in the past")]
    ExpiryInPast,
    #[error("give expires_at or expires_in, not both")]
    ExpiryTwice,
    #[error("a one-off key is used once; only a reusable one has a usage limit")]
    UsageLimitInvalid,
    #[error("a revoked setup key stays revoked")]
    RevocationFinal,
    #[error("the setup key does not exist")]
    SetupKeyUnknown,
    #[error("the setup key was revoked")]
    SetupKeyRevoked,
    #[error("the setup key has expired")]
    SetupKeyExpired,
    #[error("the setup key has enrolled as many devices as it may")]
    SetupKeyOverused,
    #[error("the public key is not a NATS public user key (U…)")]
    DeviceKeyInvalid,
    #[error("a device with this public key is enrolled already")]
    DeviceKeyTaken,
    #[error("a report names a revision of its org and a SHA-256 in hexadecimal")]
    ReportInvalid,
    #[error("interface {0:?} is listed twice")]
    InterfaceTwice(String),
    #[error("a revoked token stays revoked")]
    TokenRevocationFinal,
    #[error("the org has {max} resources of kind {kind}, as many as its plan allows")]
    LimitReached { kind: Kind, max: usize },
    #[error("an org keeps an owner who is neither blocked nor a service user")]
    LastOwner,
    #[error("the token is bound to other groups of devices")]
    OutOfScope { field: &'static str },
    #[error("the template's variables: {} not declared, {} missing", .undeclared.len(), .missing.len())]
    VariablesInvalid { undeclared: Vec<String>, missing: Vec<String> },
    #[error("your own address is not among api_sources: this call would be your last")]
    SourceLockout,
    #[error("command {index}: {refusal}")]
    InBatch { index: u32, refusal: Box<Refusal> },
    #[error("the batch makes a commit of {bytes} bytes, more than {max}; send several")]
    BatchTooLarge { bytes: usize, max: usize },
    #[error("a token may do no more than the one who creates it")]
    RoleAboveOwn,
    #[error("another user of the org has this mail address")]
    EmailTaken,
    #[error("nobody like the bearer of this JWT is a user of the org, and signing in makes none")]
    UserUnknown,
    #[error("a token of a service user has scopes, and each names verbs or kinds")]
    ServiceTokenNeedsScopes,
    #[error("the Idempotency-Key was used with another request")]
    CommandReused,
    #[error("the {kind} is at revision {actual}, not {expected}")]
    RevisionMismatch { kind: Kind, expected: u64, actual: u64, current: Box<Value> },
}

impl Refusal {
    pub fn reason(&self) -> Reason {
        match self {
            Self::OrgMissing(_) => Reason::OrgMissing,
            Self::OrgExists(_) => Reason::OrgExists,
            Self::NotFound { .. } => Reason::ResourceNotFound,
            Self::NameTaken { .. } => Reason::NameTaken,
            Self::ZoneUnknown { .. } => Reason::ZoneUnknown,
            Self::ZoneReserved { .. } => Reason::ZoneReserved,
            Self::ZonePredefined(_) => Reason::ZonePredefined,
            Self::InUse { .. } => Reason::ResourceInUse,
            Self::ListEmpty(_) => Reason::ListEmpty,
            Self::ListTooLong { .. } => Reason::ListTooLong,
            Self::PortsWithoutProtocol => Reason::PortsWithoutProtocol,
            Self::FamiliesDisjoint => Reason::FamiliesDisjoint,
            Self::OrderIncomplete { .. } => Reason::OrderIncomplete,
            Self::ExpiryInPast => Reason::ExpiryInPast,
            Self::ExpiryTwice => Reason::ExpiryTwice,
            Self::UsageLimitInvalid => Reason::UsageLimitInvalid,
            Self::RevocationFinal => Reason::RevocationFinal,
            Self::SetupKeyUnknown => Reason::SetupKeyUnknown,
            Self::SetupKeyRevoked => Reason::SetupKeyRevoked,
            Self::SetupKeyExpired => Reason::SetupKeyExpired,
            Self::SetupKeyOverused => Reason::SetupKeyOverused,
            Self::DeviceKeyInvalid => Reason::DeviceKeyInvalid,
            Self::DeviceKeyTaken => Reason::DeviceKeyTaken,
            Self::ReportInvalid => Reason::ReportInvalid,
            Self::InterfaceTwice(_) => Reason::InterfaceTwice,
            Self::ReferenceUnknown { .. } => Reason::ReferenceUnknown,
            Self::Cycle { .. } => Reason::ReferenceCycle,
            Self::Invalid { .. } | Self::VariablesInvalid { .. } => Reason::ValueInvalid,
            Self::OutOfScope { .. } => Reason::ScopeForbids,
            Self::PatchInvalid { .. } => Reason::BodyInvalid,
            Self::Fixed(_) | Self::ZoneRenamed => Reason::PredefinedFixed,
            Self::TokenRevocationFinal => Reason::RevocationFinal,
            Self::LimitReached { kind: Kind::Rule, .. } => Reason::RuleLimit,
            Self::LimitReached { .. } => Reason::ResourceLimit,
            Self::LastOwner => Reason::LastOwner,
            Self::SourceLockout => Reason::SourceLockout,
            Self::InBatch { refusal, .. } => refusal.reason(),
            Self::BatchTooLarge { .. } => Reason::BatchTooLarge,
            Self::RoleAboveOwn => Reason::RoleAboveOwn,
            Self::EmailTaken => Reason::NameTaken,
            Self::UserUnknown => Reason::UserUnknown,
            Self::ServiceTokenNeedsScopes => Reason::ServiceTokenNeedsScopes,
            Self::CommandReused => Reason::CommandReused,
            Self::RevisionMismatch { .. } => Reason::RevisionMismatch,
        }
    }

    /// The field of the request that it is about.
    pub fn field(&self) -> Option<Cow<'_, str>> {
        let field = match self {
            Self::NameTaken { .. } | Self::ZoneRenamed => "name",
            Self::ZoneUnknown { field, .. }
            | Self::ZoneReserved { field }
            | Self::ReferenceUnknown { field, .. }
            | Self::Cycle { field }
            | Self::OutOfScope { field }
            | Self::Invalid { field, .. }
            | Self::ListEmpty(field)
            | Self::ListTooLong { field, .. } => field,
            Self::PatchInvalid { field, .. } => return field.as_deref().map(Cow::Borrowed),
            Self::PortsWithoutProtocol => "ports",
            Self::FamiliesDisjoint => "destinations",
            Self::OrderIncomplete { .. } => "rule_ids",
            Self::ExpiryInPast | Self::ExpiryTwice => "expires_at",
            Self::UsageLimitInvalid => "usage_limit",
            Self::RevocationFinal | Self::TokenRevocationFinal => "revoked",
            Self::SetupKeyUnknown | Self::SetupKeyRevoked | Self::SetupKeyExpired | Self::SetupKeyOverused => {
                "setup_key"
            }
            Self::DeviceKeyInvalid | Self::DeviceKeyTaken => "public_key",
            Self::InterfaceTwice(_) => "interfaces",
            Self::VariablesInvalid { .. } => "variables",
            Self::RoleAboveOwn => "role",
            Self::SourceLockout => "api_sources",
            Self::EmailTaken => "email",
            Self::ServiceTokenNeedsScopes => "scopes",
            Self::CommandReused => "Idempotency-Key",
            Self::RevisionMismatch { .. } => "If-Match",
            Self::BatchTooLarge { .. } => "commands",
            Self::InBatch { index, refusal } => {
                let inner = refusal.field().map(|field| format!(".{field}")).unwrap_or_default();
                return Some(format!("commands[{index}]{inner}").into());
            }
            Self::OrgMissing(_)
            | Self::OrgExists(_)
            | Self::NotFound { .. }
            | Self::Fixed(_)
            | Self::ZonePredefined(_)
            | Self::InUse { .. }
            | Self::ReportInvalid
            | Self::LimitReached { .. }
            | Self::UserUnknown
            | Self::LastOwner => return None,
        };
        Some(field.into())
    }

    /// What a program needs to act on it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most refusals say all they have to say in their message")]
    pub fn details(&self) -> Option<Value> {
        match self {
            Self::InUse { users, .. } => Some(json!({"used_by": users})),
            Self::ReferenceUnknown { id, .. } => Some(json!({"id": id})),
            Self::ListTooLong { length, max, .. } => Some(json!({"length": length, "max": max})),
            Self::OrderIncomplete { missing, unknown, twice } => {
                Some(json!({"missing": missing, "unknown": unknown, "twice": twice}))
            }
            Self::VariablesInvalid { undeclared, missing } => {
                Some(json!({"undeclared": undeclared, "missing": missing}))
            }
            Self::LimitReached { kind, max } => Some(json!({"limit": kind.plural(), "max": max})),
            Self::BatchTooLarge { bytes, max } => Some(json!({"bytes": bytes, "max": max})),
            Self::RevisionMismatch { expected, actual, current, .. } => {
                Some(json!({"expected": expected, "actual": actual, "current": current}))
            }
            Self::InBatch { index, refusal } => Some(json!({"index": index, "details": refusal.details()})),
            _ => None,
        }
    }
}
