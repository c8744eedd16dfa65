//! Secrets that are given out once: derived from the command id, so that a repeated call gets the very same answer.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use schemas::event::SecretHash;
use schemas::id::OrgId;
use sha2::Sha256;

use crate::decide::NewSecret;

/// Makes secrets from a key that never leaves the control plane.
#[derive(Clone)]
pub struct Secrets([u8; 32]);

/// What a secret opens; also how it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    ApiToken,
    SetupKey,
}

/// What is kept of a secret to recognise it by.
const PREFIX_CHARS: usize = 9;

impl Secrets {
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The secret that belongs to a command: HMAC-SHA-256 (RFC 2104) over who gave it and its id.
    pub fn derive(&self, kind: SecretKind, org: &OrgId, actor: &str, command_id: &str) -> String {
        let prefix = match kind {
            SecretKind::ApiToken => "nk",
            SecretKind::SetupKey => "nks",
        };
        // A key of 32 bytes is one that every HMAC takes.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        for part in [prefix, org.as_str(), actor, command_id] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        format!("{prefix}_{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }
}

/// What is kept of a secret.
pub fn kept(secret: &str) -> NewSecret {
    NewSecret { hash: SecretHash::of(secret), prefix: secret.chars().take(PREFIX_CHARS).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_belongs_to_one_command_of_one_actor() {
        let secrets = Secrets::new([7; 32]);
        let org: OrgId = "acme".parse().expect("an org");
        let secret = |kind, actor: &str, command: &str| secrets.derive(kind, &org, actor, command);
        let first = secret(SecretKind::ApiToken, "usr_1", "a");
        assert_eq!(first, secret(SecretKind::ApiToken, "usr_1", "a"));
        assert!(first.starts_with("nk_") && first.len() == 46, "{first}");
        let others = [
            secret(SecretKind::SetupKey, "usr_1", "a"),
            secret(SecretKind::ApiToken, "usr_2", "a"),
            secret(SecretKind::ApiToken, "usr_1", "b"),
            secret(SecretKind::ApiToken, "usr_1a", ""),
        ];
        assert!(others.iter().all(|other| *other != first));
    }
}
