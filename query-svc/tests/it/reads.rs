//! Resources: lists, single ones, ETags, positions and presence.

use std::time::Duration;

use bytes::Bytes;
use query_svc::Config;
use reqwest::Method;
use schemas::agent::Heartbeat;
use schemas::api_token::ApiToken;
use schemas::device::{Applied, Device};
use schemas::event::{Event, SecretHash};
use schemas::id::{ApiTokenId, DeviceId, RuleId, SetupKeyId, ZoneId};
use schemas::org::Org;
use schemas::rule::Rule;
use schemas::subjects::{PARKED_BUCKET, PRESENCE_BUCKET, STATE_BUCKET, desired_key, presence_key};
use schemas::user::User;
use schemas::view::Desired;
use schemas::zone::Zone;
use serde_json::{Value, json};

use crate::rig::{AT, Rig, refusal, ulid, user};

/// A rig with an org, two zones, two users and their tokens: one commit of seven events.
pub(crate) async fn founded() -> Rig {
    found(Rig::start().await).await
}

pub(crate) async fn found(mut rig: Rig) -> Rig {
    let at = AT.parse().unwrap();
    let org = Org { id: rig.org.clone(), revision: 1, name: name("Acme"), created_at: at, updated_at: at };
    let mut events = vec![Event::OrgCreated { org }];
    for (number, zone) in [(1, "WAN"), (2, "LAN")] {
        events.push(Event::ZoneCreated { zone: zone_of(number, zone) });
    }
    for (number, role) in [(0, schemas::access::Role::Viewer), (4, schemas::access::Role::Owner)] {
        let id = user(number);
        events.push(Event::UserCreated { user: User { id, revision: 3, role, created_at: at, updated_at: at } });
        let api_token = ApiToken {
            id: ApiTokenId::new(ulid(number)),
            revision: 4,
            name: name(if number == 0 { "viewer's" } else { "owner's" }),
            description: Default::default(),
            owner_id: id,
            role,
            prefix: "nk_".to_owned(),
            expires_at: None,
            created_at: at,
            updated_at: at,
        };
        events.push(Event::ApiTokenCreated { api_token, secret_hash: SecretHash::of("x") });
    }
    rig.commit("system", events).await;
    rig
}

fn name(text: &str) -> schemas::text::Name {
    schemas::text::Name::new(text).unwrap()
}

fn zone_of(number: u128, zone: &str) -> Zone {
    let at = AT.parse().unwrap();
    Zone {
        id: ZoneId::new(ulid(number)),
        revision: number as u64 + 1,
        name: zone.parse().unwrap(),
        description: Default::default(),
        metadata: Default::default(),
        predefined: true,
        created_at: at,
        updated_at: at,
    }
}

pub(crate) fn rule(rig: &Rig, number: u32, text: &str, action: &str) -> Event {
    let rule: Rule = serde_json::from_value(json!({
        "id": RuleId::new(ulid(u128::from(number))), "revision": rig.state.revision + 1, "number": number, "name": text,
        "description": "", "metadata": {"team": "edge"}, "enabled": true, "order": number, "zone_from": "WAN",
        "zone_to": "LAN", "sources": ["any"], "destinations": ["10.0.0.0/8"], "protocol": "tcp", "ports": ["23"],
        "action": action, "log": false, "created_at": AT, "updated_at": AT
    }))
    .unwrap();
    Event::RuleCreated { rule }
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
    rig.commit("usr_1", vec![Event::RuleDeleted { id: first }]).await;
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
    rig.commit("system", vec![Event::DeviceEnrolled { device: device(7) }]).await;
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
    let events = vec![Event::ZoneCreated { zone: zone_of(3, "DMZ") }];
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
        "/orgs/current",
        "/events",
        "/history/verify",
        "/sql",
        "/traffic/logs",
        "/system/status",
        "/health",
    ] {
        assert!(paths.contains_key(&format!("/api/v1{path}")), "{path}");
    }
    let operations = paths.values().flat_map(|path| path.as_object().unwrap().values());
    let mut ids: Vec<&str> = operations.filter_map(|operation| operation["operationId"].as_str()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[tokio::test]
async fn a_commit_that_is_parked_is_said_until_reads_are_beyond_it() {
    let mut rig = founded().await;
    let status = rig.get("viewer", "/system/status").await;
    assert_eq!((&status["status"], &status["parked"]), (&json!("ok"), &Value::Null));
    let events = vec![Event::ZoneCreated { zone: zone_of(3, "DMZ") }];
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
