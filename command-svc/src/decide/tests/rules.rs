//! Rules, their order, zones, and what holds between zones.

use schemas::id::{FirewallId, RuleId, ServiceId, ZoneId, ZonePolicyId};
use schemas::rule::RuleOrder;

use super::*;

#[test]
fn a_rule_goes_after_the_last_one_and_has_a_number_of_its_own() {
    let (org, _) = run(&[create_rule("a"), create_rule("b"), delete(at::<RuleId>(2)), create_rule("c")]);
    let rules: Vec<_> = org.ordered_rules().map(|rule| (rule.name.as_str(), rule.order, rule.number)).collect();
    assert_eq!(rules, [("a", 1, 1), ("c", 2, 3)]);
}

#[test]
fn two_rules_do_not_share_a_name() {
    let taken = Refusal::NameTaken { kind: Kind::Rule, name: "a".to_owned() };
    check([create_rule("a"), create_rule("a")], Err(taken.clone()));
    let renamed = |n| patch(at::<RuleId>(n), json!({"name": "a"}));
    check([create_rule("a"), create_rule("b"), renamed(2)], Err(taken.clone()));
    check([create_rule("a"), create_rule("b"), replace(at::<RuleId>(2), rule("a"))], Err(taken));
    check([create_rule("a"), renamed(1)], Ok(&[]));
    check([create_rule("a"), delete(at::<RuleId>(1)), create_rule("a")], Ok(&["rule.created"]));
    // A name that was given up is free.
    check([create_rule("a"), patch(at::<RuleId>(1), json!({"name": "b"})), create_rule("a")], Ok(&["rule.created"]));
}

fn other(change: Value) -> Command {
    create(Kind::Rule, with(json!({"name": "a", "zone_from": "WAN", "zone_to": "LAN", "action": "drop"}), change))
}

#[test]
fn a_rule_matches_something() {
    check([other(json!({"sources": []}))], Err(Refusal::ListEmpty("sources")));
    check([other(json!({"destinations": []}))], Err(Refusal::ListEmpty("destinations")));
    check([other(json!({"ports": [80]}))], Err(Refusal::PortsWithoutProtocol));
    check([other(json!({"ports": [80], "protocol": "icmp"}))], Err(Refusal::PortsWithoutProtocol));
    check([other(json!({"sources": ["10.0.0.1"], "destinations": ["::1"]}))], Err(Refusal::FamiliesDisjoint));
    check([other(json!({"sources": ["10.0.0.1", "::2"], "destinations": ["::1"]}))], Ok(&["rule.created"]));
    // All but one address of a family is also all of the other family.
    let negated = json!({"sources": ["10.0.0.1"], "sources_negated": true, "destinations": ["::1"]});
    check([other(negated)], Ok(&["rule.created"]));
    check([other(json!({"sources_negated": true}))], Err(invalid("sources_negated", "all but any is nothing")));
    let field = "destinations_negated";
    check([other(json!({"destinations_negated": true}))], Err(invalid(field, "all but any is nothing")));
    check(
        [other(json!({"sources": vec!["10.0.0.1"; 1_001]}))],
        Err(Refusal::ListTooLong { field: "sources", length: 1_001, max: 1_000 }),
    );
}

#[test]
fn a_rule_names_what_there_is() {
    let zone = "NOWHERE".to_owned();
    check([other(json!({"zone_to": "NOWHERE"}))], Err(Refusal::ZoneUnknown { field: "zone_to", zone }));
    check([other(json!({"zone_to": "LOCAL", "zone_from": "any"}))], Ok(&["rule.created"]));
    let made_up: ServiceId = at(9);
    let unknown = |field, id: ResourceId| Refusal::ReferenceUnknown { field, id };
    check([other(json!({"service_ids": [made_up]}))], Err(unknown("service_ids", made_up.into())));
    let made_up: FirewallId = at(9);
    check([other(json!({"firewall_id": made_up}))], Err(unknown("firewall_id", made_up.into())));
    for id in [ResourceId::from(at::<schemas::id::AddressId>(9)), at::<schemas::id::AddressListId>(9).into()] {
        check([other(json!({"sources": [id]}))], Err(unknown("sources", id)));
        check([other(json!({"destinations": ["10.0.0.1", id]}))], Err(unknown("destinations", id)));
    }
}

#[test]
fn services_stand_in_for_protocol_and_ports() {
    let web = create(Kind::Service, json!({"name": "web", "entries": ["tcp/80", "tcp/443"]}));
    let id: ServiceId = at(1);
    check([web.clone(), other(json!({"service_ids": [id]}))], Ok(&["rule.created"]));
    let cause = "service_ids stand in for protocol and ports; leave those out";
    let both = other(json!({"service_ids": [id], "protocol": "tcp", "ports": [1]}));
    check([web, both], Err(invalid("service_ids", cause)));
}

#[test]
fn a_rule_does_not_end_before_it_begins() {
    let past = "1970-01-01T00:00:01Z";
    check([other(json!({"expires_at": past}))], Err(Refusal::ExpiryInPast));
    // One that has ended meanwhile is still changed.
    let soon = other(json!({"expires_at": "1970-01-01T00:00:03Z"}));
    let changed = patch(at::<RuleId>(1), json!({"description": "d"}));
    check([soon.clone(), create_rule("b"), changed], Ok(&["rule.updated"]));
    check([soon, create_rule("b"), patch(at::<RuleId>(1), json!({"expires_at": past}))], Err(Refusal::ExpiryInPast));
}

#[test]
fn an_order_names_every_rule_once_and_moves_what_moved() {
    let (a, b, c) = (at::<RuleId>(1), at::<RuleId>(2), at::<RuleId>(3));
    let order = |rule_ids: &[RuleId]| Command::OrderRules(RuleOrder { rule_ids: rule_ids.to_vec() });
    let rules = [create_rule("a"), create_rule("b"), create_rule("c")];
    let with = |last: Command| then(&rules, last);
    check(with(order(&[a, b, c])), Ok(&[]));
    check(with(order(&[b, a, c])), Ok(&["rule.reordered"]));
    check(with(order(&[a, b])), Err(Refusal::OrderIncomplete { missing: vec![c], unknown: vec![], twice: vec![] }));
    let twice = Refusal::OrderIncomplete { missing: vec![], unknown: vec![], twice: vec![c] };
    check(with(order(&[a, b, c, c])), Err(twice));
    let unknown = Refusal::OrderIncomplete { missing: vec![], unknown: vec![at(9)], twice: vec![] };
    check(with(order(&[a, b, c, at(9)])), Err(unknown));
    let (org, events) = run(&with(order(&[b, a, c])));
    let names: Vec<_> = org.ordered_rules().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["b", "a", "c"]);
    assert!(matches!(&events.expect("accepted")[0], Event::RulesReordered { moved } if moved.len() == 2));
}

#[test]
fn a_zone_in_use_is_not_deleted() {
    let zone = create(Kind::Zone, json!({"name": "LAB"}));
    let gone = delete(at::<ZoneId>(1));
    check([zone.clone(), gone.clone()], Ok(&["zone.deleted"]));
    let in_use = |user: ResourceId| {
        let users = vec![user.to_string()];
        Err(Refusal::InUse { kind: Kind::Zone, name: "LAB".to_owned(), users })
    };
    let to_it = create(Kind::Rule, with(rule("a"), json!({"zone_to": "LAB"})));
    check([zone.clone(), to_it.clone(), gone.clone()], in_use(at::<RuleId>(2).into()));
    let policy = create(Kind::ZonePolicy, json!({"from": "LAB", "to": "any", "action": "drop"}));
    check([zone.clone(), policy, gone.clone()], in_use(at::<ZonePolicyId>(2).into()));
    let nat = create(Kind::NatRule, json!({"name": "n", "type": "masquerade", "zone": "LAB"}));
    check([zone.clone(), nat, gone.clone()], in_use(at::<schemas::id::NatRuleId>(2).into()));
    // Who points elsewhere lets go.
    let elsewhere = patch(at::<RuleId>(2), json!({"zone_to": "LAN"}));
    check([zone, to_it, elsewhere, gone], Ok(&["zone.deleted"]));
}

#[test]
fn zones_keep_their_names() {
    let wan = ZoneId::new(ctx(1).id(1));
    check([delete(wan)], Err(Refusal::ZonePredefined("WAN".to_owned())));
    check([patch(wan, json!({"name": "WORLD"}))], Err(Refusal::ZoneRenamed));
    check([patch(wan, json!({"description": "the world"}))], Ok(&["zone.updated"]));
    for name in ["LOCAL", "any", "ANY"] {
        check([create(Kind::Zone, json!({"name": name}))], Err(Refusal::ZoneReserved { field: "name" }));
    }
    let taken = Refusal::NameTaken { kind: Kind::Zone, name: "LAN".to_owned() };
    check([create(Kind::Zone, json!({"name": "LAN"}))], Err(taken));
    let (org, _) = run(&[patch(wan, json!({"description": "the world"}))]);
    assert!(org.zones.named("WAN").is_some_and(|zone| zone.predefined));
}

#[test]
fn a_pair_of_zones_has_one_default() {
    let policy = |from: &str, to: &str| create(Kind::ZonePolicy, json!({"from": from, "to": to, "action": "drop"}));
    check([policy("WAN", "LAN"), policy("LAN", "WAN"), policy("any", "LAN")], Ok(&["zone_policy.created"]));
    let name = "WAN to LAN".to_owned();
    check([policy("WAN", "LAN"), policy("WAN", "LAN")], Err(Refusal::NameTaken { kind: Kind::ZonePolicy, name }));
    check([policy("WAN", "LOCAL")], Ok(&["zone_policy.created"]));
    check([policy("LOCAL", "LOCAL")], Err(invalid("zone_to", "what a device sends to itself is not filtered")));
    let unknown = Refusal::ZoneUnknown { field: "zone_from", zone: "MARS".to_owned() };
    check([policy("MARS", "LAN")], Err(unknown));
    // The aliases are read in patches too.
    let moved = patch(at::<ZonePolicyId>(1), json!({"to": "DMZ"}));
    let (org, events) = run(&[policy("WAN", "LAN"), moved]);
    assert_eq!(names(events), Ok(vec!["zone_policy.updated".to_owned()]));
    assert!(org.zone_policies.named("WAN to DMZ").is_some() && org.zone_policies.named("WAN to LAN").is_none());
}

#[test]
fn whatever_decides_on_traffic_has_a_number_of_its_own() {
    let policy = create(Kind::ZonePolicy, json!({"from": "WAN", "to": "LAN", "action": "drop"}));
    let firewall = create(Kind::Firewall, json!({"name": "f"}));
    let (org, _) =
        run(&[create_rule("a"), policy, firewall, create_rule("b"), delete(at::<RuleId>(4)), create_rule("c")]);
    let rules: Vec<u32> = org.rules.values().map(|rule| rule.number).collect();
    assert_eq!(rules, [1, 5]);
    assert_eq!(org.zone_policies.values().map(|it| it.number).collect::<Vec<_>>(), [2]);
    assert_eq!(org.firewalls.values().map(|it| it.number).collect::<Vec<_>>(), [3]);
    let replaced = replace(at::<RuleId>(1), rule("z"));
    let (org, _) = run(&[create_rule("a"), replaced]);
    assert_eq!(org.rules.values().map(|rule| rule.number).collect::<Vec<_>>(), [1]);
}
