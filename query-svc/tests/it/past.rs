//! `?at=`: reads of the past.

use query_svc::Config;
use reqwest::Method;
use schemas::event::Event;
use schemas::id::RuleId;
use schemas::rule::MovedRule;
use serde_json::{Value, json};

use crate::reads::{deleted, found, founded, rule};
use crate::rig::{Rig, ulid};

fn id(number: u128) -> RuleId {
    RuleId::new(ulid(number))
}

/// Founded (7 events), then: 8 and 9 rules created, 10 reordered, 11 the first deleted.
async fn eventful() -> Rig {
    let mut rig = founded().await;
    let (one, two) = (rule(&rig, 1, "One", "drop"), rule(&rig, 2, "Two", "accept"));
    rig.commit("usr_a", vec![one, two]).await;
    let moved = vec![MovedRule { rule_id: id(1), order: 2 }, MovedRule { rule_id: id(2), order: 1 }];
    rig.commit("usr_b", vec![Event::RulesReordered { moved }]).await;
    rig.commit("usr_a", vec![deleted(id(1))]).await;
    rig.until("owner", "/system/status", |status| status["revision"] == 11).await;
    rig
}

async fn names(rig: &Rig, at: &str) -> (Vec<String>, String, String) {
    let answer = rig.answer("auditor", &format!("/firewall/rules?at={at}")).await;
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    let (revision, position) = (header("netkeep-revision"), header("netkeep-position"));
    let body: Value = answer.json().await.unwrap();
    let names = body["data"].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap().to_owned());
    (names.collect(), revision, position)
}

#[tokio::test]
async fn a_list_shows_a_revision_or_a_time() {
    let rig = eventful().await;
    for (at, expected, revision, position) in [
        ("1", vec![], "1", "1"),
        ("8", vec!["One"], "8", "2"),
        ("9", vec!["One", "Two"], "9", "2"),
        ("10", vec!["Two", "One"], "10", "3"),
        ("11", vec!["Two"], "11", "4"),
        // Revision r happens r seconds after 13:00.
        ("2026-11-21T13:00:08.5Z", vec!["One"], "8", "2"),
        ("2026-11-21T14:00:10%2B01:00", vec!["Two", "One"], "10", "3"),
        ("2026-11-21T14:00:10+01:00", vec!["Two", "One"], "10", "3"),
    ] {
        let (names, shown, at_position) = names(&rig, at).await;
        assert_eq!(
            (names, shown.as_str(), at_position.as_str()),
            (expected.iter().map(ToString::to_string).collect(), revision, position),
            "{at}"
        );
    }
    let present = rig.answer("auditor", "/firewall/rules").await;
    assert!(!present.headers().contains_key("netkeep-revision"));
    let next = rig.get("auditor", "/firewall/rules?at=9&per_page=1").await["meta"]["next_page_uri"].take();
    let next = next.as_str().unwrap().strip_prefix("/api/v1").unwrap();
    assert_eq!(rig.get("auditor", next).await["data"][0]["name"], "Two");
}

#[tokio::test]
async fn one_resource_and_what_refers_to_it_show_the_past() {
    let rig = eventful().await;
    let path = format!("/firewall/rules/{}", id(1));
    let then = rig.answer("auditor", &format!("{path}?at=10")).await;
    assert_eq!(
        (&then.headers()["etag"], &then.headers()["netkeep-revision"]),
        (&"\"10\"".parse().unwrap(), &"10".parse().unwrap())
    );
    assert_eq!(then.json::<Value>().await.unwrap()["order"], 2);
    assert_eq!(rig.get("auditor", &format!("{path}?at=9&fields=order")).await, json!({"order": 1}));
    assert_eq!(rig.refused("auditor", &path).await.0, 404);
    assert_eq!(rig.refused("auditor", &format!("{path}?at=7")).await.0, 404);
    let known = rig.request(Method::GET, "auditor", &format!("{path}?at=10")).header("if-none-match", "\"10\"");
    assert_eq!(known.send().await.unwrap().status(), 304);
    let wan = rig.get("auditor", "/zones?name=WAN").await["data"][0]["id"].take();
    let used = rig.get("auditor", &format!("/zones/{}/used-by?at=9", wan.as_str().unwrap())).await;
    assert_eq!(used["meta"]["total"], 2);
    assert_eq!(rig.get("auditor", "/orgs?at=1").await["data"][0]["name"], "Acme");
}

#[tokio::test]
async fn there_is_no_other_past() {
    let rig = eventful().await;
    for (at, message) in [
        ("0", "revisions begin with 1"),
        ("12", "the org is at revision 11, there is no 12 yet"),
        ("2126-01-01T00:00:00Z", "that time is still to come"),
        ("2020-01-01T00:00:00Z", "the org was founded at 2026-11-21T13:00:01Z, later than that"),
        ("yesterday", "at takes a revision of the org, or a time as of RFC 3339 like 2026-11-21T13:00:00Z"),
        ("", "at takes a revision of the org, or a time as of RFC 3339 like 2026-11-21T13:00:00Z"),
    ] {
        let answer = rig.answer("auditor", &format!("/zones?at={at}")).await;
        assert_eq!(answer.status(), 400, "{at}");
        let error = answer.json::<Value>().await.unwrap()["error"].take();
        assert_eq!((&error["field"], &error["message"]), (&json!("at"), &json!(message)), "{at}");
    }
    assert_eq!(rig.refused("viewer", "/zones?at=3").await, (403, "ROLE_FORBIDS".to_owned()));
}

/// So many are folded on the engine's threads, each fold from the one before.
#[tokio::test]
async fn a_long_past_is_folded_as_a_short_one() {
    let mut rig = found(Rig::with(Config::default()).await).await;
    let one = rule(&rig, 1, "One", "drop");
    rig.commit("usr_a", vec![one]).await;
    for round in 0..21 {
        let moved = |order| Event::RulesReordered { moved: vec![MovedRule { rule_id: id(1), order }] };
        rig.append("usr_c", &(1..=500).map(|order| moved(round * 500 + order)).collect::<Vec<_>>()).await;
    }
    rig.until("auditor", "/events?limit=1", |body| body["meta"]["total"] == 10_508).await;
    for at in [10_508, 9, 10_507, 5_000] {
        let shown = rig.get("auditor", &format!("/firewall/rules/{}?at={at}", id(1))).await;
        assert_eq!((&shown["order"], &shown["revision"]), (&json!(at - 8), &json!(at)));
    }
}
