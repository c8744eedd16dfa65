//! Where an issuer's keys come from: files and URLs, rotation, failures and floods.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use gate::{ConfigError, JwtConfig};
use serde_json::json;
use tokio::net::TcpListener;

use crate::jwts::{claims, config, jwks, signer};
use crate::rig::{Rig, refused};

/// An issuer that publishes keys over HTTP and counts how often it is asked.
struct Issuer {
    url: String,
    answer: Arc<Mutex<(StatusCode, String)>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start(keys: &[&'static str]) -> Self {
        let answer = Arc::new(Mutex::new((StatusCode::OK, jwks(keys))));
        let asked = Arc::new(AtomicUsize::new(0));
        let (shared, count) = (answer.clone(), asked.clone());
        let router = Router::new().route(
            "/keys",
            get(move || {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = shared.lock().unwrap().clone();
                async move { answer }
            }),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, answer, asked }
    }

    fn publish(&self, status: StatusCode, text: String) {
        *self.answer.lock().unwrap() = (status, text);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn rig(config: &JwtConfig) -> Rig {
    Rig::with(config.verifier().unwrap(), Duration::from_secs(5)).await
}

async fn enters(rig: &Rig, id: &'static str) -> bool {
    let token = signer(id).sign(&claims(json!({})));
    rig.get("/api/v1/whoami").bearer_auth(token).send().await.unwrap().status() == 200
}

#[tokio::test]
async fn a_new_key_is_found_when_a_jwt_names_it() {
    let issuer = Issuer::start(&["a"]).await;
    let rig = rig(&config(&issuer.url)).await;
    assert!(enters(&rig, "a").await && enters(&rig, "a").await);
    assert_eq!(issuer.asked(), 1);
    assert!(!enters(&rig, "b").await);
    issuer.publish(StatusCode::OK, jwks(&["b"]));
    assert!(enters(&rig, "b").await);
    // What the issuer took back opens nothing.
    assert!(!enters(&rig, "a").await);
}

#[tokio::test]
async fn keys_are_fetched_again_when_they_are_old() {
    let issuer = Issuer::start(&["a"]).await;
    let rig = rig(&JwtConfig { jwt_jwks_ttl_s: 0, ..config(&issuer.url) }).await;
    assert!(enters(&rig, "a").await);
    issuer.publish(StatusCode::OK, jwks(&["ec"]));
    assert!(!enters(&rig, "a").await);
}

#[tokio::test]
async fn known_keys_stay_while_the_issuer_is_down() {
    let issuer = Issuer::start(&["a"]).await;
    let rig = rig(&JwtConfig { jwt_jwks_ttl_s: 0, ..config(&issuer.url) }).await;
    assert!(enters(&rig, "a").await);
    for (status, text) in [(StatusCode::BAD_GATEWAY, String::new()), (StatusCode::OK, "{".to_owned())] {
        issuer.publish(status, text);
        let before = issuer.asked();
        assert!(enters(&rig, "a").await);
        assert!(!enters(&rig, "b").await);
        assert!(issuer.asked() > before);
    }
}

#[tokio::test]
async fn a_flood_of_unknown_keys_asks_the_issuer_once() {
    let issuer = Issuer::start(&["a"]).await;
    let rig = rig(&JwtConfig { jwt_jwks_interval_min_s: 3_600, ..config(&issuer.url) }).await;
    let flood = (0..50).map(|_| enters(&rig, "b"));
    assert!(futures::future::join_all(flood).await.iter().all(|entered| !entered));
    assert_eq!(issuer.asked(), 1);
    assert!(enters(&rig, "a").await);
}

#[tokio::test]
async fn an_issuer_that_never_answered_is_told_from_a_bad_jwt() {
    let issuer = Issuer::start(&["a"]).await;
    issuer.publish(StatusCode::NOT_FOUND, String::new());
    let rig = rig(&config(&issuer.url)).await;
    let token = signer("a").sign(&claims(json!({})));
    assert_eq!(refused(rig.get("/api/v1/whoami").bearer_auth(&token)).await["reason"], "ISSUER_UNAVAILABLE");
    issuer.publish(StatusCode::OK, jwks(&["a"]));
    assert!(enters(&rig, "a").await);
}

#[tokio::test]
async fn keys_in_a_file_rotate_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    std::fs::write(&path, jwks(&["a"])).unwrap();
    let rig = rig(&config(path.to_str().unwrap())).await;
    assert!(enters(&rig, "a").await);
    std::fs::write(&path, jwks(&["b"])).unwrap();
    assert!(enters(&rig, "b").await);
    assert!(!enters(&rig, "a").await);
}

#[tokio::test]
async fn keys_that_cannot_be_used_do_not_spoil_the_others() {
    let issuer = Issuer::start(&["a"]).await;
    let mut keys: serde_json::Value = serde_json::from_str(&jwks(&["a"])).unwrap();
    let entries = keys["keys"].as_array_mut().unwrap();
    entries.insert(0, json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "x", "kid": "pq"}));
    entries.insert(0, json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "mac"}));
    entries.insert(0, json!({"kty": 7}));
    entries.insert(0, json!("nonsense"));
    let mut encrypts = entries.last().unwrap().clone();
    encrypts["use"] = json!("enc");
    entries.insert(0, encrypts);
    issuer.publish(StatusCode::OK, keys.to_string());
    assert!(enters(&rig(&config(&issuer.url)).await, "a").await);
}

#[test]
fn a_configuration_that_says_half_is_refused() {
    let nothing = JwtConfig { jwt_issuer: None, jwt_jwks: None, ..config("") };
    assert!(nothing.verifier().unwrap().is_none());
    let empty = JwtConfig { jwt_issuer: Some(String::new()), jwt_jwks: Some(String::new()), ..nothing.clone() };
    assert!(empty.verifier().unwrap().is_none());
    let refused = |config: JwtConfig| config.verifier().unwrap_err();
    let issuer = JwtConfig { jwt_issuer: Some("netkeep".to_owned()), jwt_jwks: None, ..config("") };
    assert!(matches!(refused(issuer), ConfigError::IssuerWithoutJwks(_)));
    let keys = JwtConfig { jwt_issuer: None, ..config("/keys") };
    assert!(matches!(refused(keys), ConfigError::WithoutIssuer("--jwt-jwks")));
    let audience = JwtConfig { jwt_audience: vec!["netkeep".to_owned()], ..nothing };
    assert!(matches!(refused(audience), ConfigError::WithoutIssuer("--jwt-audience")));
    assert!(matches!(refused(config("/nowhere/keys.json")), ConfigError::File { .. }));
    assert!(matches!(refused(config("https://")), ConfigError::Url { .. }));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    std::fs::write(&path, r#"{"keys": []}"#).unwrap();
    assert!(matches!(refused(config(path.to_str().unwrap())), ConfigError::Keys { .. }));
}

/// An issuer that says itself where its keys are.
async fn discoverable(issuer_says: impl Fn(&str) -> serde_json::Value) -> (String, Issuer) {
    let keys = Issuer::start(&["a"]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}/realms/acme", listener.local_addr().unwrap());
    let document = issuer_says(&issuer).to_string().replace("KEYS", &keys.url);
    let router = Router::new().route("/realms/acme/.well-known/openid-configuration", get(move || async { document }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (issuer, keys)
}

async fn enters_of(issuer: &str) -> reqwest::Response {
    let discovered = JwtConfig { jwt_issuer: Some(issuer.to_owned()), jwt_jwks: None, ..config("") };
    let rig = rig(&discovered).await;
    let token = signer("a").sign(&claims(json!({"iss": issuer})));
    rig.get("/api/v1/whoami").bearer_auth(token).send().await.unwrap()
}

#[tokio::test]
async fn an_issuer_says_itself_where_its_keys_are() {
    let (issuer, keys) = discoverable(|issuer| json!({"issuer": issuer, "jwks_uri": "KEYS"})).await;
    assert_eq!(enters_of(&issuer).await.status(), 200);
    assert_eq!(keys.asked(), 1);
}

#[tokio::test]
async fn a_document_of_another_issuer_leads_to_no_keys() {
    for document in [json!({"issuer": "http://other.example", "jwks_uri": "KEYS"}), json!({"jwks_uri": "KEYS"})] {
        let (issuer, keys) = discoverable(|_| document.clone()).await;
        assert_eq!(enters_of(&issuer).await.status(), 503);
        assert_eq!(keys.asked(), 0);
    }
}
