//! What rules mean, case by case.

use schemas::config::RulesetSet;

use super::*;

fn check(rules: &[&str], packet: (&str, &str, u8, u16), verdict: Action, rule: Option<u32>) {
    let ruleset = crate::generated::ruleset(rules);
    let (wan, lan) = (crate::generated::zone("WAN"), crate::generated::zone("LAN"));
    let (source, destination, protocol, port) = packet;
    let packet = Packet {
        zone_from: Some(&wan),
        zone_to: Some(&lan),
        source: source.parse().expect("an address"),
        destination: destination.parse().expect("an address"),
        protocol,
        port: (port != 0).then_some(port),
    };
    let decision = evaluate(&ruleset, &packet);
    assert_eq!((decision.verdict, decision.by.map(Decider::number)), (verdict, rule));
}

#[test]
fn the_first_rule_that_matches_decides() {
    let rules = ["WAN LAN 10.0.0.0/8 any tcp 22 accept", "WAN LAN any any tcp 22-23 drop"];
    check(&rules, ("10.0.0.1", "10.9.9.9", 6, 22), Action::Accept, Some(1));
    check(&rules, ("11.0.0.1", "10.9.9.9", 6, 22), Action::Drop, Some(2));
    check(&rules, ("11.0.0.1", "10.9.9.9", 6, 24), Action::Accept, None);
    check(&rules, ("11.0.0.1", "10.9.9.9", 17, 22), Action::Accept, None);
}

#[test]
fn ports_match_only_protocols_that_have_them() {
    let rules = ["WAN LAN any any all 1-65535 drop"];
    check(&rules, ("10.0.0.1", "10.9.9.9", 132, 9), Action::Drop, Some(1));
    check(&rules, ("10.0.0.1", "10.9.9.9", 1, 0), Action::Accept, None);
    check(&rules, ("10.0.0.1", "10.9.9.9", 136, 9), Action::Accept, None);
}

#[test]
fn families_do_not_meet() {
    let rules = ["WAN LAN 0.0.0.0/0 any all - drop", "WAN LAN any fd00::/8 all - reject"];
    check(&rules, ("10.0.0.1", "10.9.9.9", 50, 0), Action::Drop, Some(1));
    check(&rules, ("fe80::1", "fd00::1", 50, 0), Action::Reject, Some(2));
    check(&rules, ("fe80::1", "fe80::2", 50, 0), Action::Accept, None);
}

#[test]
fn what_has_no_zone_is_not_filtered() {
    let mut ruleset = crate::generated::ruleset(&["WAN LAN any any all - drop"]);
    ruleset.default_action = Action::Drop;
    let ip = "10.0.0.1".parse().expect("an address");
    let verdict = |from: Option<&str>, to: Option<&str>| {
        let (from, to) = (from.map(crate::generated::zone), to.map(crate::generated::zone));
        let packet = Packet {
            zone_from: from.as_ref(),
            zone_to: to.as_ref(),
            source: ip,
            destination: ip,
            protocol: 6,
            port: Some(80),
        };
        evaluate(&ruleset, &packet).verdict
    };
    assert_eq!(verdict(Some("WAN"), Some("LAN")), Action::Drop);
    assert_eq!(verdict(Some("LOCAL"), Some("LAN")), Action::Drop);
    assert_eq!(verdict(Some("WAN"), None), Action::Accept);
    assert_eq!(verdict(None, Some("LAN")), Action::Accept);
    assert_eq!(verdict(Some("WAN"), Some("ELSEWHERE")), Action::Accept);
    assert_eq!(verdict(Some("LOCAL"), Some("LOCAL")), Action::Accept);
}

#[test]
fn what_is_negated_matches_all_but_that_in_both_families() {
    let rules = ["WAN LAN !10.0.0.0/8 any all - drop", "any any any !10.9.0.0/16,fd00::/8 tcp - reject"];
    check(&rules, ("11.0.0.1", "10.9.9.9", 6, 22), Action::Drop, Some(1));
    check(&rules, ("fe80::1", "fd00::1", 6, 22), Action::Drop, Some(1));
    check(&rules, ("10.0.0.1", "10.9.9.9", 6, 22), Action::Accept, None);
    check(&rules, ("10.0.0.1", "10.8.9.9", 6, 22), Action::Reject, Some(2));
}

/// With set 1 empty, set 2 of `10.0.0.0/8`, and set 3 of that and a domain that nobody resolved.
fn decided(words: &str, source: &str) -> Action {
    let mut ruleset = crate::generated::ruleset(&[words]);
    let block = || vec!["10.0.0.0/8".parse().expect("a block")];
    let with_domain = crate::generated::set_of(3, block());
    let domains = vec!["www.example.com".parse().expect("a domain")];
    let with_domain = RulesetSet { domains, ..std::sync::Arc::unwrap_or_clone(with_domain) };
    ruleset.sets = vec![
        crate::generated::set_of(1, Vec::new()),
        crate::generated::set_of(2, block()),
        std::sync::Arc::new(with_domain),
    ];
    ruleset.default_action = if ruleset.rules[0].action == Action::Accept { Action::Drop } else { Action::Accept };
    let (wan, lan) = (crate::generated::zone("WAN"), crate::generated::zone("LAN"));
    let packet = Packet {
        zone_from: Some(&wan),
        zone_to: Some(&lan),
        source: source.parse().expect("an address"),
        destination: "10.9.9.9".parse().expect("an address"),
        protocol: 6,
        port: Some(80),
    };
    assert_eq!(crate::Evaluator::new(&ruleset).decide(&packet), evaluate(&ruleset, &packet));
    evaluate(&ruleset, &packet).verdict
}

#[test]
fn an_empty_set_never_lets_anything_pass() {
    assert_eq!(decided("WAN LAN #1 any all - accept", "10.0.0.1"), Action::Drop);
    assert_eq!(decided("WAN LAN #1 any all - drop", "10.0.0.1"), Action::Accept);
    assert_eq!(decided("WAN LAN !#1 any all - accept", "10.0.0.1"), Action::Drop);
    assert_eq!(decided("WAN LAN !#1 any all - drop", "10.0.0.1"), Action::Drop);
    assert_eq!(decided("WAN LAN !#1 any all - accept log-only", "10.0.0.1"), Action::Drop);
    assert_eq!(decided("WAN LAN !#1,#2 any all - accept", "11.0.0.1"), Action::Accept);
    assert_eq!(decided("WAN LAN !#9 any all - accept", "11.0.0.1"), Action::Drop, "a set that is not there");
}

#[test]
fn a_domain_without_an_answer_never_lets_anything_pass() {
    assert_eq!(decided("WAN LAN #3 any all - accept", "10.0.0.1"), Action::Accept);
    assert_eq!(decided("WAN LAN !#2 any all - accept", "11.0.0.1"), Action::Accept);
    assert_eq!(decided("WAN LAN !#3 any all - accept", "11.0.0.1"), Action::Drop);
    assert_eq!(decided("WAN LAN !#3 any all - drop", "11.0.0.1"), Action::Drop);
    assert_eq!(decided("WAN LAN !#3 any all - drop", "10.0.0.1"), Action::Accept);
}

#[test]
fn a_rule_that_only_logs_is_told_of_if_nothing_decides_before() {
    let ruleset = crate::generated::ruleset(&[
        "WAN any any any tcp - drop log-only",
        "WAN LAN any any tcp 80 accept",
        "any any any any all - drop log-only",
    ]);
    let (wan, lan, ip) = (crate::generated::zone("WAN"), crate::generated::zone("LAN"), "10.0.0.1".parse());
    let ip = ip.expect("an address");
    let told = |port: u16| {
        let (zone_from, zone_to) = (Some(&wan), Some(&lan));
        let packet = Packet { zone_from, zone_to, source: ip, destination: ip, protocol: 6, port: Some(port) };
        let also: Vec<u32> = also_matched(&ruleset, &packet).iter().map(|rule| rule.number).collect();
        (evaluate(&ruleset, &packet).by.map(Decider::number), also)
    };
    assert_eq!(told(80), (Some(2), vec![1]));
    assert_eq!(told(81), (None, vec![1, 3]));
}

#[test]
fn the_default_of_two_zones_decides_where_no_rule_does() {
    let mut ruleset = crate::generated::ruleset(&["WAN LAN any any tcp 80 accept"]);
    ruleset.defaults = vec![RulesetDefault {
        id: schemas::id::ZonePolicyId::default().into(),
        number: 7,
        zone_from: crate::generated::zone("WAN"),
        zone_to: crate::generated::zone("LAN"),
        action: Action::Reject,
        log: false,
    }];
    let (wan, lan, ip) = (crate::generated::zone("WAN"), crate::generated::zone("LAN"), "10.0.0.1".parse());
    let ip = ip.expect("an address");
    let decided = |zone_from, zone_to, port| {
        let packet = Packet { zone_from, zone_to, source: ip, destination: ip, protocol: 6, port: Some(port) };
        let decision = evaluate(&ruleset, &packet);
        (decision.verdict, decision.by.map(Decider::number))
    };
    assert_eq!(decided(Some(&wan), Some(&lan), 80), (Action::Accept, Some(1)));
    assert_eq!(decided(Some(&wan), Some(&lan), 81), (Action::Reject, Some(7)));
    assert_eq!(decided(Some(&lan), Some(&wan), 81), (Action::Accept, None));
}
