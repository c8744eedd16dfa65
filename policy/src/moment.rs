//! What of a ruleset holds at a moment: schedules, expiry, and the addresses of domains.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use schemas::address::Span;
use schemas::config::{Ruleset, RulesetNat, RulesetRule, RulesetSet};
use schemas::domain::Domain;
use schemas::resource::ResourceId;
use schemas::selector::Selector;

use crate::interval::merge_spans;
use crate::sides::{denies, set_of};

/// What DNS says: the addresses of domains.
pub type Answers = BTreeMap<Domain, BTreeSet<IpAddr>>;

/// What holds at a time: without the rules and addresses that do not, and without schedules.
pub fn at(ruleset: &Ruleset, time: DateTime<Utc>) -> Ruleset {
    let holds = |rule: &&RulesetRule| {
        rule.expires_at.is_none_or(|end| time < end)
            && rule.schedule.as_ref().is_none_or(|schedule| schedule.holds(time))
    };
    let rules = ruleset.rules.iter().filter(holds);
    let rules = rules.map(|rule| RulesetRule { schedule: None, expires_at: None, ..rule.clone() }).collect();
    let sets = ruleset.sets.iter().map(|set| set_at(set, time)).collect();
    prune(Ruleset { rules, sets, ..ruleset.clone() })
}

fn set_at(set: &Arc<RulesetSet>, time: DateTime<Utc>) -> Arc<RulesetSet> {
    if set.expiring.is_empty() {
        return Arc::clone(set);
    }
    let left = set.expiring.iter().filter(|expiring| time < expiring.at).flat_map(|expiring| &expiring.spans);
    let spans = merge_spans(set.spans.iter().chain(left));
    Arc::new(RulesetSet { id: set.id, spans, expiring: Vec::new(), domains: set.domains.clone() })
}

/// The first time after this one at which something else may hold; `None` if nothing ever changes by itself.
pub fn next_change(ruleset: &Ruleset, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let schedules = ruleset.rules.iter().filter_map(|rule| rule.schedule.as_ref());
    let changes = schedules.map(|schedule| schedule.next_change(after));
    let ends = ruleset.rules.iter().filter_map(|rule| rule.expires_at);
    let expiries = ruleset.sets.iter().flat_map(|set| &set.expiring).map(|expiring| expiring.at);
    changes.chain(ends).chain(expiries).filter(|time| *time > after).min()
}

/// The domains whose addresses a ruleset needs. What is below `*.` one has no end: nothing asks for it.
pub fn domains(ruleset: &Ruleset) -> BTreeSet<&Domain> {
    let domains = ruleset.sets.iter().flat_map(|set| &set.domains);
    domains.filter(|domain| !domain.is_wildcard()).collect()
}

/// The ruleset with the addresses of its domains in the place of those that have an answer.
pub fn resolve(ruleset: &Ruleset, answers: &Answers) -> Ruleset {
    let sets = ruleset.sets.iter().map(|set| resolve_set(set, answers)).collect();
    Ruleset { sets, ..ruleset.clone() }
}

fn resolve_set(set: &Arc<RulesetSet>, answers: &Answers) -> Arc<RulesetSet> {
    let answer = |domain: &Domain| answers.get(domain).filter(|addresses| !addresses.is_empty());
    if !set.domains.iter().any(|domain| answer(domain).is_some()) {
        return Arc::clone(set);
    }
    let found = set.domains.iter().filter_map(answer).flatten();
    let found: Vec<Span> = found.filter_map(|ip| Span::new(ip.to_canonical(), ip.to_canonical())).collect();
    let spans = merge_spans(set.spans.iter().chain(&found));
    let domains = set.domains.iter().filter(|domain| answer(domain).is_none()).cloned().collect();
    Arc::new(RulesetSet { id: set.id, spans, expiring: set.expiring.clone(), domains })
}

/// All that rules and translations name.
pub(crate) fn selectors<'r>(rules: &'r [RulesetRule], nat: &'r [RulesetNat]) -> impl Iterator<Item = &'r Selector> {
    let of_rules = rules.iter().flat_map(|rule| rule.sources.iter().chain(&rule.destinations));
    of_rules.chain(nat.iter().flat_map(|nat| [&nat.source, &nat.destination]))
}

/// Takes away the rules that can never match, and the sets that no rule names.
pub(crate) fn prune(mut ruleset: Ruleset) -> Ruleset {
    let sets: BTreeMap<ResourceId, Arc<RulesetSet>> =
        ruleset.sets.iter().map(|set| (set.id, Arc::clone(set))).collect();
    ruleset.rules.retain(|rule| {
        let denies = denies(rule.action, rule.log_only);
        let can = |selectors: &[Selector], negated: bool| can_match(selectors, negated, denies, &sets);
        !rule.services.is_empty()
            && can(&rule.sources, rule.sources_negated)
            && can(&rule.destinations, rule.destinations_negated)
    });
    ruleset.nat.retain(|nat| {
        let can = |selector: &Selector| can_match(std::slice::from_ref(selector), false, false, &sets);
        can(&nat.source) && can(&nat.destination)
    });
    let named: BTreeSet<ResourceId> = selectors(&ruleset.rules, &ruleset.nat).filter_map(set_of).collect();
    ruleset.sets.retain(|set| named.contains(&set.id));
    ruleset
}

/// Whether a side may match an address at some time, as far as can be said.
fn can_match(
    selectors: &[Selector],
    negated: bool,
    denies: bool,
    sets: &BTreeMap<ResourceId, Arc<RulesetSet>>,
) -> bool {
    let is_all_empty = selectors.iter().all(|selector| {
        let is_empty = |set: &RulesetSet| set.spans.is_empty() && set.expiring.is_empty() && set.domains.is_empty();
        set_of(selector).is_some_and(|id| sets.get(&id).is_none_or(|set| is_empty(set)))
    });
    match (negated, is_all_empty) {
        (true, true) => denies && !selectors.is_empty(),
        (true, false) => !selectors.contains(&Selector::Any),
        (false, is_all_empty) => !is_all_empty,
    }
}

#[cfg(test)]
mod tests;
