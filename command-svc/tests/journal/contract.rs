//! What every journal does, run against each of them.

use bus::AppendError;
use bytes::Bytes;
use command_svc::journal::{Journal, Stored};
use schemas::id::OrgId;

use crate::rig::{Rig, commit, number};

macro_rules! contract {
    ($($name:ident,)*) => {
        mod jetstream {
            use crate::rig::Rig;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&Rig::jetstream().await).await;
            })*
        }

        #[cfg(feature = "eventstore")]
        mod event_store {
            use crate::rig::Rig;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&Rig::event_store().await).await;
            })*
        }

        /// The same against a server that the user has: `ESDB_URL=esdb://localhost:2113?tls=false`.
        #[cfg(feature = "eventstore")]
        #[tokio::test(flavor = "multi_thread")]
        async fn a_live_server_keeps_the_contract() {
            let Ok(url) = std::env::var("ESDB_URL") else {
                eprintln!("not run: ESDB_URL names no EventStoreDB");
                return;
            };
            let rig = Rig::live(&url).await;
            $($name(&rig).await;)*
        }
    };
}

contract! {
    an_org_begins_empty,
    what_is_appended_is_read_in_order,
    reading_begins_after_a_position,
    of_two_appends_on_one_position_one_conflicts,
    an_append_on_an_old_position_leaves_no_trace,
    orgs_do_not_see_each_other,
    an_append_that_is_repeated_is_there_once,
    replicas_that_race_lose_nothing_and_double_nothing,
    a_large_commit_is_kept,
}

async fn messages(journal: &Journal, org: &OrgId, after: u64) -> Vec<Bytes> {
    journal.read(org, after).await.unwrap().into_iter().map(|stored| stored.message).collect()
}

async fn an_org_begins_empty(rig: &Rig) {
    let (journal, org) = (rig.replica().await, rig.org("empty"));
    assert_eq!(journal.last_position(&org).await.unwrap(), 0);
    assert!(messages(&journal, &org, 0).await.is_empty());
}

async fn what_is_appended_is_read_in_order(rig: &Rig) {
    let (journal, org) = (rig.replica().await, rig.org("order"));
    let (mut position, mut appended) = (0, Vec::new());
    for number in 1..=20 {
        let (id, message) = commit(&org, number);
        let next = journal.append(&org, position, id, message.clone()).await.unwrap();
        assert!(next > position, "{next} after {position}");
        assert_eq!(journal.last_position(&org).await.unwrap(), next);
        position = next;
        appended.push(message);
    }
    assert_eq!(messages(&rig.replica().await, &org, 0).await, appended);
    assert_eq!(rig.on_the_bus(&org).await, appended, "readers are on the bus, whatever the journal");
}

async fn reading_begins_after_a_position(rig: &Rig) {
    let (journal, org) = (rig.replica().await, rig.org("after"));
    let (id, first) = commit(&org, 1);
    let one = journal.append(&org, 0, id, first).await.unwrap();
    let (id, second) = commit(&org, 2);
    let two = journal.append(&org, one, id, second.clone()).await.unwrap();
    assert_eq!(messages(&journal, &org, one).await, [second]);
    assert!(messages(&journal, &org, two).await.is_empty());
}

async fn of_two_appends_on_one_position_one_conflicts(rig: &Rig) {
    let (a, b, org) = (rig.replica().await, rig.replica().await, rig.org("conflict"));
    let mut position = 0;
    // On the empty org, and on one with commits; b knows an old end each time.
    for number in [1, 3] {
        let (id, message) = commit(&org, number);
        let stored = a.append(&org, position, id, message.clone()).await.unwrap();
        let (id, late) = commit(&org, number + 1);
        let refused = b.append(&org, position, id, late.clone()).await;
        assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");
        let read = b.read(&org, position).await.unwrap();
        let [Stored { position: seen, message: theirs }] = &read[..] else { panic!("{} commits", read.len()) };
        assert_eq!((*seen, theirs), (stored, &message));
        position = b.append(&org, stored, id, late).await.unwrap();
    }
}

async fn an_append_on_an_old_position_leaves_no_trace(rig: &Rig) {
    let (journal, org) = (rig.replica().await, rig.org("trace"));
    let (id, message) = commit(&org, 1);
    journal.append(&org, 0, id, message.clone()).await.unwrap();
    for (number, expected) in [(2, 0), (3, 1_000_000)] {
        let (id, wrong) = commit(&org, number);
        assert!(journal.append(&org, expected, id, wrong).await.is_err());
    }
    assert_eq!(messages(&journal, &org, 0).await, [message]);
}

async fn orgs_do_not_see_each_other(rig: &Rig) {
    let journal = rig.replica().await;
    // One name begins with the other.
    let (a, b) = (rig.org("or"), rig.org("org"));
    let (id, of_a) = commit(&a, 1);
    journal.append(&a, 0, id, of_a.clone()).await.unwrap();
    let (id, of_b) = commit(&b, 1);
    journal.append(&b, 0, id, of_b.clone()).await.unwrap();
    assert_eq!(messages(&journal, &a, 0).await, [of_a]);
    assert_eq!(messages(&journal, &b, 0).await, [of_b]);
}

/// As a caller does that did not hear the first answer: whatever the second one is, reading tells.
async fn an_append_that_is_repeated_is_there_once(rig: &Rig) {
    let org = rig.org("repeated");
    let (id, message) = commit(&org, 1);
    let position = rig.replica().await.append(&org, 0, id, message.clone()).await.unwrap();
    let other = rig.replica().await;
    match other.append(&org, 0, id, message.clone()).await {
        Ok(again) => assert_eq!(again, position),
        Err(AppendError::Conflict | AppendError::Unknown(_)) => {}
        Err(AppendError::Refused(cause)) => panic!("{cause}"),
    }
    assert_eq!(messages(&other, &org, 0).await, std::slice::from_ref(&message));
    let (id, next) = commit(&org, 2);
    other.append(&org, position, id, next.clone()).await.unwrap();
    assert_eq!(messages(&other, &org, 0).await, [message, next]);
}

async fn replicas_that_race_lose_nothing_and_double_nothing(rig: &Rig) {
    const REPLICAS: u64 = 4;
    const EACH: u64 = 25;
    let org = rig.org("race");
    let mut racing = tokio::task::JoinSet::new();
    for replica in 0..REPLICAS {
        let (journal, org) = (rig.replica().await, org.clone());
        racing.spawn(async move {
            let mut position = 0;
            for number in 0..EACH {
                let (id, message) = commit(&org, 1 + replica * EACH + number);
                position = append_as_an_actor_does(&journal, &org, position, id, message).await;
            }
        });
    }
    racing.join_all().await;
    let read = messages(&rig.replica().await, &org, 0).await;
    let mut numbers: Vec<u64> = read.iter().map(|message| number(message)).collect();
    for replica in 0..REPLICAS {
        let own: Vec<u64> = numbers.iter().copied().filter(|number| (number - 1) / EACH == replica).collect();
        assert!(own.is_sorted(), "the commits of one writer are in its order: {own:?}");
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=REPLICAS * EACH).collect::<Vec<_>>());
}

/// Appends at the end, wherever that is. After an unclear answer it reads before it tries again.
async fn append_as_an_actor_does(
    journal: &Journal,
    org: &OrgId,
    mut position: u64,
    id: schemas::id::CommitId,
    message: Bytes,
) -> u64 {
    loop {
        match journal.append(org, position, id, message.clone()).await {
            Ok(position) => return position,
            Err(AppendError::Conflict | AppendError::Unknown(_)) => {
                for stored in journal.read(org, position).await.unwrap() {
                    position = stored.position;
                    if stored.message == message {
                        return position;
                    }
                }
            }
            Err(AppendError::Refused(cause)) => panic!("{cause}"),
        }
    }
}

async fn a_large_commit_is_kept(rig: &Rig) {
    let (journal, org) = (rig.replica().await, rig.org("large"));
    // A server that the user has takes 1 MiB unless it was told otherwise.
    let bytes = if rig.is_live() { 1_000_000 } else { command_svc::group::COMMIT_BYTES_MAX + 500_000 };
    let message = Bytes::from(format!(r#"{{"large":"{}"}}"#, "x".repeat(bytes)));
    let position = journal.append(&org, 0, commit(&org, 1).0, message.clone()).await.unwrap();
    let (id, small) = commit(&org, 2);
    journal.append(&org, position, id, small.clone()).await.unwrap();
    assert_eq!(messages(&rig.replica().await, &org, 0).await, [message, small]);
}
