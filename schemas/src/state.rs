//! The state of an org: the fold of its events. Cloning it costs nothing, so that a decision may be tried on a copy.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use imbl::{OrdMap, OrdSet};

use crate::address::Span;
use crate::address_list::{AddressList, ListEntry};
use crate::device::Device;
use crate::event::{Event, Recorded, SecretHash};
use crate::id::{AddressListId, DeviceId, RuleId};
use crate::kind::Kind;
use crate::org::Org;
use crate::resource::{AnyResource, Reference, Resource, ResourceId};
use crate::rule::Rule;
use crate::table::Table;

macro_rules! state {
    ($($name:ident $table:ident $id:ident $new:ident $module:ident,)*) => {
        /// Everything that an org has, at one revision.
        #[derive(Debug, Clone, Default)]
        pub struct OrgState {
            pub revision: u64,
            pub org: Option<Arc<Org>>,
            $(pub $table: Table<crate::$module::$name>,)*
            /// The entries of each address list, by address.
            pub list_entries: OrdMap<AddressListId, OrdMap<Span, Arc<ListEntry>>>,

            /// Who refers to what.
            users_of: OrdMap<Reference, OrdSet<ResourceId>>,
            secret_hashes: OrdMap<ResourceId, SecretHash>,
            secret_holders: OrdMap<SecretHash, ResourceId>,
            device_keys: OrdMap<String, DeviceId>,
            /// The rules in matching order.
            rule_order: OrdSet<(u32, RuleId)>,
            /// The highest number that was ever given to something that decides on traffic.
            pub number_last: u32,
        }

        impl OrgState {
            /// The resource of this id.
            pub fn find(&self, id: ResourceId) -> Option<AnyResource> {
                match id { $(ResourceId::$name(id) => self.$table.get(&id).cloned().map(Into::into),)* }
            }

            /// How many resources there are of a kind.
            pub fn count(&self, kind: Kind) -> usize {
                match kind {
                    $(Kind::$name => self.$table.len(),)*
                    Kind::Org => usize::from(self.org.is_some()),
                    Kind::Event | Kind::Flow => 0,
                }
            }

            /// Puts a resource in its table and returns the one that was there.
            fn put_in_table(&mut self, resource: AnyResource) -> Option<AnyResource> {
                match resource { $(AnyResource::$name(it) => self.$table.put(it).map(Into::into),)* }
            }

            /// Whether there is a resource of this id.
            pub fn contains(&self, id: ResourceId) -> bool {
                match id { $(ResourceId::$name(id) => self.$table.contains_key(&id),)* }
            }

            fn remove_from_table(&mut self, id: ResourceId) -> Option<AnyResource> {
                match id { $(ResourceId::$name(id) => self.$table.remove(&id).map(Into::into),)* }
            }

            /// Everything there is, kind by kind.
            pub fn resources(&self) -> impl Iterator<Item = AnyResource> {
                let none: Box<dyn Iterator<Item = AnyResource> + '_> = Box::new(std::iter::empty());
                $(let none: Box<dyn Iterator<Item = AnyResource> + '_> =
                    Box::new(none.chain(self.$table.values().cloned().map(AnyResource::from)));)*
                none
            }
        }

        $(
            impl InOrg for crate::$module::$name {
                fn table(org: &OrgState) -> &Table<Self> {
                    &org.$table
                }
            }
        )*
    };
}

/// A resource that has its table in the state of an org.
pub trait InOrg: Resource + Into<AnyResource> {
    fn table(org: &OrgState) -> &Table<Self>;
}

crate::for_each_resource!(state);

impl OrgState {
    /// Adds what happened. It happened, so this cannot fail.
    pub fn apply(&mut self, recorded: &Recorded) {
        self.apply_event(&recorded.event, recorded.meta.revision, recorded.meta.time);
    }

    /// Adds one event that happened as `revision` at `time`.
    pub fn apply_event(&mut self, event: &Event, revision: u64, time: DateTime<Utc>) {
        self.revision = revision;
        match event {
            Event::OrgCreated { org } | Event::OrgUpdated { org, .. } => self.org = Some(Arc::new(org.clone())),
            Event::Created { resource, secret_hash } => {
                if let Some(hash) = secret_hash {
                    self.secret_hashes.insert(resource.id(), hash.clone());
                    self.secret_holders.insert(hash.clone(), resource.id());
                }
                self.put(resource.clone());
            }
            Event::Updated { resource, .. } => self.put(resource.clone()),
            Event::Deleted { id, .. } => self.remove(*id),
            Event::RulesReordered { moved } => {
                for place in moved {
                    if let Some(rule) = self.rules.get(&place.rule_id) {
                        let moved = Rule { order: place.order, revision, updated_at: time, ..Rule::clone(rule) };
                        self.put(moved.into());
                    }
                }
            }
            Event::EntriesChanged { id, removed, added, .. } => {
                self.change_entries(*id, removed, added, revision, time)
            }
            Event::DeviceEnrolled { device } => self.put(device.clone().into()),
            Event::DeviceConfigApplied { id, applied } => self.devices.change(id, |device| {
                device.applied = Some(applied.clone());
                device.failure = None;
            }),
            Event::DeviceConfigFailed { id, failure } => {
                self.devices.change(id, |device| device.failure = Some(failure.clone()));
            }
        }
    }

    /// Puts a resource in its place, and all that is known by it.
    pub fn put(&mut self, resource: AnyResource) {
        self.index(&resource);
        let (id, wanted) = (resource.id(), references(&resource));
        let had = self.put_in_table(resource).as_ref().map(references).unwrap_or_default();
        for gone in had.difference(&wanted) {
            self.forget_user(gone, id);
        }
        for reference in wanted.difference(&had) {
            self.users_of.entry(reference.clone()).or_default().insert(id);
        }
    }

    /// Takes a resource away, and all that is known by it.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a kind has no index but for its table, unless it is named here"
    )]
    pub fn remove(&mut self, id: ResourceId) {
        if let Some(hash) = self.secret_hashes.remove(&id) {
            self.secret_holders.remove(&hash);
        }
        let Some(old) = self.remove_from_table(id) else { return };
        for reference in references(&old) {
            self.forget_user(&reference, id);
        }
        match &old {
            AnyResource::Rule(rule) => {
                self.rule_order.remove(&(rule.order, rule.id));
            }
            AnyResource::Device(device) => self.forget_key(device),
            AnyResource::AddressList(list) => {
                self.list_entries.remove(&list.id);
            }
            _ => {}
        }
    }

    /// The ids of the rules in matching order.
    pub fn ordered_rule_ids(&self) -> impl ExactSizeIterator<Item = RuleId> {
        self.rule_order.iter().map(|(_, id)| *id)
    }

    /// The rules in matching order.
    pub fn ordered_rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rule_order.iter().filter_map(|(_, id)| self.rules.get(id))
    }

    /// The place after the last rule.
    pub fn rule_order_next(&self) -> u32 {
        self.rule_order.get_max().map_or(1, |(order, _)| order.saturating_add(1))
    }

    /// Who refers to this.
    pub fn users_of(&self, reference: &Reference) -> impl Iterator<Item = ResourceId> {
        self.users_of.get(reference).into_iter().flatten().copied()
    }

    /// Whether there is what is referred to.
    pub fn has(&self, reference: &Reference) -> bool {
        match reference {
            Reference::Resource(id) => self.contains(*id),
            Reference::Zone(name) => name.is_local() || self.zones.named(name.as_str()).is_some(),
        }
    }

    /// What a secret opens.
    pub fn secret_holder(&self, hash: &SecretHash) -> Option<ResourceId> {
        self.secret_holders.get(hash).copied()
    }

    pub fn secret_hash(&self, id: ResourceId) -> Option<&SecretHash> {
        self.secret_hashes.get(&id)
    }

    /// The device of this key.
    pub fn device_of_key(&self, public_key: &str) -> Option<&Arc<Device>> {
        self.devices.get(self.device_keys.get(public_key)?)
    }

    /// The entries of an address list, by address.
    pub fn entries(&self, id: AddressListId) -> impl Iterator<Item = &Arc<ListEntry>> {
        self.list_entries.get(&id).into_iter().flat_map(|entries| entries.values())
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a kind has no index but for its table, unless it is named here"
    )]
    fn index(&mut self, resource: &AnyResource) {
        match resource {
            AnyResource::Rule(rule) => {
                if let Some(old) = self.rules.get(&rule.id) {
                    self.rule_order.remove(&(old.order, old.id));
                }
                self.rule_order.insert((rule.order, rule.id));
                self.number_last = self.number_last.max(rule.number);
            }
            AnyResource::ZonePolicy(policy) => self.number_last = self.number_last.max(policy.number),
            AnyResource::Policy(policy) => {
                self.number_last = policy.rule_numbers.iter().copied().fold(self.number_last, u32::max);
            }
            AnyResource::Firewall(firewall) => self.number_last = self.number_last.max(firewall.number),
            AnyResource::Device(device) => {
                if let Some(old) =
                    self.devices.get(&device.id).filter(|old| old.public_key != device.public_key).cloned()
                {
                    self.forget_key(&old);
                }
                self.device_keys.insert(device.public_key.clone(), device.id);
            }
            _ => {}
        }
    }

    /// Takes a key from a device, unless another one came with it by now.
    fn forget_key(&mut self, device: &Device) {
        if self.device_keys.get(&device.public_key) == Some(&device.id) {
            self.device_keys.remove(&device.public_key);
        }
    }

    fn forget_user(&mut self, reference: &Reference, user: ResourceId) {
        if let Some(users) = self.users_of.get_mut(reference) {
            users.remove(&user);
            if users.is_empty() {
                self.users_of.remove(reference);
            }
        }
    }

    fn change_entries(
        &mut self,
        id: AddressListId,
        removed: &[Span],
        added: &[ListEntry],
        revision: u64,
        time: DateTime<Utc>,
    ) {
        let entries = self.list_entries.entry(id).or_default();
        for address in removed {
            entries.remove(address);
        }
        for entry in added {
            entries.insert(entry.address, Arc::new(entry.clone()));
        }
        let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        self.address_lists.change(&id, |list: &mut AddressList| {
            list.entries_count = count;
            list.revision = revision;
            list.updated_at = time;
        });
    }
}

fn references(resource: &AnyResource) -> BTreeSet<Reference> {
    let mut references = BTreeSet::new();
    resource.each_reference(&mut |_, reference| {
        references.insert(reference);
    });
    references
}
