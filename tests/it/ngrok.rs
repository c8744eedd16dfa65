//! The walkthrough of ngrok: its conventions for versions, pages, times and errors.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Answer, Rig, send};

async fn get(rig: &Rig, url: &str) -> Answer {
    let request = rig.http.get(url).header("authorization", format!("Bearer {}", rig.token));
    send(request.header("ngrok-version", "2")).await
}

/// Follows `next_page_uri` to the end. Gives the ids in the order in which they came.
async fn leaf(rig: &Rig, path: &str) -> Vec<String> {
    let (mut ids, mut next) = (Vec::new(), Some(rig.url(path)));
    while let Some(url) = next {
        let page = get(rig, &url).await;
        assert_eq!(page.status, 200, "{url}: {}", page.json);
        ids.extend(page.json["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let uri = page.json.as_object().unwrap().get("next_page_uri").expect("it is there, if only as null");
        assert!(uri.is_null() || uri.as_str().unwrap().starts_with("http://"), "{uri}");
        next = uri.as_str().map(str::to_owned);
        assert!(ids.len() < 1_000, "there is an end");
    }
    ids
}

#[tokio::test]
async fn ngrok() {
    let rig = Rig::start().await;
    let mut created = Vec::new();
    for number in 0..7 {
        let zone = rig.post("/zones", json!({"name": format!("Z{number}")})).await;
        assert_eq!(zone.status, 404, "the API has a base");
        let body = json!({"name": format!("host {number}"), "entries": ["192.0.2.1"]});
        let request = rig.request(Method::POST, "/api/v1/addresses").header("ngrok-version", "2");
        let address = send(request.json(&body)).await;
        assert_eq!(address.status, 201, "{}", address.json);
        created.push(address);
    }
    rig.get_after("/api/v1/addresses", created.last().unwrap()).await;
    let newest: Vec<String> = created.iter().rev().map(|address| address.id().to_owned()).collect();
    assert_eq!(leaf(&rig, "/api/v1/addresses?limit=3").await, newest);
    assert_eq!(leaf(&rig, "/api/v1/addresses?limit=100").await, newest);
    let before = format!("/api/v1/addresses?before_id={}", newest[2]);
    assert_eq!(leaf(&rig, &before).await, newest[3..]);
    let two = get(&rig, &rig.url("/api/v1/addresses?limit=2")).await;
    assert_eq!(two.json["data"].as_array().unwrap().len(), 2);
    let events = leaf(&rig, "/api/v1/events?limit=4").await;
    assert!(events.len() > 7);
    assert_eq!(events, leaf(&rig, "/api/v1/events?limit=100").await);

    for time in ["created_at", "updated_at"] {
        let text = two.json["data"][0][time].as_str().unwrap();
        assert!(text.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(text).is_ok(), "{text}");
    }
    assert_eq!(two.header("content-type"), "application/json");
}

#[tokio::test]
async fn ngrok_errors_are_told_apart_by_a_reason_and_found_by_an_operation_id() {
    let rig = Rig::start().await;
    let many = get(&rig, &rig.url("/api/v1/addresses?limit=101")).await;
    let lost = get(&rig, &rig.url("/api/v1/addresses?before_id=what")).await;
    let form = send(rig.request(Method::POST, "/api/v1/addresses").form(&[("name", "x")])).await;
    let statuses = [&many, &lost, &form].map(|answer| answer.status.as_u16());
    assert_eq!(statuses, [400, 400, 415]);
    let known = send(rig.http.get(rig.url("/errors"))).await;
    for answer in [many, lost, form] {
        let operation = answer.json["error"]["operation_id"].as_str().unwrap();
        assert!(operation.starts_with("op_") && operation == answer.header("netkeep-operation-id"));
        let is_known = |entry: &Value| entry["reason"] == answer.json["error"]["reason"];
        assert!(known.json["data"].as_array().unwrap().iter().any(is_known), "{}", answer.json);
    }
}
