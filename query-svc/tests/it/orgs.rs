//! Orgs, and what they have of what their plan gives.

use reqwest::Method;
use serde_json::{Value, json};

use crate::reads::{founded, rule};
use crate::table::{HOUR_US, Row};

#[tokio::test]
async fn a_caller_sees_its_own_org_and_no_other() {
    let rig = founded().await;
    let list = rig.get("viewer", "/orgs").await;
    assert_eq!((&list["meta"]["total"], &list["data"][0]["id"]), (&json!(1), &json!("acme")));
    assert_eq!(rig.get("viewer", "/orgs/acme").await, rig.get("viewer", "/orgs/current").await);
    let known = rig.request(Method::GET, "viewer", "/orgs/acme").header("if-none-match", "\"1\"");
    assert_eq!(known.send().await.unwrap().status(), 304);
    assert_eq!(rig.refused("owner", "/orgs/other").await, (404, "RESOURCE_NOT_FOUND".to_owned()));
    assert_eq!(rig.refused("owner", "/orgs/NOT.AN.ORG").await, (400, "PATH_INVALID".to_owned()));
    assert_eq!(rig.get("viewer", "/me").await["scopes"], Value::Null);
}

#[tokio::test]
async fn usage_counts_every_kind_beside_its_limit() {
    let mut rig = founded().await;
    let rules = (1..=3).map(|number| rule(&rig, number, &format!("Rule {number}"), "drop")).collect();
    rig.commit("usr_1", rules).await;
    let file = rig.add_flows("a", &[Row::at(HOUR_US), Row::at(HOUR_US + 1)]).await;
    let usage = rig.until("viewer", "/usage", |usage| usage["flows"]["files"] == 1 && usage["events"] == 10).await;
    assert_eq!(usage["flows"], json!({"files": 1, "rows": 2, "bytes": file.bytes}));
    assert_eq!((&usage["plan"], &usage["requests"]["plan"]), (&json!("unmetered"), &json!("unmetered")));
    let of = |kind: &str| usage["resources"].as_array().unwrap().iter().find(|one| one["kind"] == kind).unwrap();
    assert_eq!(of("rule"), &json!({"kind": "rule", "count": 3, "limit": 100_000}));
    assert_eq!(of("zone")["count"], 2);
    assert_eq!(usage["resources"].as_array().unwrap().len(), 19);
}
