//! What a run of events changes in the read models and for the devices: pure.

use std::collections::BTreeSet;

use bytes::Bytes;
use policy::Affected;
use schemas::event::Event;
use schemas::id::OrgId;
use schemas::kind::Kind;
use schemas::resource::ResourceId;
use schemas::state::OrgState;
use schemas::subjects;
use serde::Serialize;

/// A read model that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Model {
    Org,
    Resource(ResourceId),
}

/// What is to be written: every key once, however often it changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) models: BTreeSet<Model>,
    /// The devices whose config may have changed.
    pub(crate) devices: Affected,
}

impl Changes {
    pub(crate) fn note_models(&mut self, event: &Event) {
        let id = match event {
            Event::Created { resource, .. } | Event::Updated { resource, .. } => resource.id(),
            Event::Deleted { id, .. } => *id,
            Event::OrgCreated { .. } | Event::OrgUpdated { .. } => {
                self.models.insert(Model::Org);
                return;
            }
            Event::RulesReordered { moved } => {
                self.models.extend(moved.iter().map(|place| Model::Resource(place.rule_id.into())));
                return;
            }
            // Its entries are read from the log; the list itself says how many there are.
            Event::EntriesChanged { id, .. } => (*id).into(),
            Event::DeviceEnrolled { device } => device.id.into(),
            Event::DeviceConfigApplied { id, .. } | Event::DeviceConfigFailed { id, .. } => (*id).into(),
        };
        self.models.insert(Model::Resource(id));
    }

    /// Notes whose config an event may change; where all are noted already, only who is gone is of interest.
    pub(crate) fn note_devices(&mut self, before: &OrgState, after: &OrgState, event: &Event) {
        if !self.devices.all {
            self.devices.add(policy::affected(before, after, event));
        } else if let Event::Deleted { id: ResourceId::Device(id), .. } = event {
            self.devices.devices.insert(*id);
        }
    }
}

impl Model {
    /// Its KV key.
    pub(crate) fn key(self, org: &OrgId) -> String {
        match self {
            Self::Org => subjects::state_key(org, Kind::Org, org.as_str()),
            Self::Resource(id) => subjects::state_key(org, id.kind(), &id.to_string()),
        }
    }

    /// Its JSON; `None` where it is gone.
    pub(crate) fn value(self, state: &OrgState) -> Result<Option<Bytes>, serde_json::Error> {
        match self {
            Self::Org => json(state.org.as_deref()),
            Self::Resource(id) => json(state.find(id).as_ref()),
        }
    }
}

fn json<T: Serialize>(model: Option<&T>) -> Result<Option<Bytes>, serde_json::Error> {
    model.map(|model| serde_json::to_vec(model).map(Bytes::from)).transpose()
}
