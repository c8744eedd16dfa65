//! Keeps the keys of personal data true to the event log: the key of a user who is gone goes too, whoever was cut off
//! before they could erase it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::{Bus, People};
use schemas::event::Event;
use schemas::id::{OrgId, UserId};
use schemas::resource::{AnyResource, ResourceId};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// A key is kept before the event that it seals; one that is older than this without an event sealed nothing.
const GRACE: Duration = Duration::from_secs(300);
const RETRY: Duration = Duration::from_secs(5);

/// A key, by its org and its id.
type KeyName = (OrgId, String);

/// What the log says of keys. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Erasure {
    people: People,
    ledger: Arc<Mutex<Ledger>>,
    position: watch::Sender<u64>,
    gone: mpsc::UnboundedSender<KeyName>,
}

/// Whose key is which.
#[derive(Default)]
struct Ledger(HashMap<UserId, KeyName>);

impl Erasure {
    /// The ledger, and where it says what is to be erased: for [`erase`].
    pub(crate) fn new(people: People) -> (Self, mpsc::UnboundedReceiver<KeyName>) {
        let (gone, erasing) = mpsc::unbounded_channel();
        (Self { people, ledger: Arc::default(), position: watch::Sender::new(0), gone }, erasing)
    }

    /// Takes in an event. Of what happened before the start, only the outcome counts.
    pub(crate) fn note(&self, org: &OrgId, event: &Event, is_news: bool) {
        let gone = self.ledger().note(org, event);
        if let Some(key) = gone.filter(|_| is_news) {
            let _ = self.gone.send(key);
        }
    }

    /// Says how far the log was read.
    pub(crate) fn read_to(&self, position: u64) {
        self.position.send_replace(position);
    }

    /// Erases what others left, and then what the log says, until it is stopped.
    pub(crate) async fn run(
        self,
        bus: Bus,
        mut gone: mpsc::UnboundedReceiver<KeyName>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let (people, sweep) = (self.people.clone(), self.clone());
        let mut sweeping = std::pin::pin!(async move { sweep.strays(&bus).await });
        let mut swept = false;
        loop {
            let keys = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                strays = &mut sweeping, if !swept => {
                    swept = true;
                    strays
                }
                Some(key) = gone.recv() => vec![key],
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = erase(&people, keys) => {}
            }
        }
    }

    /// The keys that were there at the start and that nobody has a while later.
    async fn strays(&self, bus: &Bus) -> Vec<KeyName> {
        self.people.complete().await;
        let held = self.people.held();
        tokio::time::sleep(GRACE).await;
        let end = loop {
            match bus.events().last_position().await {
                Ok(end) => break end,
                Err(error) => warn!("looking for keys without users later: {error}"),
            }
            tokio::time::sleep(RETRY).await;
        };
        let mut position = self.position.subscribe();
        // The sender is held by this ledger itself.
        let _ = position.wait_for(|position| *position >= end).await;
        let strays = self.ledger().strays(held);
        if !strays.is_empty() {
            info!("{} keys of personal data belong to nobody and are erased", strays.len());
        }
        strays
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    /// Takes in an event; says which key nobody has any more.
    fn note(&mut self, org: &OrgId, event: &Event) -> Option<KeyName> {
        let (user, key) = match event {
            Event::Created { resource: AnyResource::User(user), .. }
            | Event::Updated { resource: AnyResource::User(user), .. } => (user.id, user.person.as_ref()),
            Event::Deleted { id: ResourceId::User(id), .. } => (*id, None),
            Event::Created { .. }
            | Event::Updated { .. }
            | Event::Deleted { .. }
            | Event::OrgCreated { .. }
            | Event::OrgUpdated { .. }
            | Event::RulesReordered { .. }
            | Event::EntriesChanged { .. }
            | Event::DeviceEnrolled { .. }
            | Event::DeviceConfigApplied { .. }
            | Event::DeviceConfigFailed { .. } => return None,
        };
        let key = key.map(|sealed| (org.clone(), sealed.key_id.clone()));
        let before = match key.clone() {
            Some(key) => self.0.insert(user, key),
            None => self.0.remove(&user),
        };
        before.filter(|before| Some(before) != key.as_ref())
    }

    fn strays(&self, mut held: Vec<KeyName>) -> Vec<KeyName> {
        let known: std::collections::HashSet<&KeyName> = self.0.values().collect();
        held.retain(|key| !known.contains(key));
        held
    }
}

/// Erases keys, however long that takes.
async fn erase(people: &People, keys: Vec<KeyName>) {
    for (org, key_id) in keys {
        while let Err(error) = people.erase(&org, &key_id).await {
            warn!("a key of personal data is erased later: {error}");
            tokio::time::sleep(RETRY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ANN: &str = "usr_01m80cnhck7ap9he9na35jnj10";

    fn written(key: Option<&str>) -> Event {
        let person = key.map_or(Value::Null, |key| json!({"key_id": key, "text": "AAAA"}));
        let user = json!({"id": ANN, "revision": 1, "role": "viewer", "person": person,
            "created_at": "2026-11-22T01:06:58Z", "updated_at": "2026-11-22T01:06:58Z"});
        let user: schemas::user::User = serde_json::from_value(user).unwrap();
        Event::Updated { resource: user.into(), changed: Vec::new() }
    }

    #[test]
    fn a_key_goes_with_its_user_and_when_another_takes_its_place() {
        let acme: OrgId = "acme".parse().unwrap();
        let mut ledger = Ledger::default();
        let name = |key: &str| (acme.clone(), key.to_owned());
        assert_eq!(ledger.note(&acme, &written(Some("a"))), None);
        assert_eq!(ledger.note(&acme, &written(Some("a"))), None);
        assert_eq!(ledger.note(&acme, &written(Some("b"))), Some(name("a")));
        assert_eq!(ledger.strays(vec![name("a"), name("b"), name("c")]), [name("a"), name("c")]);
        assert_eq!(ledger.strays(vec![("other".parse().unwrap(), "b".to_owned())]).len(), 1);
        assert_eq!(ledger.note(&acme, &written(None)), Some(name("b")));
        ledger.note(&acme, &written(Some("d")));
        let deleted = Event::Deleted { id: ANN.parse().unwrap(), secret_hash: None, public_key: None };
        assert_eq!(ledger.note(&acme, &deleted), Some(name("d")));
        assert_eq!(ledger.note(&acme, &deleted), None);
    }
}
