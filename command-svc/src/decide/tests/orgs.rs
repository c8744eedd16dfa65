//! Orgs: their founding, their limits, and who may call.

use schemas::plan::Plan;

use super::*;

#[test]
fn an_org_begins_with_its_predefined_zones() {
    let (org, events) = run(&[]);
    assert_eq!(events.map(|events| events.len()), Ok(6));
    let mut names: Vec<String> = org.zones.values().map(|zone| zone.name.to_string()).collect();
    names.sort();
    assert_eq!(names, ["DMZ", "GUEST", "IOT", "LAN", "WAN"]);
    check([found()], Err(Refusal::OrgExists(ctx(1).org)));
}

#[test]
fn nothing_is_created_in_an_org_that_is_not_there() {
    let missing = Err(Refusal::OrgMissing(ctx(1).org));
    assert_eq!(decide(&OrgState::default(), &create_rule("a"), &ctx(1)), missing);
    assert_eq!(decide(&OrgState::default(), &Command::Batch(vec![create_rule("a")]), &ctx(1)), missing);
}

fn update(json: Value) -> Command {
    Command::UpdateOrg(read(json))
}

#[test]
fn nobody_shuts_themselves_out() {
    check([update(json!({"api_sources": ["192.0.2.0/24", "::1"]}))], Ok(&["org.updated"]));
    check([update(json!({"api_sources": ["10.0.0.0/8"]}))], Err(Refusal::SourceLockout));
    check([update(json!({"api_sources": ["::/0"]}))], Err(Refusal::SourceLockout));
    check([update(json!({"api_sources": []}))], Ok(&[]));
    // Who calls from the machine itself cannot be shut out.
    check_as([update(json!({"api_sources": ["10.0.0.0/8"]}))], |ctx| ctx.source_ip = None, Ok(&["org.updated"]));
    let many = vec!["192.0.2.7"; 1_001];
    let too_long = Refusal::ListTooLong { field: "api_sources", length: 1_001, max: 1_000 };
    check([update(json!({"api_sources": many}))], Err(too_long));
}

#[test]
fn what_an_org_is_told_twice_it_is_told_once() {
    let named = update(json!({"name": "Other", "description": "d"}));
    check([named.clone()], Ok(&["org.updated"]));
    let (org, events) = run(&[named.clone(), named]);
    assert_eq!(events, Ok(vec![]));
    assert_eq!(org.org.map(|org| (org.name.to_string(), org.revision)), Some(("Other".to_owned(), 7)));
}

#[test]
fn a_plan_allows_as_many_as_it_says() {
    let plan = Command::UpdateOrg(schemas::org::OrgPatch { plan: Some(Plan::Free), ..Default::default() });
    let zones = |count: usize| (0..count).map(|n| create(Kind::Zone, json!({"name": format!("Z{n}")})));
    let with = |count| std::iter::once(plan.clone()).chain(zones(count)).collect::<Vec<_>>();
    // Five are predefined.
    check(with(95), Ok(&["zone.created"]));
    check(with(96), Err(Refusal::LimitReached { kind: Kind::Zone, max: 100 }));
    let mut again = with(95);
    again.extend([delete(at::<schemas::id::ZoneId>(2)), create(Kind::Zone, json!({"name": "Y"}))]);
    check(again, Ok(&["zone.created"]));
    let limit = Refusal::LimitReached { kind: Kind::Rule, max: 1 };
    assert_eq!(limit.reason().name(), "RULE_LIMIT");
}

#[test]
fn a_plan_bounds_what_enrols_itself() {
    let plan = Command::UpdateOrg(schemas::org::OrgPatch { plan: Some(Plan::Free), ..Default::default() });
    let start = [setup_key(json!({"type": "reusable"})), plan];
    let devices = |count: usize| (0..count).map(|n| enrol("e", &format!("U{n}")));
    let with = |count| start.iter().cloned().chain(devices(count)).collect::<Vec<_>>();
    check(with(10), Ok(&["device.enrolled", "setup_key.updated"]));
    check(with(11), Err(Refusal::LimitReached { kind: Kind::Device, max: 10 }));
    // Who lost the answer is not another device.
    check(then(&with(10), enrol("e", "U3")), Ok(&[]));
}
