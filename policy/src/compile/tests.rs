//! What compiles to what.

use std::fmt::Write;

use schemas::address_list::ListEntry;
use schemas::event::Event;
use schemas::kind::Kind;
use schemas::resource::AnyResource;
use schemas::service::Protocol;
use serde_json::{Value, json};

use super::*;
use crate::generated_org::{apply, device_id, id, resource};
use schemas::id::{AddressId, AddressListId, FirewallId, GroupId, ServiceId};

/// The org that has these resources.
pub(super) fn org(resources: impl IntoIterator<Item = AnyResource>) -> OrgState {
    let mut state = OrgState::default();
    resources.into_iter().for_each(|resource| state.put(resource));
    state
}

fn device(number: u64, given: Value) -> AnyResource {
    resource(Kind::Device, number, given)
}

/// A device in WAN, LAN and group 0, which stands for `10.2.0.0/24`.
fn edge() -> AnyResource {
    let interface = |name: &str, zone: Option<&str>| json!({"name": name, "zone": zone});
    let interfaces =
        [("wan0", Some("WAN")), ("lan1", Some("LAN")), ("lan0", Some("LAN")), ("mgmt0", None), ("x0", Some("LOCAL"))];
    let interfaces: Vec<Value> = interfaces.map(|(name, zone)| interface(name, zone)).to_vec();
    device(0, json!({"interfaces": interfaces, "group_ids": [id::<GroupId>(0)], "networks": ["10.2.0.0/24"]}))
}

fn rule(number: u64, given: Value) -> AnyResource {
    resource(Kind::Rule, number, given)
}

/// Compiles for the device in WAN and LAN, and shows what comes out.
fn check(resources: impl IntoIterator<Item = AnyResource>, expected: &[&str]) {
    let state = org([edge()].into_iter().chain(resources));
    assert_eq!(shown(&compile(&state, device_id(0)).expect("a device").1), expected);
}

/// A line for each set, each rule and each default. Sets are told by their kind and number.
fn shown(ruleset: &Ruleset) -> Vec<String> {
    let name = |text: String| match text.split_once('_') {
        Some((kind, rest)) => format!("{kind}{}", rest[..10].trim_start_matches('0')),
        None => text,
    };
    let list = |items: Vec<String>| if items.is_empty() { "-".to_owned() } else { items.join(",") };
    let mut lines = Vec::new();
    for set in &ruleset.sets {
        let spans = set.spans.iter().map(ToString::to_string);
        let expiring = set.expiring.iter().map(|more| format!("{}<{}", more.spans[0], more.at.format("%Y")));
        let domains = set.domains.iter().map(ToString::to_string);
        let all = spans.chain(expiring).chain(domains).collect();
        lines.push(format!("{} = {}", name(set.id.to_string()), list(all)));
    }
    for rule in &ruleset.rules {
        let mut line = format!("{} {}>{}", rule.number, rule.zone_from, rule.zone_to);
        for (selectors, negated) in
            [(&rule.sources, rule.sources_negated), (&rule.destinations, rule.destinations_negated)]
        {
            let named = list(selectors.iter().map(|selector| name(selector.to_string())).collect());
            let _ = write!(line, " {}{named}", if negated { "!" } else { "" });
        }
        for service in &rule.services {
            let ports = list(service.ports.iter().map(ToString::to_string).collect());
            let _ = write!(line, " {}/{ports}", service.protocol);
        }
        let _ = write!(line, " {}", rule.action.as_str());
        lines.push(line);
    }
    let default = |default: &schemas::config::RulesetDefault| {
        format!("{} {}>{} {}", default.number, default.zone_from, default.zone_to, default.action.as_str())
    };
    lines.extend(ruleset.defaults.iter().map(default));
    lines
}

/// The resources that compile to the rules, sets and defaults of a ruleset, and a device in its zones.
pub(super) fn written(ruleset: &Ruleset) -> Vec<AnyResource> {
    let zone = |zone: &RulesetZone| json!({"name": zone.interfaces[0], "zone": zone.name});
    let interfaces: Vec<Value> = ruleset.zones.iter().map(zone).collect();
    let mut all = vec![device(0, json!({"interfaces": interfaces}))];
    for set in &ruleset.sets {
        let number = u64::from(set.id.to_string().as_bytes()[14] - b'0');
        let domains = set.domains.iter().map(ToString::to_string);
        let entries: Vec<String> = set.spans.iter().map(ToString::to_string).chain(domains).collect();
        all.push(resource(Kind::Address, number, json!({"entries": entries})));
    }
    for (order, rule) in (0u64..).zip(&ruleset.rules) {
        let mut given = serde_json::to_value(rule).expect("JSON");
        let as_address = |selectors: &Value| {
            let text = selectors.to_string().replace("list_", "addr_");
            serde_json::from_str::<Value>(&text).expect("JSON")
        };
        let service = |service: &schemas::config::RulesetService| -> Vec<String> {
            let all = service.protocol == Protocol::All && !service.ports.is_empty();
            let protocols = if all {
                vec!["tcp".to_owned(), "udp".to_owned(), "sctp".to_owned()]
            } else {
                vec![service.protocol.to_string()]
            };
            if service.ports.is_empty() {
                return protocols;
            }
            let has_ports = |protocol: &String| protocol.parse::<Protocol>().is_ok_and(Protocol::has_ports);
            let protocols = protocols.into_iter().filter(has_ports);
            protocols
                .flat_map(|protocol| service.ports.iter().map(move |range| format!("{protocol}/{range}")))
                .collect()
        };
        let entries: Vec<String> = rule.services.iter().flat_map(service).collect();
        all.push(resource(Kind::Service, order, json!({"entries": entries})));
        let sides = (as_address(&given["sources"]), as_address(&given["destinations"]));
        let fields = given.as_object_mut().expect("an object");
        fields.remove("id");
        fields.remove("services");
        fields.extend([("sources".to_owned(), sides.0), ("destinations".to_owned(), sides.1)]);
        fields.insert("service_ids".to_owned(), json!([id::<ServiceId>(order)]));
        all.push(self::rule(order, given));
    }
    for default in &ruleset.defaults {
        let given = json!({"number": default.number, "zone_from": default.zone_from, "zone_to": default.zone_to,
            "action": default.action, "log": default.log});
        all.push(resource(Kind::ZonePolicy, default.number.into(), given));
    }
    all
}

#[test]
fn zones_and_interfaces_are_sorted_and_the_device_itself_is_not_listed() {
    let (mode, ruleset) = compile(&org([edge()]), device_id(0)).expect("a device");
    assert_eq!((mode, ruleset.default_action), (Mode::Enforce, Action::Accept));
    let json = serde_json::to_string(&ruleset).expect("JSON");
    let zones = r#"[{"name":"LAN","interfaces":["lan0","lan1"]},{"name":"WAN","interfaces":["wan0"]}]"#;
    assert_eq!(json, format!(r#"{{"zones":{zones},"rules":[],"default_action":"accept"}}"#));
}

#[test]
fn an_interface_is_in_one_zone() {
    let interfaces = json!([{"name": "eth0", "zone": "WAN"}, {"name": "eth0", "zone": "LAN"}]);
    let state = org([device(0, json!({"interfaces": interfaces}))]);
    let (_, ruleset) = compile(&state, device_id(0)).expect("a device");
    assert_eq!(ruleset.zones.len(), 1);
    assert_eq!(ruleset.zones[0].name.as_str(), "WAN");
}

#[test]
fn a_device_that_is_not_there_or_not_approved_gets_no_rules() {
    assert_eq!(compile(&OrgState::default(), device_id(0)), None);
    let waiting = device(0, json!({"interfaces": [{"name": "eth0", "zone": "WAN"}], "approved": false}));
    let compiled = compile(&org([waiting, rule(1, json!({}))]), device_id(0));
    assert_eq!(compiled, Some((Mode::Observe, Ruleset::default())));
}

#[test]
fn rules_of_zones_elsewhere_or_switched_off_are_left_out() {
    let zones = |number: u64, from: &str, to: &str| rule(number, json!({"zone_from": from, "zone_to": to}));
    let rules = [
        zones(1, "WAN", "DMZ"),
        zones(2, "WAN", "LAN"),
        zones(3, "WAN", "LOCAL"),
        zones(4, "LOCAL", "LOCAL"),
        zones(5, "LOCAL", "any"),
        rule(6, json!({"enabled": false})),
    ];
    check(rules, &["3 WAN>LAN any any all/- drop", "4 WAN>LOCAL any any all/- drop", "6 LOCAL>any any any all/- drop"]);
}

#[test]
fn an_empty_list_is_nothing_and_never_any() {
    let (address, group, list) = (id::<AddressId>(1), id::<GroupId>(7), id::<AddressListId>(1));
    let rules = [
        resource(Kind::Address, 1, json!({"entries": []})),
        resource(Kind::AddressList, 1, json!({})),
        rule(1, json!({"sources": []})),
        rule(2, json!({"destinations": [], "destinations_negated": true})),
        rule(3, json!({"sources": [address, group, list]})),
        rule(4, json!({"sources": [address], "sources_negated": true, "action": "accept"})),
        rule(5, json!({"sources": ["any"], "sources_negated": true})),
        rule(6, json!({"service_ids": [id::<ServiceId>(1)]})),
        rule(7, json!({"sources": [list], "sources_negated": true, "action": "drop"})),
        resource(Kind::Service, 1, json!({"entries": []})),
    ];
    check(rules, &["list1 = -", "8 any>any !list1 any all/- drop"]);
}

#[test]
fn objects_stand_for_what_is_in_them_also_in_a_circle() {
    let [one, other] = [1, 2].map(id::<AddressId>);
    let [web, all] = [1, 2].map(id::<ServiceId>);
    let rules = [
        resource(Kind::Address, 1, json!({"entries": ["10.0.0.0/25", other, "*.example.com"]})),
        resource(Kind::Address, 2, json!({"entries": ["10.0.0.128-10.0.0.255", one, "fd00::1"]})),
        resource(Kind::Service, 1, json!({"entries": ["tcp/80", "tcp/81-90", all]})),
        resource(Kind::Service, 2, json!({"entries": ["udp", "udp/53", web, "47"]})),
        rule(1, json!({"sources": [one, "10.9.0.0/16", one], "service_ids": [web], "protocol": "icmp"})),
    ];
    check(
        rules,
        &["addr1 = 10.0.0.0/24,fd00::1,*.example.com", "2 any>any 10.9.0.0/16,addr1 any tcp/80-90 udp/- gre/- drop"],
    );
}

#[test]
fn ports_without_a_protocol_are_those_of_all_that_have_some() {
    let ports =
        |number: u64, protocol: &str| rule(number, json!({"protocol": protocol, "ports": ["443", "80", "443"]}));
    let rules = [ports(1, "all"), ports(2, "udp"), ports(3, "icmp")];
    check(rules, &["2 any>any any any tcp/80,443 udp/80,443 sctp/80,443 drop", "3 any>any any any udp/80,443 drop"]);
}

#[test]
fn a_group_stands_for_the_networks_of_its_approved_devices() {
    let group = id::<GroupId>(0);
    let rules = [
        device(1, json!({"group_ids": [group], "networks": ["10.2.1.0/24", "fd00:2::/64"]})),
        device(2, json!({"group_ids": [group], "networks": ["10.9.0.0/16"], "approved": false})),
        rule(1, json!({"destinations": [group]})),
    ];
    check(rules, &["grp = 10.2.0.0/23,fd00:2::/64", "2 any>any any grp all/- drop"]);
}

#[test]
fn lists_carry_what_expires_and_each_is_there_once() {
    let list = id::<AddressListId>(1);
    let rules = [1, 2].map(|number| rule(number, json!({"sources": [list]})));
    let state = org([edge(), resource(Kind::AddressList, 1, json!({}))].into_iter().chain(rules));
    let entry = |json: Value| serde_json::from_value::<ListEntry>(json).expect("an entry");
    let added = vec![
        entry(json!({"address": "10.0.0.1"})),
        entry(json!({"address": "10.0.0.0"})),
        entry(json!({"address": "192.0.2.0/24", "expires_at": "2030-01-01T00:00:00Z"})),
    ];
    let state =
        apply(&state, &Event::EntriesChanged { id: list, removed: Vec::new(), added, remaining: Default::default() });
    assert_eq!(
        shown(&compile(&state, device_id(0)).expect("a device").1),
        ["list1 = 10.0.0.0/31,192.0.2.0/24<2030", "2 any>any list1 any all/- drop", "3 any>any list1 any all/- drop"]
    );
}

#[test]
fn a_firewall_guards_the_devices_of_its_groups_and_has_rules_of_its_own() {
    let [here, elsewhere] = [0, 1].map(id::<GroupId>);
    let (denied, allowed) = (id::<AddressListId>(1), id::<AddressListId>(2));
    let lists = json!({"deny_lists": [denied], "allow_lists": [allowed], "allowlist_enabled": true});
    let firewall = |number: u64, group: GroupId, more: Value| {
        let mut given = lists.clone();
        given["group_ids"] = json!([group]);
        given.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        resource(Kind::Firewall, number, given)
    };
    let of = |number: u64, firewall: u64| rule(number, json!({"firewall_id": id::<FirewallId>(firewall)}));
    let state = org([
        edge(),
        firewall(1, here, json!({})),
        firewall(2, elsewhere, json!({})),
        firewall(3, here, json!({"status": "paused"})),
        firewall(4, here, json!({"denylist_enabled": false, "allow_lists": []})),
        resource(Kind::AddressList, 1, json!({})),
        resource(Kind::AddressList, 2, json!({})),
        of(1, 1),
        of(2, 2),
        of(3, 3),
        rule(4, json!({})),
    ]);
    let entry = |address: &str| serde_json::from_value(json!({"address": address})).expect("an entry");
    let event = Event::EntriesChanged {
        id: denied,
        removed: Vec::new(),
        added: vec![entry("192.0.2.0/24")],
        remaining: Default::default(),
    };
    let state = apply(&state, &event);
    assert_eq!(
        shown(&compile(&state, device_id(0)).expect("a device").1),
        [
            "list1 = 192.0.2.0/24",
            "list2 = -",
            "22 LAN>any list1 any all/- drop",
            "22 WAN>any list1 any all/- drop",
            "22 LAN>any !list2 any all/- drop",
            "22 WAN>any !list2 any all/- drop",
            "25 LAN>any any any all/- drop",
            "25 WAN>any any any all/- drop",
            "2 any>any any any all/- drop",
            "5 any>any any any all/- drop",
        ]
    );
}

#[test]
fn policies_are_asked_after_rules_on_the_devices_of_their_groups() {
    let [here, there, elsewhere] = [0, 1, 2].map(id::<GroupId>);
    let policy = |number: u64, rules: Value| resource(Kind::Policy, number, json!({"rules": rules}));
    let both = json!([
        {"name": "a", "sources": [there], "destinations": [here], "bidirectional": true, "protocol": "tcp", "ports": [22]},
        {"name": "b", "sources": [here], "destinations": [here], "bidirectional": true, "action": "drop"},
    ]);
    let rules = [
        device(1, json!({"group_ids": [there, elsewhere], "networks": ["10.3.0.0/24"]})),
        policy(1, both),
        policy(2, json!([{"name": "c", "sources": [elsewhere], "destinations": [there]}])),
        rule(1, json!({"zone_from": "WAN"})),
    ];
    check(
        rules,
        &[
            "grp = 10.2.0.0/24",
            "grp1 = 10.3.0.0/24",
            "2 WAN>any any any all/- drop",
            "43 any>any grp1 grp tcp/22 accept",
            "43 any>any grp grp1 tcp/22 accept",
            "44 any>any grp grp all/- drop",
        ],
    );
}

#[test]
fn the_most_specific_default_of_two_zones_decides() {
    let policy = |number: u64, from: &str, to: &str, action: &str| {
        resource(Kind::ZonePolicy, number, json!({"zone_from": from, "zone_to": to, "action": action}))
    };
    let policies = [
        policy(1, "any", "LAN", "reject"),
        policy(2, "WAN", "any", "drop"),
        policy(3, "WAN", "LOCAL", "accept"),
        policy(4, "WAN", "DMZ", "accept"),
    ];
    let expected =
        ["62 LAN>LAN reject", "62 LOCAL>LAN reject", "63 WAN>LAN drop", "64 WAN>LOCAL accept", "63 WAN>WAN drop"];
    check(policies, &expected);
    check(
        [policy(5, "any", "any", "drop")],
        &[
            "66 LAN>LAN drop",
            "66 LAN>LOCAL drop",
            "66 LAN>WAN drop",
            "66 LOCAL>LAN drop",
            "66 LOCAL>WAN drop",
            "66 WAN>LAN drop",
            "66 WAN>LOCAL drop",
            "66 WAN>WAN drop",
        ],
    );
}

#[test]
fn rules_stand_in_matching_order() {
    let rules = [(1, 3), (2, 1), (3, 2)].map(|(number, order)| rule(number, json!({"order": order})));
    check(rules, &["3 any>any any any all/- drop", "4 any>any any any all/- drop", "2 any>any any any all/- drop"]);
}
