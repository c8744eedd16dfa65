//! The read models of an org, shown commit by commit: a reader never sees half of one.

use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;
use schemas::api_token::ApiToken;
use schemas::device::Device;
use schemas::id::{ApiTokenId, DeviceId, RuleId, SetupKeyId, UserId, ZoneId};
use schemas::kind::Kind;
use schemas::org::Org;
use schemas::rule::Rule;
use schemas::setup_key::SetupKey;
use schemas::user::User;
use schemas::view::{Desired, Head};
use schemas::zone::Zone;
use serde::de::DeserializeOwned;
use tracing::error;

/// The read models of an org as of one commit. Cloning costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Models {
    pub head: Head,
    pub org: Option<Arc<Org>>,
    pub users: OrdMap<UserId, Arc<User>>,
    pub api_tokens: OrdMap<ApiTokenId, Arc<ApiToken>>,
    pub zones: OrdMap<ZoneId, Arc<Zone>>,
    pub rules: OrdMap<RuleId, Arc<Rule>>,
    pub setup_keys: OrdMap<SetupKeyId, Arc<SetupKey>>,
    pub devices: OrdMap<DeviceId, Arc<Device>>,
    /// The configs that devices should run; shown as soon as they are known.
    pub desired: OrdMap<DeviceId, Arc<Desired>>,
}

/// The read models as they come in: changes wait for the head that covers them.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    shown: Models,
    waiting: Vec<(Kind, String, Option<Bytes>)>,
}

impl Incoming {
    pub(crate) fn shown(&self) -> &Models {
        &self.shown
    }

    /// Takes in a key without its org (`rules.rule_…`, `desired.dev_…`, `head.head`) and its value.
    pub(crate) fn take(&mut self, key: &str, value: Option<Bytes>) {
        match key.split_once('.') {
            Some(("head", _)) => self.show(value.as_deref()),
            Some(("desired", id)) => put(&mut self.shown.desired, key, id, value.as_deref()),
            Some((plural, id)) => match Kind::from_plural(plural) {
                Some(kind) => self.waiting.push((kind, id.to_owned(), value)),
                None => error!("a read model of an unknown kind: {key}"),
            },
            None => error!("a read model without an id: {key}"),
        }
    }

    fn show(&mut self, head: Option<&[u8]>) {
        for (kind, id, value) in self.waiting.drain(..) {
            self.shown.set(kind, &id, value.as_deref());
        }
        match head.map(serde_json::from_slice) {
            Some(Ok(head)) => self.shown.head = head,
            Some(Err(error)) => error!("the head of an org cannot be read: {error}"),
            None => self.shown = Models::default(),
        }
    }
}

impl Models {
    fn set(&mut self, kind: Kind, id: &str, value: Option<&[u8]>) {
        match kind {
            Kind::Org => self.org = value.and_then(|value| read(kind.singular(), value)).map(Arc::new),
            Kind::User => put(&mut self.users, kind.singular(), id, value),
            Kind::ApiToken => put(&mut self.api_tokens, kind.singular(), id, value),
            Kind::Zone => put(&mut self.zones, kind.singular(), id, value),
            Kind::Rule => put(&mut self.rules, kind.singular(), id, value),
            Kind::SetupKey => put(&mut self.setup_keys, kind.singular(), id, value),
            Kind::Device => put(&mut self.devices, kind.singular(), id, value),
            Kind::Event | Kind::Flow => error!("{kind} {id} is not a read model"),
        }
    }

    /// The rules in matching order.
    pub fn ordered_rules(&self) -> Vec<Arc<Rule>> {
        let mut rules: Vec<Arc<Rule>> = self.rules.values().cloned().collect();
        rules.sort_by_key(|rule| (rule.order, rule.id));
        rules
    }
}

fn put<I, T>(map: &mut OrdMap<I, Arc<T>>, what: &str, id: &str, value: Option<&[u8]>)
where
    I: Ord + Clone + std::str::FromStr,
    T: DeserializeOwned,
{
    let Ok(id) = id.parse() else {
        error!("{what}: {id} is not an id");
        return;
    };
    match value {
        Some(value) => {
            if let Some(resource) = read(what, value) {
                map.insert(id, Arc::new(resource));
            }
        }
        None => {
            map.remove(&id);
        }
    }
}

fn read<T: DeserializeOwned>(what: &str, value: &[u8]) -> Option<T> {
    serde_json::from_slice(value).inspect_err(|error| error!("the read model of a {what} cannot be read: {error}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> Bytes {
        let at = "2026-11-21T13:00:00Z";
        let user = serde_json::json!({"id": id, "revision": 1, "role": "owner", "created_at": at, "updated_at": at});
        Bytes::from(user.to_string())
    }

    fn head(position: u64) -> Bytes {
        Bytes::from(serde_json::json!({"position": position, "revision": position}).to_string())
    }

    #[test]
    fn a_commit_is_shown_whole_and_with_its_head() {
        let id = "usr_01jcz3k9mv5x8q2w4e6r7t9y0a";
        let mut incoming = Incoming::default();
        incoming.take(&format!("users.{id}"), Some(user(id)));
        assert_eq!((incoming.shown().users.len(), incoming.shown().head.position), (0, 0));
        incoming.take("head.head", Some(head(7)));
        assert_eq!((incoming.shown().users.len(), incoming.shown().head.position), (1, 7));
        incoming.take(&format!("users.{id}"), None);
        assert_eq!(incoming.shown().users.len(), 1);
        incoming.take("head.head", Some(head(8)));
        assert_eq!((incoming.shown().users.len(), incoming.shown().head.position), (0, 8));
    }

    #[test]
    fn what_cannot_be_read_changes_nothing() {
        let mut incoming = Incoming::default();
        for (key, value) in [("users.usr_1", "{}"), ("nonsense", "{}"), ("pigs.p_1", "{}"), ("head.head", "?")] {
            incoming.take(key, Some(Bytes::from_static(value.as_bytes())));
        }
        assert_eq!((incoming.shown().users.len(), incoming.shown().head.position), (0, 0));
    }
}
