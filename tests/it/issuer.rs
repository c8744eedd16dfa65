//! An OIDC issuer of the test's own: it publishes its keys by discovery and signs what it is told to.

use std::net::SocketAddr;

use axum::Json;
use axum::routing::get;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::rig::now;

/// A key that signs JWTs under a name.
pub(crate) struct Signer {
    pub(crate) key: EncodingKey,
    pub(crate) kid: &'static str,
}

impl Signer {
    /// A new Ed25519 key, and its public half as a JWK (RFC 8037).
    pub(crate) fn new(kid: &'static str) -> (Self, Value) {
        use base64::Engine;
        let pair = nkeys::KeyPair::new_user();
        let (_, seed) = nkeys::decode_seed(&pair.seed().unwrap()).unwrap();
        let (_, public) = nkeys::from_public_key(&pair.public_key()).unwrap();
        // PKCS #8 around a bare key (RFC 8410 section 7).
        let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        der.extend(seed);
        let x = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(public);
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": x});
        (Self { key: EncodingKey::from_ed_der(&der), kid }, jwk)
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

/// An issuer that is served until the test ends.
pub(crate) struct Issuer {
    pub(crate) url: String,
    signer: Signer,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let (signer, jwk) = Signer::new("one");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let url = format!("http://{address}");
        let (document, jwks) = (json!({"issuer": url, "jwks_uri": format!("{url}/keys")}), json!({"keys": [jwk]}));
        let router = axum::Router::new()
            .route("/.well-known/openid-configuration", get(async move || Json(document)))
            .route("/keys", get(async move || Json(jwks)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, signer }
    }

    /// A JWT of a viewer of the org `default`, with other claims of the caller's.
    pub(crate) fn token(&self, subject: &str, others: Value) -> String {
        let now = now().timestamp();
        let mut claims = json!({"iss": self.url, "sub": subject, "org_id": "default", "iat": now, "exp": now + 300});
        claims.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
        self.signer.sign(&claims)
    }
}
