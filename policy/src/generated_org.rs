//! Orgs for tests: resources written short, and events over a handful of them, so that they meet often.
#![expect(clippy::wildcard_enum_match_arm, reason = "of the many kinds, rulesets are made of few")]

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use schemas::event::Event;
use schemas::id::{
    AddressId, AddressListId, DeviceId, FirewallId, GroupId, NatRuleId, PolicyId, RuleId, ServiceId, SetupKeyId, Ulid,
    ZonePolicyId,
};
use schemas::kind::Kind;
use schemas::resource::{AnyResource, ResourceId};
use schemas::rule::MovedRule;
use schemas::state::OrgState;
use serde_json::{Value, json};

/// Resources of each kind: numbers 0 up to here.
const EACH: u64 = 3;

/// The id of number n of its kind.
pub(crate) fn id<I: From<Ulid>>(number: u64) -> I {
    Ulid::from_parts(number, 0).into()
}

pub(crate) fn device_id(number: u64) -> DeviceId {
    id(number)
}

/// Number n of a kind, with what is given beside what every resource has.
pub(crate) fn resource(kind: Kind, number: u64, given: Value) -> AnyResource {
    let id = id_of(kind, number);
    let at = "2026-01-01T00:00:00Z";
    let mut all =
        json!({"id": id, "revision": 1, "name": format!("{kind} {number}"), "created_at": at, "updated_at": at});
    let rest = match kind {
        Kind::Device => json!({"public_key": format!("U{number}"), "agent_version": "0.1.0", "mode": "enforce",
            "setup_key_id": SetupKeyId::default(), "applied": null, "failure": null}),
        Kind::Rule => json!({"number": number + 1, "order": number, "description": "", "metadata": {}, "enabled": true,
            "zone_from": "any", "zone_to": "any", "sources": ["any"], "destinations": ["any"], "protocol": "all",
            "ports": [], "action": "drop", "log": false}),
        Kind::Firewall => json!({"number": number + 21}),
        Kind::Policy => json!({"rule_numbers": [number * 2 + 41, number * 2 + 42]}),
        Kind::ZonePolicy => json!({"number": number + 61}),
        _ => json!({}),
    };
    for more in [rest, given] {
        all.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    }
    AnyResource::parse(kind, all.to_string().as_bytes()).expect("a resource")
}

fn id_of(kind: Kind, number: u64) -> ResourceId {
    match kind {
        Kind::Device => id::<DeviceId>(number).into(),
        Kind::Rule => id::<RuleId>(number).into(),
        Kind::Firewall => id::<FirewallId>(number).into(),
        Kind::Policy => id::<PolicyId>(number).into(),
        Kind::ZonePolicy => id::<ZonePolicyId>(number).into(),
        Kind::Address => id::<AddressId>(number).into(),
        Kind::AddressList => id::<AddressListId>(number).into(),
        Kind::NatRule => id::<NatRuleId>(number).into(),
        Kind::Service => id::<ServiceId>(number).into(),
        _ => id::<GroupId>(number).into(),
    }
}

pub(crate) fn apply(state: &OrgState, event: &Event) -> OrgState {
    let mut after = state.clone();
    after.apply_event(event, state.revision + 1, chrono::DateTime::default());
    after
}

fn ids<I: From<Ulid> + std::fmt::Display + Clone + std::fmt::Debug>(
    count: impl Into<proptest::sample::SizeRange>,
) -> impl Strategy<Value = Vec<String>> {
    subsequence((0..EACH).map(|number| id::<I>(number).to_string()).collect::<Vec<_>>(), count)
}

fn spans() -> impl Strategy<Value = Vec<&'static str>> {
    let all = vec!["10.1.0.0/24", "10.2.0.0/24", "10.2.0.0-10.2.0.9", "fd00::/64", "192.0.2.1"];
    subsequence(all, 0..3)
}

fn zones() -> impl Strategy<Value = &'static str> {
    select(vec!["any", "any", "WAN", "LAN", "DMZ", "LOCAL"])
}

fn selectors() -> impl Strategy<Value = Vec<String>> {
    let spans = spans().prop_map(|spans| spans.into_iter().map(str::to_owned).collect::<Vec<_>>());
    let named = (ids::<AddressId>(0..2), ids::<AddressListId>(0..2), ids::<GroupId>(0..2), spans);
    prop_oneof![
        1 => Just(vec!["any".to_owned()]),
        3 => named.prop_map(|(addresses, lists, groups, spans)| [addresses, lists, groups, spans].concat()),
    ]
}

fn seldom() -> impl Strategy<Value = bool> {
    prop_oneof![4 => Just(false), 1 => Just(true)]
}

fn services() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(vec!["tcp/80", "tcp/81-90", "udp", "udp/53", "icmp", "47"], 0..4)
}

/// What of a kind is written, beside what every resource has.
fn given(kind: Kind) -> BoxedStrategy<Value> {
    let action = || select(vec!["accept", "drop", "reject"]);
    match kind {
        Kind::Device => {
            let interface = (select(vec!["a", "b", "c"]), select(vec![Some("WAN"), Some("LAN"), Some("DMZ"), None]));
            let interface = interface.prop_map(|(name, zone)| json!({"name": name, "zone": zone}));
            (prop::collection::vec(interface, 0..4), ids::<GroupId>(0..3), spans(), seldom(), seldom())
                .prop_map(|(interfaces, group_ids, networks, waits, shadow)| {
                    let mode = if shadow { "shadow" } else { "enforce" };
                    json!({"interfaces": interfaces, "group_ids": group_ids, "networks": networks, "approved": !waits,
                        "mode": mode})
                })
                .boxed()
        }
        Kind::Rule => {
            let sides = (zones(), zones(), selectors(), selectors(), seldom(), seldom());
            let rest = (seldom(), ids::<FirewallId>(0..2), ids::<ServiceId>(0..2), action(), seldom(), 0u32..4);
            (sides, rest)
                .prop_map(|((from, to, sources, destinations, from_not, to_not), rest)| {
                    let (off, firewalls, service_ids, action, log_only, order) = rest;
                    json!({"zone_from": from, "zone_to": to, "sources": sources, "destinations": destinations,
                        "sources_negated": from_not, "destinations_negated": to_not, "enabled": !off,
                        "firewall_id": firewalls.first(), "service_ids": service_ids, "action": action,
                        "log_only": log_only, "order": order})
                })
                .boxed()
        }
        Kind::Firewall => {
            let lists = || ids::<AddressListId>(0..2);
            (seldom(), any::<bool>(), any::<bool>(), lists(), lists(), ids::<GroupId>(0..3))
                .prop_map(|(paused, allows, denies, allow_lists, deny_lists, group_ids)| {
                    json!({"status": if paused { "paused" } else { "active" }, "allowlist_enabled": allows,
                        "denylist_enabled": denies, "allow_lists": allow_lists, "deny_lists": deny_lists,
                        "group_ids": group_ids})
                })
                .boxed()
        }
        Kind::Policy => {
            let rule = (ids::<GroupId>(0..3), ids::<GroupId>(0..3), any::<bool>(), seldom(), action());
            let rule = rule.prop_map(|(sources, destinations, bidirectional, off, action)| {
                json!({"name": "a", "sources": sources, "destinations": destinations, "bidirectional": bidirectional,
                    "enabled": !off, "action": action})
            });
            (prop::collection::vec(rule, 0..3), seldom())
                .prop_map(|(rules, off)| json!({"rules": rules, "enabled": !off}))
                .boxed()
        }
        Kind::ZonePolicy => (zones(), zones(), action())
            .prop_map(|(from, to, action)| json!({"zone_from": from, "zone_to": to, "action": action}))
            .boxed(),
        Kind::Address => (spans(), ids::<AddressId>(0..3), seldom())
            .prop_map(|(spans, others, named)| {
                let domain = named.then(|| "www.example.com".to_owned());
                let spans = spans.into_iter().map(str::to_owned);
                json!({"entries": spans.chain(others).chain(domain).collect::<Vec<_>>()})
            })
            .boxed(),
        Kind::Service => (services(), ids::<ServiceId>(0..3))
            .prop_map(|(services, others)| {
                json!({"entries": services.into_iter().map(str::to_owned).chain(others).collect::<Vec<_>>()})
            })
            .boxed(),
        Kind::NatRule => translations().boxed(),
        _ => Just(json!({})).boxed(),
    }
}

fn translations() -> impl Strategy<Value = Value> {
    let kinds = select(vec!["dnat", "snat", "1:1", "masquerade"]);
    let to = select(vec![Some("10.3.0.0/24"), Some("10.2.0.7"), Some("fd00::7"), Some("fd00:3::/64"), None]);
    let ports = select(vec![
        (json!([]), None),
        (json!([]), Some("81")),
        (json!(["80", "80-90"]), Some("81")),
        (json!(["8000-8009"]), Some("9000-9009")),
        (json!(["8000-8009"]), Some("8000-8009")),
    ]);
    (kinds, zones(), selectors(), selectors(), to, prop::option::of(ids::<GroupId>(0..2)), ports)
                .prop_map(|(kind, zone, sources, destinations, to, group_ids, (before, after))| {
                    json!({"type": kind, "zone": zone, "source": sources.first().map_or("any", |one| one),
                        "destination": destinations.first().map_or("any", |one| one), "translate_to": to,
                        "group_ids": group_ids, "protocol": "tcp", "destination_ports": before, "translate_ports": after,
                        "log": true})
                })
}

const KINDS: [Kind; 10] = [
    Kind::NatRule,
    Kind::Device,
    Kind::Rule,
    Kind::Firewall,
    Kind::Policy,
    Kind::ZonePolicy,
    Kind::Address,
    Kind::AddressList,
    Kind::Service,
    Kind::Group,
];

/// Anything that may happen to what rulesets are made of.
pub(crate) fn events() -> impl Strategy<Value = Event> {
    let put = select(KINDS.to_vec()).prop_flat_map(|kind| (Just(kind), 0..EACH, given(kind)));
    let put = put.prop_map(|(kind, number, given)| match resource(kind, number, given) {
        AnyResource::Device(device) if number == 0 => Event::DeviceEnrolled { device },
        resource => Event::Updated { resource, changed: Vec::new() },
    });
    let delete = (select(KINDS.to_vec()), 0..EACH);
    let delete = delete.prop_map(|(kind, number)| Event::Deleted {
        id: id_of(kind, number),
        secret_hash: None,
        public_key: None,
    });
    let entries = (0..EACH, spans(), spans(), seldom()).prop_map(|(list, removed, added, expires)| {
        let read = |span: &&str| span.parse().expect("a span");
        let end = expires.then_some("2026-12-01T00:00:00Z");
        let entry =
            |span: &&str| serde_json::from_value(json!({"address": span, "expires_at": end})).expect("an entry");
        Event::EntriesChanged {
            id: id(list),
            removed: removed.iter().map(read).collect(),
            added: added.iter().map(entry).collect(),
            remaining: Default::default(),
        }
    });
    let moved = (0..EACH, 0u32..4).prop_map(|(rule, order)| MovedRule { rule_id: id(rule), order });
    let moved = prop::collection::vec(moved, 1..3).prop_map(|moved| Event::RulesReordered { moved });
    prop_oneof![12 => put, 2 => delete, 2 => entries, 1 => moved]
}
