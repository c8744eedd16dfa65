//! What holds when.

use proptest::prelude::*;
use schemas::config::ExpiringSpans;

use super::*;
use crate::generated;

fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

/// Rule 1 in office hours, rule 2 up to an evening, rule 3 of a list with an entry that expires and a domain.
fn ruleset() -> Ruleset {
    let mut ruleset =
        generated::ruleset(&["WAN LAN any any tcp 1 drop", "WAN LAN any any tcp 2 drop", "WAN LAN #1 any tcp 3 drop"]);
    let office = r#"{"days":["mon"],"from":"08:00","to":"17:00"}"#;
    ruleset.rules[0].schedule = Some(serde_json::from_str(office).expect("a schedule"));
    ruleset.rules[1].expires_at = Some(time("2026-11-23T20:00:00Z"));
    let expiring = |at: &str, span: &str| ExpiringSpans { at: time(at), spans: vec![span.parse().expect("a span")] };
    let set = RulesetSet {
        expiring: vec![
            expiring("2026-11-23T12:00:00Z", "10.0.0.0/24"),
            expiring("2026-11-23T21:00:00Z", "10.0.1.0/24"),
        ],
        domains: ["*.example.com", "www.example.com"].map(|name| name.parse().expect("a domain")).to_vec(),
        ..Arc::unwrap_or_clone(generated::set_of(1, Vec::new()))
    };
    ruleset.sets = vec![Arc::new(set)];
    ruleset
}

fn shown(ruleset: &Ruleset) -> String {
    let rules: Vec<String> = ruleset.rules.iter().map(|rule| rule.number.to_string()).collect();
    let spans: Vec<String> = ruleset.sets.iter().flat_map(|set| &set.spans).map(ToString::to_string).collect();
    format!("{} | {}", rules.join(" "), spans.join(" "))
}

#[test]
fn rules_and_addresses_hold_up_to_their_time() {
    let ruleset = ruleset();
    let at = |text: &str| shown(&at(&ruleset, time(text)));
    assert_eq!(at("2026-11-23T07:59:59Z"), "2 3 | 10.0.0.0/23");
    assert_eq!(at("2026-11-23T08:00:00Z"), "1 2 3 | 10.0.0.0/23");
    assert_eq!(at("2026-11-23T12:00:00Z"), "1 2 3 | 10.0.1.0/24");
    assert_eq!(at("2026-11-23T20:00:00Z"), "3 | 10.0.1.0/24");
    assert_eq!(at("2026-11-23T21:00:00Z"), "3 | ", "its domain may have an address yet");
}

#[test]
fn each_change_is_foreseen() {
    let ruleset = ruleset();
    let mut now = time("2026-11-23T00:00:00Z");
    let mut seen = Vec::new();
    while let Some(next) = next_change(&ruleset, now).filter(|_| seen.len() < 6) {
        seen.push(next.format("%d %H").to_string());
        now = next;
    }
    assert_eq!(seen[..5], ["23 08", "23 12", "23 17", "23 20", "23 21"]);
    assert_eq!(next_change(&generated::ruleset(&["WAN LAN any any all - drop"]), now), None);
}

#[test]
fn a_domain_stands_for_what_dns_says() {
    let ruleset = ruleset();
    let asked: Vec<String> = domains(&ruleset).iter().map(ToString::to_string).collect();
    assert_eq!(asked, ["www.example.com"], "nothing asks for all names below one");
    let answer = |ips: &[&str]| {
        let ips = ips.iter().map(|ip| ip.parse().expect("an address")).collect();
        Answers::from([("www.example.com".parse().expect("a domain"), ips)])
    };
    let resolved = resolve(&ruleset, &answer(&["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.2"]));
    assert_eq!(shown(&resolved), "1 2 3 | 192.0.2.1-192.0.2.2 2001:db8::1");
    assert_eq!(resolved.sets[0].domains.len(), 1);
    assert_eq!(resolve(&ruleset, &answer(&[])), ruleset, "no address is no answer");
}

#[test]
fn rules_that_can_never_match_and_sets_that_nobody_names_go() {
    let mut ruleset = generated::ruleset(&[
        "WAN LAN #1 any tcp 1 accept",
        "WAN LAN !#1 any tcp 2 accept",
        "WAN LAN !#1 any tcp 3 drop",
        "WAN LAN #1,10.0.0.1 any tcp 4 drop",
        "WAN LAN !any any tcp 5 drop",
        "WAN LAN any #2 tcp 6 drop",
    ]);
    ruleset.sets = vec![
        generated::set_of(1, Vec::new()),
        generated::set_of(2, vec!["10.0.0.0/8".parse().expect("a block")]),
        generated::set_of(3, vec!["10.0.0.0/8".parse().expect("a block")]),
    ];
    let pruned = prune(ruleset);
    assert_eq!(shown(&pruned), "3 4 6 | 10.0.0.0/8");
    assert_eq!(pruned.sets.len(), 2);
}

proptest! {
    #[test]
    fn pruning_changes_no_decision(
        ruleset in generated::rulesets(),
        packets in prop::collection::vec(generated::packets(), 32),
    ) {
        let pruned = prune(ruleset.clone());
        for generated in &packets {
            let packet = generated.packet();
            prop_assert_eq!(crate::evaluate(&pruned, &packet), crate::evaluate(&ruleset, &packet));
        }
    }

    #[test]
    fn nothing_changes_before_the_next_change(start in 0i64..2_000_000, step in 0i64..1000) {
        let ruleset = ruleset();
        let after = time("2026-11-20T00:00:00Z") + chrono::Duration::seconds(start);
        let next = next_change(&ruleset, after).expect("a Monday");
        prop_assert!(next > after);
        let between = after + (next - after) * i32::try_from(step).expect("small") / 1000;
        prop_assert_eq!(at(&ruleset, between), at(&ruleset, after));
    }
}
