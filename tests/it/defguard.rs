//! The walkthrough of Defguard: who am I, the two doors to the API description, and the life of a token.

use reqwest::Method;
use serde_json::json;

use crate::rig::{Answer, Rig, send};

async fn me(rig: &Rig, token: &str) -> Answer {
    send(rig.http.get(rig.url("/api/v1/me")).header("Authorization", format!("Bearer {token}"))).await
}

#[tokio::test]
async fn defguard() {
    let rig = Rig::start().await;
    let owner = me(&rig, &rig.token).await;
    assert_eq!((owner.status.as_u16(), &owner.json["role"]), (200, &json!("owner")));

    let page = rig.http.get(rig.url("/api-docs")).send().await.unwrap();
    assert_eq!(page.status(), 200, "redirects lead to the page");
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    let page = page.text().await.unwrap();
    assert!(page.contains("swagger-ui"), "{page}");
    let document = send(rig.http.get(rig.url("/api/v1/api-docs"))).await;
    assert_eq!(document.json, send(rig.http.get(rig.url("/openapi.json"))).await.json);
    let scheme = &document.json["components"]["securitySchemes"]["bearer"];
    assert_eq!((&scheme["type"], &scheme["scheme"]), (&json!("http"), &json!("bearer")), "Authorize takes a token");

    // A token: named, shown once, renamed, deleted; it may what its owner may.
    let created = rig.post("/api/v1/api-tokens", json!({"name": "backup job"})).await;
    assert_eq!(created.status, 201, "{}", created.json);
    let (token, path) = (created.json["token"].as_str().unwrap(), format!("/api/v1/api-tokens/{}", created.id()));
    let as_token = me(&rig, token).await;
    assert_eq!((&as_token.json["role"], &as_token.json["actor"]), (&owner.json["role"], &owner.json["actor"]));
    assert_eq!(as_token.json["credential"], created.json["id"]);
    let shown = rig.get_after(&path, &created).await;
    assert!(shown.json["token"].is_null() && token.starts_with(shown.json["prefix"].as_str().unwrap()));
    let renamed = rig.patch(&path, json!({"name": "nightly backup"})).await;
    assert_eq!((renamed.status.as_u16(), &renamed.json["name"]), (200, &json!("nightly backup")));
    assert_eq!(me(&rig, token).await.status, 200, "a renamed token works on");
    let listed = rig.get_after("/api/v1/api-tokens?name=nightly%20backup", &renamed).await;
    assert_eq!(listed.json["meta"]["total"], 1, "{}", listed.json);
    assert_eq!(rig.delete(&path).await.status, 204);
    let gone = me(&rig, token).await;
    assert_eq!((gone.status.as_u16(), gone.reason()), (401, "TOKEN_UNKNOWN"));
    assert_eq!(send(rig.request(Method::GET, "/api/v1/me")).await.status, 200);
}
