//! Orgs: who owns everything else. What one org has, no other sees.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::address::Span;
use crate::id::OrgId;
use crate::plan::Plan;
use crate::text::{Description, Metadata, Name};

/// An org.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Org {
    pub id: OrgId,
    /// The org revision of the org's own last change; also its ETag.
    pub revision: u64,
    pub name: Name,
    #[serde(default)]
    pub description: Description,
    #[serde(default)]
    pub metadata: Metadata,
    /// How much it may have and how often it may ask.
    #[serde(default)]
    pub plan: Plan,
    /// Where its API may be called from; empty means everywhere.
    #[serde(default)]
    pub api_sources: Vec<Span>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What to change of an org; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrgPatch {
    pub name: Option<Name>,
    pub description: Option<Description>,
    pub metadata: Option<Metadata>,
    /// Only the operator of the installation changes plans (`netkeep plan`).
    #[serde(skip)]
    pub plan: Option<Plan>,
    /// Where the API may be called from; the caller's own address must be among them.
    pub api_sources: Option<Vec<Span>>,
}
