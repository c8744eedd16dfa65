//! Answers: what a caller is told of an accepted command, worked out from its events alone, so that it can be told again.

use schemas::event::{Event, Recorded};
use serde_json::{Value, json};

/// The answer to an accepted command.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub outcome: Outcome,
    /// The id of the resource; empty for an order and for a batch.
    pub id: String,
    /// The revision of the resource: its ETag.
    pub revision: u64,
    /// The resource; `null` for a deletion; of a batch what became of each command that changed something.
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
        let single = Self::single(recorded);
        match recorded.meta.commandindex {
            None => single,
            Some(index) => Self {
                outcome: Outcome::Updated,
                id: String::new(),
                body: json!({"results": [single.result(index)]}),
                ..single
            },
        }
    }

    /// Adds another event of the same command. Its first event tells what became of it, but for a deletion, which comes
    /// after what goes with it.
    pub fn and(&mut self, recorded: &Recorded) {
        let is_deletion = matches!(recorded.event, Event::Deleted { .. });
        let Some(index) = recorded.meta.commandindex else {
            if is_deletion {
                *self = Self { position: self.position, ..Self::single(recorded) };
            }
            return;
        };
        let Some(results) = self.body.get_mut("results").and_then(Value::as_array_mut) else { return };
        let is_same = |last: &Value| last.get("index").and_then(Value::as_u64) == Some(u64::from(index));
        let known = results.last_mut().filter(|last| is_same(last));
        match known {
            Some(known) if is_deletion => *known = Self::single(recorded).result(index),
            Some(_) => {}
            None => results.push(Self::single(recorded).result(index)),
        }
        self.revision = recorded.meta.revision;
    }

    fn single(recorded: &Recorded) -> Self {
        let meta = &recorded.meta;
        let (outcome, body) = match &recorded.event {
            Event::Created { resource, .. } => (Outcome::Created, json!(resource)),
            Event::Updated { resource, .. } => (Outcome::Updated, json!(resource)),
            Event::Deleted { .. } => (Outcome::Deleted, Value::Null),
            Event::OrgCreated { org } => (Outcome::Created, json!(org)),
            Event::OrgUpdated { org, .. } => (Outcome::Updated, json!(org)),
            Event::RulesReordered { moved } => (Outcome::Updated, json!({"moved": moved})),
            Event::EntriesChanged { removed, added, remaining, .. } => {
                let mut body = json!({"removed": removed.len(), "added": added.len()});
                if !remaining.is_nothing() {
                    body["remaining"] = json!(remaining);
                }
                (Outcome::Updated, body)
            }
            Event::DeviceEnrolled { device } => (Outcome::Created, json!(device)),
            Event::DeviceConfigApplied { applied, .. } => (Outcome::Updated, json!(applied)),
            Event::DeviceConfigFailed { failure, .. } => (Outcome::Updated, json!(failure)),
        };
        Self { outcome, id: meta.subject.clone(), revision: meta.revision, body, position: 0, replayed: false }
    }

    /// Itself as one of the results of a batch.
    fn result(&self, index: u32) -> Value {
        let status = match self.outcome {
            Outcome::Created => 201,
            Outcome::Updated => 200,
            Outcome::Deleted => 204,
        };
        json!({"index": index, "status": status, "id": self.id, "revision": self.revision, "body": self.body})
    }

    /// The answer to a command that changed nothing, because all was so already.
    pub fn unchanged(revision: u64, body: Value) -> Self {
        let id = body.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { outcome: Outcome::Updated, id, revision, body, position: 0, replayed: false }
    }
}
