//! Secrets that are given out once: derived from the id of what they open, so that a repeated call gets the very same
//! answer, and what is created anew never has an old secret.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use schemas::event::SecretHash;
use schemas::id::OrgId;
use sha2::Sha256;

/// Makes secrets from a key that never leaves the control plane.
#[derive(Clone)]
pub struct Secrets([u8; 32]);

/// What a secret opens; also how it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    ApiToken,
    SetupKey,
}

/// A secret about to be given out: only its hash and its first characters are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSecret {
    pub hash: SecretHash,
    pub prefix: String,
}

/// What is kept of a secret to recognise it by.
const PREFIX_CHARS: usize = 9;

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The secret of a resource: HMAC-SHA-256 (RFC 2104) over its org and its id.
    pub fn derive(&self, kind: SecretKind, org: &OrgId, id: &str) -> String {
        let prefix = match kind {
            SecretKind::ApiToken => "nk",
            SecretKind::SetupKey => "nks",
        };
        // A key of 32 bytes is one that every HMAC takes.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        for part in [prefix, org.as_str(), id] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        format!("{prefix}_{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }
}

/// What is kept of a secret.
pub(crate) fn kept(secret: &str) -> NewSecret {
    NewSecret { hash: SecretHash::of(secret), prefix: secret.chars().take(PREFIX_CHARS).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_belongs_to_one_resource_of_one_org() {
        let secrets = Secrets::new([7; 32]);
        let secret = |kind, org: &str, id: &str| secrets.derive(kind, &org.parse().expect("an org"), id);
        let first = secret(SecretKind::ApiToken, "acme", "tok_1");
        assert_eq!(first, secret(SecretKind::ApiToken, "acme", "tok_1"));
        assert!(first.starts_with("nk_") && first.len() == 46, "{first}");
        let others = [
            secret(SecretKind::SetupKey, "acme", "tok_1"),
            secret(SecretKind::ApiToken, "acme2", "tok_1"),
            secret(SecretKind::ApiToken, "acme", "tok_2"),
        ];
        assert!(others.iter().all(|other| *other != first));
    }
}
