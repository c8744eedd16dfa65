//! From the state of an org to the ruleset of one of its devices, in canonical form.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use schemas::config::{Ruleset, RulesetSet, RulesetZone};
use schemas::device::{Device, InterfaceName, Mode};
use schemas::id::DeviceId;
use schemas::resource::ResourceId;
use schemas::rule::Action;
use schemas::selector::Selector;
use schemas::state::OrgState;
use schemas::zone::ZoneName;

use crate::moment::{prune, selectors};
use crate::sides::set_of;

mod defaults;
mod nat;
mod rules;
mod services;
mod sets;

use rules::Scope;

/// What happens to a new connection between two zones of which nothing is said.
pub const DEFAULT_ACTION: Action = Action::Accept;

/// What a device must enforce and how, or `None` if the org has no such device.
///
/// Equal states give equal rulesets, and so equal bytes. What is off, paused, of zones or groups that this device is not
/// in, or names nothing, compiles to nothing. A device that is not approved observes, and has no zones and no rules.
pub fn compile(state: &OrgState, device: DeviceId) -> Option<(Mode, Ruleset)> {
    Compiler::new(state).compile(device)
}

/// Compiles for many devices of an org: the sets that they share are made once.
pub struct Compiler<'s> {
    state: &'s OrgState,
    sets: HashMap<ResourceId, Arc<RulesetSet>>,
}

impl<'s> Compiler<'s> {
    pub fn new(state: &'s OrgState) -> Self {
        Self { state, sets: HashMap::new() }
    }

    /// See [`compile()`].
    pub fn compile(&mut self, device: DeviceId) -> Option<(Mode, Ruleset)> {
        let device = self.state.devices.get(&device)?;
        if !device.approved {
            return Some((Mode::Observe, Ruleset { default_action: DEFAULT_ACTION, ..Ruleset::default() }));
        }
        let zones = zones(device);
        let rules = Scope::new(self.state, device, &zones).rules();
        let nat = nat::nat(self.state, device, &zones);
        let sets = self.sets(selectors(&rules, &nat));
        let defaults = defaults::defaults(self.state, &zones);
        Some((device.mode, prune(Ruleset { zones, sets, rules, defaults, nat, default_action: DEFAULT_ACTION })))
    }

    /// What is named.
    fn sets<'r>(&mut self, selectors: impl Iterator<Item = &'r Selector>) -> Vec<Arc<RulesetSet>> {
        let named: BTreeSet<ResourceId> = selectors.filter_map(set_of).collect();
        let set = |id: ResourceId| {
            let known = self.sets.entry(id).or_insert_with(|| Arc::new(sets::set(self.state, id)));
            Arc::clone(known)
        };
        named.into_iter().map(set).collect()
    }
}

fn zones(device: &Device) -> Vec<RulesetZone> {
    let mut interfaces: BTreeMap<&ZoneName, BTreeSet<&InterfaceName>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for interface in &device.interfaces {
        // An interface is in one zone: the first that claims it.
        if !seen.insert(&interface.name) {
            continue;
        }
        if let Some(zone) = interface.zone.as_ref().filter(|zone| !zone.is_local()) {
            interfaces.entry(zone).or_default().insert(&interface.name);
        }
    }
    interfaces
        .into_iter()
        .map(|(name, interfaces)| RulesetZone {
            name: name.clone(),
            interfaces: interfaces.into_iter().cloned().collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod laws;
