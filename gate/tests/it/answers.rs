//! Writes, conditional reads, positions and lists, as they look on the wire.

use schemas::access::Role;
use serde_json::{Value, json};

use crate::rig::{RULE, Rig};

fn rule() -> Value {
    json!({"name": "a", "zone_from": "WAN", "zone_to": "LAN", "action": "drop"})
}

#[tokio::test]
async fn a_write_carries_its_options() {
    let rig = Rig::start().await;
    let token = rig.token(Role::Operator, None);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = rig.request("POST", "/api/v1/things?dry_run=true").bearer_auth(&token).json(&rule());
    let request = request.header("Idempotency-Key", "k-1").header("If-Match", "\"12\"").header("traceparent", trace);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers().get("netkeep-position").unwrap(), "7");
    let operation = response.headers().get("netkeep-operation-id").unwrap().to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    let options = &body["options"];
    assert_eq!(options["idempotency_key"], "k-1");
    assert_eq!(options["if_match"], 12);
    assert_eq!(options["dry_run"], true);
    assert_eq!(options["traceparent"], trace);
    assert_eq!(options["operation"], operation);
}

#[tokio::test]
async fn the_same_request_has_the_same_hash_under_every_base() {
    let rig = Rig::start().await;
    let token = rig.token(Role::Operator, None);
    let hash = async |path: &str, body: &Value| {
        let response = rig.request("POST", path).bearer_auth(&token).json(body).send().await.unwrap();
        response.json::<Value>().await.unwrap()["options"]["request_hash"].clone()
    };
    let first = hash("/api/v1/things", &rule()).await;
    assert_eq!(first, hash("/api/things", &rule()).await);
    assert_eq!(first, hash("/v1/things", &rule()).await);
    let mut other = rule();
    other["name"] = json!("b");
    assert_ne!(first, hash("/api/v1/things", &other).await);
}

#[tokio::test]
async fn who_has_the_revision_does_not_get_it_again() {
    let rig = Rig::start().await;
    let path = format!("/api/v1/things/{RULE}");
    let response = rig.get(&path).header("Netkeep-Min-Position", "44").send().await.unwrap();
    assert_eq!(response.headers().get("etag").unwrap(), "\"12\"");
    assert_eq!(response.headers().get("netkeep-position").unwrap(), "44");
    assert_eq!(response.json::<Value>().await.unwrap(), json!({"id": RULE, "min": 44}));
    for (tag, status) in [("\"12\"", 304), ("W/\"12\"", 304), ("\"3\", \"12\"", 304), ("*", 304), ("\"11\"", 200)] {
        let response = rig.get(&path).header("If-None-Match", tag).send().await.unwrap();
        assert_eq!(response.status(), status, "{tag}");
        assert_eq!(response.headers().get("etag").unwrap(), "\"12\"");
        assert_eq!(response.text().await.unwrap().is_empty(), status == 304);
    }
}

#[tokio::test]
async fn a_list_leads_from_page_to_page() {
    let rig = Rig::start().await;
    let (mut path, mut seen) = ("/api/things?even=true&page_size=3".to_owned(), Vec::new());
    loop {
        let page: Value = rig.get(&path).send().await.unwrap().json().await.unwrap();
        assert_eq!(page["meta"]["total"], 4);
        assert_eq!(page["meta"]["total_pages"], 2);
        seen.extend(page["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["meta"]["next_page_uri"].as_str() else { break };
        assert!(next.starts_with("/api/things?"), "{next}");
        path = next.to_owned();
    }
    assert_eq!(seen, ["t_0", "t_2", "t_4", "t_6"]);
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let rig = Rig::start().await;
    let response = rig.request("HEAD", &format!("/api/v1/things/{RULE}")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers().get("etag").unwrap(), "\"12\"");
    assert!(response.text().await.unwrap().is_empty());
    let response = rig.request("HEAD", "/api/v1/nothing").send().await.unwrap();
    assert_eq!(response.status(), 404);
    assert!(response.text().await.unwrap().is_empty());
}

#[tokio::test]
async fn every_answer_names_an_operation_of_its_own() {
    let rig = Rig::start().await;
    let operation = async || {
        let request = rig.get("/api/v1/roles").header("Netkeep-Operation-Id", "op_mine");
        let response = request.send().await.unwrap();
        response.headers().get("netkeep-operation-id").unwrap().to_str().unwrap().to_owned()
    };
    let (one, other) = (operation().await, operation().await);
    assert!(one != other && one.starts_with("op_0") && other.starts_with("op_0"));
}
