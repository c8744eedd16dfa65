//! Each event is on the feed once.

use bus::feed::FeedEnd;
use chrono::TimeDelta;
use schemas::commit::Commit;
use schemas::id::{RuleId, UserId};
use serde_json::value::RawValue;

use crate::history::{History, now, ulid};
use crate::nats::{Nats, eventually};
use crate::running::Running;

#[tokio::test]
async fn each_event_is_published_once_also_from_the_middle_of_a_commit() {
    let (_nats, bus) = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new("acme");
    // Too old to be kept on the feed: it was there, and has left it.
    history.time = now() - TimeDelta::days(8);
    let event = history.org_created();
    history.append(&bus, vec![event]).await;
    history.time = now();
    let events = vec![history.user_created(UserId::new(ulid())), history.user_created(UserId::new(ulid()))];
    let (id, events) = history.commit(events);
    let raw = events.iter().map(|(_, stored)| RawValue::from_string(stored.clone()).unwrap()).collect();
    let org = history.org.clone();
    let position = history.append_raw(&bus, &Commit { org, id, events: raw }).await;
    // An earlier process crashed after the first of two.
    bus.publish_feed(&events[0].0, &events[0].1, position).await.unwrap().await.unwrap();

    let running = Running::start(&bus, folder.path()).await;
    let end = FeedEnd { position, revision: 3 };
    eventually("the feed", async || (bus.feed_end().await.unwrap() == end).then_some(())).await;
    let event = history.rule_created(RuleId::new(ulid()), 23);
    let position = history.append(&bus, vec![event]).await;
    let end = FeedEnd { position, revision: 4 };
    eventually("the feed", async || (bus.feed_end().await.unwrap() == end).then_some(())).await;
    assert_eq!(running.stop().await.feed_published.read(), 2);

    let running = Running::start(&bus, folder.path()).await;
    eventually("the fold", async || (running.counts.commits_folded.read() == 3).then_some(())).await;
    assert_eq!(running.stop().await.feed_published.read(), 0);
}
