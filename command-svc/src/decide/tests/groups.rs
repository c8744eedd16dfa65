//! Groups of devices, who may move devices between them, and the policies between them.

use schemas::id::{DeviceId, GroupId, PolicyId};

use super::*;

/// A group, a setup key and two devices, of which the first is in the group.
fn start() -> Vec<Command> {
    let enrol = |key: &str| Command::EnrolDevice(read(json!({"setup_key": secret(2), "public_key": key, "name": key})));
    vec![
        create(Kind::Group, json!({"name": "g"})),
        setup_key(json!({"type": "reusable"})),
        enrol("U1"),
        enrol("U2"),
        patch(at::<DeviceId>(3), json!({"groups": [at::<GroupId>(1)]})),
    ]
}

const GROUP: fn() -> GroupId = || at(1);

fn members(org: &OrgState, group: GroupId) -> Vec<String> {
    org.devices.values().filter(|it| it.group_ids.contains(&group)).map(|it| it.name.to_string()).collect()
}

#[test]
fn a_group_is_written_with_its_devices() {
    let [first, second] = [3, 4].map(at::<DeviceId>);
    let (org, events) = run(&then(&start(), patch(GROUP(), json!({"peers": [second]}))));
    assert_eq!(names(events), Ok(["group.updated", "device.updated", "device.updated"].map(str::to_owned).to_vec()));
    assert_eq!(members(&org, GROUP()), ["U2"]);
    let revisions = [org.groups.get(&GROUP()).map(|it| it.revision), org.devices.get(&second).map(|it| it.revision)];
    assert_eq!(revisions, [Some(org.revision - 2), Some(org.revision)]);
    check(then(&start(), patch(GROUP(), json!({"peers": [first]}))), Ok(&[]));
    check(then(&start(), patch(GROUP(), json!({"name": "h"}))), Ok(&["group.updated"]));
    let new = create(Kind::Group, json!({"name": "h", "device_ids": [first, second]}));
    let (org, _) = run(&then(&start(), new));
    assert_eq!(members(&org, at(6)), ["U1", "U2"]);
    let unknown = Refusal::ReferenceUnknown { field: "device_ids", id: at::<DeviceId>(9).into() };
    check(then(&start(), patch(GROUP(), json!({"device_ids": [at::<DeviceId>(9)]}))), Err(unknown));
}

#[test]
fn the_devices_of_a_group_that_goes_leave_it_before() {
    let (org, events) = run(&then(&start(), delete(GROUP())));
    assert_eq!(names(events), Ok(["device.updated", "group.deleted"].map(str::to_owned).to_vec()));
    assert_eq!(members(&org, GROUP()), Vec::<String>::new());
    let firewall = create(Kind::Firewall, json!({"name": "f", "group_ids": [GROUP()]}));
    let users = vec![at::<schemas::id::FirewallId>(6).to_string()];
    let in_use = Refusal::InUse { kind: Kind::Group, name: "g".to_owned(), users };
    check(then(&then(&start(), firewall), delete(GROUP())), Err(in_use));
}

#[test]
fn a_device_is_in_a_hundred_groups_at_most() {
    let mut commands = start();
    commands.extend((0..100).map(|n| create(Kind::Group, json!({"name": format!("h{n}")}))));
    let all: Vec<GroupId> = (6..105).map(at).collect();
    let full: Vec<GroupId> = all.iter().copied().chain([GROUP()]).collect();
    commands.push(patch(at::<DeviceId>(3), json!({"group_ids": full})));
    let too_long = Refusal::ListTooLong { field: "group_ids", length: 101, max: 100 };
    check(then(&commands, patch(at::<GroupId>(105), json!({"device_ids": [at::<DeviceId>(3)]}))), Err(too_long));
}

#[test]
fn who_is_bound_to_groups_has_no_hand_in_others() {
    let other = create(Kind::Group, json!({"name": "h"}));
    let start = then(&start(), other);
    let [first, second] = [3, 4].map(at::<DeviceId>);
    let bound = |ctx: &mut Context| ctx.device_groups = Some(vec![GROUP()]);
    let go = |last: Command, result| check_as(then(&start, last), bound, result);
    go(patch(first, json!({"description": "mine"})), Ok(&["device.updated"]));
    go(patch(second, json!({"description": "mine"})), Err(not_found(second)));
    go(delete(second), Err(not_found(second)));
    go(delete(first), Ok(&["device.deleted"]));
    go(patch(first, json!({"group_ids": []})), Ok(&["device.updated"]));
    let out = |field| Err(Refusal::OutOfScope { field });
    go(patch(first, json!({"group_ids": [GROUP(), at::<GroupId>(6)]})), out("group_ids"));
    // Nor takes others in.
    let unknown = Refusal::ReferenceUnknown { field: "device_ids", id: second.into() };
    go(patch(GROUP(), json!({"device_ids": [first, second]})), Err(unknown));
    go(patch(at::<GroupId>(6), json!({"device_ids": [first]})), out("device_ids"));
    go(patch(at::<GroupId>(6), json!({"name": "i"})), Ok(&["group.updated"]));
    go(delete(GROUP()), Ok(&["device.updated", "group.deleted"]));
    let nothing = |ctx: &mut Context| ctx.device_groups = Some(vec![]);
    check_as(then(&start, delete(GROUP())), nothing, out("device_ids"));
    check_as(then(&start, delete(first)), nothing, Err(not_found(first)));
    assert_eq!(Refusal::OutOfScope { field: "group_ids" }.reason().name(), "SCOPE_FORBIDS");
}

fn policy(rules: Value) -> Value {
    json!({"name": "p", "rules": rules})
}

fn one(name: &str) -> Value {
    json!({"name": name, "sources": [GROUP()], "destinations": [GROUP()]})
}

#[test]
fn a_policy_says_who_may_reach_whom() {
    let group = create(Kind::Group, json!({"name": "g"}));
    let go = |rules: Value, result| check([group.clone(), create(Kind::Policy, policy(rules))], result);
    go(json!([one("a"), one("b")]), Ok(&["policy.created"]));
    go(json!([]), Err(Refusal::ListEmpty("rules")));
    go(json!([with(one("a"), json!({"sources": []}))]), Err(Refusal::ListEmpty("rules.sources")));
    go(json!([with(one("a"), json!({"destinations": []}))]), Err(Refusal::ListEmpty("rules.destinations")));
    go(json!([with(one("a"), json!({"ports": [80]}))]), Err(Refusal::PortsWithoutProtocol));
    let many: Vec<Value> = (0..101).map(|n| one(&n.to_string())).collect();
    go(json!(many), Err(Refusal::ListTooLong { field: "rules", length: 101, max: 100 }));
    let unknown = Refusal::ReferenceUnknown { field: "rules.sources", id: at::<GroupId>(9).into() };
    go(json!([with(one("a"), json!({"sources": [at::<GroupId>(9)]}))]), Err(unknown));
}

#[test]
fn a_rule_of_a_policy_that_changes_has_another_number() {
    let start = [create(Kind::Group, json!({"name": "g"})), create(Kind::Policy, policy(json!([one("a"), one("b")])))];
    let id: PolicyId = at(2);
    let numbers = |commands: &[Command]| run(commands).0.policies.get(&id).map(|it| it.rule_numbers.clone());
    assert_eq!(numbers(&start), Some(vec![1, 2]));
    let changed = patch(id, json!({"rules": [one("a"), with(one("b"), json!({"log": true})), one("c")]}));
    assert_eq!(numbers(&then(&start, changed)), Some(vec![1, 3, 4]));
    let shorter = then(&start, patch(id, json!({"rules": [one("a")]})));
    assert_eq!(numbers(&shorter), Some(vec![1]));
    let longer = patch(id, json!({"rules": [one("a"), one("b")]}));
    assert_eq!(numbers(&then(&shorter, longer)), Some(vec![1, 3]), "numbers are never given twice");
    assert_eq!(numbers(&then(&start, patch(id, json!({"description": "d"})))), Some(vec![1, 2]));
}

#[test]
fn a_bound_token_changes_what_concerns_its_groups_and_nothing_else() {
    let bound = |ctx: &mut Context| {
        let scope = schemas::access::Scope { device_groups: vec![GROUP()], ..schemas::access::Scope::default() };
        ctx.scopes = Some([scope].into());
    };
    let firewall = |groups: serde_json::Value| create(Kind::Firewall, json!({"name": "f", "group_ids": groups}));
    let rule = |firewall: serde_json::Value| {
        create(
            Kind::Rule,
            json!({"name": "r", "zone_from": "WAN", "zone_to": "LAN", "action": "drop", "firewall_id": firewall}),
        )
    };
    let own = then(&start(), firewall(json!([GROUP()])));
    let fw = at::<schemas::id::FirewallId>(6);
    let list = create(Kind::AddressList, json!({"name": "l"}));
    let out = |field| Err(Refusal::OutOfScope { field });
    check_as(then(&start(), firewall(json!([GROUP()]))), bound, Ok(&["firewall.created"]));
    check_as(then(&start(), firewall(json!([]))), bound, out("group_ids"));
    check_as(then(&own, rule(json!(fw))), bound, Ok(&["rule.created"]));
    check_as(then(&own, rule(json!(null))), bound, out("group_ids"));
    check_as(then(&own, create(Kind::Zone, json!({"name": "Z"}))), bound, out("group_ids"));
    check_as(then(&own, patch(fw, json!({"group_ids": []}))), bound, out("group_ids"));
    let order = Command::OrderRules(schemas::rule::RuleOrder { rule_ids: Vec::new() });
    check_as(then(&own, order), bound, out("id"));
    let entries = Command::ChangeEntries(at(6), schemas::address_list::EntriesPatch::default());
    check_as(then(&then(&start(), list), entries), bound, out("id"));
    check_as(then(&own, Command::UpdateOrg(schemas::org::OrgPatch::default())), bound, out("id"));
}
