//! Address objects: none contains itself.

use schemas::address_object::{Address, AddressEntry};
use schemas::id::AddressId;
use schemas::state::OrgState;

use super::resource::Decided;
use super::{Context, TAGS_MAX, bounded, contains_itself};
use crate::refusal::Refusal;

const ENTRIES_MAX: usize = 1_000;

impl Decided for Address {
    fn check(&self, _: Option<&Self>, org: &OrgState, _: &Context) -> Result<(), Refusal> {
        bounded("tags", self.tags.len(), TAGS_MAX)?;
        bounded("entries", self.entries.len(), ENTRIES_MAX)?;
        let inner = |id: AddressId| org.addresses.get(&id).map(|inner| members(inner)).unwrap_or_default();
        if contains_itself(self.id, members(self), inner) { Err(Refusal::Cycle { field: "entries" }) } else { Ok(()) }
    }
}

fn members(address: &Address) -> Vec<AddressId> {
    let member = |entry: &AddressEntry| match entry {
        AddressEntry::Address(id) => Some(*id),
        AddressEntry::Span(_) | AddressEntry::Domain(_) => None,
    };
    address.entries.iter().filter_map(member).collect()
}
