//! JWTs: the good ones enter, everything else is refused for its own reason.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gate::JwtConfig;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use schemas::access::Role;
use serde_json::{Value, json};

use crate::rig::{Rig, refused};

pub(crate) const ISSUER: &str = "https://issuer.example/";
const RSA_A: &[u8] = include_bytes!("../keys/rsa-a.pem");
const RSA_A_PUBLIC: &[u8] = include_bytes!("../keys/rsa-a.public.pem");
const RSA_B: &[u8] = include_bytes!("../keys/rsa-b.pem");
const RSA_SHORT: &[u8] = include_bytes!("../keys/rsa-short.pem");
const EC: &[u8] = include_bytes!("../keys/ec.pem");
const ED: &[u8] = include_bytes!("../keys/ed.pem");

/// A key that signs JWTs under a name.
pub(crate) struct Signer {
    pub(crate) id: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
}

pub(crate) fn signer(id: &'static str) -> Signer {
    let (algorithm, key) = match id {
        "a" => (Algorithm::RS256, EncodingKey::from_rsa_pem(RSA_A)),
        "b" => (Algorithm::RS256, EncodingKey::from_rsa_pem(RSA_B)),
        "pss" => (Algorithm::PS256, EncodingKey::from_rsa_pem(RSA_B)),
        "short" => (Algorithm::RS256, EncodingKey::from_rsa_pem(RSA_SHORT)),
        "ec" => (Algorithm::ES256, EncodingKey::from_ec_pem(EC)),
        "ed" => (Algorithm::EdDSA, EncodingKey::from_ed_pem(ED)),
        other => panic!("no such signer: {other}"),
    };
    Signer { id, algorithm, key: key.unwrap() }
}

impl Signer {
    pub(crate) fn sign(&self, claims: &Value) -> String {
        encode(&Header { kid: Some(self.id.to_owned()), ..Header::new(self.algorithm) }, claims, &self.key).unwrap()
    }

    fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.to_owned());
        serde_json::to_value(jwk).unwrap()
    }
}

pub(crate) fn jwks(ids: &[&'static str]) -> String {
    json!({"keys": ids.iter().map(|id| signer(id).jwk()).collect::<Vec<_>>()}).to_string()
}

pub(crate) fn claims(changes: Value) -> Value {
    let now = get_current_timestamp();
    let mut claims = json!({"iss": ISSUER, "sub": "ann", "org_id": "acme", "iat": now, "exp": now + 600});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

pub(crate) fn config(jwks: &str) -> JwtConfig {
    JwtConfig {
        jwt_issuer: Some(ISSUER.to_owned()),
        jwt_jwks: Some(jwks.to_owned()),
        jwt_audience: Vec::new(),
        jwt_authorized_parties: Vec::new(),
        jwt_role_claim: "role".to_owned(),
        jwt_leeway_s: 30,
        jwt_role_max: Role::Admin,
        jwt_jwks_ttl_s: 300,
        jwt_jwks_interval_min_s: 0,
    }
}

/// A server that accepts JWTs, with the keys in a file.
pub(crate) async fn rig(change: impl FnOnce(&mut JwtConfig)) -> (Rig, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    std::fs::write(&path, jwks(&["a", "pss", "short", "ec", "ed"])).unwrap();
    let mut config = config(path.to_str().unwrap());
    change(&mut config);
    (Rig::with(config.verifier().unwrap(), Duration::from_secs(5)).await, folder)
}

async fn who(rig: &Rig, token: &str) -> Value {
    let response = rig.get("/api/v1/whoami").bearer_auth(token).send().await.unwrap();
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    response.json().await.unwrap()
}

async fn invalid(rig: &Rig, token: &str) -> String {
    let error = refused(rig.get("/api/v1/whoami").bearer_auth(token)).await;
    assert_eq!(error["reason"], "JWT_INVALID", "{error}");
    error["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_good_jwt_says_who_calls() {
    let (rig, _folder) = rig(|_| {}).await;
    for id in ["a", "pss", "ec", "ed"] {
        let who = who(&rig, &signer(id).sign(&claims(json!({"role": "operator"})))).await;
        assert_eq!(who["org"], "acme");
        assert_eq!(who["actor"], "jwt:ann");
        assert_eq!(who["credential"], "jwt");
        assert_eq!(who["role"], "operator");
        assert_eq!(who["user_id"], Value::Null);
    }
}

#[tokio::test]
async fn a_jwt_gives_no_more_than_it_may() {
    let (rig, _folder) = rig(|_| {}).await;
    assert_eq!(who(&rig, &signer("a").sign(&claims(json!({})))).await["role"], "viewer");
    assert_eq!(who(&rig, &signer("a").sign(&claims(json!({"role": "owner"})))).await["role"], "admin");
    assert!(invalid(&rig, &signer("a").sign(&claims(json!({"role": "emperor"})))).await.contains("emperor"));
}

#[tokio::test]
async fn claims_that_do_not_hold_are_refused() {
    let (rig, _folder) = rig(|_| {}).await;
    let now = get_current_timestamp();
    let expired = signer("a").sign(&claims(json!({"iat": now - 900, "exp": now - 31})));
    assert_eq!(refused(rig.get("/api/v1/whoami").bearer_auth(&expired)).await["reason"], "TOKEN_EXPIRED");
    for (changes, said) in [
        (json!({"iss": "https://issuer.example"}), "iss"),
        (json!({"iss": [ISSUER]}), "string"),
        (json!({"iss": null}), "iss"),
        (json!({"exp": null}), "exp"),
        (json!({"exp": "tomorrow"}), "f64"),
        (json!({"sub": null}), "sub"),
        (json!({"sub": ""}), "sub"),
        (json!({"sub": "a\nb"}), "sub"),
        (json!({"org_id": null}), "org_id"),
        (json!({"org_id": "a.b"}), "a.b"),
        (json!({"nbf": now + 60}), "nbf"),
        (json!({"iat": now + 60}), "iat"),
        (json!({"iat": -5}), "iat"),
        (json!({"aud": "somebody else"}), "aud"),
    ] {
        let message = invalid(&rig, &signer("a").sign(&claims(changes.clone()))).await;
        assert!(message.contains(said), "{changes}: {message}");
    }
}

#[tokio::test]
async fn the_clocks_may_differ_by_a_little() {
    let (rig, _folder) = rig(|_| {}).await;
    let now = get_current_timestamp();
    who(&rig, &signer("a").sign(&claims(json!({"iat": now - 900, "exp": now - 15})))).await;
    who(&rig, &signer("a").sign(&claims(json!({"iat": now + 15, "nbf": now + 15})))).await;
}

#[tokio::test]
async fn audiences_and_applications_are_held_to() {
    let (rig, _folder) = rig(|config| {
        config.jwt_audience = vec!["netkeep".to_owned()];
        config.jwt_authorized_parties = vec!["console".to_owned()];
    })
    .await;
    let sign = |changes| signer("a").sign(&claims(changes));
    who(&rig, &sign(json!({"aud": ["other", "netkeep"], "azp": "console"}))).await;
    assert!(invalid(&rig, &sign(json!({"azp": "console"}))).await.contains("aud"));
    assert!(invalid(&rig, &sign(json!({"aud": "other", "azp": "console"}))).await.contains("aud"));
    assert!(invalid(&rig, &sign(json!({"aud": "netkeep", "azp": "game"}))).await.contains("azp"));
    assert!(invalid(&rig, &sign(json!({"aud": "netkeep"}))).await.contains("azp"));
}

#[tokio::test]
async fn the_algorithm_is_that_of_the_key() {
    let (rig, _folder) = rig(|_| {}).await;
    let claims = claims(json!({}));
    let forge = |algorithm, key: &EncodingKey| {
        encode(&Header { kid: Some("a".to_owned()), ..Header::new(algorithm) }, &claims, key).unwrap()
    };
    // The public key as the secret of an HMAC: the classic.
    let public = EncodingKey::from_secret(RSA_A_PUBLIC);
    assert!(invalid(&rig, &forge(Algorithm::HS256, &public)).await.contains("HS256"));
    let private = EncodingKey::from_rsa_pem(RSA_A).unwrap();
    assert!(invalid(&rig, &forge(Algorithm::PS512, &private)).await.contains("not accepted"));
    assert!(invalid(&rig, &forge(Algorithm::RS512, &private)).await.contains("its key is for RS256"));
    assert!(invalid(&rig, &forge(Algorithm::EdDSA, &EncodingKey::from_ed_pem(ED).unwrap())).await.contains("RS256"));
    let other = EncodingKey::from_rsa_pem(RSA_B).unwrap();
    assert!(invalid(&rig, &forge(Algorithm::RS256, &other)).await.contains("signature"));
}

#[tokio::test]
async fn a_jwt_without_a_signature_is_nothing() {
    let (rig, _folder) = rig(|_| {}).await;
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let payload = part(&claims(json!({"role": "admin"})));
    for algorithm in ["none", "None", "NONE", "", "HS256", "RS256"] {
        let header = part(&json!({"alg": algorithm, "kid": "a"}));
        invalid(&rig, &format!("{header}.{payload}.")).await;
        invalid(&rig, &format!("{header}.{payload}.AAAA")).await;
    }
    for nonsense in ["..", "a.b.c", "e30.e30.e30", &format!("{}.b.c", "a".repeat(20_000))] {
        invalid(&rig, nonsense).await;
    }
}

#[tokio::test]
async fn a_changed_claim_breaks_the_signature() {
    let (rig, _folder) = rig(|_| {}).await;
    let token = signer("ec").sign(&claims(json!({})));
    let parts: Vec<&str> = token.split('.').collect();
    let payload = URL_SAFE_NO_PAD.encode(claims(json!({"org_id": "other"})).to_string());
    let message = invalid(&rig, &format!("{}.{payload}.{}", parts[0], parts[2])).await;
    assert!(message.contains("signature"), "{message}");
}

#[tokio::test]
async fn keys_that_are_too_weak_or_unknown_do_not_count() {
    let (rig, _folder) = rig(|_| {}).await;
    for id in ["short", "b"] {
        let message = invalid(&rig, &signer(id).sign(&claims(json!({})))).await;
        assert!(message.contains("does not publish"), "{message}");
    }
}

#[tokio::test]
async fn demanded_extensions_are_not_passed_over() {
    let (rig, _folder) = rig(|_| {}).await;
    let header =
        Header { kid: Some("a".to_owned()), crit: Some(vec!["b64".to_owned()]), ..Header::new(Algorithm::RS256) };
    let token = encode(&header, &claims(json!({})), &EncodingKey::from_rsa_pem(RSA_A).unwrap()).unwrap();
    assert!(invalid(&rig, &token).await.contains("crit"));
}

#[tokio::test]
async fn a_jwt_that_names_no_key_gets_the_only_one_of_its_algorithm() {
    let (rig, _folder) = rig(|_| {}).await;
    let header = Header::new(Algorithm::ES256);
    who(&rig, &encode(&header, &claims(json!({})), &EncodingKey::from_ec_pem(EC).unwrap()).unwrap()).await;
}

#[tokio::test]
async fn the_role_is_in_the_claim_that_is_configured() {
    let (rig, _folder) = rig(|config| config.jwt_role_claim = "realm_access.roles".to_owned()).await;
    let token = signer("a").sign(&claims(json!({"realm_access": {"roles": ["offline", "auditor"]}, "role": "admin"})));
    assert_eq!(who(&rig, &token).await["role"], "auditor");
    assert_eq!(who(&rig, &signer("a").sign(&claims(json!({"role": "admin"})))).await["role"], "viewer");
}

#[tokio::test]
async fn the_org_limits_where_jwts_come_from_too() {
    let (rig, _folder) = rig(|_| {}).await;
    let token = signer("a").sign(&claims(json!({})));
    let sources = vec!["2001:db8::/32".parse().unwrap()];
    rig.org(gate::OrgFacts { api_sources: sources, ..gate::OrgFacts::default() });
    assert_eq!(refused(rig.get("/api/v1/whoami").bearer_auth(&token)).await["reason"], "SOURCE_IP_FORBIDDEN");
}

#[tokio::test]
async fn the_leeway_is_configured() {
    let (rig, _folder) = rig(|config| config.jwt_leeway_s = 0).await;
    let now = get_current_timestamp();
    let token = signer("a").sign(&claims(json!({"iat": now - 900, "exp": now - 15})));
    assert_eq!(refused(rig.get("/api/v1/whoami").bearer_auth(&token)).await["reason"], "TOKEN_EXPIRED");
}
