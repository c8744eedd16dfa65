//! The walkthrough of hextrap: its two calls, with its envelope, headers and errors.

use serde_json::json;

use crate::rig::{Answer, Rig, send};

/// Every answer says where the caller stands.
fn assert_limits(answer: &Answer) {
    let number = |name: &str| answer.header(name).parse::<u64>().unwrap_or_else(|_| panic!("{name}: {answer:?}"));
    assert!(number("x-ratelimit-remaining") < number("x-ratelimit-limit"));
    assert!(number("x-ratelimit-reset") > 1_600_000_000);
}

#[tokio::test]
async fn hextrap() {
    let rig = Rig::start().await;
    let none =
        send(rig.request(reqwest::Method::GET, "/v1/firewalls").header("Content-Type", "application/json")).await;
    assert_eq!((none.status.as_u16(), &none.json["data"], &none.json["meta"]["total"]), (200, &json!([]), &json!(0)));
    assert_limits(&none);

    let staging = json!({
        "name": "Staging Environment",
        "description": "Firewall for staging builds",
        "allowlist_enabled": false,
        "denylist_enabled": true
    });
    let created = rig.post("/v1/firewalls", staging.clone()).await;
    assert_eq!(created.status, 201, "{}", created.json);
    assert_limits(&created);
    assert_eq!(created.json.as_object().unwrap().keys().collect::<Vec<_>>(), ["data"]);
    let firewall = &created.json["data"];
    let id = firewall["id"].as_str().unwrap();
    assert!(id.starts_with("fw_"), "{id}");
    for (field, value) in staging.as_object().unwrap() {
        assert_eq!(&firewall[field], value);
    }
    assert_eq!(firewall["status"], "active");
    for time in ["created_at", "updated_at"] {
        assert!(firewall[time].as_str().unwrap().ends_with('Z'), "{firewall}");
    }
    assert!(created.header("location").ends_with(id) && !created.header("etag").is_empty());

    let paused = rig.post("/v1/firewalls", json!({"name": "Old", "status": "paused"})).await;
    assert_eq!(
        (&paused.json["data"]["allowlist_enabled"], &paused.json["data"]["denylist_enabled"]),
        (&json!(false), &json!(true))
    );
    let page = rig.get_after("/v1/firewalls?status=paused&page=1&per_page=20", &paused).await;
    assert_eq!(page.json["data"][0]["name"], "Old", "{}", page.json);
    let meta = &page.json["meta"];
    assert_eq!((&meta["total"], &meta["page"], &meta["per_page"]), (&json!(1), &json!(1), &json!(20)));
    let one = rig.get(&format!("/v1/firewalls/{id}")).await;
    assert_eq!(one.json["data"]["name"], "Staging Environment", "{}", one.json);
    let changed = rig.patch(&format!("/v1/firewalls/{id}"), json!({"status": "paused"})).await;
    assert_eq!(changed.json["data"]["status"], "paused", "{}", changed.json);
    assert_eq!(rig.delete(&format!("/v1/firewalls/{id}")).await.status, 204);
}

#[tokio::test]
async fn hextrap_errors_name_the_field() {
    let rig = Rig::start().await;
    let nameless = rig.post("/v1/firewalls", json!({"description": "who am I"})).await;
    assert_eq!(nameless.status, 400);
    assert_eq!(nameless.json["error"]["field"], "name", "{}", nameless.json);
    assert!(nameless.json["error"]["message"].as_str().unwrap().contains("name"));
    assert_limits(&nameless);
    let long = rig.post("/v1/firewalls", json!({"name": "x".repeat(101)})).await;
    assert_eq!((long.status.as_u16(), &long.json["error"]["field"]), (400, &json!("name")));
    let status = rig.get("/v1/firewalls?status=asleep").await;
    assert_eq!((status.status.as_u16(), &status.json["meta"]["total"]), (200, &json!(0)), "{}", status.json);
    let many = rig.get("/v1/firewalls?per_page=101").await;
    assert_eq!((many.status.as_u16(), &many.json["error"]["field"]), (400, &json!("per_page")));
    let unknown = rig.get("/v1/firewalls/fw_01jcz3k9mv5x8q2w4e6r7t9y0a").await;
    assert_eq!((unknown.status.as_u16(), &unknown.json["error"]["code"]), (404, &json!("NOT_FOUND")));
}
