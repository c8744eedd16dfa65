//! From the state of an org to the ruleset of one of its devices, in canonical form.

use std::collections::{BTreeMap, BTreeSet};

use schemas::address::Address;
use schemas::config::{Ruleset, RulesetRule, RulesetZone};
use schemas::device::{Device, InterfaceName, Mode};
use schemas::id::DeviceId;
use schemas::rule::{Action, Rule};
use schemas::state::OrgState;
use schemas::zone::ZoneName;

/// What happens to a new connection between two zones that no rule matches: the zone matrix of a new org accepts every
/// pair.
pub const DEFAULT_ACTION: Action = Action::Accept;

/// What a device must enforce and how, or `None` if the org has no such device.
///
/// The answer depends on nothing but the device's interfaces and mode and the rules between its zones: equal inputs
/// give equal rulesets, and so equal bytes. Rules that are off, that concern a zone without an interface on this
/// device, or that name no source or no destination compile to nothing.
pub fn compile(state: &OrgState, device: DeviceId) -> Option<(Mode, Ruleset)> {
    let device = state.devices.get(&device)?;
    let zones = zones(device);
    let present: BTreeSet<&ZoneName> = zones.iter().map(|zone| &zone.name).collect();
    let here = |zone: &ZoneName| zone.is_local() || present.contains(zone);
    let rules = state
        .ordered_rules()
        .filter(|rule| rule.enabled && here(&rule.zone_from) && here(&rule.zone_to))
        .filter_map(|rule| compile_rule(rule))
        .collect();
    Some((device.mode, Ruleset { zones, rules, default_action: DEFAULT_ACTION }))
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

fn compile_rule(rule: &Rule) -> Option<RulesetRule> {
    let nothing = rule.sources.is_empty() || rule.destinations.is_empty();
    if nothing || (rule.zone_from.is_local() && rule.zone_to.is_local()) {
        return None;
    }
    Some(RulesetRule {
        id: rule.id,
        number: rule.number,
        zone_from: rule.zone_from.clone(),
        zone_to: rule.zone_to.clone(),
        sources: canonical_addresses(&rule.sources),
        destinations: canonical_addresses(&rule.destinations),
        protocol: rule.protocol,
        ports: canonical(&rule.ports),
        action: rule.action,
        log: rule.log,
    })
}

fn canonical_addresses(addresses: &[Address]) -> Vec<Address> {
    if addresses.contains(&Address::Any) { vec![Address::Any] } else { canonical(addresses) }
}

fn canonical<T: Ord + Clone>(given: &[T]) -> Vec<T> {
    given.iter().cloned().collect::<BTreeSet<T>>().into_iter().collect()
}

#[cfg(test)]
mod tests;
