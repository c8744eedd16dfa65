//! The zone matrix: the default of each pair of a device's zones.

use std::collections::HashMap;

use schemas::config::{RulesetDefault, RulesetZone};
use schemas::selector::ZoneMatch;
use schemas::state::OrgState;
use schemas::zone::ZoneName;
use schemas::zone_policy::ZonePolicy;

/// The defaults of all pairs of these zones and the device itself for which the org has one.
pub(super) fn defaults(state: &OrgState, zones: &[RulesetZone]) -> Vec<RulesetDefault> {
    if state.zone_policies.is_empty() {
        return Vec::new();
    }
    let mut policies: HashMap<(&ZoneMatch, &ZoneMatch), &ZonePolicy> = HashMap::new();
    for policy in state.zone_policies.values() {
        policies.entry((&policy.zone_from, &policy.zone_to)).or_insert(policy);
    }
    let local = ZoneName::local();
    let mut names: Vec<&ZoneName> = zones.iter().map(|zone| &zone.name).chain([&local]).collect();
    names.sort_unstable();
    let pairs = names.iter().flat_map(|from| names.iter().map(move |to| (*from, *to)));
    let decided = pairs.filter(|(from, to)| !(from.is_local() && to.is_local())).filter_map(|(from, to)| {
        let (any, exactly_from, exactly_to) =
            (ZoneMatch::Any, ZoneMatch::from(from.clone()), ZoneMatch::from(to.clone()));
        let most_specific_first =
            [(&exactly_from, &exactly_to), (&exactly_from, &any), (&any, &exactly_to), (&any, &any)];
        let policy = most_specific_first.iter().find_map(|pair| policies.get(pair))?;
        Some(RulesetDefault {
            id: policy.id.into(),
            number: policy.number,
            zone_from: from.clone(),
            zone_to: to.clone(),
            action: policy.action,
            log: policy.log,
        })
    });
    decided.collect()
}
