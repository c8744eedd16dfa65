//! Commands over EventStoreDB: what was decided is neither lost nor doubled when the bus is away or the writer ends.

use std::sync::Arc;

use command_svc::answer::Answer;
use command_svc::clock::random_ulid;
use command_svc::orgs::Orgs;
use command_svc::secrets::Secrets;
use command_svc::submission::{Accepted, Failure, Options, Origin};
use schemas::access::Role;
use schemas::command::Command;
use schemas::commit::Commit;
use schemas::id::{OperationId, OrgId};
use schemas::text::Name;
use schemas::zone::NewZone;

use crate::nats::eventually;
use crate::rig::Rig;

async fn writer(rig: &Rig) -> Orgs {
    Orgs::new(rig.replica().await, Arc::new(|_, _| {}), Secrets::new([7; 32]))
}

async fn submit(orgs: &Orgs, org: &OrgId, command: Command, key: Option<&str>) -> Result<Answer, Failure> {
    let origin = Origin::of("usr", "tok", Role::Owner, OperationId::new(random_ulid()));
    let command_id = key.unwrap_or("founding").to_owned();
    let command_hash = key.map(|_| "the same body".to_owned());
    let options = Options { command_id, command_hash, ..Options::default() };
    match orgs.submit(org, command, origin, options).await? {
        Accepted::Done(answer) => Ok(answer),
        Accepted::Would { .. } => panic!("it was no dry run"),
    }
}

async fn found(orgs: &Orgs, org: &OrgId) {
    submit(orgs, org, Command::CreateOrg { name: Name::new("a").unwrap() }, None).await.unwrap();
}

fn zone() -> Command {
    let new: NewZone = serde_json::from_value(serde_json::json!({"name": "LAB"})).unwrap();
    Command::Create(new.into())
}

/// How many zones of that name were ever made, by both stores.
async fn zones(rig: &Rig, org: &OrgId) -> [usize; 2] {
    let count = |message: &[u8]| {
        let commit = Commit::parse(message).unwrap();
        commit.events.iter().filter(|event| event.get().contains("zone.created") && event.get().contains("LAB")).count()
    };
    let stored = rig.stub().stream(&format!("netkeep-{org}"));
    let carried = rig.on_the_bus(org).await;
    [stored.iter().map(|it| count(&it.data)).sum(), carried.iter().map(|it| count(it)).sum()]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_given_for_what_is_in_both() {
    let rig = Rig::event_store().await;
    let (orgs, org) = (writer(&rig).await, rig.org("acme"));
    found(&orgs, &org).await;
    let answer = submit(&orgs, &org, zone(), Some("key")).await.unwrap();
    assert_eq!(answer.position, rig.bus.events().last(&org).await.unwrap().unwrap().position);
    let again = submit(&orgs, &org, zone(), Some("key")).await.unwrap();
    assert_eq!((again.id, again.position, again.replayed), (answer.id, answer.position, true));
    assert_eq!(zones(&rig, &org).await, [1, 1]);
}

/// The bus goes away between the two halves: the command waits for it, or is told to come again.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_commit_did_not_reach_the_bus_is_neither_lost_nor_done_twice() {
    let mut rig = Rig::event_store().await;
    let (orgs, org) = (writer(&rig).await, rig.org("acme"));
    found(&orgs, &org).await;
    rig.nats.kill();
    let waiting = tokio::spawn({
        let (orgs, org) = (orgs.clone(), org.clone());
        async move { submit(&orgs, &org, zone(), Some("key")).await }
    });
    let stream = format!("netkeep-{org}");
    eventually("the commit in EventStoreDB", async || (rig.stub().stream(&stream).len() == 2).then_some(())).await;
    rig.nats.start_again();
    let first = waiting.await.unwrap();
    let again = submit(&orgs, &org, zone(), Some("key")).await.unwrap();
    assert!(again.replayed);
    // It depends on how fast the server is back which of the two the caller hears first.
    match first {
        Ok(first) => assert_eq!((first.id, first.position), (again.id, again.position)),
        Err(failure) => assert!(matches!(failure, Failure::LogUnavailable(_)), "{failure}"),
    }
    assert_eq!(zones(&rig, &org).await, [1, 1]);
}

/// The writer ends between the two halves, and another one takes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_ends_between_the_halves_leaves_its_answer_behind() {
    let mut rig = Rig::event_store().await;
    let (orgs, org) = (writer(&rig).await, rig.org("acme"));
    found(&orgs, &org).await;
    rig.nats.kill();
    let cut_off = tokio::spawn({
        let (orgs, org) = (orgs.clone(), org.clone());
        async move { submit(&orgs, &org, zone(), Some("key")).await }
    });
    let stream = format!("netkeep-{org}");
    eventually("the commit in EventStoreDB", async || (rig.stub().stream(&stream).len() == 2).then_some(())).await;
    cut_off.abort();
    rig.nats.start_again();
    // The first writer is not asked again: what the second one knows, it has from the log.
    let other = writer(&rig).await;
    let again = submit(&other, &org, zone(), Some("key")).await.unwrap();
    assert!(again.replayed && again.position > 0);
    assert_eq!(zones(&rig, &org).await, [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_on_one_event_store_decide_one_after_the_other() {
    let rig = Rig::event_store().await;
    let org = rig.org("acme");
    let writers = [writer(&rig).await, writer(&rig).await];
    found(&writers[0], &org).await;
    let mut racing = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (orgs, org) = (writers[number % 2].clone(), org.clone());
        racing.spawn(async move { submit(&orgs, &org, zone(), Some(&format!("key{number}"))).await });
    }
    let outcomes = racing.join_all().await;
    let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(made, 1, "a name is taken once: {outcomes:?}");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Failure::Refused(_)))), "{outcomes:?}");
    assert_eq!(zones(&rig, &org).await, [1, 1]);
}
