//! Commands under retries and races: one key is one event, one revision has one winner, what is acknowledged is seen.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Answer, Rig, send};

async fn create(rig: &Rig, key: &str, name: &str) -> Answer {
    let body = json!({"name": name, "zone_from": "WAN", "zone_to": "LAN", "action": "drop"});
    send(rig.request(Method::POST, "/api/v1/firewall/rules").header("Idempotency-Key", key).json(&body)).await
}

#[tokio::test]
async fn one_key_makes_one_event_also_across_a_restart() {
    let mut rig = Rig::start().await;
    let first = create(&rig, "k1", "a").await;
    assert_eq!((first.status.as_u16(), first.header("netkeep-idempotent-replay")), (201, ""));
    let again = create(&rig, "k1", "a").await;
    assert_eq!((again.status.as_u16(), &again.json), (201, &first.json));
    assert_eq!(again.header("netkeep-idempotent-replay"), "true");
    assert_eq!(again.header("netkeep-position"), first.header("netkeep-position"));
    let other = create(&rig, "k1", "b").await;
    assert_eq!((other.status.as_u16(), other.reason()), (422, "COMMAND_REUSED"));

    rig.stop().await;
    rig.restart().await;
    let later = create(&rig, "k1", "a").await;
    assert_eq!((later.status.as_u16(), &later.json), (201, &first.json));
    let events = rig.get("/api/v1/events?type=rule.created").await;
    assert_eq!(events.json["meta"]["total"], 1, "{}", events.json);
}

#[tokio::test]
async fn one_key_sent_many_times_at_once_makes_one_event() {
    let rig = Rig::start().await;
    let calls = futures::future::join_all((0..32).map(|_| create(&rig, "k", "a"))).await;
    assert!(calls.iter().all(|call| call.status == 201 && call.json == calls[0].json));
    let replays = calls.iter().filter(|call| call.header("netkeep-idempotent-replay") == "true").count();
    assert_eq!(replays, 31);
}

#[tokio::test]
async fn a_secret_is_given_again_to_who_asks_with_the_same_key() {
    let rig = Rig::start().await;
    let create = async || {
        let request = rig.request(Method::POST, "/api/v1/setup-keys").header("Idempotency-Key", "s");
        send(request.json(&json!({"name": "fleet"}))).await
    };
    let (first, again) = (create().await, create().await);
    assert_eq!((first.status.as_u16(), &first.json), (201, &again.json));
    assert!(first.json["key"].as_str().is_some_and(|key| key.starts_with("nks_")), "{}", first.json);
    let listed = rig.get_after("/api/v1/setup-keys", &first).await;
    assert_eq!(listed.json["data"][0]["key"], Value::Null, "shown once");
    assert_eq!(listed.json["data"][0]["state"], "valid");
}

#[tokio::test]
async fn of_two_writers_with_one_revision_one_wins() {
    let rig = Rig::start().await;
    let rule = create(&rig, "k", "a").await;
    let path = format!("/api/v1/firewall/rules/{}", rule.id());
    let write = async |text: &str| {
        let request = rig.request(Method::PATCH, &path).header("If-Match", rule.header("etag"));
        send(request.json(&json!({"description": text}))).await
    };
    let (one, two) = tokio::join!(write("one"), write("two"));
    let (won, lost) = if one.status == 200 { (one, two) } else { (two, one) };
    assert_eq!((won.status.as_u16(), lost.status.as_u16(), lost.reason()), (200, 412, "REVISION_MISMATCH"));
    assert_eq!(lost.json["error"]["details"]["current"]["description"], won.json["description"]);
    let stale = send(rig.request(Method::DELETE, &path).header("If-Match", rule.header("etag"))).await;
    assert_eq!(stale.status, 412);
    let fresh = send(rig.request(Method::DELETE, &path).header("If-Match", won.header("etag"))).await;
    assert_eq!(fresh.status, 204);
}

#[tokio::test]
async fn what_is_acknowledged_is_seen_by_who_asks_for_it() {
    let rig = Rig::start().await;
    for n in 0..50 {
        let created = create(&rig, &format!("k{n}"), &format!("rule {n}")).await;
        let seen = rig.get_after(&format!("/api/v1/firewall/rules/{}", created.id()), &created).await;
        assert_eq!((seen.status.as_u16(), &seen.json), (200, &created.json));
        let position: u64 = seen.header("netkeep-position").parse().unwrap();
        assert!(position >= created.header("netkeep-position").parse().unwrap());
    }
    let future = send(rig.request(Method::GET, "/api/v1/zones").header("Netkeep-Min-Position", "999999999")).await;
    assert_eq!((future.status.as_u16(), future.reason()), (409, "POSITION_TIMEOUT"));
}
