//! Dry runs: what a write would do.

use serde::Serialize;
use serde_json::Value;

/// The answer to a write with `?dry_run=true`: what it would do; it did nothing.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DryRun {
    /// Always true.
    pub dry_run: bool,
    /// The names of the events that there would be, in order: `rule.created`.
    pub events: Vec<String>,
    /// What the answer would be; of a deletion, what would be gone.
    pub resource: Value,
    pub changes: Vec<FieldDifference>,
}

/// A field that would change.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct FieldDifference {
    pub field: String,
    pub before: Value,
    pub after: Value,
}
