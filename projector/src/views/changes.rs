//! What a run of events changes in the read models and for the devices: pure.

use std::collections::BTreeSet;

use bytes::Bytes;
use schemas::event::Event;
use schemas::id::{ApiTokenId, DeviceId, OrgId, RuleId, SetupKeyId, UserId, ZoneId};
use schemas::kind::Kind;
use schemas::state::OrgState;
use schemas::subjects;
use serde::Serialize;

/// A read model that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Org,
    User(UserId),
    ApiToken(ApiTokenId),
    Zone(ZoneId),
    Rule(RuleId),
    SetupKey(SetupKeyId),
    Device(DeviceId),
}

/// The devices whose config may have changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Affected {
    #[default]
    None,
    /// These; some of them may be gone.
    Some(BTreeSet<DeviceId>),
    /// All that there are, and these, which may be gone.
    All(BTreeSet<DeviceId>),
}

/// What is to be written: every key once, however often it changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) resources: BTreeSet<Resource>,
    pub(crate) devices: Affected,
}

impl Changes {
    pub(crate) fn note_resources(&mut self, event: &Event) {
        let resource = match event {
            Event::OrgCreated { .. } => Resource::Org,
            Event::UserCreated { user } => Resource::User(user.id),
            Event::ApiTokenCreated { api_token, .. } | Event::ApiTokenUpdated { api_token, .. } => {
                Resource::ApiToken(api_token.id)
            }
            Event::ApiTokenDeleted { id, .. } => Resource::ApiToken(*id),
            Event::ZoneCreated { zone } | Event::ZoneUpdated { zone, .. } => Resource::Zone(zone.id),
            Event::ZoneDeleted { id } => Resource::Zone(*id),
            Event::RuleCreated { rule } | Event::RuleUpdated { rule, .. } => Resource::Rule(rule.id),
            Event::RuleDeleted { id } => Resource::Rule(*id),
            Event::RulesReordered { moved } => {
                self.resources.extend(moved.iter().map(|place| Resource::Rule(place.rule_id)));
                return;
            }
            Event::SetupKeyCreated { setup_key, .. } | Event::SetupKeyUpdated { setup_key, .. } => {
                Resource::SetupKey(setup_key.id)
            }
            Event::SetupKeyDeleted { id, .. } => Resource::SetupKey(*id),
            Event::DeviceEnrolled { device } | Event::DeviceUpdated { device, .. } => Resource::Device(device.id),
            Event::DeviceDeleted { id, .. }
            | Event::DeviceConfigApplied { id, .. }
            | Event::DeviceConfigFailed { id, .. } => Resource::Device(*id),
        };
        self.resources.insert(resource);
    }

    pub(crate) fn note_devices(&mut self, event: &Event) {
        match event {
            Event::ZoneCreated { .. }
            | Event::ZoneUpdated { .. }
            | Event::ZoneDeleted { .. }
            | Event::RuleCreated { .. }
            | Event::RuleUpdated { .. }
            | Event::RuleDeleted { .. }
            | Event::RulesReordered { .. } => self.devices.add_all(),
            Event::DeviceEnrolled { device } | Event::DeviceUpdated { device, .. } => self.devices.add(device.id),
            Event::DeviceDeleted { id, .. } => self.devices.add(*id),
            Event::OrgCreated { .. }
            | Event::UserCreated { .. }
            | Event::ApiTokenCreated { .. }
            | Event::ApiTokenUpdated { .. }
            | Event::ApiTokenDeleted { .. }
            | Event::SetupKeyCreated { .. }
            | Event::SetupKeyUpdated { .. }
            | Event::SetupKeyDeleted { .. }
            | Event::DeviceConfigApplied { .. }
            | Event::DeviceConfigFailed { .. } => {}
        }
    }
}

impl Affected {
    pub(crate) fn add(&mut self, device: DeviceId) {
        match self {
            Self::None => *self = Self::Some(BTreeSet::from([device])),
            Self::Some(devices) | Self::All(devices) => {
                devices.insert(device);
            }
        }
    }

    pub(crate) fn add_all(&mut self) {
        *self = match std::mem::take(self) {
            Self::None => Self::All(BTreeSet::new()),
            Self::Some(devices) | Self::All(devices) => Self::All(devices),
        };
    }

    /// The devices by id, those included that `state` does not have any more.
    pub(crate) fn ids(&self, state: &OrgState) -> BTreeSet<DeviceId> {
        match self {
            Self::None => BTreeSet::new(),
            Self::Some(devices) => devices.clone(),
            Self::All(devices) => state.devices.keys().chain(devices).copied().collect(),
        }
    }
}

impl Resource {
    /// Its KV key.
    pub(crate) fn key(self, org: &OrgId) -> String {
        let (kind, id) = match self {
            Self::Org => (Kind::Org, org.to_string()),
            Self::User(id) => (Kind::User, id.to_string()),
            Self::ApiToken(id) => (Kind::ApiToken, id.to_string()),
            Self::Zone(id) => (Kind::Zone, id.to_string()),
            Self::Rule(id) => (Kind::Rule, id.to_string()),
            Self::SetupKey(id) => (Kind::SetupKey, id.to_string()),
            Self::Device(id) => (Kind::Device, id.to_string()),
        };
        subjects::state_key(org, kind, &id)
    }

    /// Its JSON; `None` where it is gone.
    pub(crate) fn value(self, state: &OrgState) -> Result<Option<Bytes>, serde_json::Error> {
        match self {
            Self::Org => json(state.org.as_deref()),
            Self::User(id) => json(state.users.get(&id)),
            Self::ApiToken(id) => json(state.api_tokens.get(&id)),
            Self::Zone(id) => json(state.zones.get(&id)),
            Self::Rule(id) => json(state.rules.get(&id)),
            Self::SetupKey(id) => json(state.setup_keys.get(&id)),
            Self::Device(id) => json(state.devices.get(&id)),
        }
    }
}

fn json<T: Serialize>(resource: Option<&T>) -> Result<Option<Bytes>, serde_json::Error> {
    resource.map(|resource| serde_json::to_vec(resource).map(Bytes::from)).transpose()
}
