//! Service objects: none contains itself.

use schemas::id::ServiceId;
use schemas::service_object::{Service, ServiceEntry};
use schemas::state::OrgState;

use super::resource::Decided;
use super::{Context, TAGS_MAX, bounded, contains_itself};
use crate::refusal::Refusal;

const ENTRIES_MAX: usize = 1_000;

impl Decided for Service {
    fn check(&self, _: Option<&Self>, org: &OrgState, _: &Context) -> Result<(), Refusal> {
        bounded("tags", self.tags.len(), TAGS_MAX)?;
        bounded("entries", self.entries.len(), ENTRIES_MAX)?;
        let inner = |id: ServiceId| org.services.get(&id).map(|inner| members(inner)).unwrap_or_default();
        if contains_itself(self.id, members(self), inner) { Err(Refusal::Cycle { field: "entries" }) } else { Ok(()) }
    }
}

fn members(service: &Service) -> Vec<ServiceId> {
    let member = |entry: &ServiceEntry| match entry {
        ServiceEntry::Service(id) => Some(*id),
        ServiceEntry::Ports { .. } => None,
    };
    service.entries.iter().filter_map(member).collect()
}
