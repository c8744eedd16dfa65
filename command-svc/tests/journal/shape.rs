//! What is in EventStoreDB: one event a commit, under names that others can rely on.

use bus::AppendError;

use crate::esdb_stub::Stub;
use crate::nats::Nats;
use crate::rig::{Rig, commit};

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_one_event_with_its_id_and_its_very_bytes() {
    let rig = Rig::event_store().await;
    let (journal, org) = (rig.replica().await, rig.org("acme"));
    let (id, message) = commit(&org, 1);
    journal.append(&org, 0, id, message.clone()).await.unwrap();
    let stream = rig.stub().stream("netkeep-acme");
    let [event] = &stream[..] else { panic!("{} events", stream.len()) };
    assert_eq!(event.id, id.ulid().0);
    assert_eq!(event.data, message);
    assert_eq!(event.metadata["type"], "netkeep.commit.v1");
    assert_eq!(event.metadata["content-type"], "application/json");
    assert_eq!(rig.on_the_bus(&org).await, [message]);
    assert_eq!(rig.stub().calls_not_to_the_leader(), 0, "a follower may answer with what is past");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_list_its_methods_will_do() {
    let (nats, bus) = Nats::start().await;
    let stub = Stub::start_with(true, 1 << 20).await;
    let journal = stub.url().parse::<command_svc::journal::Choice>().unwrap().open(&bus).unwrap();
    let org = "acme".parse().unwrap();
    let (id, message) = commit(&org, 1);
    assert!(journal.append(&org, 0, id, message).await.unwrap() > 0);
    drop(nats);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_one_of_the_two_does_not_take_is_in_neither() {
    let (_nats, bus) = Nats::start().await;
    let stub = Stub::start_with(false, 1 << 20).await;
    let journal = stub.url().parse::<command_svc::journal::Choice>().unwrap().open(&bus).unwrap();
    let org = "acme".parse().unwrap();
    // More than the stub takes, then more than the bus takes.
    for bytes in [(1 << 20) + 1, (8 << 20) - 100] {
        let (id, _) = commit(&org, 1);
        let refused = journal.append(&org, 0, id, vec![b'x'; bytes].into()).await;
        assert!(matches!(refused, Err(AppendError::Refused(_))), "{refused:?}");
    }
    assert!(stub.stream("netkeep-acme").is_empty());
    assert_eq!(journal.last_position(&org).await.unwrap(), 0);
    let (id, message) = commit(&org, 2);
    journal.append(&org, 0, id, message).await.unwrap();
}
