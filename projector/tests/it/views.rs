//! Events become read models, and the head says how far.

use std::collections::HashSet;
use std::path::Path;
use std::pin::pin;
use std::process::Command;

use futures::StreamExt;
use schemas::commit::Commit;
use schemas::event::{Event, SecretHash};
use schemas::id::{ApiTokenId, CommitId, DeviceId, RuleId, UserId};
use schemas::kind::Kind;
use schemas::subjects;
use schemas::view::Head;
use serde_json::value::RawValue;

use crate::history::{History, deleted, model, rules_reordered, ulid};
use crate::nats::{Nats, eventually};
use crate::running::Running;

fn rule_ids(count: usize) -> Vec<RuleId> {
    (0..count).map(|_| RuleId::new(ulid())).collect()
}

#[tokio::test]
async fn events_become_read_models() {
    let (_nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new("acme");
    let (owner, token) = (UserId::new(ulid()), ApiTokenId::new(ulid()));
    let rules = rule_ids(3);

    let events =
        vec![history.org_created(), history.user_created(owner), history.token_created(token, owner, "nk_secret")];
    history.append(&bus, events).await;
    let running = Running::start(&bus, folder.path()).await;
    for (rule, port) in rules.iter().zip([23, 80, 443]) {
        let event = history.rule_created(*rule, port);
        history.append(&bus, vec![event]).await;
    }
    history.append(&bus, vec![rules_reordered(&[(rules[0], 2), (rules[1], 1)])]).await;
    let update = history.rule_updated(rules[1], 8080);
    history.append(&bus, vec![update, deleted(rules[2])]).await;

    let head = history.visible(&bus).await;
    assert_eq!(head, Head { position: history.position, revision: 9 });
    assert_eq!(model(&bus, &history.org, Kind::Rule, &rules[2].to_string()).await, None);
    for id in &rules[..2] {
        let rule = serde_json::to_value(history.state.rules.get(id).unwrap()).unwrap();
        assert_eq!(model(&bus, &history.org, Kind::Rule, &id.to_string()).await, Some(rule));
    }
    let org = serde_json::to_value(history.state.org.as_ref().unwrap()).unwrap();
    assert_eq!(model(&bus, &history.org, Kind::Org, history.org.as_str()).await, Some(org));
    let user = serde_json::to_value(history.state.users.get(&owner).unwrap()).unwrap();
    assert_eq!(model(&bus, &history.org, Kind::User, &owner.to_string()).await, Some(user));

    let kept = model(&bus, &history.org, Kind::ApiToken, &token.to_string()).await;
    assert_eq!(kept, Some(serde_json::to_value(history.state.api_tokens.get(&token).unwrap()).unwrap()));
    history
        .append(
            &bus,
            vec![Event::Deleted { id: token.into(), secret_hash: Some(SecretHash::of("nk_secret")), public_key: None }],
        )
        .await;
    history.visible(&bus).await;
    assert_eq!(model(&bus, &history.org, Kind::ApiToken, &token.to_string()).await, None);
    running.stop().await;
}

#[tokio::test]
async fn whoever_sees_the_head_has_seen_everything_before_it() {
    let (_nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new("acme");
    let event = history.org_created();
    history.append(&bus, vec![event]).await;
    let running = Running::start(&bus, folder.path()).await;
    let writer = async {
        for rule in rule_ids(300) {
            let event = history.rule_created(rule, 80);
            history.append(&bus, vec![event]).await;
        }
    };
    let reader = async {
        let mut changes = pin!(bus.bucket(subjects::STATE_BUCKET).watch("acme.>"));
        let mut rules = HashSet::new();
        loop {
            let change = changes.next().await.unwrap();
            if change.key.starts_with("acme.rules.") {
                rules.insert(change.key);
            } else if change.key == "acme.head.head" {
                let head: Head = serde_json::from_slice(&change.value.unwrap()).unwrap();
                // One revision is the org's own. What is ahead of the head does no harm.
                assert!(rules.len() as u64 >= head.revision - 1, "{head:?} and {} rules", rules.len());
                if head.revision == 301 {
                    return;
                }
            }
        }
    };
    tokio::join!(writer, reader);
    running.stop().await;
}

#[tokio::test]
async fn a_restart_writes_nothing_again_and_goes_on() {
    let (_nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new("acme");
    let (owner, token) = (UserId::new(ulid()), ApiTokenId::new(ulid()));
    let events = vec![history.org_created(), history.user_created(owner), history.token_created(token, owner, "s")];
    history.append(&bus, events).await;
    let running = Running::start(&bus, folder.path()).await;
    history.visible(&bus).await;
    let counts = running.stop().await;
    assert_eq!(counts.keys_written.read(), 3 + 1, "three models and the head");

    let before = bus.bucket(subjects::STATE_BUCKET).last_revision().await.unwrap();
    let running = Running::start(&bus, folder.path()).await;
    eventually("the fold", async || (running.counts.commits_folded.read() == 1).then_some(())).await;
    let rule = RuleId::new(ulid());
    let event = history.rule_created(rule, 23);
    history.append(&bus, vec![event]).await;
    history.visible(&bus).await;
    let after = bus.bucket(subjects::STATE_BUCKET).last_revision().await.unwrap();
    assert_eq!(after - before, 2, "the rule and the head");
    assert_eq!(running.stop().await.keys_written.read(), 2);
}

#[tokio::test]
async fn an_event_that_cannot_be_digested_stops_its_org_and_no_other() {
    let (_nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (mut good, mut broken, mut unknown) = (History::new("good"), History::new("broken"), History::new("unknown"));
    for history in [&mut good, &mut broken, &mut unknown] {
        let event = history.org_created();
        history.append(&bus, vec![event]).await;
    }
    let before = broken.position;
    // A commit whose second event does not follow the first: none of it counts.
    let rule = RuleId::new(ulid());
    let (id, mut events) = (CommitId::new(ulid()), Vec::new());
    let event = broken.rule_created(rule, 23);
    for (_, stored) in broken.commit(vec![event, deleted(rule)]).1 {
        events.push(RawValue::from_string(stored).unwrap());
    }
    events.remove(0);
    let org = broken.org.clone();
    let bad = broken.append_raw(&bus, &Commit { org, id, events }).await;
    // An event of a later version.
    let (id, events) = unknown.commit(vec![deleted(rule)]);
    let later = events[0].1.replace("rule.deleted.v1", "rule.deleted.v9");
    let (org, events) = (unknown.org.clone(), vec![RawValue::from_string(later).unwrap()]);
    let strange = unknown.append_raw(&bus, &Commit { org, id, events }).await;

    for _ in 0..2 {
        let running = Running::start(&bus, folder.path()).await;
        // What comes after is not even looked at.
        let event = broken.rule_created(RuleId::new(ulid()), 23);
        broken.append(&bus, vec![event]).await;
        let event = good.rule_created(RuleId::new(ulid()), 23);
        good.append(&bus, vec![event]).await;
        good.visible(&bus).await;
        let parked = bus.bucket(subjects::PARKED_BUCKET);
        for key in [format!("events.broken.{bad}"), format!("events.unknown.{strange}")] {
            let (_, value) = parked.read(&key).await.unwrap().expect(&key);
            let value: serde_json::Value = serde_json::from_slice(&value).unwrap();
            assert!(value["error"].as_str().unwrap().contains("revision"), "{value}");
        }
        let (_, head) = bus.bucket(subjects::STATE_BUCKET).read("broken.head.head").await.unwrap().unwrap();
        let head: Head = serde_json::from_slice(&head).unwrap();
        assert_eq!(head, Head { position: before, revision: 1 });
        assert_eq!(running.stop().await.events_parked.read(), 2);
    }
}

/// Kills the server and takes a stream back to how it was, or keeps how it is: what a lost tail looks like.
fn crash(nats: &mut Nats, kept: &Path, streams: &[&str], take_back: bool) {
    nats.kill();
    for stream in streams {
        let (live, kept) = (nats.stream_folder(stream), kept.join(stream));
        let (from, to) = if take_back { (&kept, &live) } else { (&live, &kept) };
        let _ = std::fs::remove_dir_all(to);
        assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    }
    nats.start_again();
}

#[tokio::test]
async fn what_a_server_loses_in_a_crash_is_written_again() {
    let (mut nats, bus) = Nats::start().await;
    let (folder, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let streams = ["KV_state-v1", "DEVICES", "FEED"];
    let mut history = History::new("acme");
    let event = history.org_created();
    history.append(&bus, vec![event]).await;
    let running = Running::start(&bus, folder.path()).await;
    history.visible(&bus).await;
    let reconnected = async |before: u64| {
        eventually("the connection", async || (bus.connects() > before && bus.connected()).then_some(())).await;
        eventually("the log", async || bus.events().last_position().await.ok()).await
    };

    let before = bus.connects();
    crash(&mut nats, kept.path(), &streams, false);
    reconnected(before).await;
    let (device, rule, token) = (DeviceId::new(ulid()), RuleId::new(ulid()), ApiTokenId::new(ulid()));
    let events = vec![history.device_enrolled(device), history.rule_created(rule, 23)];
    history.append(&bus, events).await;
    let event = history.token_created(token, UserId::new(ulid()), "nk_secret");
    history.append(&bus, vec![event]).await;
    history.visible(&bus).await;
    let desired = bus.bucket(subjects::STATE_BUCKET).read(&subjects::desired_key(&history.org, device)).await.unwrap();

    let before = bus.connects();
    crash(&mut nats, kept.path(), &streams, true);
    reconnected(before).await;
    history.visible(&bus).await;
    let found = model(&bus, &history.org, Kind::Rule, &rule.to_string()).await;
    assert_eq!(found, Some(serde_json::to_value(history.state.rules.get(&rule).unwrap()).unwrap()));
    assert!(model(&bus, &history.org, Kind::ApiToken, &token.to_string()).await.is_some());
    assert!(bus.last_config(&history.org, device).await.unwrap().is_some());
    let again = bus.bucket(subjects::STATE_BUCKET).read(&subjects::desired_key(&history.org, device)).await.unwrap();
    assert!(desired.is_some() && again.is_some());
    let revision = history.state.revision;
    eventually("the feed", async || (bus.feed_end().await.ok()?.revision == revision).then_some(())).await;
    running.stop().await;
}
