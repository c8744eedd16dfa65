//! What the objects that rules name stand for.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use schemas::address::Span;
use schemas::address_object::AddressEntry;
use schemas::config::{ExpiringSpans, RulesetSet};
use schemas::domain::Domain;
use schemas::id::{AddressId, AddressListId, GroupId};
use schemas::resource::{Reference, ResourceId};
use schemas::state::OrgState;

use crate::interval::merge_spans;

#[derive(Default)]
struct Found<'s> {
    spans: Vec<&'s Span>,
    expiring: BTreeMap<DateTime<Utc>, Vec<&'s Span>>,
    domains: BTreeSet<&'s Domain>,
}

/// What an address object, an address list or a group stands for; nothing for what the org has not.
pub(super) fn set(state: &OrgState, id: ResourceId) -> RulesetSet {
    let mut found = Found::default();
    if let ResourceId::Address(id) = id {
        found.add_address(state, id);
    } else if let ResourceId::AddressList(id) = id {
        found.add_list(state, id);
    } else if let ResourceId::Group(id) = id {
        found.add_group(state, id);
    }
    let expiring = found.expiring.into_iter().map(|(at, spans)| ExpiringSpans { at, spans: merge_spans(spans) });
    RulesetSet {
        id,
        spans: merge_spans(found.spans),
        expiring: expiring.collect(),
        domains: found.domains.into_iter().cloned().collect(),
    }
}

impl<'s> Found<'s> {
    /// An object and all that are in it, each once: objects that name each other in a circle have an end.
    fn add_address(&mut self, state: &'s OrgState, id: AddressId) {
        let (mut seen, mut waiting) = (BTreeSet::from([id]), vec![id]);
        while let Some(id) = waiting.pop() {
            let Some(address) = state.addresses.get(&id) else { continue };
            for entry in &address.entries {
                match entry {
                    AddressEntry::Span(span) => self.spans.push(span),
                    AddressEntry::Domain(domain) => {
                        self.domains.insert(domain);
                    }
                    AddressEntry::Address(other) => waiting.extend(seen.insert(*other).then_some(*other)),
                }
            }
        }
    }

    /// The networks of the devices in a group that are approved.
    fn add_group(&mut self, state: &'s OrgState, id: GroupId) {
        for user in state.users_of(&Reference::from(id)) {
            let device = if let ResourceId::Device(id) = user { state.devices.get(&id) } else { None };
            self.spans.extend(device.filter(|device| device.approved).into_iter().flat_map(|device| &device.networks));
        }
    }

    fn add_list(&mut self, state: &'s OrgState, id: AddressListId) {
        let Some(entries) = state.list_entries.get(&id).filter(|_| state.address_lists.contains_key(&id)) else {
            return;
        };
        for entry in entries.values() {
            match entry.expires_at {
                None => self.spans.push(&entry.address),
                Some(at) => self.expiring.entry(at).or_default().push(&entry.address),
            }
        }
    }
}
