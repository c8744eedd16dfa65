//! What becomes of appends while one of the two stores, or the way to it, is away.

use bus::AppendError;

use crate::esdb_stub::Fault;
use crate::nats::eventually;
use crate::rig::{Rig, commit};

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_answer_was_lost_is_found_by_reading() {
    let rig = Rig::event_store().await;
    let (journal, org) = (rig.replica().await, rig.org("acme"));
    rig.stub().fail(&[Fault::LoseAnswer]);
    let (id, message) = commit(&org, 1);
    let unclear = journal.append(&org, 0, id, message.clone()).await;
    assert!(matches!(unclear, Err(AppendError::Unknown(_))), "{unclear:?}");
    assert!(rig.on_the_bus(&org).await.is_empty(), "the second half was not begun");
    let read = journal.read(&org, 0).await.unwrap();
    assert_eq!(read.iter().map(|it| &it.message).collect::<Vec<_>>(), [&message]);
    assert_eq!(rig.on_the_bus(&org).await, [message]);
    let (id, next) = commit(&org, 2);
    journal.append(&org, read[0].position, id, next).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_was_lost_itself_is_done_by_the_second_attempt() {
    let rig = Rig::event_store().await;
    let (journal, org) = (rig.replica().await, rig.org("acme"));
    rig.stub().fail(&[Fault::LoseRequest]);
    let (id, message) = commit(&org, 1);
    let unclear = journal.append(&org, 0, id, message.clone()).await;
    assert!(matches!(unclear, Err(AppendError::Unknown(_))), "{unclear:?}");
    assert!(journal.read(&org, 0).await.unwrap().is_empty());
    journal.append(&org, 0, id, message.clone()).await.unwrap();
    assert_eq!(rig.stub().stream("netkeep-acme").len(), 1);
    assert_eq!(rig.on_the_bus(&org).await, [message]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bus_missed_comes_before_what_follows() {
    let mut rig = Rig::event_store().await;
    let (journal, org) = (rig.replica().await, rig.org("acme"));
    let (id, first) = commit(&org, 1);
    let position = journal.append(&org, 0, id, first.clone()).await.unwrap();
    rig.nats.kill();
    let (id, second) = commit(&org, 2);
    let unclear = journal.append(&org, position, id, second.clone()).await;
    assert!(matches!(unclear, Err(AppendError::Unknown(_))), "{unclear:?}");
    assert_eq!(rig.stub().stream("netkeep-acme").len(), 2, "the truth has it");
    rig.nats.start_again();
    // Another replica, which knows only what is on the bus, and decided on that.
    let other = rig.replica().await;
    let (id, third) = commit(&org, 3);
    let old = other.append(&org, position, id, third.clone()).await;
    assert!(matches!(old, Err(AppendError::Conflict)), "{old:?}");
    let end = other.last_position(&org).await.unwrap();
    other.append(&org, end, id, third.clone()).await.unwrap();
    assert_eq!(rig.on_the_bus(&org).await, [first, second, third]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_lives_on_after_an_outage_of_event_store() {
    let mut rig = Rig::event_store().await;
    // It is away when the journal is opened, and again later.
    rig.stub.as_mut().unwrap().stop().await;
    let (journal, org) = (rig.replica().await, rig.org("acme"));
    let mut position = 0;
    for number in 1..=3 {
        let (id, message) = commit(&org, number);
        let away = journal.append(&org, position, id, message.clone()).await;
        assert!(matches!(away, Err(AppendError::Unknown(_))), "{away:?}");
        rig.stub.as_mut().unwrap().start_again().await;
        position = eventually("EventStoreDB to be found again", async || {
            journal.append(&org, position, id, message.clone()).await.ok()
        })
        .await;
        rig.stub.as_mut().unwrap().stop().await;
    }
    rig.stub.as_mut().unwrap().start_again().await;
    assert_eq!(rig.stub().stream("netkeep-acme").len(), 3);
    assert_eq!(rig.on_the_bus(&org).await.len(), 3);
}
