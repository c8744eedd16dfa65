//! Resources: lists, single ones, ETags, positions and presence.

use std::time::Duration;

use bytes::Bytes;
use query_svc::Config;
use reqwest::Method;
use schemas::agent::Heartbeat;
use schemas::device::{Applied, Device};
use schemas::event::{Event, SecretHash};
use schemas::id::{ApiTokenId, DeviceId, RuleId, SetupKeyId, ZoneId};
use schemas::kind::Kind;
use schemas::org::Org;
use schemas::resource::{AnyResource, ResourceId};
use schemas::subjects::{PARKED_BUCKET, PRESENCE_BUCKET, STATE_BUCKET, desired_key, presence_key};
use schemas::view::Desired;
use serde_json::{Value, json};

use crate::rig::{AT, Rig, refusal, ulid, user};

/// A rig with an org, two zones, two users and their tokens: one commit of seven events.
pub(crate) async fn founded() -> Rig {
    found(Rig::start().await).await
}

pub(crate) async fn found(mut rig: Rig) -> Rig {
    let org = json!({"id": rig.org, "revision": 1, "name": "Acme", "created_at": AT, "updated_at": AT});
    let org: Org = serde_json::from_value(org).unwrap();
    let mut events = vec![Event::OrgCreated { org }];
    events.extend([zone(1, "WAN"), zone(2, "LAN")]);
    for (number, role, name) in [(0, "viewer", "viewer's"), (4, "owner", "owner's")] {
        events.push(made(Kind::User, json!({"id": user(number), "revision": 3, "role": role})));
        let api_token = json!({
            "id": ApiTokenId::new(ulid(number)), "revision": 4, "name": name, "owner_id": user(number), "role": role,
            "prefix": "nk_"
        });
        let Event::Created { resource, .. } = made(Kind::ApiToken, api_token) else { panic!() };
        events.push(Event::Created { resource, secret_hash: Some(SecretHash::of("x")) });
    }
    rig.commit("system", events).await;
    rig
}

/// A resource that is made, from its JSON without times.
pub(crate) fn made(kind: Kind, mut json: Value) -> Event {
    let fields = json.as_object_mut().unwrap();
    fields.insert("created_at".to_owned(), AT.into());
    fields.insert("updated_at".to_owned(), AT.into());
    let resource = AnyResource::parse(kind, json.to_string().as_bytes()).unwrap();
    Event::Created { resource, secret_hash: None }
}

pub(crate) fn zone(number: u128, name: &str) -> Event {
    let id = ZoneId::new(ulid(number));
    made(Kind::Zone, json!({"id": id, "revision": number as u64 + 1, "name": name, "predefined": true}))
}

pub(crate) fn rule(rig: &Rig, number: u32, text: &str, action: &str) -> Event {
    let rule = json!({
        "id": RuleId::new(ulid(u128::from(number))), "revision": rig.state.revision + 1, "number": number, "name": text,
        "description": "", "metadata": {"team": "edge"}, "enabled": true, "order": number, "zone_from": "WAN",
        "zone_to": "LAN", "sources": ["any"], "destinations": ["10.0.0.0/8"], "protocol": "tcp", "ports": ["23"],
        "action": action, "log": false
    });
    made(Kind::Rule, rule)
}

pub(crate) fn device(number: u128) -> Device {
    serde_json::from_value(json!({
        "id": DeviceId::new(ulid(number)), "revision": 1, "name": format!("edge-{number}"), "description": "",
        "metadata": {}, "public_key": format!("U{number}"), "agent_version": "1", "setup_key_id": SetupKeyId::new(ulid(1)),
        "mode": "enforce", "interfaces": [{"name": "eth0", "zone": "WAN"}], "applied": null, "failure": null,
        "created_at": AT, "updated_at": AT
    }))
    .unwrap()
}

pub(crate) fn deleted(id: impl Into<ResourceId>) -> Event {
    Event::Deleted { id: id.into(), secret_hash: None, public_key: None }
}

#[tokio::test]
async fn lists_and_single_resources_are_shown() {
    let mut rig = founded().await;
    let zones = rig.get("viewer", "/zones").await;
    assert_eq!((&zones["meta"]["total"], &zones["data"][0]["name"]), (&json!(2), &json!("WAN")));
    assert_eq!(zones, {
        let mut alias = rig.get("viewer", "/firewall/zones").await;
        alias["meta"]["next_page_uri"] = zones["meta"]["next_page_uri"].clone();
        alias
    });
    let events = vec![rule(&rig, 1, "Block Telnet", "drop"), rule(&rig, 2, "Allow SSH", "accept")];
    let position = rig.commit("usr_1", events).await;
    let first = RuleId::new(ulid(1));
    let moved = vec![
        schemas::rule::MovedRule { rule_id: first, order: 2 },
        schemas::rule::MovedRule { rule_id: RuleId::new(ulid(2)), order: 1 },
    ];
    rig.commit("usr_2", vec![Event::RulesReordered { moved }]).await;
    let at_least = rig.request(Method::GET, "viewer", "/firewall/rules").header("netkeep-min-position", position + 1);
    let rules: Value = at_least.send().await.unwrap().json().await.unwrap();
    let names: Vec<&Value> = rules["data"].as_array().unwrap().iter().map(|rule| &rule["name"]).collect();
    assert_eq!(names, ["Allow SSH", "Block Telnet"]);
    assert_eq!(rig.get("viewer", "/firewall/rules?action=drop").await["meta"]["total"], 1);
    assert_eq!(rig.get("viewer", "/firewall/rules?sort=-name&per_page=1").await["data"][0]["name"], "Block Telnet");

    let one = rig.answer("viewer", &format!("/firewall/rules/{first}")).await;
    assert_eq!((one.status().as_u16(), one.headers()["etag"].to_str().unwrap()), (200, "\"10\""));
    assert_eq!(one.headers()["netkeep-position"], (position + 1).to_string().as_str());
    let known =
        rig.request(Method::GET, "viewer", &format!("/firewall/rules/{first}")).header("if-none-match", "\"10\"");
    assert_eq!(known.send().await.unwrap().status(), 304);
    let none = format!("/firewall/rules/{}", RuleId::new(ulid(99)));
    assert_eq!(rig.refused("viewer", &none).await, (404, "RESOURCE_NOT_FOUND".to_owned()));
    assert_eq!(rig.refused("viewer", "/firewall/rules/nonsense").await, (400, "PATH_INVALID".to_owned()));
    assert_eq!(rig.refused("viewer", "/firewall/rules?colour=red").await, (400, "QUERY_INVALID".to_owned()));
    rig.commit("usr_1", vec![deleted(first)]).await;
    rig.until("viewer", "/firewall/rules", |rules| rules["meta"]["total"] == 1).await;
}

#[tokio::test]
async fn roles_decide_what_is_shown() {
    let rig = founded().await;
    for (role, path) in
        [("viewer", "/setup-keys"), ("viewer", "/users"), ("viewer", "/events"), ("viewer", "/history/verify")]
    {
        assert_eq!(rig.refused(role, path).await, (403, "ROLE_FORBIDS".to_owned()), "{path}");
    }
    assert_eq!(rig.get("viewer", "/api-tokens").await["meta"]["total"], 1);
    assert_eq!(rig.get("viewer", "/tokens").await["data"][0]["name"], "viewer's");
    assert_eq!(rig.get("admin", "/tokens").await["meta"]["total"], 2);
    let other = format!("/api-tokens/{}", ApiTokenId::new(ulid(4)));
    assert_eq!(rig.refused("viewer", &other).await, (404, "RESOURCE_NOT_FOUND".to_owned()));
    assert_eq!(rig.get("owner", &other).await["name"], "owner's");
    let me = rig.get("viewer", "/me").await;
    assert_eq!((&me["role"], &me["org"], &me["user_id"]), (&json!("viewer"), &json!("acme"), &json!(user(0))));
    assert_eq!(rig.get("viewer", "/orgs/current").await["name"], "Acme");
    let health = rig.http.get(format!("{}/health", rig.base)).send().await.unwrap();
    assert_eq!(health.text().await.unwrap(), "ok");
}

#[tokio::test]
async fn devices_show_what_they_should_run_and_whether_they_are_there() {
    let mut rig = founded().await;
    let id = DeviceId::new(ulid(7));
    rig.commit("system", vec![Event::DeviceEnrolled { device: device(7).into() }]).await;
    let path = format!("/devices/{id}");
    let shown = rig.get("viewer", &path).await;
    assert_eq!((&shown["online"], &shown["desired"], &shown["last_seen"]), (&json!(false), &Value::Null, &Value::Null));

    let desired = serde_json::to_vec(&Desired { revision: 8, hash: "abc".to_owned() }).unwrap();
    let key = desired_key(&rig.org, id);
    rig.bus.bucket(STATE_BUCKET).put(&key, desired.into()).await.unwrap().await.unwrap();
    let heartbeat = Heartbeat { rows_sent: 5, ..Heartbeat::default() };
    let beat = Bytes::from(serde_json::to_vec(&heartbeat).unwrap());
    rig.bus.bucket(PRESENCE_BUCKET).put(&presence_key(&rig.org, id), beat).await.unwrap().await.unwrap();
    let shown = rig.until("viewer", &path, |shown| shown["online"] == true && shown["desired"]["hash"] == "abc").await;
    assert_eq!(shown["heartbeat"]["rows_sent"], 5);
    assert_eq!(rig.get("viewer", "/system/status").await["devices"], json!({"total": 1, "online": 1, "in_sync": 0}));

    let applied = Applied { revision: 8, hash: "abc".to_owned(), at: AT.parse().unwrap() };
    rig.commit("system", vec![Event::DeviceConfigApplied { id, applied }]).await;
    let status = rig.until("viewer", "/system/status", |status| status["devices"]["in_sync"] == 1).await;
    assert_eq!(
        (&status["status"], &status["revision"], &status["nats"]["connected"]),
        (&json!("ok"), &json!(9), &json!(true))
    );
}

#[tokio::test]
async fn a_read_waits_for_the_position_it_asks_for_and_not_for_ever() {
    let mut rig = founded().await;
    rig.get("viewer", "/zones").await;
    let at = async |position: u64| {
        let request = rig.request(Method::GET, "viewer", "/zones").header("netkeep-min-position", position);
        request.send().await.unwrap()
    };
    assert_eq!(refusal(at(1_000).await).await, (409, "POSITION_TIMEOUT".to_owned()));
    let events = vec![zone(3, "DMZ")];
    let position = rig.append("usr_1", &events).await;
    let url = format!("{}/zones", rig.base);
    let waiting = rig.http.get(url).bearer_auth("nk_viewer").header("netkeep-min-position", position).send();
    let waiting = tokio::spawn(waiting);
    assert_eq!(rig.get("viewer", "/zones").await["meta"]["total"], 2, "not yet visible");
    rig.project(position, &events).await;
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(answer.headers()["netkeep-position"], position.to_string().as_str());
    assert_eq!(answer.json::<Value>().await.unwrap()["meta"]["total"], 3);
}

#[tokio::test]
async fn an_org_that_was_never_founded_is_missing() {
    let rig = Rig::start().await;
    assert_eq!(rig.refused("viewer", "/zones").await, (404, "ORG_MISSING".to_owned()));
    let rig = found(rig).await;
    assert_eq!(rig.get("viewer", "/zones").await["meta"]["total"], 2);
}

#[tokio::test]
async fn an_org_that_was_let_go_is_loaded_again() {
    let rig = found(Rig::with(Config { org_idle_s: 0, ..Config::default() }).await).await;
    for _ in 0..20 {
        assert_eq!(rig.get("viewer", "/zones").await["meta"]["total"], 2);
        tokio::time::timeout(Duration::from_millis(5), std::future::pending::<()>()).await.unwrap_err();
    }
}

#[tokio::test]
async fn the_document_names_every_route_once() {
    let rig = Rig::start().await;
    let url = rig.base.replace("/api/v1", "/openapi.json");
    let document: Value = rig.http.get(url).send().await.unwrap().json().await.unwrap();
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/zones",
        "/firewall/zones/{id}",
        "/firewall/rules/{id}/history",
        "/setup-keys/{id}",
        "/devices",
        "/tokens/{id}",
        "/users",
        "/me",
        "/orgs",
        "/orgs/current",
        "/orgs/{id}",
        "/usage",
        "/address-lists/{id}/entries",
        "/events",
        "/history/verify",
        "/sql",
        "/traffic/logs",
        "/system/status",
        "/health",
    ] {
        assert!(paths.contains_key(&format!("/api/v1{path}")), "{path}");
    }
    for kind in Kind::ALL.iter().filter(|kind| !matches!(kind, Kind::Org | Kind::Event | Kind::Flow)) {
        for rest in ["", "/{id}", "/{id}/history", "/{id}/used-by"] {
            let operation = &paths[&format!("/api/v1{}{rest}", kind.path())]["get"];
            assert!(operation["summary"].is_string(), "{kind}{rest}");
        }
    }
    let mut references = Vec::new();
    refer(&document, &mut references);
    for reference in references {
        let schema = document.pointer(reference.strip_prefix('#').unwrap());
        assert!(schema.is_some(), "{reference} leads nowhere");
    }
    let operations = paths.values().flat_map(|path| path.as_object().unwrap().values());
    let mut ids: Vec<&str> = operations.filter_map(|operation| operation["operationId"].as_str()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

fn refer<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|field| refer(field, references));
        }
        Value::Array(entries) => entries.iter().for_each(|entry| refer(entry, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn a_commit_that_is_parked_is_said_until_reads_are_beyond_it() {
    let mut rig = founded().await;
    let status = rig.get("viewer", "/system/status").await;
    assert_eq!((&status["status"], &status["parked"]), (&json!("ok"), &Value::Null));
    let events = vec![zone(3, "DMZ")];
    let position = rig.append("usr_1", &events).await;
    let parked = json!({"org": "acme", "position": position, "error": "revision 9 is not 8", "at": AT});
    let key = format!("events.acme.{position}");
    let bucket = rig.bus.bucket(PARKED_BUCKET);
    bucket.put(&key, Bytes::from(parked.to_string())).await.unwrap().await.unwrap();
    let status = rig.until("viewer", "/system/status", |status| status["status"] == "degraded").await;
    assert_eq!(status["parked"], json!({"position": position, "error": "revision 9 is not 8"}));
    rig.project(position, &events).await;
    let status = rig.until("viewer", "/system/status", |status| status["position"] == position).await;
    assert_eq!((&status["status"], &status["parked"]), (&json!("ok"), &Value::Null));
}
