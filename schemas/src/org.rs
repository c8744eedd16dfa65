//! Orgs: who owns everything else. What one org has, no other sees.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::OrgId;
use crate::text::Name;

/// An org.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Org {
    pub id: OrgId,
    /// The org revision of the org's own last change; also its ETag.
    pub revision: u64,
    pub name: Name,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}
