//! API tokens, and what their roles allow.

use chrono::{TimeDelta, Utc};
use schemas::access::Role;
use serde_json::Value;

use crate::rig::{Rig, key, refused};

#[tokio::test]
async fn without_credentials_nobody_enters() {
    let rig = Rig::start().await;
    let response = rig.get("/api/v1/whoami").send().await.unwrap();
    assert_eq!(response.headers().get("www-authenticate").unwrap(), "Bearer");
    assert_eq!(refused(rig.get("/api/v1/whoami")).await["reason"], "CREDENTIALS_MISSING");
    let basic = rig.get("/api/v1/whoami").basic_auth("root", Some("toor"));
    assert_eq!(refused(basic).await["reason"], "CREDENTIALS_MISSING");
    let twice = rig.get("/api/v1/whoami").header("Authorization", "Bearer a").header("Authorization", "Bearer b");
    assert_eq!(refused(twice).await["reason"], "HEADER_INVALID");
}

#[tokio::test]
async fn a_token_says_who_calls() {
    let rig = Rig::start().await;
    let token = rig.token(Role::Operator, None);
    for scheme in ["Bearer", "bearer", "Token"] {
        let request = rig.get("/api/v1/whoami").header("Authorization", format!("{scheme} {token}"));
        let who: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(who["org"], "acme");
        assert_eq!(who["role"], "operator");
        assert_eq!(who["actor"], who["user_id"]);
        assert!(who["actor"].as_str().unwrap().starts_with("usr_"));
        assert!(who["credential"].as_str().unwrap().starts_with("tok_"));
        assert_eq!(who["source_ip"], "127.0.0.1");
    }
}

#[tokio::test]
async fn unknown_expired_and_deleted_tokens_are_refused() {
    #[expect(clippy::disallowed_methods, reason = "the token must end around the time of the request")]
    let now = Utc::now();
    let rig = Rig::start().await;
    let reason = async |token: &str| refused(rig.get("/api/v1/whoami").bearer_auth(token)).await["reason"].clone();
    assert_eq!(reason("nk_nobody").await, "TOKEN_UNKNOWN");
    assert_eq!(reason("nonsense").await, "TOKEN_UNKNOWN");
    let token = rig.token(Role::Owner, Some(now - TimeDelta::seconds(1)));
    assert_eq!(reason(&token).await, "TOKEN_EXPIRED");
    let token = rig.token(Role::Owner, Some(now + TimeDelta::hours(1)));
    assert_eq!(rig.get("/api/v1/whoami").bearer_auth(&token).send().await.unwrap().status(), 200);
    rig.keyring.remove(&key(&token));
    assert_eq!(reason(&token).await, "TOKEN_UNKNOWN");
}

#[tokio::test]
async fn a_setup_key_opens_no_api() {
    let rig = Rig::start().await;
    for secret in ["nks_1", "nk_1"] {
        rig.setup_key(secret);
        assert_eq!(refused(rig.get("/api/v1/whoami").bearer_auth(secret)).await["reason"], "TOKEN_UNKNOWN");
    }
}

#[tokio::test]
async fn a_role_forbids_what_it_does_not_allow() {
    let rig = Rig::start().await;
    let token = rig.token(Role::Owner, None);
    let error = refused(rig.get("/api/v1/forbidden").bearer_auth(&token)).await;
    assert_eq!(error["reason"], "ROLE_FORBIDS");
    assert_eq!(error["message"], "the role owner may not update a resource of kind event");
}

#[tokio::test]
async fn jwts_need_an_issuer() {
    let rig = Rig::start().await;
    assert_eq!(refused(rig.get("/api/v1/whoami").bearer_auth("e30.e30.e30")).await["reason"], "JWT_NOT_ACCEPTED");
}
