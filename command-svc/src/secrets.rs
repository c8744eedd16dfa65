//! Secrets that are given out once: derived from the id of what they open, so that a repeated call gets the very same
//! answer, and what is created anew never has an old secret.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use schemas::event::SecretHash;
use schemas::id::OrgId;
use schemas::user::Email;
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

    /// What is kept of a mail address to find it by; in whatever case it is written.
    pub fn email_hash(&self, org: &OrgId, email: &Email) -> String {
        self.blind(&["email", org.as_str(), &email.as_str().to_lowercase()])
    }

    /// What is kept of who an issuer says somebody is.
    pub fn subject_hash(&self, org: &OrgId, issuer: &str, subject: &str) -> String {
        self.blind(&["subject", org.as_str(), issuer, subject])
    }

    /// What is kept of a request that personal data came in: the bare hash of it could be guessed.
    pub fn request_hash(&self, hash: &str) -> String {
        self.blind(&["request", hash])
    }

    /// A keyed hash, in hexadecimal. No secret begins with a word that is hashed here.
    fn blind(&self, parts: &[&str]) -> String {
        self.mac(parts).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// HMAC-SHA-256 (RFC 2104) over parts that cannot run into each other.
    fn mac(&self, parts: &[&str]) -> Vec<u8> {
        // A key of 32 bytes is one that every HMAC takes.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return Vec::new() };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().to_vec()
    }

    /// The secret of a resource: HMAC-SHA-256 (RFC 2104) over its org and its id.
    pub fn derive(&self, kind: SecretKind, org: &OrgId, id: &str) -> String {
        let prefix = match kind {
            SecretKind::ApiToken => "nk",
            SecretKind::SetupKey => "nks",
        };
        format!("{prefix}_{}", URL_SAFE_NO_PAD.encode(self.mac(&[prefix, org.as_str(), id])))
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

    #[test]
    fn a_mail_address_is_one_in_whatever_case_and_another_in_every_org() {
        let (secrets, acme) = (Secrets::new([7; 32]), "acme".parse().expect("an org"));
        let hash = |org: &OrgId, text: &str| secrets.email_hash(org, &Email::new(text).expect("an address"));
        let ann = hash(&acme, "ann@example.com");
        assert_eq!((ann.len(), &ann), (64, &hash(&acme, "Ann@Example.COM")));
        assert_ne!(ann, hash(&"other".parse().expect("an org"), "ann@example.com"));
        assert_ne!(ann, Secrets::new([8; 32]).email_hash(&acme, &Email::new("ann@example.com").expect("an address")));
        let subject = |issuer, subject| secrets.subject_hash(&acme, issuer, subject);
        assert_ne!(subject("https://a", "b"), subject("https://", "ab"));
    }
}
