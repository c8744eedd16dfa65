//! The address translations of a device.

use schemas::address::Span;
use schemas::config::{RulesetNat, RulesetService, RulesetZone};
use schemas::device::Device;
use schemas::nat_rule::{NatRule, NatType};
use schemas::selector::{Selector, ZoneMatch};
use schemas::state::OrgState;

use super::services;

/// The translations that apply to a device in these zones, oldest first.
pub(super) fn nat(state: &OrgState, device: &Device, zones: &[RulesetZone]) -> Vec<RulesetNat> {
    let here = |zone: &ZoneMatch| zone.zone().is_none_or(|zone| zones.iter().any(|one| one.name == *zone));
    let in_group = |rule: &NatRule| {
        let groups = rule.group_ids.as_ref();
        groups.is_none_or(|groups| groups.iter().any(|group| device.group_ids.contains(group)))
    };
    let rules = state.nat_rules.values().filter(|rule| rule.enabled && here(&rule.zone) && in_group(rule));
    rules.filter_map(|rule| translation(rule)).collect()
}

/// A translation that says to what; nothing where it does not, or where two blocks do not fit each other.
fn translation(rule: &NatRule) -> Option<RulesetNat> {
    let fits = match (rule.nat_type, rule.destination, rule.translate_to) {
        (NatType::Masquerade, _, _) | (NatType::Dnat | NatType::Snat, _, Some(_)) => true,
        (NatType::OneToOne, Selector::Span(from), Some(to)) => is_alike(&from, &to),
        (NatType::OneToOne | NatType::Dnat | NatType::Snat, _, _) => false,
    };
    let ports = services::merged(&rule.destination_ports);
    fits.then(|| RulesetNat {
        id: rule.id.into(),
        nat_type: rule.nat_type,
        zone: rule.zone.clone(),
        source: rule.source,
        destination: rule.destination,
        service: RulesetService { protocol: rule.protocol, ports },
        translate_to: rule.translate_to.filter(|_| rule.nat_type != NatType::Masquerade),
        translate_ports: rule.translate_ports.filter(|_| rule.nat_type == NatType::Dnat),
        log: rule.log,
    })
}

fn is_alike(from: &Span, to: &Span) -> bool {
    from.is_ipv4() == to.is_ipv4() && from.prefix_bits().is_some() && from.prefix_bits() == to.prefix_bits()
}
