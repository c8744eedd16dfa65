//! Address objects: none contains itself.

use std::collections::BTreeSet;

use schemas::address_object::{Address, AddressEntry};
use schemas::id::AddressId;
use schemas::state::OrgState;

use super::resource::Decided;
use super::{Context, bounded};
use crate::refusal::Refusal;

const ENTRIES_MAX: usize = 1_000;

impl Decided for Address {
    fn check(&self, _: Option<&Self>, org: &OrgState, _: &Context) -> Result<(), Refusal> {
        bounded("entries", self.entries.len(), ENTRIES_MAX)?;
        let mut waiting = members(self);
        let mut seen = BTreeSet::new();
        while let Some(id) = waiting.pop() {
            if id == self.id {
                return Err(Refusal::Cycle { field: "entries" });
            }
            if seen.insert(id)
                && let Some(member) = org.addresses.get(&id)
            {
                waiting.extend(members(member));
            }
        }
        Ok(())
    }
}

fn members(address: &Address) -> Vec<AddressId> {
    let member = |entry: &AddressEntry| match entry {
        AddressEntry::Address(id) => Some(*id),
        AddressEntry::Span(_) | AddressEntry::Domain(_) => None,
    };
    address.entries.iter().filter_map(member).collect()
}
