//! The events of an org as they are stored, with what they are looked up by.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use imbl::{OrdSet, Vector};
use schemas::commit::{ChainHead, Commit};
use schemas::event::{Meta, Recorded, UnknownEvent};
use schemas::id::{EventId, RuleId};
use schemas::kind::Kind;
use schemas::state::OrgState;
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::error;

/// One event. There are many: what is not looked for is read from the stored bytes when it is wanted.
#[derive(Debug)]
pub struct StoredEvent {
    /// The EVENTS stream sequence of its commit.
    pub position: u64,
    pub revision: u64,
    pub id: EventId,
    pub time: DateTime<Utc>,
    /// The id of the resource.
    pub subject: Box<str>,
    pub actor: Arc<str>,
    /// `rule.created`.
    pub name: Arc<str>,
    /// The kind of resource; absent for kinds that this version does not know.
    pub kind: Option<Kind>,
    /// The resources that it changed without being its subject: those that a reordering moved.
    pub moved: Box<[RuleId]>,
    /// The bytes that were hashed.
    pub stored: Box<RawValue>,
}

/// The events of an org, oldest first. Cloning costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Events {
    pub all: Vector<Arc<StoredEvent>>,
    /// The EVENTS stream sequence up to which these are all.
    pub position: u64,
    /// The first commit that could not be read; nothing after it is here.
    pub broken: Option<Arc<Broken>>,
    /// Texts that many events share.
    words: OrdSet<Arc<str>>,
    /// The address lists with their entries, which are in no read model.
    pub lists: Arc<OrgState>,
}

/// A commit that could not be read.
#[derive(Debug)]
pub struct Broken {
    pub position: u64,
    pub error: String,
}

/// The outcome of checking an org's hash chain.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Verified {
    /// Whether every event is there and follows the one before it.
    pub ok: bool,
    /// How many events follow each other without a gap.
    pub revisions: u64,
    /// SHA-256 of the last of them.
    pub head_hash: String,
    /// Where and why the chain breaks.
    pub broken_at_revision: Option<u64>,
    pub error: Option<String>,
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(rename = "type")]
    event_type: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Reordered {
    moved: Vec<Moved>,
}

#[derive(Deserialize)]
struct Moved {
    rule_id: RuleId,
}

const REORDERED: &str = "rule.reordered";

impl Events {
    /// No events, and address lists as they were.
    pub(crate) fn of_lists(position: u64, lists: Arc<OrgState>) -> Self {
        Self { position, lists, ..Self::default() }
    }

    /// Adds the events of one commit.
    pub(crate) fn take(&mut self, position: u64, payload: &[u8]) {
        self.position = position;
        if self.broken.is_some() {
            return;
        }
        let read: Result<Vec<StoredEvent>, serde_json::Error> = Commit::parse(payload)
            .and_then(|commit| commit.events.into_iter().map(|stored| self.read(position, stored)).collect());
        let read = read.map_err(UnknownEvent::from);
        match read.and_then(|events| self.take_lists(&events).map(|()| events)) {
            Ok(events) => self.all.extend(events.into_iter().map(Arc::new)),
            Err(error) => {
                error!("the commit at {position} cannot be read: {error}");
                self.broken = Some(Arc::new(Broken { position, error: error.to_string() }));
            }
        }
    }

    /// Folds what happened to address lists.
    fn take_lists(&mut self, events: &[StoredEvent]) -> Result<(), UnknownEvent> {
        let of_lists = events.iter().filter(|event| event.kind == Some(Kind::AddressList));
        let recorded: Vec<Recorded> = of_lists.map(StoredEvent::recorded).collect::<Result<_, _>>()?;
        if !recorded.is_empty() {
            let lists = Arc::make_mut(&mut self.lists);
            recorded.iter().for_each(|recorded| lists.apply(recorded));
        }
        Ok(())
    }

    /// The events that made or changed a resource, oldest first.
    pub fn of(&self, resource: &str) -> Vec<Arc<StoredEvent>> {
        self.all.iter().filter(|event| event.concerns(resource)).cloned().collect()
    }

    /// Checks the hash chain from the first event on.
    pub fn verify(&self) -> Verified {
        let mut head = ChainHead::default();
        let broken = self.all.iter().find_map(|event| head.follow(event.stored.get()).err());
        let unread = self.broken.as_ref().map(|broken| format!("the commit at {}: {}", broken.position, broken.error));
        let error = broken.map(|error| error.to_string()).or(unread);
        Verified {
            ok: error.is_none(),
            revisions: head.revision,
            broken_at_revision: error.is_some().then_some(head.revision + 1),
            head_hash: head.hash,
            error,
        }
    }
}

/// Other texts than these are not shared.
const WORDS_MAX: usize = 10_000;

impl Events {
    fn read(&mut self, position: u64, stored: Box<RawValue>) -> Result<StoredEvent, serde_json::Error> {
        let Meta { id, subject, time, revision, actor, .. } = serde_json::from_str(stored.get())?;
        let Typed { event_type, data } = serde_json::from_str(stored.get())?;
        let name = short_name(&event_type);
        let moved = match data.filter(|_| name == REORDERED) {
            Some(data) => serde_json::from_str::<Reordered>(data.get())?.moved,
            None => Vec::new(),
        };
        let moved = moved.into_iter().map(|moved| moved.rule_id).collect();
        let (name, actor, subject) = (self.shared(name), self.shared(&actor), subject.into_boxed_str());
        let kind = name.split_once('.').and_then(|(kind, _)| Kind::from_singular(kind));
        Ok(StoredEvent { position, revision, id, time, subject, actor, name, kind, moved, stored })
    }

    fn shared(&mut self, word: &str) -> Arc<str> {
        if let Some(word) = self.words.get(word) {
            return word.clone();
        }
        let word: Arc<str> = word.into();
        if self.words.len() < WORDS_MAX {
            self.words.insert(word.clone());
        }
        word
    }
}

impl StoredEvent {
    /// All its attributes.
    pub fn meta(&self) -> Result<Meta, serde_json::Error> {
        serde_json::from_str(self.stored.get())
    }

    /// The event as it is understood.
    pub fn recorded(&self) -> Result<Recorded, UnknownEvent> {
        Recorded::parse(self.stored.get())
    }

    /// Whether it made or changed this resource.
    pub fn concerns(&self, resource: &str) -> bool {
        *self.subject == *resource || (!self.moved.is_empty() && self.moves(resource))
    }

    fn moves(&self, resource: &str) -> bool {
        resource.parse().is_ok_and(|id: RuleId| self.moved.contains(&id))
    }

    /// What the event says beside its attributes, as JSON.
    pub fn data(&self) -> &str {
        let typed: Result<Typed<'_>, _> = serde_json::from_str(self.stored.get());
        typed.ok().and_then(|typed| typed.data).map_or("null", RawValue::get)
    }
}

/// `rule.created` of `netkeep.rule.created.v1`.
fn short_name(event_type: &str) -> &str {
    let name = event_type.strip_prefix("netkeep.").unwrap_or(event_type);
    match name.rsplit_once(".v") {
        Some((name, version)) if version.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_event_is_its_type_without_frame() {
        assert_eq!(short_name("netkeep.rule.created.v1"), "rule.created");
        assert_eq!(short_name("netkeep.setup_key.created.v12"), "setup_key.created");
        assert_eq!(short_name("other"), "other");
    }

    #[test]
    fn a_commit_that_cannot_be_read_ends_the_log() {
        let mut events = Events::default();
        events.take(3, b"{");
        events.take(4, br#"{"org":"acme","id":"cmt_01jcz3k9mv5x8q2w4e6r7t9y0a","events":[]}"#);
        assert_eq!(events.position, 4);
        let verified = events.verify();
        assert!(!verified.ok);
        assert_eq!(verified.broken_at_revision, Some(1));
    }
}
