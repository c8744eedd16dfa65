//! What holds for every route: versions, HEAD, OPTIONS, 405, content types.

use schemas::access::Role;
use serde_json::json;

use crate::rig::{Rig, refused};

#[tokio::test]
async fn every_answer_says_its_version() {
    let rig = Rig::start().await;
    for path in ["/api/v1/roles", "/api/v1/nothing", "/api/v1/whoami", "/api/v1/panics", "/openapi.json"] {
        let response = rig.get(path).send().await.unwrap();
        assert_eq!(response.headers().get("netkeep-version").unwrap(), gate::version::NEWEST, "{path}");
        assert!(response.headers().get("netkeep-operation-id").is_some(), "{path}");
    }
    for known in gate::version::KNOWN {
        let response = rig.get("/api/v1/roles").header("Netkeep-Version", known).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers().get("netkeep-version").unwrap().to_str().ok()),
            (200, Some(known))
        );
    }
}

#[tokio::test]
async fn an_unknown_version_is_refused_with_the_known_ones() {
    let rig = Rig::start().await;
    for unknown in ["1999-01-01", "", "newest", "2026-11-22, 2026-11-22"] {
        let error = refused(rig.get("/api/v1/roles").header("Netkeep-Version", unknown)).await;
        assert_eq!(
            (error["reason"].as_str(), error["field"].as_str()),
            (Some("VERSION_UNKNOWN"), Some("Netkeep-Version"))
        );
        assert_eq!(error["details"]["known"], json!(gate::version::KNOWN));
    }
}

#[tokio::test]
async fn versions_are_dates_in_order() {
    let dates: Vec<chrono::NaiveDate> = gate::version::KNOWN.iter().map(|date| date.parse().unwrap()).collect();
    assert!(dates.is_sorted() && gate::version::KNOWN.last() == Some(&gate::version::NEWEST));
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let rig = Rig::start().await;
    let token = rig.token(Role::Viewer, None);
    for (path, status) in [
        ("/api/v1/whoami", 200),
        ("/api/v1/things", 200),
        ("/openapi.json", 200),
        ("/api/v1/text?words=1000", 200),
        ("/api/v1/nothing", 404),
        ("/api/v1/forbidden", 403),
    ] {
        let head = rig.request("HEAD", path).bearer_auth(&token).send().await.unwrap();
        let get = rig.get(path).bearer_auth(&token).send().await.unwrap();
        assert_eq!((head.status().as_u16(), get.status().as_u16()), (status, status), "{path}");
        for name in ["content-type", "etag", "netkeep-version", "x-ratelimit-limit"] {
            assert_eq!(head.headers().get(name), get.headers().get(name), "{path}: {name}");
        }
        if status == 200 {
            assert_eq!(head.headers().get("content-length"), get.headers().get("content-length"), "{path}");
        }
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn options_tells_what_a_path_takes() {
    let rig = Rig::start().await;
    for (path, allowed) in [
        ("/api/v1/things", vec!["GET", "HEAD", "OPTIONS", "POST"]),
        ("/v1/whoami", vec!["GET", "HEAD", "OPTIONS"]),
        ("/api/v1/echo", vec!["OPTIONS", "POST"]),
        ("/errors", vec!["GET", "HEAD", "OPTIONS"]),
        ("/openapi.json", vec!["GET", "HEAD", "OPTIONS"]),
    ] {
        // Also with the header that browsers send: without configuration no page of another origin may call.
        let response = rig.request("OPTIONS", path).header("Origin", "https://a.example").send().await.unwrap();
        assert_eq!(response.status(), 204, "{path}");
        let headers = response.headers();
        assert!(headers.get("netkeep-operation-id").is_some() && headers.get("access-control-allow-origin").is_none());
        let allow = headers.get("allow").unwrap().to_str().unwrap().to_owned();
        let mut words: Vec<&str> = allow.split(", ").collect();
        words.sort_unstable();
        assert_eq!(words, allowed, "{path}");
        assert!(response.bytes().await.unwrap().is_empty());
        let refusal = rig.request("PURGE", path).send().await.unwrap();
        assert_eq!(
            (refusal.status().as_u16(), refusal.headers().get("allow").unwrap().to_str().ok()),
            (405, Some(allow.as_str()))
        );
    }
    assert_eq!(refused(rig.request("OPTIONS", "/api/v1/nothing")).await["reason"], "ROUTE_UNKNOWN");
}

#[tokio::test]
async fn only_json_is_read_as_json() {
    let rig = Rig::start().await;
    let echo = |kind: &str| rig.request("POST", "/api/v1/echo").header("Content-Type", kind).body("{}");
    for good in ["application/json", "application/merge-patch+json", "application/json; charset=utf-8"] {
        assert_eq!(echo(good).send().await.unwrap().status(), 200, "{good}");
    }
    for bad in
        ["text/plain", "application/x-www-form-urlencoded", "application/json-patch+json", "application/x-ndjson"]
    {
        let error = refused(echo(bad)).await;
        assert_eq!(
            (error["reason"].as_str(), error["field"].as_str()),
            (Some("CONTENT_TYPE_UNSUPPORTED"), Some("Content-Type"))
        );
    }
}

#[tokio::test]
async fn long_lists_come_a_line_each() {
    let rig = Rig::start().await;
    let lines = |kind: &str, body: &str| {
        rig.request("POST", "/api/v1/lines").header("Content-Type", kind).body(body.to_owned())
    };
    let response = lines("application/x-ndjson", "{}\n{}\n\n[1]\n").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "3");
    let error = refused(lines("application/x-ndjson", "{}\n{")).await;
    assert_eq!((error["reason"].as_str(), error["field"].as_str()), (Some("BODY_INVALID"), Some("lines[2]")));
    assert_eq!(refused(lines("application/json", "{}")).await["reason"], "CONTENT_TYPE_UNSUPPORTED");
    let large = "{}\n".repeat(gate::serve::BODY_BYTES_MAX / 3 + 1);
    assert_eq!(refused(lines("application/x-ndjson", &large)).await["reason"], "BODY_TOO_LARGE");
}
