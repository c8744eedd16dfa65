//! Firewall rules.

use std::collections::BTreeSet;

use schemas::event::Event;
use schemas::id::{GroupId, RuleId};
use schemas::rule::{MovedRule, NewRule, Rule, RuleOrder};
use schemas::selector::Selector;
use schemas::service::Protocol;
use schemas::state::OrgState;

use super::resource::{Decided, only_of};
use super::{Context, TAGS_MAX, bounded};
use crate::refusal::Refusal;

/// Sources, destinations or ports of one rule.
pub(super) const LIST_MAX: usize = 1_000;

impl Decided for Rule {
    /// A new rule goes after the last one.
    fn complete(&mut self, _: &NewRule, before: Option<&Self>, org: &OrgState, ctx: &Context) -> Result<(), Refusal> {
        if before.is_none() {
            self.number = org.number_last.saturating_add(1);
            self.order = org.rule_order_next();
        }
        ctx.check_expiry(self.expires_at, before.and_then(|before| before.expires_at))
    }

    /// As its firewall does; a rule without one concerns all devices.
    fn is_within(&self, groups: &[GroupId], org: &OrgState) -> bool {
        let firewall = self.firewall_id.and_then(|id| org.firewalls.get(&id));
        firewall.is_some_and(|firewall| only_of(&firewall.group_ids, groups))
    }

    fn check(&self, _: Option<&Self>, _: &OrgState, _: &Context) -> Result<(), Refusal> {
        for (field, length) in [("sources", self.sources.len()), ("destinations", self.destinations.len())] {
            if length == 0 {
                return Err(Refusal::ListEmpty(field));
            }
            bounded(field, length, LIST_MAX)?;
        }
        bounded("ports", self.ports.len(), LIST_MAX)?;
        bounded("service_ids", self.service_ids.len(), LIST_MAX)?;
        bounded("tags", self.tags.len(), TAGS_MAX)?;
        bounded("schedule.days", self.schedule.as_ref().map_or(0, |schedule| schedule.days.len()), 7)?;
        if !self.ports.is_empty() && !self.protocol.has_ports() {
            return Err(Refusal::PortsWithoutProtocol);
        }
        let says_itself = !self.ports.is_empty() || self.protocol != Protocol::All;
        if says_itself && !self.service_ids.is_empty() {
            let cause = "service_ids stand in for protocol and ports; leave those out".to_owned();
            return Err(Refusal::Invalid { field: "service_ids", cause });
        }
        for (field, negated, selectors) in [
            ("sources_negated", self.sources_negated, &self.sources),
            ("destinations_negated", self.destinations_negated, &self.destinations),
        ] {
            if negated && selectors.contains(&Selector::Any) {
                return Err(Refusal::Invalid { field, cause: "all but any is nothing".to_owned() });
            }
        }
        if self.sources_negated || self.destinations_negated {
            return Ok(());
        }
        // What an object stands for may change; only literal addresses say that nothing can ever match.
        let has = |list: &[Selector], ipv4: bool| {
            list.iter().any(|selector| match selector {
                Selector::Span(span) => span.is_ipv4() == ipv4,
                Selector::Any | Selector::Address(_) | Selector::List(_) | Selector::Group(_) => true,
            })
        };
        let common = [true, false].iter().any(|ipv4| has(&self.sources, *ipv4) && has(&self.destinations, *ipv4));
        if common { Ok(()) } else { Err(Refusal::FamiliesDisjoint) }
    }
}

/// Puts all rules into a new order; what keeps its place is not part of the event.
pub(super) fn order(org: &OrgState, order: &RuleOrder) -> Result<Vec<Event>, Refusal> {
    let mut seen = BTreeSet::new();
    let twice: Vec<RuleId> = order.rule_ids.iter().copied().filter(|id| !seen.insert(*id)).collect();
    let unknown: Vec<RuleId> = seen.iter().copied().filter(|id| !org.rules.contains_key(id)).collect();
    let missing: Vec<RuleId> = org.rules.keys().copied().filter(|id| !seen.contains(id)).collect();
    if !(twice.is_empty() && unknown.is_empty() && missing.is_empty()) {
        return Err(Refusal::OrderIncomplete { missing, unknown, twice });
    }
    let places = (1u32..).zip(&order.rule_ids);
    let moved = places.filter(|(order, id)| org.rules.get(*id).is_some_and(|rule| rule.order != *order));
    let moved: Vec<MovedRule> = moved.map(|(order, id)| MovedRule { rule_id: *id, order }).collect();
    if moved.is_empty() { Ok(Vec::new()) } else { Ok(vec![Event::RulesReordered { moved }]) }
}
