//! Which devices an event may give another ruleset.

use std::collections::BTreeSet;

use schemas::device::Device;
use schemas::event::Event;
use schemas::id::{DeviceId, GroupId, RuleId};
use schemas::policy::Policy;
use schemas::resource::{Reference, ResourceId};
use schemas::state::OrgState;

/// Devices that may compile to something else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Affected {
    /// Whether they are all that the org has.
    pub all: bool,
    /// Those in these groups.
    pub groups: BTreeSet<GroupId>,
    /// And these; some of them may be gone.
    pub devices: BTreeSet<DeviceId>,
}

/// Whose ruleset may be another after an event than before. Of a device that it does not name, `before` and `after`
/// compile to equal rulesets.
pub fn affected(before: &OrgState, after: &OrgState, event: &Event) -> Affected {
    let mut affected = Affected::default();
    match event {
        Event::Created { resource, .. } | Event::Updated { resource, .. } => {
            affected.around(before, after, resource.id())
        }
        Event::Deleted { id, .. } => affected.around(before, after, *id),
        Event::RulesReordered { moved } => {
            for place in moved {
                affected.of_rule(after, place.rule_id);
            }
        }
        Event::EntriesChanged { id, .. } => affected.around(before, after, (*id).into()),
        Event::DeviceEnrolled { device } => affected.around(before, after, device.id.into()),
        Event::OrgCreated { .. }
        | Event::OrgUpdated { .. }
        | Event::DeviceConfigApplied { .. }
        | Event::DeviceConfigFailed { .. } => {}
    }
    affected
}

impl Affected {
    pub fn is_empty(&self) -> bool {
        !self.all && self.groups.is_empty() && self.devices.is_empty()
    }

    /// Adds what another event affects.
    pub fn add(&mut self, other: Self) {
        self.all |= other.all;
        self.devices.extend(other.devices);
        if self.all {
            self.groups.clear();
        } else {
            self.groups.extend(other.groups);
        }
    }

    /// The devices by id, those included that `state` does not have any more.
    pub fn ids(&self, state: &OrgState) -> BTreeSet<DeviceId> {
        let mut ids = self.devices.clone();
        if self.all {
            ids.extend(state.devices.keys());
        }
        for group in &self.groups {
            let group = Reference::from(*group);
            let users = state.users_of(&group);
            ids.extend(users.filter_map(|user| if let ResourceId::Device(id) = user { Some(id) } else { None }));
        }
        ids
    }

    /// Where a resource counts, as it was and as it is.
    fn around(&mut self, before: &OrgState, after: &OrgState, id: ResourceId) {
        if let ResourceId::Device(id) = id {
            self.of_device(before, after, id);
        } else {
            self.of(before, id);
            self.of(after, id);
        }
    }

    /// Where a resource counts in a state. What rulesets are not made of counts nowhere.
    fn of(&mut self, state: &OrgState, id: ResourceId) {
        if let ResourceId::Rule(id) = id {
            self.of_rule(state, id);
        } else if let ResourceId::Firewall(id) = id {
            self.groups.extend(state.firewalls.get(&id).iter().flat_map(|firewall| &firewall.group_ids));
        } else if let ResourceId::Policy(id) = id {
            self.of_policy(state.policies.get(&id).map(AsRef::as_ref));
        } else if let ResourceId::NatRule(id) = id {
            match state.nat_rules.get(&id).map(|rule| rule.group_ids.as_deref()) {
                Some(None) => self.all = true,
                Some(Some(groups)) => self.groups.extend(groups),
                None => {}
            }
        } else if let ResourceId::ZonePolicy(_) = id {
            self.all = true;
        } else if matches!(id, ResourceId::Address(_) | ResourceId::Service(_) | ResourceId::AddressList(_)) {
            self.of_users(state, id);
        }
    }

    /// Where what uses an object counts, directly or through other objects.
    fn of_users(&mut self, state: &OrgState, id: ResourceId) {
        let (mut seen, mut waiting) = (BTreeSet::from([id]), vec![id]);
        while let Some(id) = waiting.pop() {
            for user in state.users_of(&Reference::Resource(id)) {
                if self.all {
                    return;
                }
                if matches!(user, ResourceId::Address(_) | ResourceId::Service(_)) {
                    waiting.extend(seen.insert(user).then_some(user));
                } else {
                    self.of(state, user);
                }
            }
        }
    }

    fn of_rule(&mut self, state: &OrgState, id: RuleId) {
        let Some(rule) = state.rules.get(&id).filter(|rule| rule.enabled) else { return };
        match rule.firewall_id {
            None => self.all = true,
            Some(firewall) => self.of(state, firewall.into()),
        }
    }

    fn of_policy(&mut self, policy: Option<&Policy>) {
        let rules = policy.iter().flat_map(|policy| &policy.rules);
        self.groups.extend(rules.flat_map(|rule| rule.sources.iter().chain(&rule.destinations)));
    }

    /// The device itself, and those that see it through its groups.
    fn of_device(&mut self, before: &OrgState, after: &OrgState, id: DeviceId) {
        let (was, is) = (before.devices.get(&id), after.devices.get(&id));
        self.devices.insert(id);
        let shown = |device: &Device| (device.approved, device.group_ids.clone(), device.networks.clone());
        if was.map(|device| shown(device)) == is.map(|device| shown(device)) {
            return;
        }
        for (state, device) in [(before, was), (after, is)] {
            for group in device.iter().flat_map(|device| &device.group_ids) {
                self.of_viewers(state, *group);
            }
        }
    }

    /// Where the networks of a group count: in the rules, policies and translations that name it.
    fn of_viewers(&mut self, state: &OrgState, group: GroupId) {
        for user in state.users_of(&Reference::from(group)) {
            if let ResourceId::Policy(_) | ResourceId::Rule(_) | ResourceId::NatRule(_) = user {
                self.of(state, user);
            }
        }
    }
}
