//! Refusals: the domain said no. Each has its reason, and names the field or the resources it is about.

use schemas::id::{OrgId, RuleId};
use schemas::kind::Kind;
use schemas::reason::Reason;
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
    #[error("LOCAL is the device itself: it is always there and has no interfaces of its own")]
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
    #[error("the org has {max} rules, as many as it may")]
    RuleLimit { max: usize },
    #[error("a token may do no more than the one who creates it")]
    RoleAboveOwn,
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
            Self::RuleLimit { .. } => Reason::RuleLimit,
            Self::RoleAboveOwn => Reason::RoleAboveOwn,
            Self::CommandReused => Reason::CommandReused,
            Self::RevisionMismatch { .. } => Reason::RevisionMismatch,
        }
    }

    /// The field of the request that it is about.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::NameTaken { .. } => Some("name"),
            Self::ZoneUnknown { field, .. }
            | Self::ZoneReserved { field }
            | Self::ListEmpty(field)
            | Self::ListTooLong { field, .. } => Some(field),
            Self::PortsWithoutProtocol => Some("ports"),
            Self::FamiliesDisjoint => Some("destinations"),
            Self::OrderIncomplete { .. } => Some("rule_ids"),
            Self::ExpiryInPast | Self::ExpiryTwice => Some("expires_at"),
            Self::UsageLimitInvalid => Some("usage_limit"),
            Self::RevocationFinal => Some("revoked"),
            Self::SetupKeyUnknown | Self::SetupKeyRevoked | Self::SetupKeyExpired | Self::SetupKeyOverused => {
                Some("setup_key")
            }
            Self::DeviceKeyInvalid | Self::DeviceKeyTaken => Some("public_key"),
            Self::InterfaceTwice(_) => Some("interfaces"),
            Self::RoleAboveOwn => Some("role"),
            Self::CommandReused => Some("Idempotency-Key"),
            Self::RevisionMismatch { .. } => Some("If-Match"),
            Self::OrgMissing(_)
            | Self::OrgExists(_)
            | Self::NotFound { .. }
            | Self::ZonePredefined(_)
            | Self::InUse { .. }
            | Self::ReportInvalid
            | Self::RuleLimit { .. } => None,
        }
    }

    /// What a program needs to act on it.
    pub fn details(&self) -> Option<Value> {
        match self {
            Self::InUse { users, .. } => Some(json!({"used_by": users})),
            Self::ListTooLong { length, max, .. } => Some(json!({"length": length, "max": max})),
            Self::OrderIncomplete { missing, unknown, twice } => {
                Some(json!({"missing": missing, "unknown": unknown, "twice": twice}))
            }
            Self::RuleLimit { max } => Some(json!({"limit": "rules", "max": max})),
            Self::RevisionMismatch { expected, actual, current, .. } => {
                Some(json!({"expected": expected, "actual": actual, "current": current}))
            }
            Self::OrgMissing(_)
            | Self::OrgExists(_)
            | Self::NotFound { .. }
            | Self::NameTaken { .. }
            | Self::ZoneUnknown { .. }
            | Self::ZoneReserved { .. }
            | Self::ZonePredefined(_)
            | Self::ListEmpty(_)
            | Self::PortsWithoutProtocol
            | Self::FamiliesDisjoint
            | Self::ExpiryInPast
            | Self::ExpiryTwice
            | Self::UsageLimitInvalid
            | Self::RevocationFinal
            | Self::SetupKeyUnknown
            | Self::SetupKeyRevoked
            | Self::SetupKeyExpired
            | Self::SetupKeyOverused
            | Self::DeviceKeyInvalid
            | Self::DeviceKeyTaken
            | Self::ReportInvalid
            | Self::InterfaceTwice(_)
            | Self::RoleAboveOwn
            | Self::CommandReused => None,
        }
    }
}
