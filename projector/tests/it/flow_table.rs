//! Flow batches become the flow table, each row once, whatever happens in between.

use std::path::Path;
use std::time::Duration;

use bus::Bus;
use bus::device::DeviceBus;
use bus::topology::Topology;
use bytes::Bytes;
use nkeys::KeyPair;
use schemas::files::{Catalogue, FilesCommit};
use schemas::flow::encode;
use schemas::id::{DeviceId, OrgId};
use schemas::subjects;

use crate::history::ulid;
use crate::nats::{Nats, eventually};
use crate::rows::{HOUR_START_US, batch, lines, read};
use crate::running::Running;

/// A device that sends batches, and remembers what it sent.
struct Sender {
    org: OrgId,
    device: DeviceId,
    bus: DeviceBus,
    number: u64,
    sent: Vec<String>,
}

impl Sender {
    async fn new(nats: &Nats, org: &str) -> Self {
        let (org, device): (OrgId, _) = (org.parse().unwrap(), DeviceId::new(ulid()));
        let seed = KeyPair::new_user().seed().unwrap();
        let bus = DeviceBus::connect(std::slice::from_ref(&nats.url), &seed, org.clone(), device).await.unwrap();
        Self { org, device, bus, number: 0, sent: Vec::new() }
    }

    async fn send(&mut self, rows: usize) -> Bytes {
        self.number += 1;
        let batch = batch(rand::random(), rows, HOUR_START_US - 30_000_000, 60_000_000);
        let payload = Bytes::from(encode(&batch).unwrap());
        self.bus.send_batch(self.number, payload.clone()).await.unwrap();
        self.sent.extend(lines(Some(self.device), &[batch]));
        payload
    }
}

async fn catalogue(bus: &Bus, org: &str) -> Catalogue {
    let mut catalogue = Catalogue::default();
    for message in bus.files().replay(&org.parse().unwrap(), 0).await.unwrap() {
        let commit: FilesCommit = serde_json::from_slice(&message.payload).unwrap();
        catalogue.apply(message.position, &commit);
    }
    catalogue
}

/// The rows of an org's table, sorted.
async fn table(bus: &Bus, folder: &Path, org: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for file in catalogue(bus, org).await.files.values() {
        let bytes = std::fs::read(folder.join(&file.path)).unwrap();
        assert_eq!(file.bytes, bytes.len() as u64);
        rows.extend(lines(None, &read(&bytes)));
    }
    rows.sort_unstable();
    rows
}

/// Waits until as many rows as were sent are in the table, and compares them.
async fn check(bus: &Bus, folder: &Path, org: &str, senders: &[&Sender]) {
    let mut sent: Vec<String> = senders.iter().flat_map(|sender| sender.sent.clone()).collect();
    sent.sort_unstable();
    eventually("all rows in the table", async || {
        let rows: u64 = catalogue(bus, org).await.files.values().map(|file| file.rows).sum();
        (rows >= sent.len() as u64).then_some(())
    })
    .await;
    assert!(table(bus, folder, org).await == sent, "the table is not what was sent");
}

/// Waits until everything is acknowledged.
async fn acknowledged(nats: &Nats) {
    let stream = nats.raw().await.get_stream(subjects::FLOWS).await.unwrap();
    eventually("the acknowledgements", async || {
        let info = stream.consumer_info("flows").await.unwrap();
        (info.num_ack_pending == 0 && info.num_pending == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_devices_send_is_in_their_orgs_table() {
    let (nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Sender::new(&nats, "acme").await, Sender::new(&nats, "acme").await);
    let mut other = Sender::new(&nats, "other").await;
    a.send(500).await;
    let running = Running::start(&bus, folder.path()).await;
    for _ in 0..5 {
        a.send(300).await;
        b.send(0).await;
        b.send(200).await;
        other.send(10).await;
    }
    check(&bus, folder.path(), "acme", &[&a, &b]).await;
    check(&bus, folder.path(), "other", &[&other]).await;
    let catalogue = catalogue(&bus, "acme").await;
    assert!(catalogue.files.values().all(|file| file.time_min_us / 3_600_000_000 == file.time_max_us / 3_600_000_000));
    assert!(catalogue.files.keys().any(|path| path.starts_with("acme/flows/hour=2024-11-21T12/")));
    acknowledged(&nats).await;
    let counts = running.stop().await;
    assert_eq!(counts.flow_rows_written.read(), (a.sent.len() + b.sent.len() + other.sent.len()) as u64);
}

#[tokio::test]
async fn a_batch_that_comes_twice_is_in_the_table_once() {
    let (nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let raw = nats.raw().await;
    let mut sender = Sender::new(&nats, "acme").await;
    let payload = sender.send(100).await;
    let again = async |payload: &Bytes, number: u64| {
        // Sent again so late that the server does not know it any more.
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(subjects::BATCH_HEADER, number.to_string());
        let subject = subjects::flows(&sender.org, sender.device);
        raw.publish_with_headers(subject, headers, payload.clone()).await.unwrap().await.unwrap();
    };
    again(&payload, 1).await;
    let running = Running::start(&bus, folder.path()).await;
    check(&bus, folder.path(), "acme", &[&sender]).await;
    again(&payload, 1).await;
    acknowledged(&nats).await;
    let counts = running.stop().await;
    assert_eq!((counts.flow_batches_repeated.read(), counts.flow_rows_written.read()), (2, 100));

    // The reader is lost: everything is delivered again.
    let stream = raw.get_stream(subjects::FLOWS).await.unwrap();
    stream.delete_consumer("flows").await.unwrap();
    let running = Running::start(&bus, folder.path()).await;
    acknowledged(&nats).await;
    let counts = running.stop().await;
    assert_eq!((counts.flow_batches_repeated.read(), counts.flow_rows_written.read()), (3, 0));
    check(&bus, folder.path(), "acme", &[&sender]).await;
}

#[tokio::test]
async fn batches_that_were_delivered_and_lost_come_before_later_ones() {
    let (nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut sender = Sender::new(&nats, "acme").await;
    for _ in 0..3 {
        sender.send(10).await;
    }
    // A process fetches them and is gone before it has done anything.
    let mut lost = bus.flow_batches("flows").await.unwrap();
    assert_eq!(lost.next(100, 1 << 20, Duration::from_millis(200)).await.unwrap().len(), 3);
    sender.send(10).await;
    let running = Running::start(&bus, folder.path()).await;
    check(&bus, folder.path(), "acme", &[&sender]).await;
    assert_eq!(running.stop().await.flow_batches_repeated.read(), 0);
}

#[tokio::test]
async fn a_fetch_that_is_cut_by_its_bounds_loses_nothing() {
    let (nats, bus) = Nats::start().await;
    let mut sender = Sender::new(&nats, "acme").await;
    for _ in 0..10 {
        sender.send(500).await;
    }
    let mut batches = bus.flow_batches("flows").await.unwrap();
    let mut sequences = Vec::new();
    while sequences.len() < 10 {
        let fetched = batches.next(100, 100_000, Duration::from_millis(500)).await.unwrap();
        assert!(fetched.len() < 10, "a fetch has bounds");
        sequences.extend(fetched.iter().map(|message| message.sequence));
    }
    assert_eq!(sequences, (1..=10).collect::<Vec<u64>>());
    batches.trim(10).await.unwrap();
    let stream = nats.raw().await.get_stream(subjects::FLOWS).await.unwrap();
    assert_eq!(stream.get_info().await.unwrap().state.messages, 1, "the last one stays");
}

#[tokio::test]
async fn a_crash_between_file_and_commit_leaves_no_row_twice() {
    let (nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut sender = Sender::new(&nats, "acme").await;
    sender.send(100).await;
    let running = Running::start(&bus, folder.path()).await;
    check(&bus, folder.path(), "acme", &[&sender]).await;
    let files = || {
        let hours = std::fs::read_dir(folder.path().join("acme/flows")).unwrap();
        hours.flat_map(|hour| std::fs::read_dir(hour.unwrap().path()).unwrap()).count()
    };
    let before = files();
    // The catalogue takes no changes: the files are written, the commit is not.
    let raw = nats.raw().await;
    let mut config = raw.get_stream(subjects::FILES).await.unwrap().get_info().await.unwrap().config;
    let subjects = std::mem::replace(&mut config.subjects, vec!["elsewhere.*".to_owned()]);
    raw.update_stream(&config).await.unwrap();
    sender.send(100).await;
    eventually("an orphaned file", async || (files() > before).then_some(())).await;
    running.crash().await;
    config.subjects = subjects;
    raw.update_stream(&config).await.unwrap();
    bus.ensure(&Topology::default()).await.unwrap();

    let running = Running::start(&bus, folder.path()).await;
    sender.send(100).await;
    check(&bus, folder.path(), "acme", &[&sender]).await;
    acknowledged(&nats).await;
    running.stop().await;
    check(&bus, folder.path(), "acme", &[&sender]).await;
}

#[tokio::test]
async fn two_projectors_at_once_do_not_double_a_row() {
    let (nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let other = nats.connect().await;
    let mut sender = Sender::new(&nats, "acme").await;
    let first = Running::start(&bus, folder.path()).await;
    for _ in 0..10 {
        sender.send(50).await;
    }
    let second = Running::start(&other, folder.path()).await;
    for _ in 0..10 {
        sender.send(50).await;
    }
    check(&bus, folder.path(), "acme", &[&sender]).await;
    first.crash().await;
    for _ in 0..10 {
        sender.send(50).await;
    }
    check(&bus, folder.path(), "acme", &[&sender]).await;
    second.stop().await;
}

#[tokio::test]
async fn another_writer_of_the_catalogue_does_not_stop_the_table() {
    let (nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut sender = Sender::new(&nats, "acme").await;
    sender.send(50).await;
    let running = Running::start(&bus, folder.path()).await;
    check(&bus, folder.path(), "acme", &[&sender]).await;
    let (id, position) = (schemas::id::CommitId::new(ulid()), catalogue(&bus, "acme").await.position);
    let org = sender.org.clone();
    let other = FilesCommit { org, id, table: "flows".to_owned(), add: vec![], remove: vec![], covers: None };
    let payload = Bytes::from(serde_json::to_vec(&other).unwrap());
    bus.files().append(&sender.org, position, id, payload).await.unwrap();
    sender.send(50).await;
    check(&bus, folder.path(), "acme", &[&sender]).await;
    running.stop().await;
}

#[tokio::test]
async fn a_batch_that_cannot_be_read_is_parked_and_the_rest_goes_on() {
    let (nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (mut sender, mut bad) = (Sender::new(&nats, "acme").await, Sender::new(&nats, "acme").await);
    sender.send(50).await;
    bad.number += 1;
    let sequence = bad.bus.send_batch(bad.number, Bytes::from_static(b"no arrow")).await.unwrap();
    bad.send(50).await;
    sender.send(50).await;
    let running = Running::start(&bus, folder.path()).await;
    check(&bus, folder.path(), "acme", &[&sender, &bad]).await;
    acknowledged(&nats).await;
    let (_, parked) =
        bus.bucket(subjects::PARKED_BUCKET).read(&format!("flows.{sequence}")).await.unwrap().expect("it is parked");
    let parked: serde_json::Value = serde_json::from_slice(&parked).unwrap();
    assert_eq!(parked["device"], bad.device.to_string());
    assert_eq!(running.stop().await.flow_batches_parked.read(), 1);
}
