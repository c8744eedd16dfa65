//! Personal data: sealed with a key of each user's own, and unreadable everywhere once that key is erased.
//!
//! A key lies in the bucket under `<org>.<key id>` before anything that it seals is an event. It is never replaced.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use rand::TryRngCore;
use rand::rngs::OsRng;
use schemas::id::OrgId;
use schemas::subjects;
use schemas::user::{Person, Sealed};

use crate::connect::Bus;
use crate::error::{During, Error};
use crate::mirror::Mirror;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// The keys of all users, and what is done with them. Cloning shares them.
#[derive(Clone)]
pub struct People {
    keys: Mirror<PersonKey>,
}

/// A key, in memory. It is not shown in logs.
#[derive(Clone, Copy)]
struct PersonKey([u8; KEY_BYTES]);

/// A key that belongs to nobody yet: it is in the bucket once it is kept.
#[derive(Clone)]
pub struct NewKey {
    id: String,
    key: PersonKey,
}

impl Bus {
    /// Personal data. Names are known without waiting once [`People::follow`] runs.
    pub fn people(&self) -> People {
        People { keys: Mirror::new(self.bucket(subjects::PEOPLE_BUCKET), PersonKey::parse) }
    }
}

impl NewKey {
    /// A random key.
    pub fn random() -> Result<Self, Error> {
        let mut id = [0; 16];
        OsRng.try_fill_bytes(&mut id).during("make a key")?;
        let mut key = [0; KEY_BYTES];
        OsRng.try_fill_bytes(&mut key).during("make a key")?;
        Ok(Self { id: id.iter().map(|byte| format!("{byte:02x}")).collect(), key: PersonKey(key) })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn seal(&self, org: &OrgId, person: &Person) -> Result<Sealed, Error> {
        seal(org, &self.id, self.key, person)
    }
}

impl People {
    /// Follows the keys for ever.
    pub async fn follow(self) -> Result<(), Error> {
        self.keys.follow().await
    }

    /// Waits until the keys of this moment are known.
    pub async fn complete(&self) {
        self.keys.complete().await;
    }

    /// Keeps a new key. What it seals may be an event from here on.
    pub async fn keep(&self, org: &OrgId, new: &NewKey) -> Result<(), Error> {
        let name = name(org, &new.id);
        self.keys.bucket().put(&name, Bytes::copy_from_slice(&new.key.0)).await?.await?;
        self.keys.hold(&name, new.key);
        Ok(())
    }

    /// Seals with a key that is kept; `None` if it is gone.
    pub async fn seal(&self, org: &OrgId, key_id: &str, person: &Person) -> Result<Option<Sealed>, Error> {
        let key = self.keys.read(&name(org, key_id)).await?;
        key.map(|key| seal(org, key_id, key, person)).transpose()
    }

    /// The person, if their key is known to this process.
    pub fn open(&self, org: &OrgId, sealed: &Sealed) -> Option<Person> {
        open(org, sealed, self.keys.get(&name(org, &sealed.key_id))?)
    }

    /// The person, if their key is there.
    pub async fn read(&self, org: &OrgId, sealed: &Sealed) -> Result<Option<Person>, Error> {
        let key = self.keys.read(&name(org, &sealed.key_id)).await?;
        Ok(key.and_then(|key| open(org, sealed, key)))
    }

    /// Makes all that the key sealed unreadable, for good.
    pub async fn erase(&self, org: &OrgId, key_id: &str) -> Result<(), Error> {
        let name = name(org, key_id);
        self.keys.forget(&name);
        self.keys.bucket().erase(&name).await?;
        // The mirror may have taken the key in again while it was being erased.
        self.keys.forget(&name);
        Ok(())
    }

    /// The keys that are held: org and key id.
    pub fn held(&self) -> Vec<(OrgId, String)> {
        let parse = |name: &str| {
            let (org, id) = name.split_once('.')?;
            Some((org.parse().ok()?, id.to_owned()))
        };
        self.keys.keys().iter().filter_map(|name| parse(name)).collect()
    }
}

impl PersonKey {
    fn parse(value: &Bytes) -> Option<Self> {
        value.as_ref().try_into().ok().map(Self)
    }
}

fn name(org: &OrgId, key_id: &str) -> String {
    format!("{org}.{key_id}")
}

/// What is sealed for one org and key opens for no other.
fn bound(org: &OrgId, key_id: &str) -> String {
    format!("netkeep person {org} {key_id}")
}

fn seal(org: &OrgId, key_id: &str, key: PersonKey, person: &Person) -> Result<Sealed, Error> {
    let mut nonce = [0; NONCE_BYTES];
    OsRng.try_fill_bytes(&mut nonce).during("seal personal data")?;
    let text = serde_json::to_vec(person).during("seal personal data")?;
    let cipher = XChaCha20Poly1305::new(&Key::from(key.0));
    let aad = bound(org, key_id);
    let sealed = cipher.encrypt(&XNonce::from(nonce), Payload { msg: &text, aad: aad.as_bytes() });
    let sealed = sealed.during("seal personal data")?;
    Ok(Sealed { key_id: key_id.to_owned(), text: STANDARD.encode([&nonce[..], &sealed[..]].concat()) })
}

fn open(org: &OrgId, sealed: &Sealed, key: PersonKey) -> Option<Person> {
    let bytes = STANDARD.decode(&sealed.text).ok()?;
    let (nonce, text) = bytes.split_first_chunk::<NONCE_BYTES>()?;
    let cipher = XChaCha20Poly1305::new(&Key::from(key.0));
    let aad = bound(org, &sealed.key_id);
    let opened = cipher.decrypt(&XNonce::from(*nonce), Payload { msg: text, aad: aad.as_bytes() }).ok()?;
    serde_json::from_slice(&opened).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person() -> Person {
        serde_json::from_value(serde_json::json!({"name": "Ann", "email": "ann@example.com"})).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_and_for_its_org_only() {
        let org: OrgId = "acme".parse().unwrap();
        let (key, other) = (NewKey::random().unwrap(), NewKey::random().unwrap());
        let sealed = key.seal(&org, &person()).unwrap();
        assert_eq!(open(&org, &sealed, key.key), Some(person()));
        assert_eq!(open(&org, &sealed, other.key), None);
        assert_eq!(open(&"other".parse().unwrap(), &sealed, key.key), None);
        assert_eq!(open(&org, &Sealed { key_id: other.id, ..sealed.clone() }, key.key), None);
        assert!(!sealed.text.contains("Ann"));
        assert_ne!(sealed, key.seal(&org, &person()).unwrap(), "a nonce is used once");
    }

    #[test]
    fn nothing_that_is_not_sealed_opens_or_panics() {
        let key = NewKey::random().unwrap();
        for text in ["", "AAAA", "not base64!", &"A".repeat(64), &"A".repeat(4_000)] {
            let sealed = Sealed { key_id: key.id.clone(), text: text.to_owned() };
            assert_eq!(open(&"acme".parse().unwrap(), &sealed, key.key), None, "{text}");
        }
    }
}
