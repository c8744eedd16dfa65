//! Users: invited, signed in, blocked, erased; service users with what they were granted; tokens with their last use.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::issuer::Issuer;
use crate::rig::{Answer, Rig, netkeep, send, wait_for};

const NAME: &str = "Ann Lovelace-Unmistakable";
const EMAIL: &str = "ann.unmistakable@example.com";

async fn call(rig: &Rig, token: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
    let request = rig.http.request(method, rig.url(path)).bearer_auth(token);
    send(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

async fn get(rig: &Rig, token: &str, path: &str) -> Answer {
    call(rig, token, Method::GET, path, None).await
}

fn refusal(answer: &Answer) -> (u16, &str) {
    (answer.status.as_u16(), answer.reason())
}

/// A netkeep that takes the JWTs of an issuer.
async fn signed_in_by(issuer: &Issuer, more: &[&str]) -> Rig {
    Rig::start_with(&[&["--jwt-issuer", &issuer.url], more].concat()).await
}

/// Whether a file below a folder has a text in it.
fn holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => holds(&path, text),
            false => {
                std::fs::read(&path).unwrap_or_default().windows(text.len()).any(|window| window == text.as_bytes())
            }
        }
    })
}

#[tokio::test]
async fn who_is_invited_becomes_that_user_at_the_first_sign_in() {
    let issuer = Issuer::start().await;
    let rig = signed_in_by(&issuer, &[]).await;
    let invited = rig.post("/api/v1/users", json!({"name": NAME, "email": EMAIL, "role": "operator"})).await;
    assert_eq!(invited.status, 201, "{}", invited.json);
    assert_eq!((&invited.json["name"], &invited.json["email"]), (&json!(NAME), &json!(EMAIL)));
    assert_eq!(invited.json["status"], "invited");
    let twice = rig.post("/api/v1/users", json!({"email": EMAIL.to_uppercase(), "role": "viewer"})).await;
    assert_eq!((refusal(&twice), &twice.json["error"]["field"]), ((409, "NAME_TAKEN"), &json!("email")));

    // The role is the user's, not the JWT's.
    let jwt = issuer.token("subject-1", json!({"email": EMAIL.to_uppercase(), "name": "Other", "role": "admin"}));
    let me = get(&rig, &jwt, "/api/v1/me").await;
    assert_eq!((me.json["id"].as_str(), me.json["role"].as_str()), (Some(invited.id()), Some("operator")));
    assert_eq!((&me.json["name"], &me.json["email"]), (&json!(NAME), &json!(EMAIL)));
    assert_eq!(me.json["permissions"]["rule"], json!(["read", "create", "update", "delete"]));
    assert_eq!(me.json["permissions"].get("user"), Some(&json!(["read"])));
    assert_eq!(get(&rig, &jwt, "/api/v1/users/current").await.json["id"], me.json["id"]);
    let path = format!("/api/v1/users/{}", invited.id());
    wait_for("the sign-in to be seen", async || {
        let user = rig.get(&path).await.json;
        user["status"] == "active" && user["last_sign_in_at"].is_string()
    })
    .await;

    // What changes holds at once, for this JWT too.
    assert_eq!(rig.patch(&path, json!({"role": "viewer"})).await.status, 200);
    let zone = json!({"name": "LAB"});
    assert_eq!(
        refusal(&call(&rig, &jwt, Method::POST, "/api/v1/zones", Some(zone.clone())).await),
        (403, "ROLE_FORBIDS")
    );
    assert_eq!(rig.patch(&path, json!({"blocked": true})).await.json["status"], "blocked");
    assert_eq!(refusal(&get(&rig, &jwt, "/api/v1/zones").await), (403, "USER_BLOCKED"));
    assert_eq!(rig.patch(&path, json!({"blocked": false, "role": "operator"})).await.status, 200);
    assert_eq!(call(&rig, &jwt, Method::POST, "/api/v1/zones", Some(zone)).await.status, 201);

    // Who comes with a JWT owns API tokens like everybody.
    let token = call(&rig, &jwt, Method::POST, "/api/v1/api-tokens", Some(json!({"name": "mine"}))).await;
    assert_eq!((&token.json["owner_id"], &token.json["role"]), (&json!(invited.id()), &json!("operator")));
    let secret = token.json["token"].as_str().unwrap();
    assert_eq!(rig.patch(&path, json!({"role": "viewer"})).await.status, 200);
    assert_eq!(get(&rig, secret, "/api/v1/me").await.json["role"], "viewer", "a token does no more than its owner");
    assert_eq!(rig.patch(&path, json!({"blocked": true})).await.status, 200);
    assert_eq!(refusal(&get(&rig, secret, "/api/v1/me").await), (403, "USER_BLOCKED"));
}

#[tokio::test]
async fn a_first_sign_in_makes_a_user_only_where_that_is_wanted() {
    let issuer = Issuer::start().await;
    let unknown = issuer.token("subject-2", json!({"email": "bob@example.com", "role": "auditor"}));
    let unchecked = issuer.token("subject-3", json!({"email": EMAIL, "email_verified": false}));

    let rig = signed_in_by(&issuer, &[]).await;
    let me = get(&rig, &unknown, "/api/v1/me").await;
    assert_eq!((me.json["role"].as_str(), me.json["email"].as_str()), (Some("auditor"), Some("bob@example.com")));
    // The claim does not make more of who is a user already.
    let again = issuer.token("subject-2", json!({"role": "admin"}));
    let again = get(&rig, &again, "/api/v1/me").await;
    assert_eq!((&again.json["id"], again.json["role"].as_str()), (&me.json["id"], Some("auditor")));
    let invited = rig.post("/api/v1/users", json!({"email": EMAIL, "role": "admin"})).await;
    let other = get(&rig, &unchecked, "/api/v1/me").await;
    assert_ne!(other.json["id"], invited.json["id"], "an address that nobody checked is nobody's");
    assert_eq!(other.json["role"], "viewer");

    let rig = signed_in_by(&issuer, &["--jwt-first-sign-in", "invited"]).await;
    assert_eq!(refusal(&get(&rig, &unknown, "/api/v1/me").await), (403, "USER_UNKNOWN"));
    rig.post("/api/v1/users", json!({"email": "bob@example.com", "role": "operator"})).await;
    assert_eq!(get(&rig, &unknown, "/api/v1/me").await.json["role"], "operator");

    let rig = signed_in_by(&issuer, &["--jwt-first-sign-in", "off"]).await;
    rig.post("/api/v1/users", json!({"email": "bob@example.com", "role": "operator"})).await;
    assert_eq!(refusal(&get(&rig, &unknown, "/api/v1/me").await), (403, "USER_UNKNOWN"));
}

#[tokio::test]
async fn an_erased_user_has_no_name_anywhere() {
    let issuer = Issuer::start().await;
    let mut rig = signed_in_by(&issuer, &[]).await;
    let made = send(
        rig.request(Method::POST, "/api/v1/users")
            .header("Idempotency-Key", "invite-1")
            .json(&json!({"name": NAME, "email": EMAIL, "role": "viewer"})),
    )
    .await;
    assert_eq!(made.status, 201, "{}", made.json);
    let path = format!("/api/v1/users/{}", made.id());
    let renamed = rig.patch(&path, json!({"description": "on the third floor"})).await;
    assert_eq!((&renamed.json["name"], &renamed.json["email"]), (&json!(NAME), &json!(EMAIL)));
    let event = rig.get_after("/api/v1/events?type=user.updated&per_page=1", &renamed).await;
    assert_eq!(event.json["data"][0]["data"]["changed"], json!(["description"]), "what is sealed stays as it is");
    let put = rig.put(&path, json!({"name": "Ann B. Unmistakable", "role": "viewer"})).await;
    assert_eq!((&put.json["name"], &put.json["email"]), (&json!("Ann B. Unmistakable"), &Value::Null));
    let back = rig.patch(&path, json!({"name": NAME, "email": EMAIL})).await;
    let jwt = issuer.token("subject-1", json!({"email": EMAIL}));
    assert_eq!(get(&rig, &jwt, "/api/v1/me").await.json["id"].as_str(), Some(made.id()));
    let seen = rig.get_after(&path, &back).await;
    assert_eq!((&seen.json["name"], &seen.json["email"]), (&json!(NAME), &json!(EMAIL)));
    let then = seen.json["revision"].as_u64().unwrap();
    assert!(!holds(rig.data.path(), NAME) && !holds(rig.data.path(), EMAIL), "names are never written in the clear");

    let gone = rig.delete(&path).await;
    assert_eq!(gone.status, 204);
    assert_eq!(rig.get_after(&path, &gone).await.status, 404);
    let past = rig.get(&format!("{path}?at={then}")).await;
    assert_eq!((past.status.as_u16(), &past.json["name"], &past.json["email"]), (200, &Value::Null, &Value::Null));
    for path in ["/api/v1/events?per_page=100", &format!("{path}/history"), &format!("/api/v1/users?at={then}")] {
        let told = rig.get(path).await;
        assert_eq!(told.status, 200, "{path}: {}", told.json);
        assert!(!told.json.to_string().contains("nmistakable"), "{path}: {}", told.json);
    }
    // Nor does what was answered once tell it again.
    let replayed = send(
        rig.request(Method::POST, "/api/v1/users")
            .header("Idempotency-Key", "invite-1")
            .json(&json!({"name": NAME, "email": EMAIL, "role": "viewer"})),
    )
    .await;
    assert_eq!((replayed.header("netkeep-idempotent-replay"), &replayed.json["name"]), ("true", &Value::Null));
    assert_eq!(rig.get("/api/v1/history/verify").await.status, 200);
    // The same address may be invited anew.
    let anew = rig.post("/api/v1/users", json!({"name": NAME, "email": EMAIL, "role": "viewer"})).await;
    assert_eq!(anew.status, 201, "{}", anew.json);

    rig.stop().await;
    rig.restart().await;
    let path = format!("/api/v1/users/{}", anew.id());
    wait_for("the name after a restart", async || rig.get(&path).await.json["name"] == NAME).await;
    assert_eq!(rig.get(&format!("/api/v1/users?at={then}")).await.json["data"][1]["name"], Value::Null);
    // However a user goes, the key goes too.
    let then = anew.json["revision"].as_u64().unwrap();
    let batch = rig.post("/api/v1/batch", json!({"commands": [{"op": "delete", "id": anew.id()}]})).await;
    assert_eq!(batch.status, 200, "{}", batch.json);
    let past = format!("{path}?at={then}");
    wait_for("the name to be gone", async || rig.get(&past).await.json["name"] == Value::Null).await;
    assert_eq!(rig.get(&past).await.json["id"].as_str(), Some(anew.id()));
}

#[tokio::test]
async fn a_service_user_sees_what_it_was_granted_and_nothing_else() {
    let rig = Rig::start().await;
    let robot = rig.post("/api/v1/service-users", json!({"name": "backup robot", "role": "operator"})).await;
    assert_eq!((robot.status.as_u16(), robot.json["is_service_user"].as_bool()), (201, Some(true)), "{}", robot.json);
    let human = rig.post("/api/v1/users", json!({"name": "Bob", "role": "viewer"})).await;
    let listed = rig.get_after("/api/v1/service-users", &human).await;
    assert_eq!((&listed.json["meta"]["total"], &listed.json["data"][0]["name"]), (&json!(1), &json!("backup robot")));
    let turned = rig.patch(&format!("/api/v1/users/{}", robot.id()), json!({"kind": "human"})).await;
    assert_eq!(refusal(&turned), (409, "PREDEFINED_FIXED"));

    let tokens = format!("/api/v1/users/{}/tokens", robot.id());
    for scopes in [json!([]), json!([{}]), json!([{"verbs": ["read"]}, {}])] {
        let refused = rig.post(&tokens, json!({"name": "all", "scopes": scopes})).await;
        assert_eq!(refusal(&refused), (400, "SERVICE_TOKEN_NEEDS_SCOPES"), "{}", refused.json);
    }
    let scopes = json!([{"verbs": ["read"], "kinds": ["rule"]}]);
    let token = rig.post(&tokens, json!({"name": "rules", "scopes": scopes})).await;
    assert_eq!((token.status.as_u16(), &token.json["owner_id"]), (201, &json!(robot.id())), "{}", token.json);
    let secret = token.json["token"].as_str().unwrap();
    assert_eq!(get(&rig, secret, "/api/v1/firewall/rules").await.status, 200);
    for other in ["zones", "devices", "users", "events", "api-tokens", "setup-keys", "traffic/logs", "orgs/current"] {
        let refused = get(&rig, secret, &format!("/api/v1/{other}")).await;
        assert_eq!(refused.status, 403, "{other}: {}", refused.json);
    }
    let rule = json!({"name": "a", "zone_from": "WAN", "zone_to": "LAN", "action": "drop"});
    let write = call(&rig, secret, Method::POST, "/api/v1/firewall/rules", Some(rule)).await;
    assert_eq!(refusal(&write), (403, "SCOPE_FORBIDS"));
    assert_eq!(get(&rig, secret, "/api/v1/me").await.json["permissions"], json!({"rule": ["read"]}));
    let widened = rig.patch(&format!("/api/v1/api-tokens/{}", token.id()), json!({"scopes": []})).await;
    assert_eq!(refusal(&widened), (400, "SERVICE_TOKEN_NEEDS_SCOPES"));

    assert_eq!(rig.delete(&format!("/api/v1/users/{}", robot.id())).await.status, 204);
    assert_eq!(refusal(&get(&rig, secret, "/api/v1/firewall/rules").await), (401, "TOKEN_UNKNOWN"));
}

#[tokio::test]
async fn a_token_is_renamed_used_and_revoked() {
    let rig = Rig::start().await;
    let me = rig.get("/api/v1/me").await.json["id"].as_str().unwrap().to_owned();
    let tokens = format!("/api/v1/users/{me}/tokens");
    let made = rig.post(&tokens, json!({"name": "ci", "expires_in": 3600, "role": "viewer"})).await;
    assert_eq!(made.status, 201, "{}", made.json);
    let (secret, path) = (made.json["token"].as_str().unwrap().to_owned(), format!("/api/v1/api-tokens/{}", made.id()));
    let unused = rig.get_after(&path, &made).await;
    assert_eq!((&unused.json["last_used_at"], unused.json.get("token")), (&Value::Null, None));
    assert_eq!(get(&rig, &secret, "/api/v1/zones").await.status, 200);
    wait_for("the last use", async || rig.get(&path).await.json["last_used_at"].is_string()).await;

    let renamed = rig.patch(&path, json!({"name": "continuous"})).await;
    assert_eq!((renamed.status.as_u16(), &renamed.json["name"]), (200, &json!("continuous")));
    let listed = rig.get_after(&tokens, &renamed).await;
    assert!(listed.json["data"].as_array().unwrap().iter().any(|token| token["name"] == "continuous"));
    assert_eq!(rig.get(&format!("{tokens}/{}", made.id())).await.json["name"], "continuous");
    assert_eq!(get(&rig, &secret, "/api/v1/zones").await.status, 200);
    assert_eq!(refusal(&rig.patch(&path, json!({"role": "admin"})).await), (409, "PREDEFINED_FIXED"));

    assert_eq!(rig.patch(&path, json!({"revoked": true})).await.status, 200);
    assert_eq!(refusal(&get(&rig, &secret, "/api/v1/zones").await), (401, "TOKEN_REVOKED"));
    assert_eq!(refusal(&rig.patch(&path, json!({"revoked": false})).await), (409, "REVOCATION_FINAL"));
    let other = rig.post("/api/v1/users", json!({"name": "Bob", "role": "viewer"})).await;
    let wrong = format!("/api/v1/users/{}/tokens/{}", other.id(), made.id());
    assert_eq!(refusal(&rig.delete(&wrong).await), (404, "RESOURCE_NOT_FOUND"));
    assert_eq!(rig.delete(&format!("{tokens}/{}", made.id())).await.status, 204);
    assert_eq!(refusal(&get(&rig, &secret, "/api/v1/zones").await), (401, "TOKEN_UNKNOWN"));
}

#[tokio::test]
async fn nobody_becomes_more_than_who_makes_them_and_an_org_keeps_its_owner() {
    let rig = Rig::start().await;
    let me = rig.get("/api/v1/me").await.json["id"].as_str().unwrap().to_owned();
    let admin = rig.post("/api/v1/api-tokens", json!({"name": "admin", "role": "admin"})).await;
    let admin = admin.json["token"].as_str().unwrap();
    let owner = call(&rig, admin, Method::POST, "/api/v1/users", Some(json!({"role": "owner"}))).await;
    assert_eq!(refusal(&owner), (403, "ROLE_ABOVE_OWN"));
    let path = format!("/api/v1/users/{me}");
    let below = call(&rig, admin, Method::PATCH, &path, Some(json!({"blocked": true}))).await;
    assert_eq!(refusal(&below), (403, "ROLE_ABOVE_OWN"));
    for change in [json!({"role": "admin"}), json!({"blocked": true})] {
        assert_eq!(refusal(&rig.patch(&path, change).await), (409, "LAST_OWNER"));
    }
    assert_eq!(refusal(&rig.delete(&path).await), (409, "LAST_OWNER"));
    for body in [json!({"role": "viewer", "subject_hash": "00"}), json!({"role": "viewer", "person": null})] {
        assert_eq!(refusal(&rig.post("/api/v1/users", body).await), (400, "BODY_INVALID"));
    }
    let sealed =
        json!({"commands": [{"op": "create", "kind": "user", "body": {"role": "viewer", "email_hash": "00"}}]});
    assert_eq!(refusal(&rig.post("/api/v1/batch", sealed).await), (400, "BODY_INVALID"));
    let bad = rig.post("/api/v1/users", json!({"email": "nobody", "role": "viewer"})).await;
    assert_eq!((refusal(&bad), &bad.json["error"]["field"]), ((400, "BODY_INVALID"), &json!("email")));
    let trial = rig.post("/api/v1/users?dry_run=true", json!({"name": NAME, "role": "viewer"})).await;
    assert_eq!((trial.status.as_u16(), &trial.json["resource"]["name"]), (200, &json!(NAME)), "{}", trial.json);
    assert_eq!(rig.get("/api/v1/users").await.json["meta"]["total"], 1);
}

#[tokio::test]
async fn nobody_locks_themselves_out_by_address() {
    let rig = Rig::start().await;
    let out = rig.patch("/api/v1/orgs/current", json!({"api_sources": ["192.0.2.0/24"]})).await;
    assert_eq!(refusal(&out), (409, "SOURCE_LOCKOUT"));
    let kept = rig.patch("/api/v1/orgs/current", json!({"api_sources": ["192.0.2.0/24", "127.0.0.0/8"]})).await;
    assert_eq!(kept.status, 200, "{}", kept.json);
    assert_eq!(rig.get("/api/v1/zones").await.status, 200);
    let plan = rig.patch("/api/v1/orgs/current", json!({"plan": "enterprise"})).await;
    assert_eq!(refusal(&plan), (400, "BODY_INVALID"), "plans are the operator's");
}

#[tokio::test]
async fn a_day_is_counted_on_after_a_restart() {
    let mut rig = Rig::start_with(&["--limit", "free.per_day=12,free.per_minute=1000"]).await;
    let planned = tokio::process::Command::new(netkeep())
        .args(["plan", "--org", "default", "--plan", "free", "--nats-url", &format!("nats://{}", rig.nats), "--keys"])
        .arg(rig.data.path().join("instance.key"))
        .status();
    assert!(planned.await.unwrap().success());
    wait_for("the first of the day to be used up", async || {
        refusal(&rig.get("/api/v1/zones").await) == (429, "DAILY_QUOTA_EXHAUSTED")
    })
    .await;
    rig.stop().await;
    rig.restart().await;
    let mut let_in = 0;
    while refusal(&rig.get("/api/v1/zones").await) != (429, "DAILY_QUOTA_EXHAUSTED") {
        let_in += 1;
        assert!(let_in < 12, "the day began anew");
    }
    assert!(let_in < 6, "{let_in} requests were let in before the count of the day was known");
}
