//! Heartbeats show on the bus.

use bus::device::DeviceBus;
use nkeys::KeyPair;
use schemas::agent::Heartbeat;
use schemas::id::{DeviceId, OrgId};
use schemas::subjects;

use crate::history::{now, ulid};
use crate::nats::{Nats, eventually};
use crate::running::Running;

#[tokio::test]
async fn a_heartbeat_is_kept() {
    let (nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (org, device): (OrgId, _) = ("acme".parse().unwrap(), DeviceId::new(ulid()));
    let running = Running::start(&bus, folder.path()).await;
    let seed = KeyPair::new_user().seed().unwrap();
    let agent = DeviceBus::connect(std::slice::from_ref(&nats.url), &seed, org.clone(), device).await.unwrap();
    let heartbeat = Heartbeat { at: now(), agent_version: "1".to_owned(), revision: 7, ..Heartbeat::default() };
    let bucket = bus.bucket(subjects::PRESENCE_BUCKET);
    let found = eventually("the heartbeat", async || {
        agent.heartbeat(&heartbeat).await.unwrap();
        bucket.read(&subjects::presence_key(&org, device)).await.unwrap()
    })
    .await;
    assert_eq!(serde_json::from_slice::<Heartbeat>(&found.1).unwrap(), heartbeat);
    running.stop().await;
}
