//! Every way in which the front door itself says no.

use serde_json::json;

use crate::rig::{RULE, Rig, refused};

#[tokio::test]
async fn a_path_that_does_not_exist_is_said_to_be_so() {
    let rig = Rig::start().await;
    for path in ["/", "/nothing", "/api/v1/nothing", "/api/nothing", "/v1", "/api-docs/nothing.css"] {
        assert_eq!(refused(rig.get(path)).await["reason"], "ROUTE_UNKNOWN", "{path}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let rig = Rig::start().await;
    let response = rig.request("PUT", "/api/v1/things").send().await.unwrap();
    let allow = response.headers().get("allow").unwrap().to_str().unwrap().to_owned();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    let error = refused(rig.request("PUT", "/api/v1/things")).await;
    assert_eq!(error["reason"], "METHOD_NOT_ALLOWED");
    assert!(error["message"].as_str().unwrap().contains("POST"));
}

#[tokio::test]
async fn bodies_are_refused_with_their_reason() {
    let rig = Rig::start().await;
    let echo = || rig.request("POST", "/api/v1/echo");
    assert_eq!(refused(echo().body("{").header("Content-Type", "application/json")).await["reason"], "BODY_INVALID");
    assert_eq!(
        refused(echo().body("a=1").header("Content-Type", "text/plain")).await["reason"],
        "CONTENT_TYPE_UNSUPPORTED"
    );
    let large = vec![b' '; gate::serve::BODY_BYTES_MAX + 1];
    assert_eq!(refused(echo().body(large)).await["reason"], "BODY_TOO_LARGE");
    assert_eq!(refused(echo()).await["reason"], "BODY_INVALID");
    assert_eq!(echo().body("[1]").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_body_without_a_declared_length_is_bounded_too() {
    let rig = Rig::start().await;
    let chunks = (0..3).map(|_| Ok::<_, std::io::Error>(vec![b' '; 512 * 1024]));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    assert_eq!(refused(rig.request("POST", "/api/v1/echo").body(body)).await["reason"], "BODY_TOO_LARGE");
}

#[tokio::test]
async fn the_bad_field_of_a_body_is_named() {
    let rig = Rig::start().await;
    let token = rig.token(schemas::access::Role::Owner, None);
    let create = |body| rig.request("POST", "/api/v1/things").bearer_auth(&token).json(&body);
    let error = refused(create(json!({"name": "a", "zone_from": "WAN", "zone_to": "LAN", "action": "burn"}))).await;
    assert_eq!((error["reason"].as_str(), error["field"].as_str()), (Some("BODY_INVALID"), Some("action")));
    let error = refused(create(json!({"name": "a", "zone_from": "WAN", "zone_to": "LAN"}))).await;
    assert_eq!(error["field"], "action");
}

#[tokio::test]
async fn bad_ids_parameters_and_headers_are_named() {
    let rig = Rig::start().await;
    let error = refused(rig.get("/api/v1/things/zone_01jcz3k9mv5x8q2w4e6r7t9y0a")).await;
    assert_eq!((error["reason"].as_str(), error["field"].as_str()), (Some("PATH_INVALID"), Some("id")));
    assert!(error["message"].as_str().unwrap().contains("rule_"), "{error}");
    let error = refused(rig.get("/api/v1/things/%FF")).await;
    assert_eq!(error["reason"], "PATH_INVALID");
    let error = refused(rig.get("/api/v1/search?limit=1&colour=red")).await;
    assert_eq!((error["reason"].as_str(), error["field"].as_str()), (Some("QUERY_INVALID"), Some("colour")));
    let error = refused(rig.get("/api/v1/things?colour=red")).await;
    assert_eq!((error["reason"].as_str(), error["field"].as_str()), (Some("QUERY_INVALID"), Some("colour")));
    let error = refused(rig.get(&format!("/api/v1/things/{RULE}")).header("Netkeep-Min-Position", "soon")).await;
    assert_eq!(
        (error["reason"].as_str(), error["field"].as_str()),
        (Some("HEADER_INVALID"), Some("Netkeep-Min-Position"))
    );
}

#[tokio::test]
async fn a_write_that_reads_no_body_refuses_one() {
    let rig = Rig::start().await;
    let token = rig.token(schemas::access::Role::Owner, None);
    let delete = || rig.request("DELETE", &format!("/api/v1/things/{RULE}")).bearer_auth(&token);
    assert_eq!(refused(delete().body("{}")).await["reason"], "BODY_INVALID");
    assert_eq!(refused(delete().header("If-Match", "yesterday")).await["field"], "If-Match");
    assert_eq!(delete().send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn what_fails_inside_stays_inside() {
    let rig = Rig::start().await;
    for path in ["/api/v1/panics", "/api/v1/fails"] {
        let error = refused(rig.get(path)).await;
        assert_eq!(error["reason"], "INTERNAL");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert_eq!(rig.get("/api/v1/roles").send().await.unwrap().status(), 200);
}
