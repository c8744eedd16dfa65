//! Codings: answers that go compressed, bodies that come compressed.
//!
//! The server is the encoder of these tests: what it compresses, it must read again.

use crate::rig::{Rig, refused};

async fn fetch(rig: &Rig, path: &str, accepted: Option<&str>) -> (Option<String>, Option<String>, Vec<u8>) {
    let request = rig.get(path);
    let request = match accepted {
        Some(accepted) => request.header("Accept-Encoding", accepted),
        None => request,
    };
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let text = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (coding, vary) = (text("content-encoding"), text("vary"));
    (coding, vary, response.bytes().await.unwrap().to_vec())
}

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

#[tokio::test]
async fn who_takes_compressed_answers_gets_them() {
    let rig = Rig::start().await;
    let path = "/api/v1/text?words=2000";
    let (coding, vary, plain) = fetch(&rig, path, None).await;
    assert_eq!((coding, vary.as_deref()), (None, Some("accept-encoding")));
    for (accepted, expected, magic) in [
        ("gzip", "gzip", GZIP.as_slice()),
        ("zstd", "zstd", ZSTD.as_slice()),
        ("gzip;q=0.5, zstd", "zstd", ZSTD.as_slice()),
        ("br, gzip", "gzip", GZIP.as_slice()),
    ] {
        let (coding, vary, body) = fetch(&rig, path, Some(accepted)).await;
        assert_eq!(coding.as_deref(), Some(expected), "{accepted}");
        assert_eq!(vary.as_deref(), Some("accept-encoding"));
        assert!(body.starts_with(magic) && body.len() < plain.len() / 10, "{accepted}: {} bytes", body.len());
    }
    for accepted in ["br", "identity", "gzip;q=0"] {
        assert_eq!(fetch(&rig, path, Some(accepted)).await.0, None, "{accepted}");
    }
}

#[tokio::test]
async fn what_gains_nothing_stays_as_it_is() {
    let rig = Rig::start().await;
    let (coding, _, body) = fetch(&rig, "/api/v1/text?words=1", Some("gzip, zstd")).await;
    assert_eq!((coding, body), (None, b"\"netkeep \"".to_vec()));
    // A stream of events must not wait for a block to fill.
    let (coding, _, body) = fetch(&rig, "/api/v1/live", Some("gzip, zstd")).await;
    assert!(coding.is_none() && body.starts_with(b"data: x"));
}

#[tokio::test]
async fn a_refusal_goes_compressed_like_any_answer() {
    let rig = Rig::start().await;
    let body = format!("{{\"{}\": 1}}", "x".repeat(3_000));
    let request = rig.request("POST", "/api/v1/things").bearer_auth(rig.token(schemas::access::Role::Owner, None));
    let response = request.header("Accept-Encoding", "gzip").body(body).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.headers().get("content-encoding").unwrap().to_str().ok()),
        (400, Some("gzip"))
    );
    assert!(response.headers().get("netkeep-operation-id").is_some());
}

#[tokio::test]
async fn bodies_that_come_compressed_are_read() {
    let rig = Rig::start().await;
    let (_, _, plain) = fetch(&rig, "/api/v1/text?words=2000", None).await;
    for coding in ["gzip", "zstd"] {
        let (_, _, body) = fetch(&rig, "/api/v1/text?words=2000", Some(coding)).await;
        let request = rig.request("POST", "/api/v1/echo").header("Content-Encoding", coding);
        let echo = request.body(body).send().await.unwrap();
        assert_eq!(echo.status(), 200, "{coding}");
        assert_eq!(echo.bytes().await.unwrap(), plain, "{coding}");
    }
    let plain = rig.request("POST", "/api/v1/echo").header("Content-Encoding", "identity").body("[1]");
    assert_eq!(plain.send().await.unwrap().text().await.unwrap(), "[1]");
}

#[tokio::test]
async fn a_body_is_measured_as_it_is_decoded() {
    let rig = Rig::start().await;
    for coding in ["gzip", "zstd"] {
        let (_, _, bomb) = fetch(&rig, "/api/v1/text?words=200000", Some(coding)).await;
        assert!(bomb.len() < 100_000);
        let request = rig.request("POST", "/api/v1/echo").header("Content-Encoding", coding).body(bomb);
        assert_eq!(refused(request).await["reason"], "BODY_TOO_LARGE", "{coding}");
    }
}

#[tokio::test]
async fn codings_that_are_not_what_they_say_are_refused() {
    let rig = Rig::start().await;
    let post = |coding: &str| rig.request("POST", "/api/v1/echo").header("Content-Encoding", coding).body("[1]");
    for coding in ["gzip", "zstd"] {
        assert_eq!(refused(post(coding)).await["reason"], "BODY_INVALID", "{coding}");
    }
    for coding in ["br", "rot13", "gzip, gzip"] {
        let error = refused(post(coding)).await;
        assert_eq!(
            (error["reason"].as_str(), error["field"].as_str()),
            (Some("ENCODING_UNSUPPORTED"), Some("Content-Encoding"))
        );
        assert_eq!(post(coding).send().await.unwrap().headers().get("accept-encoding").unwrap(), "gzip, zstd");
    }
}
