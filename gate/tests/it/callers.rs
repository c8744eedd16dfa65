//! API tokens, and what their roles allow.

use chrono::{TimeDelta, Utc};
use gate::{OrgFacts, UserFacts};
use schemas::access::Role;
use serde_json::{Value, json};

use crate::rig::{OWNER, Rig, TOKEN, api_token, key, refused};

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

#[tokio::test]
async fn a_revoked_token_is_told_from_an_unknown_one() {
    let rig = Rig::start().await;
    let token = rig.token(Role::Owner, None);
    rig.keyring.change(&TOKEN, api_token(Role::Owner, None, Vec::new(), true));
    assert_eq!(refused(rig.get("/api/v1/whoami").bearer_auth(&token)).await["reason"], "TOKEN_REVOKED");
    // What was deleted does not come back by a change.
    rig.keyring.remove(&key(&token));
    rig.keyring.change(&TOKEN, api_token(Role::Owner, None, Vec::new(), false));
    assert_eq!(refused(rig.get("/api/v1/whoami").bearer_auth(&token)).await["reason"], "TOKEN_UNKNOWN");
}

#[tokio::test]
async fn a_token_may_no_more_than_its_scopes() {
    let rig = Rig::start().await;
    let token = rig.token(Role::Operator, None);
    let create = || {
        let rule = json!({"name": "a", "zone_from": "WAN", "zone_to": "LAN", "action": "drop"});
        rig.request("POST", "/api/v1/things").bearer_auth(&token).json(&rule)
    };
    assert_eq!(create().send().await.unwrap().status(), 201);
    let scopes = serde_json::from_value(json!([{"verbs": ["read"]}, {"kinds": ["zone"]}])).unwrap();
    rig.keyring.change(&TOKEN, api_token(Role::Operator, None, scopes, false));
    let error = refused(create()).await;
    assert_eq!(error["reason"], "SCOPE_FORBIDS");
    assert_eq!(error["message"], "no scope of the token covers create of a resource of kind rule");
    let who: Value = rig.get("/api/v1/whoami").bearer_auth(&token).send().await.unwrap().json().await.unwrap();
    assert_eq!(who["scopes"][1]["kinds"], json!(["zone"]));
}

#[tokio::test]
async fn a_token_may_no_more_than_its_owner() {
    let rig = Rig::start().await;
    let token = rig.token(Role::Admin, None);
    let who = || rig.get("/api/v1/whoami").bearer_auth(&token);
    rig.keyring.set_user(OWNER, UserFacts { role: Role::Viewer, blocked: false });
    assert_eq!(who().send().await.unwrap().json::<Value>().await.unwrap()["role"], "viewer");
    rig.keyring.set_user(OWNER, UserFacts { role: Role::Owner, blocked: false });
    assert_eq!(who().send().await.unwrap().json::<Value>().await.unwrap()["role"], "admin");
    rig.keyring.set_user(OWNER, UserFacts { role: Role::Owner, blocked: true });
    assert_eq!(refused(who()).await["reason"], "USER_BLOCKED");
    rig.keyring.remove_user(&OWNER);
    assert_eq!(who().send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_org_may_say_where_calls_come_from() {
    let rig = Rig::start().await;
    let token = rig.token(Role::Owner, None);
    let who = || rig.get("/api/v1/whoami").bearer_auth(&token);
    let sources = |text: &str| OrgFacts { api_sources: vec![text.parse().unwrap()], ..OrgFacts::default() };
    rig.org(sources("192.0.2.0/24"));
    let response = who().send().await.unwrap();
    // Who is elsewhere learns nothing of the org.
    assert!(response.headers().get("x-ratelimit-limit").is_none());
    let error = refused(who()).await;
    assert_eq!((error["reason"].as_str(), error["code"].as_str()), (Some("SOURCE_IP_FORBIDDEN"), Some("FORBIDDEN")));
    // Nor does who has no credentials learn that there is a list.
    assert_eq!(refused(rig.get("/api/v1/whoami").bearer_auth("nk_nobody")).await["reason"], "TOKEN_UNKNOWN");
    rig.org(sources("127.0.0.0/8"));
    assert_eq!(who().send().await.unwrap().status(), 200);
    rig.org(OrgFacts::default());
    assert_eq!(who().send().await.unwrap().status(), 200);
}
