//! What decides on a device, in the order in which it is asked: deny lists, allow lists, rules, policies.

use std::collections::BTreeSet;

use schemas::config::{RulesetRule, RulesetService, RulesetZone};
use schemas::device::Device;
use schemas::firewall::{Firewall, FirewallStatus};
use schemas::id::{FirewallId, GroupId};
use schemas::policy::{Policy, PolicyRule};
use schemas::rule::{Action, Rule};
use schemas::selector::{Selector, ZoneMatch};
use schemas::service::Protocol;
use schemas::state::OrgState;
use schemas::zone::ZoneName;

use super::services;

/// A device as far as rules ask for it.
pub(super) struct Scope<'s> {
    state: &'s OrgState,
    groups: BTreeSet<GroupId>,
    zones: Vec<&'s ZoneName>,
    firewalls: Vec<&'s Firewall>,
}

impl<'s> Scope<'s> {
    pub(super) fn new(state: &'s OrgState, device: &Device, zones: &'s [RulesetZone]) -> Self {
        let groups: BTreeSet<GroupId> = device.group_ids.iter().copied().collect();
        let applies = |firewall: &&Firewall| {
            firewall.status == FirewallStatus::Active && firewall.group_ids.iter().any(|group| groups.contains(group))
        };
        let firewalls = state.firewalls.values().map(AsRef::as_ref).filter(applies).collect();
        Self { state, zones: zones.iter().map(|zone| &zone.name).collect(), groups, firewalls }
    }

    pub(super) fn rules(&self) -> Vec<RulesetRule> {
        let mut rules = Vec::new();
        for firewall in self.firewalls.iter().filter(|firewall| firewall.denylist_enabled) {
            let listed = firewall.deny_lists.iter().copied().map(Selector::List).collect();
            rules.extend(self.guards(firewall, listed, false));
        }
        for firewall in self.firewalls.iter().filter(|firewall| firewall.allowlist_enabled) {
            rules.extend(self.allow_list(firewall));
        }
        let applying: BTreeSet<FirewallId> = self.firewalls.iter().map(|firewall| firewall.id).collect();
        let here = self.state.ordered_rules().filter(|rule| rule.enabled);
        let here = here.filter(|rule| rule.firewall_id.is_none_or(|id| applying.contains(&id)));
        rules.extend(here.filter_map(|rule| self.rule(rule)));
        for policy in self.state.policies.values().filter(|policy| policy.enabled) {
            for (rule, number) in policy.rules.iter().zip(&policy.rule_numbers) {
                rules.extend(self.policy_rule(policy, rule, *number));
            }
        }
        rules
    }

    /// Who is on none of the lists is dropped; where no list is named, everybody is on none.
    fn allow_list(&self, firewall: &Firewall) -> Vec<RulesetRule> {
        let listed: Vec<Selector> = firewall.allow_lists.iter().copied().map(Selector::List).collect();
        if listed.is_empty() {
            self.guards(firewall, vec![Selector::Any], false)
        } else {
            self.guards(firewall, listed, true)
        }
    }

    /// Drops what comes from these sources, whatever zone they are in; what the device sends itself has no source
    /// that it must be kept from.
    fn guards(&self, firewall: &Firewall, sources: Vec<Selector>, sources_negated: bool) -> Vec<RulesetRule> {
        if sources.is_empty() {
            return Vec::new();
        }
        let guard = |zone: &&ZoneName| RulesetRule {
            id: firewall.id.into(),
            number: firewall.number,
            zone_from: ZoneMatch::Zone((*zone).clone()),
            zone_to: ZoneMatch::Any,
            sources: canonical(&sources),
            sources_negated,
            destinations: vec![Selector::Any],
            destinations_negated: false,
            services: services::plain(Protocol::All, &[]),
            action: Action::Drop,
            log: false,
            log_only: false,
            schedule: None,
            expires_at: None,
        };
        self.zones.iter().map(guard).collect()
    }

    fn rule(&self, rule: &Rule) -> Option<RulesetRule> {
        let here = |zone: &ZoneMatch| zone.zone().is_none_or(|zone| zone.is_local() || self.zones.contains(&zone));
        let is_local = |zone: &ZoneMatch| zone.zone().is_some_and(ZoneName::is_local);
        let nothing = rule.sources.is_empty() || rule.destinations.is_empty();
        let to_itself = is_local(&rule.zone_from) && is_local(&rule.zone_to);
        if nothing || to_itself || !here(&rule.zone_from) || !here(&rule.zone_to) {
            return None;
        }
        Some(RulesetRule {
            id: rule.id.into(),
            number: rule.number,
            zone_from: rule.zone_from.clone(),
            zone_to: rule.zone_to.clone(),
            sources: canonical(&rule.sources),
            sources_negated: rule.sources_negated,
            destinations: canonical(&rule.destinations),
            destinations_negated: rule.destinations_negated,
            services: self.services(rule),
            action: rule.action,
            log: rule.log,
            log_only: rule.log_only,
            schedule: rule.schedule.clone(),
            expires_at: rule.expires_at,
        })
    }

    fn services(&self, rule: &Rule) -> Vec<RulesetService> {
        if rule.service_ids.is_empty() {
            services::plain(rule.protocol, &rule.ports)
        } else {
            services::of_objects(self.state, &rule.service_ids)
        }
    }

    /// A policy's rule, and the same the other way round; nothing on a device that is in none of its groups.
    fn policy_rule(&self, policy: &Policy, rule: &PolicyRule, number: u32) -> Vec<RulesetRule> {
        let concerned = rule.sources.iter().chain(&rule.destinations).any(|group| self.groups.contains(group));
        if !rule.enabled || !concerned {
            return Vec::new();
        }
        let groups = |ids: &[GroupId]| canonical(&ids.iter().copied().map(Selector::Group).collect::<Vec<_>>());
        let (sources, destinations) = (groups(&rule.sources), groups(&rule.destinations));
        let is_both_ways = rule.bidirectional && sources != destinations;
        let way = |sources: &[Selector], destinations: &[Selector]| RulesetRule {
            id: policy.id.into(),
            number,
            zone_from: ZoneMatch::Any,
            zone_to: ZoneMatch::Any,
            sources: sources.to_vec(),
            sources_negated: false,
            destinations: destinations.to_vec(),
            destinations_negated: false,
            services: services::plain(rule.protocol, &rule.ports),
            action: rule.action,
            log: rule.log,
            log_only: false,
            schedule: None,
            expires_at: None,
        };
        let back = is_both_ways.then(|| way(&destinations, &sources));
        [way(&sources, &destinations)].into_iter().chain(back).collect()
    }
}

/// Sorted, each once; what is anywhere names nothing beside.
fn canonical(selectors: &[Selector]) -> Vec<Selector> {
    if selectors.contains(&Selector::Any) {
        return vec![Selector::Any];
    }
    selectors.iter().copied().collect::<BTreeSet<_>>().into_iter().collect()
}
