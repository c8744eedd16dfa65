//! Keys of personal data: known to all replicas, and gone from all of them and from the disk once erased.

use std::path::Path;

use bus::people::NewKey;
use schemas::id::OrgId;
use schemas::subjects;
use schemas::user::Person;
use serde_json::json;

use crate::nats::{Nats, eventually};

fn acme() -> OrgId {
    "acme".parse().unwrap()
}

fn ann() -> Person {
    serde_json::from_value(json!({"name": "Ann", "email": "ann@example.com"})).unwrap()
}

/// Whether a file below a folder has these bytes in it.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => holds(&path, bytes),
            false => std::fs::read(&path).unwrap_or_default().windows(bytes.len()).any(|window| window == bytes),
        }
    })
}

#[tokio::test]
async fn an_erased_key_opens_nothing_anywhere_and_leaves_the_disk() {
    let (nats, bus) = Nats::start().await;
    let (one, other) = (bus.people(), nats.connect().await.people());
    let following = tokio::spawn(other.clone().follow());
    other.complete().await;

    let (key, kept) = (NewKey::random().unwrap(), NewKey::random().unwrap());
    one.keep(&acme(), &key).await.unwrap();
    one.keep(&acme(), &kept).await.unwrap();
    let sealed = key.seal(&acme(), &ann()).unwrap();
    assert_eq!(one.open(&acme(), &sealed), Some(ann()), "who keeps a key knows it at once");
    assert_eq!(other.read(&acme(), &sealed).await.unwrap(), Some(ann()), "others find it in the bucket");
    eventually("the key is known elsewhere", async || other.open(&acme(), &sealed)).await;
    let again = one.seal(&acme(), key.id(), &Person::default()).await.unwrap().unwrap();
    assert_eq!(other.open(&acme(), &again), Some(Person::default()));

    let name = format!("acme.{}", key.id());
    let (_, bytes) = bus.bucket(subjects::PEOPLE_BUCKET).read(&name).await.unwrap().unwrap();
    assert!(holds(nats.folder(), &bytes), "the bucket is on the disk");
    one.erase(&acme(), key.id()).await.unwrap();
    assert_eq!(one.open(&acme(), &sealed), None);
    eventually("the key is gone elsewhere", async || other.open(&acme(), &sealed).is_none().then_some(())).await;
    assert_eq!(other.read(&acme(), &sealed).await.unwrap(), None);
    assert!(one.seal(&acme(), key.id(), &ann()).await.unwrap().is_none());
    assert!(!holds(nats.folder(), &bytes), "the bytes are overwritten");
    eventually("only the other key is held", async || (other.held() == [(acme(), kept.id().to_owned())]).then_some(()))
        .await;
    // Erasing what is gone is no error: whoever was cut off does it again.
    one.erase(&acme(), key.id()).await.unwrap();
    following.abort();
}

#[tokio::test]
async fn keys_outlive_the_server() {
    let (mut nats, bus) = Nats::start().await;
    let key = NewKey::random().unwrap();
    bus.people().keep(&acme(), &key).await.unwrap();
    let sealed = key.seal(&acme(), &ann()).unwrap();
    nats.restart();
    let people = nats.connect().await.people();
    let following = tokio::spawn(people.clone().follow());
    people.complete().await;
    assert_eq!(people.open(&acme(), &sealed), Some(ann()));
    following.abort();
}

#[tokio::test]
async fn a_last_use_is_known_to_all_replicas() {
    let (nats, bus) = Nats::start().await;
    let (one, other) = (bus.uses(), nats.connect().await.uses());
    let following = tokio::spawn(other.clone().follow());
    let at = chrono::DateTime::from_timestamp_millis(1_790_000_000_123).unwrap();
    one.put(&acme(), "tok_1", at).await.unwrap().await.unwrap();
    assert_eq!(one.last(&acme(), "tok_1"), Some(at));
    assert_eq!(eventually("the use is known", async || other.last(&acme(), "tok_1")).await, at);
    assert_eq!(other.last(&"other".parse().unwrap(), "tok_1"), None);
    following.abort();
}
