//! The audit trail: filters, pages, the history of a resource, and the hash chain.

use bytes::Bytes;
use schemas::event::Event;
use schemas::id::{CommitId, RuleId};
use schemas::rule::MovedRule;
use serde_json::{Value, json};

use crate::reads::{deleted, founded, rule};
use crate::rig::{Rig, ulid};

/// Founded (7 events), then: 8 and 9 rules created, 10 reordered, 11 updated, 12 deleted.
async fn eventful() -> Rig {
    let mut rig = founded().await;
    let (one, two) = (rule(&rig, 1, "One", "drop"), rule(&rig, 2, "Two", "accept"));
    rig.commit("usr_a", vec![one, two]).await;
    let moved = vec![MovedRule { rule_id: id(1), order: 2 }, MovedRule { rule_id: id(2), order: 1 }];
    rig.commit("usr_b", vec![Event::RulesReordered { moved }]).await;
    let mut updated = rig.state.rules.get(&id(1)).unwrap().as_ref().clone();
    updated.action = schemas::rule::Action::Accept;
    updated.revision = 11;
    rig.commit("usr_b", vec![Event::Updated { resource: updated.into(), changed: vec!["action".to_owned()] }]).await;
    rig.commit("usr_a", vec![deleted(id(2))]).await;
    rig
}

fn id(number: u128) -> RuleId {
    RuleId::new(ulid(number))
}

async fn revisions(rig: &Rig, query: &str) -> Vec<u64> {
    let body = rig.get("auditor", &format!("/events?{query}")).await;
    body["data"].as_array().unwrap().iter().map(|event| event["revision"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn filters_choose_events() {
    let rig = eventful().await;
    assert_eq!(revisions(&rig, "").await, (1..=12).rev().collect::<Vec<u64>>());
    let rule_one = id(1);
    for (query, wanted) in [
        ("type=rule.created", vec![9, 8]),
        ("name=rule.", vec![12, 11, 10, 9, 8]),
        ("type=netkeep.rule.deleted.v1", vec![12]),
        ("kind=zone", vec![3, 2]),
        ("actor=usr_b", vec![11, 10]),
        (&format!("resource={rule_one}"), vec![11, 10, 8]),
        ("from_revision=3&to_revision=5", vec![5, 4, 3]),
        ("since=2026-11-21T13:00:11Z", vec![12, 11]),
        ("until=2026-11-21T13:00:03Z", vec![2, 1]),
        ("after=3", vec![12, 11]),
        ("sort=revision&per_page=2", vec![1, 2]),
        ("page=2&per_page=5", vec![7, 6, 5, 4, 3]),
        ("limit=2", vec![12, 11]),
    ] {
        assert_eq!(revisions(&rig, query).await, wanted, "{query}");
    }
    for bad in ["colour=red", "since=yesterday", "after=x", "sort=name", "before_id=evt_1"] {
        assert_eq!(rig.refused("auditor", &format!("/events?{bad}")).await, (400, "QUERY_INVALID".to_owned()), "{bad}");
    }
}

#[tokio::test]
async fn both_ways_of_leafing_show_every_event_once() {
    let rig = eventful().await;
    for start in ["/events?kind=rule&per_page=2", "/events?kind=rule&limit=2"] {
        let (mut seen, mut path) = (Vec::new(), start.to_owned());
        loop {
            let body: Value = rig.get("auditor", &path).await;
            assert_eq!(body["meta"]["total"], 5);
            seen.extend(body["data"].as_array().unwrap().iter().map(|event| event["revision"].as_u64().unwrap()));
            match body["meta"]["next_page_uri"].as_str() {
                Some(next) => path = next.strip_prefix("/api/v1").unwrap().to_owned(),
                None => break,
            }
        }
        assert_eq!(seen, [12, 11, 10, 9, 8], "{start}");
    }
}

#[tokio::test]
async fn the_history_of_a_rule_names_each_field_that_changed() {
    let rig = eventful().await;
    let history = rig.get("auditor", &format!("/firewall/rules/{}/history", id(1))).await;
    let entries = history["data"].as_array().unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0]["changes"], json!([{"field": "action", "before": "drop", "after": "accept"}]));
    assert_eq!(entries[1]["changes"], json!([{"field": "order", "before": 1, "after": 2}]));
    assert_eq!((&entries[1]["name"], &entries[1]["actor"]), (&json!("rule.reordered"), &json!("usr_b")));
    let created = entries[2]["changes"].as_array().unwrap();
    assert!(created.contains(&json!({"field": "name", "before": null, "after": "One"})));
    let deleted = rig.get("auditor", &format!("/firewall/rules/{}/history", id(2))).await;
    let gone = deleted["data"][0]["changes"].as_array().unwrap();
    assert!(gone.contains(&json!({"field": "name", "before": "Two", "after": null})));
    assert_eq!(deleted["data"][0]["name"], "rule.deleted");
    let none = format!("/firewall/rules/{}/history", id(3));
    assert_eq!(rig.refused("auditor", &none).await, (404, "RESOURCE_NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn the_chain_is_checked_to_its_end() {
    let rig = eventful().await;
    let whole = rig.get("auditor", "/history/verify").await;
    assert_eq!((&whole["ok"], &whole["revisions"], &whole["error"]), (&json!(true), &json!(12), &Value::Null));

    let events = rig.bus.events();
    let last = events.last(&rig.org).await.unwrap().unwrap();
    let forged = String::from_utf8(last.payload.to_vec()).unwrap().replace("usr_a", "usr_z");
    events.append(&rig.org, last.position, CommitId::new(ulid(77)), Bytes::from(forged)).await.unwrap();
    let broken = rig.until("auditor", "/history/verify", |verified| verified["ok"] == false).await;
    assert_eq!((&broken["revisions"], &broken["broken_at_revision"]), (&json!(12), &json!(13)));
    assert!(broken["error"].as_str().unwrap().contains("expected revision 13, found 12"), "{broken}");
}

/// So many are gone through on the engine's threads.
#[tokio::test]
async fn many_events_are_listed_as_few_are() {
    let mut rig = eventful().await;
    for _ in 0..21 {
        let moved = || vec![MovedRule { rule_id: id(1), order: 1 }];
        rig.append("usr_c", &(0..500).map(|_| Event::RulesReordered { moved: moved() }).collect::<Vec<_>>()).await;
    }
    let last = 12 + 21 * 500;
    rig.until("auditor", "/events?limit=1", |body| body["meta"]["total"] == last).await;
    assert_eq!(revisions(&rig, "limit=2").await, [last, last - 1]);
    assert_eq!(revisions(&rig, "actor=usr_b").await, [11, 10]);
    assert_eq!(revisions(&rig, "type=rule.created").await, [9, 8]);
    let history = rig.get("auditor", &format!("/firewall/rules/{}/history", id(2))).await;
    assert_eq!(history["data"].as_array().unwrap().len(), 3);
    assert_eq!(rig.refused("auditor", "/events?before_id=evt_1").await, (400, "QUERY_INVALID".to_owned()));
    let none = format!("/firewall/rules/{}/history", id(3));
    assert_eq!(rig.refused("auditor", &none).await, (404, "RESOURCE_NOT_FOUND".to_owned()));
}
