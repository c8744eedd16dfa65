//! What compiles to what.

use std::fmt::Write;

use proptest::prelude::*;
use schemas::event::Event;
use schemas::id::{RuleId, Ulid};
use schemas::rule::MovedRule;
use serde_json::json;

use super::*;
use crate::generated;

fn device_id() -> DeviceId {
    DeviceId::new(Ulid::from_parts(7, 7))
}

fn device(mode: &str, interfaces: &[(&str, Option<&str>)]) -> Event {
    let interfaces: Vec<_> = interfaces.iter().map(|(name, zone)| json!({"name": name, "zone": zone})).collect();
    let device = json!({
        "id": device_id(), "revision": 1, "name": "edge-1", "description": "", "metadata": {}, "public_key": "U1",
        "agent_version": "0.1.0", "setup_key_id": "skey_00000000070000000000000007", "mode": mode,
        "interfaces": interfaces, "applied": null, "failure": null,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    });
    Event::DeviceEnrolled { device: serde_json::from_value(device).expect("a device") }
}

fn rule(order: u32, compiled: &RulesetRule) -> Rule {
    let mut rule = serde_json::to_value(compiled).expect("JSON");
    let rest = json!({
        "revision": 1, "name": format!("rule {}", compiled.number), "description": "", "metadata": {}, "enabled": true,
        "order": order, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    });
    if let (Some(rule), serde_json::Value::Object(rest)) = (rule.as_object_mut(), rest) {
        rule.extend(rest);
    }
    serde_json::from_value(rule).expect("a rule")
}

fn state(events: impl IntoIterator<Item = Event>) -> OrgState {
    let mut state = OrgState::default();
    for (revision, event) in (1..).zip(events) {
        state.apply_event(&event, revision, chrono::DateTime::default());
    }
    state
}

const INTERFACES: [(&str, Option<&str>); 5] =
    [("wan0", Some("WAN")), ("lan1", Some("LAN")), ("lan0", Some("LAN")), ("mgmt0", None), ("x0", Some("LOCAL"))];

/// Compiles rules in words and shows what comes out.
fn check(rules: &[Rule], expected: &str) {
    let created = rules.iter().map(|rule| Event::RuleCreated { rule: rule.clone() });
    let state = state([device("enforce", &INTERFACES)].into_iter().chain(created));
    let (mode, ruleset) = compile(&state, device_id()).expect("a device");
    assert_eq!((mode, ruleset.default_action), (Mode::Enforce, Action::Accept));
    let list = |items: Vec<String>| if items.is_empty() { "-".to_owned() } else { items.join(",") };
    let mut shown = String::new();
    for rule in &ruleset.rules {
        let addresses = |all: &[Address]| list(all.iter().map(ToString::to_string).collect());
        let ports = list(rule.ports.iter().map(ToString::to_string).collect());
        let (from, to, sources, destinations) =
            (&rule.zone_from, &rule.zone_to, addresses(&rule.sources), addresses(&rule.destinations));
        let _ = write!(shown, "{} {from} {to} {sources} {destinations} {} {ports}; ", rule.number, rule.protocol);
    }
    assert_eq!(shown.trim_end(), expected);
}

fn words(number: u32, words: &str) -> Rule {
    rule(number, &generated::rule(number, words))
}

#[test]
fn zones_and_interfaces_are_sorted_and_the_device_itself_is_not_listed() {
    let state = state([device("shadow", &INTERFACES)]);
    let (mode, ruleset) = compile(&state, device_id()).expect("a device");
    assert_eq!(mode, Mode::Shadow);
    let json = serde_json::to_string(&ruleset.zones).expect("JSON");
    assert_eq!(json, r#"[{"name":"LAN","interfaces":["lan0","lan1"]},{"name":"WAN","interfaces":["wan0"]}]"#);
}

#[test]
fn a_device_that_the_org_has_not_compiles_to_nothing() {
    assert_eq!(compile(&OrgState::default(), device_id()), None);
}

#[test]
fn an_interface_is_in_one_zone() {
    let state = state([device("enforce", &[("eth0", Some("WAN")), ("eth0", Some("LAN"))])]);
    let (_, ruleset) = compile(&state, device_id()).expect("a device");
    assert_eq!(ruleset.zones.len(), 1);
    assert_eq!(ruleset.zones[0].name.as_str(), "WAN");
}

#[test]
fn rules_of_zones_elsewhere_are_left_out() {
    let rules = [
        words(1, "WAN DMZ any any tcp 1 drop"),
        words(2, "WAN LAN any any tcp 2 drop"),
        words(3, "WAN LOCAL any any tcp 3 drop"),
        words(4, "LOCAL LOCAL any any tcp 4 drop"),
        words(5, "LOCAL DMZ any any tcp 5 drop"),
    ];
    check(&rules, "2 WAN LAN any any tcp 2; 3 WAN LOCAL any any tcp 3;");
}

#[test]
fn rules_that_are_off_are_left_out() {
    check(&[Rule { enabled: false, ..words(1, "WAN LAN any any all - drop") }], "");
}

#[test]
fn an_empty_list_is_nothing_and_never_any() {
    let rules = [
        Rule { sources: Vec::new(), ..words(1, "WAN LAN any any tcp 1 accept") },
        Rule { destinations: Vec::new(), ..words(2, "WAN LAN any any tcp 2 accept") },
    ];
    check(&rules, "");
}

#[test]
fn lists_are_canonical() {
    let rules = [
        words(1, "WAN LAN 10.0.0.9,10.0.0.1,10.0.0.9 10.0.0.1,any tcp 443,80,443 accept"),
        words(2, "WAN LAN 10.0.0.0-10.0.0.255 ::1,10.0.0.1 all - accept"),
    ];
    check(&rules, "1 WAN LAN 10.0.0.1,10.0.0.9 any tcp 80,443; 2 WAN LAN 10.0.0.0/24 10.0.0.1,::1 all -;");
}

#[test]
fn rules_stand_in_matching_order() {
    let created = [3, 1, 2].map(|number| Event::RuleCreated { rule: words(number, "WAN LAN any any all - drop") });
    let id = RuleId::new(Ulid::from_parts(1, 0));
    let moved = Event::RulesReordered { moved: vec![MovedRule { rule_id: id, order: 9 }] };
    let state = state([device("enforce", &INTERFACES)].into_iter().chain(created).chain([moved]));
    let (_, ruleset) = compile(&state, device_id()).expect("a device");
    assert_eq!(ruleset.rules.iter().map(|rule| rule.number).collect::<Vec<_>>(), [2, 3, 1]);
}

proptest! {
    #[test]
    fn equal_states_compile_to_equal_bytes(ruleset in generated::rulesets(), shuffle: u64) {
        let mut events: Vec<Event> = (1..).zip(&ruleset.rules)
            .map(|(order, compiled)| Event::RuleCreated { rule: rule(order, compiled) })
            .collect();
        let bytes = |events: &[Event]| {
            let compiled = compile(&state([device("enforce", &INTERFACES)].into_iter().chain(events.to_vec())), device_id());
            serde_json::to_vec(&compiled).expect("JSON")
        };
        let once = bytes(&events);
        let len = events.len().max(1);
        events.rotate_left(usize::try_from(shuffle % len as u64).expect("small"));
        events.reverse();
        prop_assert_eq!(once, bytes(&events));
    }

    #[test]
    fn compiling_keeps_what_rules_mean(ruleset in generated::rulesets(), packets in prop::collection::vec(generated::packets(), 32)) {
        let created = (1..).zip(&ruleset.rules)
            .map(|(order, compiled)| Event::RuleCreated { rule: rule(order, compiled) });
        let interfaces = [("wan0", Some("WAN")), ("lan0", Some("LAN")), ("dmz0", Some("DMZ"))];
        let state = state([device("enforce", &interfaces)].into_iter().chain(created));
        let (_, compiled) = compile(&state, device_id()).expect("a device");
        let given = generated::of(ruleset.rules, DEFAULT_ACTION);
        for generated in &packets {
            let number = |ruleset| crate::evaluate(ruleset, &generated.packet()).rule.map(|rule| rule.number);
            prop_assert_eq!(number(&given), number(&compiled));
        }
    }
}
