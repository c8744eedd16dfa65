//! The walkthrough of NGFW.sh: every call that its API overview shows works here.

use serde_json::{Value, json};

use crate::rig::{Answer, Rig, send};

/// The error of an answer has the shape that the overview shows, with this status and code.
fn assert_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.json);
    let error = answer.json["error"].as_object().unwrap();
    assert_eq!(error["code"], code, "{error:?}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error:?}");
    assert!(error.contains_key("field") && error.contains_key("details"), "{error:?}");
}

#[tokio::test]
async fn ngfw() {
    let rig = Rig::start().await;
    let status = rig.get("/api/system/status").await;
    assert_eq!((status.status.as_u16(), &status.json["status"]), (200, &json!("ok")));

    let none = rig.get("/api/firewall/rules").await;
    assert_eq!((none.status.as_u16(), &none.json["data"]), (200, &json!([])));
    let telnet = json!({
        "name": "Block Telnet",
        "zone_from": "WAN",
        "zone_to": "LAN",
        "protocol": "tcp",
        "port": "23",
        "action": "drop"
    });
    let created = rig.post("/api/firewall/rules", telnet.clone()).await;
    assert_eq!(created.status, 201, "{}", created.json);
    for (field, value) in telnet.as_object().unwrap().iter().filter(|(field, _)| *field != "port") {
        assert_eq!(&created.json[field], value);
    }
    assert_eq!(created.json["ports"], json!(["23"]));
    let listed = rig.get_after("/api/firewall/rules", &created).await;
    assert_eq!(listed.json["data"], json!([created.json]));

    let logs = rig.get("/api/traffic/logs").await;
    assert_eq!((logs.status.as_u16(), &logs.json["data"]), (200, &json!([])));

    // The specification needs no token, as there.
    let document = send(rig.http.get(rig.url("/openapi.json"))).await;
    assert_eq!(document.status, 200);
    assert!(document.json["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document.json["openapi"]);
    assert!(document.json["paths"].as_object().unwrap().len() > 50);
}

#[tokio::test]
async fn ngfw_errors_have_its_shape_and_its_codes() {
    let rig = Rig::start_with(&["--limit", "unmetered.per_minute=30"]).await;
    let call = async |token: &str| send(rig.http.get(rig.url("/api/system/status")).bearer_auth(token)).await;
    assert_error(&call("nk_wrong").await, 401, "UNAUTHORIZED");
    let bare = send(rig.http.get(rig.url("/api/system/status"))).await;
    assert_error(&bare, 401, "UNAUTHORIZED");

    let viewer = rig.post("/api/api-tokens", json!({"name": "viewer", "role": "viewer"})).await;
    let viewer = viewer.json["token"].as_str().unwrap();
    let rule = json!({"name": "a", "zone_from": "WAN", "zone_to": "LAN", "action": "drop"});
    let post = rig.http.post(rig.url("/api/firewall/rules")).bearer_auth(viewer).json(&rule);
    assert_error(&send(post).await, 403, "FORBIDDEN");

    assert_error(&rig.get("/api/firewall/rules/rule_01jcz3k9mv5x8q2w4e6r7t9y0a").await, 404, "NOT_FOUND");
    assert_error(&rig.get("/api/no/such/thing").await, 404, "NOT_FOUND");
    let bad = rig
        .post(
            "/api/firewall/rules",
            json!({"name": "a", "zone_from": "WAN", "zone_to": "LAN", "action": "drop", "sources": ["10.0.0.0/33"]}),
        )
        .await;
    assert_error(&bad, 400, "INVALID_CONFIG");
    assert_eq!(bad.json["error"]["field"], "sources", "{}", bad.json);

    let mut last = rig.get("/api/system/status").await;
    for _ in 0..40 {
        last = rig.get("/api/system/status").await;
    }
    assert_error(&last, 429, "RATE_LIMIT");
    assert!(last.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    assert_eq!(last.json["error"]["details"]["limit"], Value::from(30));
}
