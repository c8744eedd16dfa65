//! The relay: what writers left behind gets to the bus, in order and once, whatever is killed meanwhile.

use bytes::Bytes;
use command_svc::journal::event_store::CHECKPOINT_STREAM;
use rand::Rng;
use schemas::id::OrgId;
use tokio_util::sync::CancellationToken;

use crate::esdb_stub::Stub;
use crate::nats::{Nats, eventually};
use crate::rig::{Rig, commit};

/// Appends commits as a writer does that ends before it carried them.
fn leave_behind(stub: &Stub, org: &OrgId, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let (id, message) = commit(org, number);
        stub.put(&format!("netkeep-{org}"), id.ulid().0, "netkeep.commit.v1", &message);
    }
}

fn in_the_stream(stub: &Stub, org: &OrgId) -> Vec<Bytes> {
    stub.stream(&format!("netkeep-{org}")).into_iter().map(|event| event.data.into()).collect()
}

/// Waits until the bus has as many commits of each org as EventStoreDB, and compares them.
async fn carried(rig: &Rig, orgs: &[OrgId]) {
    let expected: usize = orgs.iter().map(|org| in_the_stream(rig.stub(), org).len()).sum();
    eventually("all commits on the bus", async || {
        let position = rig.bus.events().last_position().await.ok()?;
        (position >= expected as u64).then_some(())
    })
    .await;
    for org in orgs {
        assert_eq!(rig.on_the_bus(org).await, in_the_stream(rig.stub(), org), "{org}");
    }
    assert_eq!(rig.bus.events().last_position().await.unwrap(), expected as u64, "nothing twice");
}

async fn start_relay(rig: &Rig) -> tokio::task::JoinHandle<()> {
    let replica = rig.replica().await;
    tokio::spawn(async move { replica.relay(CancellationToken::new()).await })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_behind_is_carried_whatever_is_killed() {
    let mut rig = Rig::event_store().await;
    let orgs: Vec<OrgId> = (0..5).map(|n| rig.org(&format!("org{n}"))).collect();
    for round in 0..60 {
        for org in &orgs {
            leave_behind(rig.stub(), org, 1 + round * 5..6 + round * 5);
        }
        rig.stub().put("somebody-elses", u128::MAX - u128::from(round), "theirs", b"{}");
    }
    // Relays end wherever they are, two at a time, and once the bus ends with them.
    for round in 1..=8_u64 {
        let relays = [start_relay(&rig).await, start_relay(&rig).await];
        let enough = round * 120 + rand::rng().random_range(0..60);
        eventually("some commits on the bus", async || {
            (rig.bus.events().last_position().await.ok()? >= enough).then_some(())
        })
        .await;
        if round == 4 {
            rig.nats.kill();
        }
        relays.into_iter().for_each(|relay| relay.abort());
        if round == 4 {
            rig.nats.start_again();
        }
    }
    let relay = start_relay(&rig).await;
    carried(&rig, &orgs).await;
    // A relay that runs sees what is left behind later.
    leave_behind(rig.stub(), &orgs[0], 301..311);
    carried(&rig, &orgs).await;
    relay.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_goes_on_where_relays_were() {
    let rig = Rig::event_store().await;
    let orgs = [rig.org("acme")];
    leave_behind(rig.stub(), &orgs[0], 1..21);
    let relay = start_relay(&rig).await;
    carried(&rig, &orgs).await;
    let noted = eventually("a note", async || rig.stub().stream(CHECKPOINT_STREAM).pop()).await;
    let last = rig.stub().stream("netkeep-acme").pop().unwrap();
    let note: serde_json::Value = serde_json::from_slice(&noted.data).unwrap();
    assert!(note["commit"].as_u64() <= Some(last.position), "{note}");
    relay.abort();
    // Its own notes are no reason to write another one.
    let notes = || rig.stub().stream(CHECKPOINT_STREAM).len();
    let before = notes();
    let again = start_relay(&rig).await;
    leave_behind(rig.stub(), &orgs[0], 21..22);
    carried(&rig, &orgs).await;
    eventually("the next note", async || (notes() > before).then_some(())).await;
    again.abort();
    assert!(notes() <= before + 2, "{} notes", notes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_lost_everything_gets_everything_again() {
    let mut rig = Rig::event_store().await;
    let orgs = [rig.org("acme"), rig.org("other")];
    for org in &orgs {
        leave_behind(rig.stub(), org, 1..31);
    }
    let relay = start_relay(&rig).await;
    carried(&rig, &orgs).await;
    eventually("a note", async || rig.stub().stream(CHECKPOINT_STREAM).pop()).await;
    relay.abort();
    (rig.nats, rig.bus) = Nats::start().await;
    let relay = start_relay(&rig).await;
    carried(&rig, &orgs).await;
    relay.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_histories_are_not_mixed_and_hold_up_nobody_else() {
    let rig = Rig::event_store().await;
    let (torn, sound) = (rig.org("torn"), rig.org("sound"));
    // The bus holds a commit of a time when it was the journal itself.
    let (id, own) = commit(&torn, 1);
    rig.bus.events().append(&torn, 0, id, own.clone()).await.unwrap();
    leave_behind(rig.stub(), &torn, 10..12);
    leave_behind(rig.stub(), &sound, 1..4);
    let relay = start_relay(&rig).await;
    eventually("the sound org", async || (rig.on_the_bus(&sound).await.len() == 3).then_some(())).await;
    relay.abort();
    let journal = rig.replica().await;
    let error = journal.last_position(&torn).await.unwrap_err().to_string();
    assert!(error.contains("two histories"), "{error}");
    let (id, message) = commit(&torn, 20);
    assert!(journal.append(&torn, 1, id, message).await.is_err());
    assert_eq!(rig.on_the_bus(&torn).await, [own]);
    assert_eq!(in_the_stream(rig.stub(), &torn).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_somebody_else_wrote_to_is_left_alone() {
    let rig = Rig::event_store().await;
    let org = rig.org("acme");
    leave_behind(rig.stub(), &org, 1..3);
    rig.stub().put("netkeep-acme", 99, "theirs", b"{}");
    let journal = rig.replica().await;
    let error = journal.last_position(&org).await.unwrap_err().to_string();
    assert!(error.contains("the type theirs"), "{error}");
}
