//! A rule's life over HTTP: created with the seed's call, read, changed, moved, deleted, and told of afterwards.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Rig, send};

fn telnet() -> Value {
    json!({"name": "Block Telnet", "zone_from": "WAN", "zone_to": "LAN", "protocol": "tcp", "port": "23", "action": "drop"})
}

#[tokio::test]
async fn the_seed_calls_work_as_they_stand() {
    let rig = Rig::start().await;
    let status = rig.get("/api/system/status").await;
    assert_eq!((status.status.as_u16(), &status.json["status"]), (200, &json!("ok")), "{}", status.json);

    let created = rig.post("/api/firewall/rules", telnet()).await;
    assert_eq!(created.status, 201, "{}", created.json);
    assert_eq!(created.json["ports"], json!(["23"]));
    assert_eq!(created.json["sources"], json!(["any"]));
    assert_eq!(created.header("location"), format!("/api/v1/firewall/rules/{}", created.id()));
    assert_eq!(created.header("etag"), format!("\"{}\"", created.json["revision"]));
    assert!(created.header("netkeep-operation-id").starts_with("op_"));

    let list = rig.get_after("/api/firewall/rules", &created).await;
    assert_eq!(list.json["data"], json!([created.json]));
    assert_eq!(list.json["meta"]["total"], 1);
    for base in ["/api/v1", "/api", "/v1"] {
        let one = rig.get(&format!("{base}/firewall/rules/{}", created.id())).await;
        assert_eq!((one.status.as_u16(), &one.json), (200, &created.json), "{base}");
    }
}

#[tokio::test]
async fn a_rule_is_changed_moved_deleted_and_remembered() {
    let rig = Rig::start().await;
    let a = rig.post("/api/v1/firewall/rules", telnet()).await;
    let b = rig
        .post("/api/v1/firewall/rules", json!({"name": "b", "zone_from": "LAN", "zone_to": "WAN", "action": "accept"}))
        .await;
    let path = format!("/api/v1/firewall/rules/{}", a.id());

    let changed = rig.patch(&path, json!({"ports": [23, 2323], "enabled": false})).await;
    assert_eq!((changed.status.as_u16(), &changed.json["ports"]), (200, &json!(["23", "2323"])), "{}", changed.json);
    let same = rig.patch(&path, json!({"enabled": false})).await;
    assert_eq!((same.status.as_u16(), same.header("etag")), (200, changed.header("etag")), "nothing changed");
    let replaced = rig.put(&path, telnet()).await;
    assert_eq!((&replaced.json["enabled"], &replaced.json["number"]), (&json!(true), &json!(1)));

    let half = rig.put("/api/v1/firewall/rules/order", json!({"rule_ids": [b.id()]})).await;
    assert_eq!((half.status.as_u16(), half.reason()), (400, "ORDER_INCOMPLETE"));
    assert_eq!(half.json["error"]["details"]["missing"], json!([a.id()]));
    let moved = rig.put("/api/v1/firewall/rules/order", json!({"rule_ids": [b.id(), a.id()]})).await;
    assert_eq!(moved.status, 200, "{}", moved.json);
    let list = rig.get_after("/api/v1/firewall/rules", &moved).await;
    let names: Vec<&Value> = list.json["data"].as_array().unwrap().iter().map(|rule| &rule["name"]).collect();
    assert_eq!(names, ["b", "Block Telnet"]);

    let deleted = rig.delete(&path).await;
    assert_eq!(deleted.status, 204);
    let gone = rig.get_after(&path, &deleted).await;
    assert_eq!((gone.status.as_u16(), gone.reason()), (404, "RESOURCE_NOT_FOUND"));

    let history = rig.get_after(&format!("{path}/history"), &deleted).await;
    assert_eq!(history.status, 200, "{}", history.json);
    let names: Vec<&str> =
        history.json["data"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["rule.deleted", "rule.reordered", "rule.updated", "rule.updated", "rule.created"]);
    assert_eq!(history.json["data"][1]["changes"][0], json!({"field": "order", "before": 1, "after": 2}));

    let events = rig.get("/api/v1/events?per_page=1").await;
    assert_eq!(events.json["data"][0]["type"], "netkeep.rule.deleted.v1");
    assert_eq!(events.json["meta"]["total"], events.json["data"][0]["revision"], "one event a revision");
    let verified = rig.get("/api/v1/history/verify").await;
    assert_eq!(verified.json["ok"], true, "{}", verified.json);
}

#[tokio::test]
async fn a_dry_run_tells_and_changes_nothing() {
    let rig = Rig::start().await;
    let before = rig.get("/api/v1/events?per_page=1").await;
    let trial = rig.post("/api/v1/firewall/rules?dry_run=true", telnet()).await;
    assert_eq!((trial.status.as_u16(), &trial.json["dry_run"]), (200, &json!(true)), "{}", trial.json);
    assert_eq!(trial.json["events"], json!(["rule.created"]));
    let refused = rig
        .post(
            "/api/v1/firewall/rules?dry_run=true",
            json!({"name": "x", "zone_from": "X", "zone_to": "LAN", "action": "drop"}),
        )
        .await;
    assert_eq!((refused.status.as_u16(), refused.reason()), (400, "ZONE_UNKNOWN"));
    let after = rig.get("/api/v1/events?per_page=1").await;
    assert_eq!(before.json["meta"]["total"], after.json["meta"]["total"]);
}

#[tokio::test]
async fn bad_input_names_its_place() {
    let rig = Rig::start().await;
    let refused = async |body: &str, status: u16, reason: &str, field: &str| {
        let request = rig.request(Method::POST, "/api/v1/firewall/rules").header("content-type", "application/json");
        let answer = send(request.body(body.to_owned())).await;
        let error = &answer.json["error"];
        assert_eq!((answer.status.as_u16(), answer.reason()), (status, reason), "{body}: {error}");
        assert_eq!(error["field"].as_str().unwrap_or_default(), field, "{body}: {error}");
        assert_eq!(error["operation_id"], answer.header("netkeep-operation-id"));
    };
    refused("{", 400, "BODY_INVALID", "").await;
    refused(r#"{"name":"a","zone_from":"WAN","zone_to":"LAN","action":"burn"}"#, 400, "BODY_INVALID", "action").await;
    refused(
        r#"{"name":"a","zone_from":"WAN","zone_to":"LAN","action":"drop","protocol":"tcp","ports":[0]}"#,
        400,
        "BODY_INVALID",
        "ports",
    )
    .await;
    refused(
        r#"{"name":"a","zone_from":"WAN","zone_to":"LAN","action":"drop","sources":[]}"#,
        400,
        "LIST_EMPTY",
        "sources",
    )
    .await;
    refused(
        r#"{"name":"a","zone_from":"WAN","zone_to":"LAN","action":"drop","colour":1}"#,
        400,
        "BODY_INVALID",
        "colour",
    )
    .await;
    let unknown = rig.get("/api/v1/nothing").await;
    assert_eq!((unknown.status.as_u16(), unknown.reason()), (404, "ROUTE_UNKNOWN"));
    let method = send(rig.request(Method::PATCH, "/api/v1/firewall/rules")).await;
    assert_eq!((method.status.as_u16(), method.reason()), (405, "METHOD_NOT_ALLOWED"));
    assert!(
        method.header("allow").contains("POST") && method.header("allow").contains("GET"),
        "{}",
        method.header("allow")
    );
    let id = rig.get("/api/v1/firewall/rules/zone_01").await;
    assert_eq!((id.status.as_u16(), id.reason()), (400, "PATH_INVALID"));
}

#[tokio::test]
async fn the_document_lists_every_route_and_the_page_shows_it() {
    let rig = Rig::start().await;
    let document = rig.get("/openapi.json").await;
    assert_eq!(document.json["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
    let paths = document.json["paths"].as_object().unwrap();
    for (path, methods) in [
        ("/api/v1/firewall/rules", "get post"),
        ("/api/v1/firewall/rules/{id}", "delete get patch put"),
        ("/api/v1/firewall/rules/order", "put"),
        ("/api/v1/firewall/rules/{id}/history", "get"),
        ("/api/v1/zones", "get post"),
        ("/api/v1/setup-keys/{id}", "delete get patch put"),
        ("/api/v1/devices/{id}", "delete get patch put"),
        ("/api/v1/devices/enroll", "post"),
        ("/api/v1/api-tokens", "get post"),
        ("/api/v1/events", "get"),
        ("/api/v1/sql", "post"),
        ("/api/v1/traffic/logs", "get"),
        ("/api/v1/system/status", "get"),
    ] {
        let mut listed: Vec<&str> = paths[path].as_object().unwrap().keys().map(String::as_str).collect();
        listed.retain(|key| ["get", "post", "put", "patch", "delete"].contains(key));
        listed.sort_unstable();
        assert_eq!(listed.join(" "), methods, "{path}");
    }
    let operations: Vec<&Value> = paths.values().flat_map(|path| path.as_object().unwrap().values()).collect();
    let ids: std::collections::BTreeSet<&str> =
        operations.iter().map(|it| it["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations.len(), "no two operations share an id");
    for operation in operations {
        let described = |answer: &Value| {
            let named = answer["$ref"].as_str().map(|path| path.trim_start_matches('#'));
            let answer = named.map_or(Some(answer), |path| document.json.pointer(path));
            answer.is_some_and(|answer| answer["description"].as_str().is_some_and(|text| !text.is_empty()))
        };
        assert!(operation["responses"].as_object().unwrap().values().all(described), "{operation}");
    }
    let page = send(rig.http.get(rig.url("/api-docs/"))).await;
    assert_eq!(page.status, 200);
    assert!(page.json.as_str().is_some_and(|html| html.contains("swagger")), "{}", page.json);
}
