//! Firewall rules.

use std::collections::BTreeSet;

use schemas::address::Address;
use schemas::event::Event;
use schemas::id::RuleId;
use schemas::kind::Kind;
use schemas::rule::{MovedRule, NewRule, Rule, RuleOrder, RulePatch};
use schemas::state::OrgState;
use schemas::zone::ZoneName;

use super::{Context, changed_fields};
use crate::refusal::Refusal;

/// Rules in one org.
pub(super) const RULES_MAX: usize = 100_000;
/// Sources, destinations or ports of one rule.
pub(super) const LIST_MAX: usize = 1_000;

/// Adds a rule after the last one.
pub(super) fn create(org: &OrgState, new: &NewRule, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    if org.rules.len() >= RULES_MAX {
        return Err(Refusal::RuleLimit { max: RULES_MAX });
    }
    let rule = Rule {
        id: RuleId::new(ctx.id(0)),
        revision: org.revision + 1,
        number: org.rule_number_last.saturating_add(1),
        order: org.rule_order_next(),
        created_at: ctx.now,
        updated_at: ctx.now,
        ..written(new)
    };
    check(org, &rule)?;
    Ok(vec![Event::RuleCreated { rule }])
}

/// Replaces all that the caller of `create` could have said.
pub(super) fn replace(org: &OrgState, id: RuleId, new: &NewRule, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    let before = find(org, id)?;
    let rule = Rule {
        id,
        revision: before.revision,
        number: before.number,
        order: before.order,
        created_at: before.created_at,
        updated_at: before.updated_at,
        ..written(new)
    };
    updated(org, before, rule, ctx)
}

pub(super) fn update(org: &OrgState, id: RuleId, patch: &RulePatch, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    fn set<T: Clone>(field: &mut T, given: Option<&T>) {
        if let Some(value) = given {
            *field = value.clone();
        }
    }
    let before = find(org, id)?;
    let mut rule = before.clone();
    set(&mut rule.name, patch.name.as_ref());
    set(&mut rule.description, patch.description.as_ref());
    set(&mut rule.metadata, patch.metadata.as_ref());
    set(&mut rule.enabled, patch.enabled.as_ref());
    set(&mut rule.zone_from, patch.zone_from.as_ref());
    set(&mut rule.zone_to, patch.zone_to.as_ref());
    set(&mut rule.sources, patch.sources.as_ref());
    set(&mut rule.destinations, patch.destinations.as_ref());
    set(&mut rule.protocol, patch.protocol.as_ref());
    set(&mut rule.action, patch.action.as_ref());
    set(&mut rule.log, patch.log.as_ref());
    if let Some(ports) = &patch.ports {
        if ports.is_empty() {
            return Err(Refusal::ListEmpty("ports"));
        }
        rule.ports = ports.clone();
    }
    updated(org, before, rule, ctx)
}

pub(super) fn delete(org: &OrgState, id: RuleId) -> Result<Vec<Event>, Refusal> {
    find(org, id)?;
    Ok(vec![Event::RuleDeleted { id }])
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

fn updated(org: &OrgState, before: &Rule, mut rule: Rule, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    check(org, &rule)?;
    let changed = changed_fields(before, &rule);
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    rule.revision = org.revision + 1;
    rule.updated_at = ctx.now;
    Ok(vec![Event::RuleUpdated { rule, changed }])
}

/// A rule with what its author wrote; the rest is for the caller to fill in.
fn written(new: &NewRule) -> Rule {
    let any = || vec![Address::Any];
    Rule {
        id: RuleId::new(schemas::id::Ulid::nil()),
        revision: 0,
        number: 0,
        name: new.name.clone(),
        description: new.description.clone(),
        metadata: new.metadata.clone(),
        enabled: new.enabled,
        order: 0,
        zone_from: new.zone_from.clone(),
        zone_to: new.zone_to.clone(),
        sources: new.sources.clone().unwrap_or_else(any),
        destinations: new.destinations.clone().unwrap_or_else(any),
        protocol: new.protocol,
        ports: new.ports.clone().unwrap_or_default(),
        action: new.action,
        log: new.log,
        created_at: chrono::DateTime::UNIX_EPOCH,
        updated_at: chrono::DateTime::UNIX_EPOCH,
    }
}

/// What holds for every rule of an org.
fn check(org: &OrgState, rule: &Rule) -> Result<(), Refusal> {
    if org.rule_names.get(&rule.name).is_some_and(|holder| *holder != rule.id) {
        return Err(Refusal::NameTaken { kind: Kind::Rule, name: rule.name.to_string() });
    }
    zone_exists(org, "zone_from", &rule.zone_from)?;
    zone_exists(org, "zone_to", &rule.zone_to)?;
    let lengths =
        [("sources", rule.sources.len()), ("destinations", rule.destinations.len()), ("ports", rule.ports.len())];
    for (field, length) in lengths {
        if length > LIST_MAX {
            return Err(Refusal::ListTooLong { field, length, max: LIST_MAX });
        }
    }
    for (field, length) in &lengths[..2] {
        if *length == 0 {
            return Err(Refusal::ListEmpty(field));
        }
    }
    if !rule.ports.is_empty() && !rule.protocol.has_ports() {
        return Err(Refusal::PortsWithoutProtocol);
    }
    let has = |list: &[Address], ipv4: bool| {
        list.iter().any(|address| match address {
            Address::Any => true,
            Address::Span(span) => span.is_ipv4() == ipv4,
        })
    };
    let common = [true, false].iter().any(|ipv4| has(&rule.sources, *ipv4) && has(&rule.destinations, *ipv4));
    if common { Ok(()) } else { Err(Refusal::FamiliesDisjoint) }
}

pub(super) fn zone_exists(org: &OrgState, field: &'static str, zone: &ZoneName) -> Result<(), Refusal> {
    if zone.is_local() || org.zone_names.contains_key(zone) {
        return Ok(());
    }
    Err(Refusal::ZoneUnknown { field, zone: zone.to_string() })
}

fn find(org: &OrgState, id: RuleId) -> Result<&Rule, Refusal> {
    let found = org.rules.get(&id).map(|rule| &**rule);
    found.ok_or_else(|| Refusal::NotFound { kind: Kind::Rule, id: id.to_string() })
}
