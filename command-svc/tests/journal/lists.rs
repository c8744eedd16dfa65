//! An address list as large as one may be, replaced part by part on a real log.

use std::sync::Arc;
use std::time::Duration;

use command_svc::answer::Answer;
use command_svc::clock::random_ulid;
use command_svc::journal::Journal;
use command_svc::orgs::Orgs;
use command_svc::secrets::Secrets;
use command_svc::submission::{Accepted, Options, Origin};
use schemas::access::Role;
use schemas::address_list::{ENTRIES_MAX, ListEntry, NewAddressList};
use schemas::command::Command;
use schemas::id::{AddressListId, OperationId, OrgId};
use schemas::text::Name;
use serde_json::json;
use tokio::time::Instant;

use crate::nats::Nats;

/// Longer than a debug build on a busy machine takes, far shorter than a quadratic one.
const PATIENCE: Duration = Duration::from_secs(60);

async fn submit(orgs: &Orgs, org: &OrgId, command: Command, key: &str) -> Answer {
    let origin = Origin::of("usr", "tok", Role::Owner, OperationId::new(random_ulid()));
    let command_hash = Some("the same body".to_owned());
    let options = Options { command_id: key.to_owned(), command_hash, ..Options::default() };
    match orgs.submit(org, command, origin, options).await.unwrap() {
        Accepted::Done(answer) => answer,
        Accepted::Would { .. } => panic!("it was no dry run"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_list_is_loaded_in_seconds_and_told_again_by_another_replica() {
    let (nats, bus) = Nats::start().await;
    let org: OrgId = "acme".parse().unwrap();
    let replica = |bus| Orgs::new(Journal::jetstream(&bus), Arc::new(|_, _| {}), Secrets::new([7; 32]));
    let orgs = replica(bus);
    submit(&orgs, &org, Command::CreateOrg { name: Name::new("a").unwrap() }, "found").await;
    let list: NewAddressList = serde_json::from_value(json!({"name": "bad"})).unwrap();
    let made = submit(&orgs, &org, Command::Create(list.into()), "list").await;
    let id: AddressListId = made.id.parse().unwrap();
    let addresses = (0..u32::try_from(ENTRIES_MAX).unwrap()).map(|n| std::net::Ipv4Addr::from(n << 3));
    let entry =
        |address| serde_json::from_value::<ListEntry>(json!({"address": address, "comment": "scanner"})).unwrap();
    let entries: Arc<[ListEntry]> = addresses.map(entry).collect();
    let command = || Command::ReplaceEntries(id, entries.clone());

    let start = Instant::now();
    let mut answers = Vec::new();
    loop {
        let answer = submit(&orgs, &org, command(), &format!("part{}", answers.len())).await;
        let is_last = answer.body.get("remaining").is_none();
        answers.push(answer);
        if is_last {
            break;
        }
    }
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    let added: u64 = answers.iter().filter_map(|answer| answer.body["added"].as_u64()).sum();
    assert_eq!((answers.len(), added), (20, ENTRIES_MAX as u64));

    let other = replica(nats.connect().await);
    for (part, first) in answers.into_iter().enumerate() {
        let again = submit(&other, &org, command(), &format!("part{part}")).await;
        assert_eq!(again, Answer { replayed: true, ..first });
    }
    assert!(submit(&other, &org, command(), "another key").await.body["added"] == json!(0));
}
