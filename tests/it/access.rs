//! Who may call: API tokens with their roles, and JWTs of an OIDC issuer with rotating keys.

use reqwest::Method;
use serde_json::{Value, json};

use crate::issuer::Signer;
use crate::rig::{Answer, Rig, now, send};

const ISSUER: &str = "https://issuer.test";

async fn call(rig: &Rig, token: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
    let request = rig.http.request(method, rig.url(path)).bearer_auth(token);
    send(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

async fn token(rig: &Rig, name: &str, role: &str) -> (String, String) {
    let created = rig.post("/api/v1/api-tokens", json!({"name": name, "role": role})).await;
    assert_eq!(created.status, 201, "{}", created.json);
    (created.json["token"].as_str().unwrap().to_owned(), created.id().to_owned())
}

#[tokio::test]
async fn nobody_calls_without_a_credential() {
    let rig = Rig::start().await;
    let bare = send(rig.http.get(rig.url("/api/v1/zones"))).await;
    assert_eq!((bare.status.as_u16(), bare.reason()), (401, "CREDENTIALS_MISSING"));
    let wrong = call(&rig, "nk_wrong", Method::GET, "/api/v1/zones", None).await;
    assert_eq!((wrong.status.as_u16(), wrong.reason()), (401, "TOKEN_UNKNOWN"));
    let jwt = call(&rig, "a.b.c", Method::GET, "/api/v1/zones", None).await;
    assert_eq!((jwt.status.as_u16(), jwt.reason()), (401, "JWT_NOT_ACCEPTED"));
    let scheme =
        send(rig.http.get(rig.url("/api/v1/zones")).header("authorization", format!("Token {}", rig.token))).await;
    assert_eq!(scheme.status, 200);
}

#[tokio::test]
async fn a_token_does_what_its_role_may_until_it_is_deleted() {
    let rig = Rig::start().await;
    let (viewer, id) = token(&rig, "viewer", "viewer").await;
    let (operator, _) = token(&rig, "operator", "operator").await;
    let rule = json!({"name": "a", "zone_from": "WAN", "zone_to": "LAN", "action": "drop"});
    let seen = call(&rig, &viewer, Method::GET, "/api/v1/firewall/rules", None).await;
    assert_eq!(seen.status, 200, "a token works in the very next call");
    let refused = call(&rig, &viewer, Method::POST, "/api/v1/firewall/rules", Some(rule.clone())).await;
    assert_eq!((refused.status.as_u16(), refused.reason()), (403, "ROLE_FORBIDS"));
    let audit = call(&rig, &viewer, Method::GET, "/api/v1/events", None).await;
    assert_eq!(audit.reason(), "ROLE_FORBIDS");
    let made = call(&rig, &operator, Method::POST, "/api/v1/firewall/rules", Some(rule)).await;
    assert_eq!(made.status, 201, "{}", made.json);
    let above =
        call(&rig, &operator, Method::POST, "/api/v1/api-tokens", Some(json!({"name": "x", "role": "admin"}))).await;
    assert_eq!((above.status.as_u16(), above.reason()), (403, "ROLE_ABOVE_OWN"));

    assert_eq!(rig.delete(&format!("/api/v1/api-tokens/{id}")).await.status, 204);
    let deleted = call(&rig, &viewer, Method::GET, "/api/v1/firewall/rules", None).await;
    assert_eq!((deleted.status.as_u16(), deleted.reason()), (401, "TOKEN_UNKNOWN"));
    let secrets = rig.get("/api/v1/events").await.json.to_string();
    assert!(!secrets.contains(&operator) && !secrets.contains(&rig.token), "no secret is ever stored");
}

async fn get_me(rig: &Rig, token: &str) -> Value {
    call(rig, token, Method::GET, "/api/v1/me", None).await.json
}

fn claims(change: Value) -> Value {
    let now = now().timestamp();
    let mut claims = json!({"iss": ISSUER, "sub": "ada", "org_id": "default", "azp": "app", "iat": now, "exp": now + 300, "role": "operator"});
    claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    claims
}

#[tokio::test]
async fn a_jwt_is_taken_from_the_configured_issuer_only() {
    let dir = tempfile::TempDir::new().unwrap();
    let jwks = dir.path().join("jwks.json");
    let (issuer, jwk) = Signer::new("one");
    std::fs::write(&jwks, json!({"keys": [jwk]}).to_string()).unwrap();
    let jwks_path = jwks.to_str().unwrap();
    // Looking for the rotated key is many bad attempts.
    let limit = "auth.per_minute=100000";
    let rig = Rig::start_with(&["--jwt-issuer", ISSUER, "--jwt-jwks", jwks_path, "--limit", limit]).await;

    let get = async |token: &str| call(&rig, token, Method::GET, "/api/v1/zones", None).await;
    let good = issuer.sign(&claims(json!({})));
    assert_eq!(get(&good).await.status, 200);
    let made = call(&rig, &good, Method::POST, "/api/v1/zones", Some(json!({"name": "LAB"}))).await;
    assert_eq!(made.status, 201, "{}", made.json);
    let event = rig.get_after("/api/v1/events?type=zone.created&per_page=1", &made).await;
    let me = get_me(&rig, &good).await;
    assert!(me["id"].as_str().is_some_and(|id| id.starts_with("usr_")), "who comes with a JWT is a user: {me}");
    assert_eq!((&event.json["data"][0]["actor"], &event.json["data"][0]["credential"]), (&me["id"], &json!("jwt")));

    let expired = get(&issuer.sign(&claims(json!({"exp": now().timestamp() - 120})))).await;
    assert_eq!((expired.status.as_u16(), expired.reason()), (401, "TOKEN_EXPIRED"));
    let other = get(&issuer.sign(&claims(json!({"iss": "https://other.test"})))).await;
    assert_eq!((other.status.as_u16(), other.reason()), (401, "JWT_INVALID"));
    let (forger, _) = Signer::new("forged");
    let forged = Signer { key: forger.key, kid: "one" }.sign(&claims(json!({})));
    assert_eq!(get(&forged).await.reason(), "JWT_INVALID");
    let payload = good.split('.').nth(1).unwrap();
    let none = format!("eyJhbGciOiJub25lIn0.{payload}.");
    assert_eq!(get(&none).await.reason(), "JWT_INVALID");
    let foreign = get(&issuer.sign(&claims(json!({"org_id": "other"})))).await;
    assert_eq!((foreign.status.as_u16(), foreign.reason()), (404, "ORG_MISSING"));

    // The issuer rotates its keys: the new one is found by itself, the old one ends.
    let (next, jwk) = Signer::new("two");
    std::fs::write(&jwks, json!({"keys": [jwk]}).to_string()).unwrap();
    let rotated = next.sign(&claims(json!({})));
    crate::rig::wait_for("the new key", async || get(&rotated).await.status == 200).await;
    assert_eq!(get(&good).await.reason(), "JWT_INVALID");
}
