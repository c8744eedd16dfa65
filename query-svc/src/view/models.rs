//! The read models of an org as the projector writes them: JSON by key, a commit at a time.

use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;
use schemas::id::{BadId, DeviceId};
use schemas::kind::Kind;
use schemas::resource::{AnyResource, ResourceId};
use schemas::state::OrgState;
use schemas::view::{Desired, Head};
use serde_json::value::RawValue;
use tracing::error;

use crate::shown;

/// The read models of an org as of one commit. Cloning costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Models {
    pub head: Head,
    /// Everything but the entries of address lists: those are in `Events`.
    pub state: OrgState,
    /// The configs that devices should run; shown as soon as they are known.
    pub desired: OrdMap<DeviceId, Arc<Desired>>,
    /// The JSON of resources that are shown as they are stored.
    stored: OrdMap<ResourceId, Arc<RawValue>>,
}

/// The read models as they come in: changes are shown with the head that covers them.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    shown: Arc<Models>,
    next: Models,
}

/// A read model that cannot be read.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Id(#[from] BadId),
}

impl Incoming {
    pub(crate) fn shown(&self) -> &Arc<Models> {
        &self.shown
    }

    /// Takes in a key without its org (`rules.rule_…`, `desired.dev_…`, `head.head`) and its value.
    pub(crate) fn take(&mut self, key: &str, value: Option<&Bytes>) {
        let value = value.map(AsRef::as_ref);
        let taken = match key.split_once('.') {
            Some(("head", _)) => self.take_head(value),
            Some(("desired", id)) => self.take_desired(id, value),
            Some((plural, id)) => match Kind::from_plural(plural) {
                Some(kind) => self.next.set(kind, id, value),
                None => return error!("a read model of an unknown kind: {key}"),
            },
            None => return error!("a read model without an id: {key}"),
        };
        if let Err(error) = taken {
            error!("the read model {key} cannot be read: {error}");
        }
    }

    fn take_head(&mut self, value: Option<&[u8]>) -> Result<(), Unread> {
        match value {
            Some(value) => {
                self.next.head = serde_json::from_slice(value)?;
                self.next.state.revision = self.next.head.revision;
            }
            None => self.next = Models::default(),
        }
        self.shown = Arc::new(self.next.clone());
        Ok(())
    }

    fn take_desired(&mut self, id: &str, value: Option<&[u8]>) -> Result<(), Unread> {
        let id: DeviceId = id.parse()?;
        let desired: Option<Arc<Desired>> = value.map(serde_json::from_slice).transpose()?.map(Arc::new);
        for models in [Arc::make_mut(&mut self.shown), &mut self.next] {
            match &desired {
                Some(desired) => models.desired.insert(id, desired.clone()),
                None => models.desired.remove(&id),
            };
        }
        Ok(())
    }
}

impl Models {
    /// The models of a state of the past: what was never written down is absent.
    pub(crate) fn of(head: Head, state: OrgState) -> Self {
        Self { head, state, desired: OrdMap::new(), stored: OrdMap::new() }
    }

    /// The JSON of a resource that is shown as it is stored.
    pub(crate) fn stored(&self, id: ResourceId) -> Option<&RawValue> {
        self.stored.get(&id).map(AsRef::as_ref)
    }

    fn set(&mut self, kind: Kind, id: &str, value: Option<&[u8]>) -> Result<(), Unread> {
        match (kind, value) {
            (Kind::Org, value) => self.state.org = value.map(serde_json::from_slice).transpose()?.map(Arc::new),
            (_, Some(json)) => {
                let resource = AnyResource::parse(kind, json)?;
                if shown::is_stored_form(kind) {
                    let json: Box<RawValue> = serde_json::from_slice(json)?;
                    self.stored.insert(resource.id(), json.into());
                }
                self.state.put(resource);
            }
            (_, None) => {
                let id: ResourceId = id.parse()?;
                self.stored.remove(&id);
                self.state.remove(id);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2026-11-21T13:00:00Z";

    fn user(id: &str) -> Bytes {
        let user = serde_json::json!({"id": id, "revision": 1, "role": "owner", "created_at": AT, "updated_at": AT});
        Bytes::from(user.to_string())
    }

    fn head(position: u64) -> Bytes {
        Bytes::from(serde_json::json!({"position": position, "revision": position}).to_string())
    }

    fn seen(incoming: &Incoming) -> (usize, u64) {
        (incoming.shown().state.users.len(), incoming.shown().head.position)
    }

    #[test]
    fn a_commit_is_shown_whole_and_with_its_head() {
        let id = "usr_01jcz3k9mv5x8q2w4e6r7t9y0a";
        let key = format!("users.{id}");
        let mut incoming = Incoming::default();
        incoming.take(&key, Some(&user(id)));
        assert_eq!(seen(&incoming), (0, 0));
        incoming.take("head.head", Some(&head(7)));
        assert_eq!(seen(&incoming), (1, 7));
        incoming.take(&key, None);
        assert_eq!(seen(&incoming), (1, 7));
        incoming.take("head.head", Some(&head(8)));
        assert_eq!(seen(&incoming), (0, 8));
    }

    #[test]
    fn a_desired_config_is_shown_at_once_and_shows_nothing_else() {
        let (user_id, device) = ("usr_01jcz3k9mv5x8q2w4e6r7t9y0a", "dev_01jcz3k9mv5x8q2w4e6r7t9y0a");
        let mut incoming = Incoming::default();
        incoming.take(&format!("users.{user_id}"), Some(&user(user_id)));
        incoming.take(&format!("desired.{device}"), Some(&Bytes::from_static(br#"{"revision":3,"hash":"ab"}"#)));
        assert_eq!((seen(&incoming), incoming.shown().desired.len()), ((0, 0), 1));
        incoming.take("head.head", Some(&head(7)));
        assert_eq!((seen(&incoming), incoming.shown().desired.len()), ((1, 7), 1));
    }

    #[test]
    fn what_is_shown_as_it_is_stored_keeps_its_bytes() {
        let id = "zone_01jcz3k9mv5x8q2w4e6r7t9y0a";
        let json = format!(
            r#"{{"id":"{id}","revision":1,"name":"WAN","description":"","metadata":{{}},"predefined":true,"created_at":"{AT}","updated_at":"{AT}"}}"#
        );
        let mut incoming = Incoming::default();
        incoming.take(&format!("zones.{id}"), Some(&Bytes::from(json.clone())));
        incoming.take("head.head", Some(&head(1)));
        let resource: ResourceId = id.parse().expect("an id");
        assert_eq!(incoming.shown().stored(resource).map(RawValue::get), Some(json.as_str()));
        incoming.take(&format!("zones.{id}"), None);
        incoming.take("head.head", Some(&head(2)));
        assert!(incoming.shown().stored(resource).is_none());
        assert_eq!(incoming.shown().state.zones.len(), 0);
    }

    #[test]
    fn what_cannot_be_read_changes_nothing() {
        let mut incoming = Incoming::default();
        for (key, value) in [
            ("users.usr_1", "{}"),
            ("nonsense", "{}"),
            ("pigs.p_1", "{}"),
            ("events.evt_1", "{}"),
            ("desired.dev_1", "{}"),
            ("head.head", "?"),
        ] {
            incoming.take(key, Some(&Bytes::from_static(value.as_bytes())));
        }
        assert_eq!(seen(&incoming), (0, 0));
    }
}
