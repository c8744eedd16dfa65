//! Answers: what a caller is told of an accepted command, worked out from its events alone, so that it can be told again.

use schemas::event::{Event, Recorded};
use serde_json::{Value, json};

/// The answer to an accepted command.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub outcome: Outcome,
    /// The id of the resource; empty for an order.
    pub id: String,
    /// The revision of the resource: its ETag.
    pub revision: u64,
    /// The resource; `null` for a deletion.
    pub body: Value,
    /// The EVENTS sequence from which on reads show it; 0 until it is known.
    pub position: u64,
    /// Whether this is the answer to an earlier call with the same `Idempotency-Key`.
    pub replayed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Updated,
    Deleted,
}

impl Answer {
    /// The answer to the command whose first event this is.
    pub fn to(recorded: &Recorded) -> Self {
        let meta = &recorded.meta;
        let (outcome, body) = match &recorded.event {
            Event::OrgCreated { org } => (Outcome::Created, json!(org)),
            Event::UserCreated { user } => (Outcome::Created, json!(user)),
            Event::ApiTokenCreated { api_token, .. } => (Outcome::Created, json!(api_token)),
            Event::ApiTokenUpdated { api_token, .. } => (Outcome::Updated, json!(api_token)),
            Event::ZoneCreated { zone } => (Outcome::Created, json!(zone)),
            Event::ZoneUpdated { zone, .. } => (Outcome::Updated, json!(zone)),
            Event::RuleCreated { rule } => (Outcome::Created, json!(rule)),
            Event::RuleUpdated { rule, .. } => (Outcome::Updated, json!(rule)),
            Event::RulesReordered { moved } => (Outcome::Updated, json!({"moved": moved})),
            Event::SetupKeyCreated { setup_key, .. } => (Outcome::Created, json!(setup_key)),
            Event::SetupKeyUpdated { setup_key, .. } => (Outcome::Updated, json!(setup_key)),
            Event::DeviceEnrolled { device } => (Outcome::Created, json!(device)),
            Event::DeviceUpdated { device, .. } => (Outcome::Updated, json!(device)),
            Event::DeviceConfigApplied { applied, .. } => (Outcome::Updated, json!(applied)),
            Event::DeviceConfigFailed { failure, .. } => (Outcome::Updated, json!(failure)),
            Event::ApiTokenDeleted { .. }
            | Event::ZoneDeleted { .. }
            | Event::RuleDeleted { .. }
            | Event::SetupKeyDeleted { .. }
            | Event::DeviceDeleted { .. } => (Outcome::Deleted, Value::Null),
        };
        Self { outcome, id: meta.subject.clone(), revision: meta.revision, body, position: 0, replayed: false }
    }

    /// The answer to a command that changed nothing, because all was so already.
    pub fn unchanged(revision: u64, body: Value) -> Self {
        let id = body.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let body = if body.is_null() { json!({"moved": []}) } else { body };
        Self { outcome: Outcome::Updated, id, revision, body, position: 0, replayed: false }
    }
}
