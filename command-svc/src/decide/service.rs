//! Service objects: none contains itself.

use std::collections::BTreeSet;

use schemas::id::ServiceId;
use schemas::service_object::{Service, ServiceEntry};
use schemas::state::OrgState;

use super::resource::Decided;
use super::{Context, bounded};
use crate::refusal::Refusal;

const ENTRIES_MAX: usize = 1_000;

impl Decided for Service {
    fn check(&self, _: Option<&Self>, org: &OrgState, _: &Context) -> Result<(), Refusal> {
        bounded("entries", self.entries.len(), ENTRIES_MAX)?;
        let mut waiting = members(self);
        let mut seen = BTreeSet::new();
        while let Some(id) = waiting.pop() {
            if id == self.id {
                return Err(Refusal::Cycle { field: "entries" });
            }
            if seen.insert(id)
                && let Some(member) = org.services.get(&id)
            {
                waiting.extend(members(member));
            }
        }
        Ok(())
    }
}

fn members(service: &Service) -> Vec<ServiceId> {
    let member = |entry: &ServiceEntry| match entry {
        ServiceEntry::Service(id) => Some(*id),
        ServiceEntry::Ports { .. } => None,
    };
    service.entries.iter().filter_map(member).collect()
}
