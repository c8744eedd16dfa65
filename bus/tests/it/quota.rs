//! Counters of requests: summed over replicas, kept over restarts.

use bus::topology::Topology;
use chrono::NaiveDate;
use schemas::id::OrgId;

use crate::nats::{Nats, eventually};

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
}

fn org(name: &str) -> OrgId {
    name.parse().unwrap()
}

#[tokio::test]
async fn replicas_add_to_one_sum() {
    let (nats, bus) = Nats::start().await;
    let (one, other) = (bus.quotas(), nats.connect().await.quotas());
    let acme = org("acme");
    assert_eq!(one.read(&acme, day(22)).await.unwrap(), 0);
    assert_eq!(one.add(&acme, day(22), 0).await.unwrap(), 0);
    assert_eq!(one.add(&acme, day(22), 3).await.unwrap(), 3);
    assert_eq!(other.add(&acme, day(22), 4).await.unwrap(), 7);
    assert_eq!(one.add(&acme, day(22), 0).await.unwrap(), 7);
    assert_eq!(other.read(&acme, day(22)).await.unwrap(), 7);
    // Each org and each day has a sum of its own.
    assert_eq!(one.add(&acme, day(23), 1).await.unwrap(), 1);
    assert_eq!(one.add(&org("other"), day(22), 1).await.unwrap(), 1);
    assert_eq!(one.read(&acme, day(22)).await.unwrap(), 7);
}

#[tokio::test]
async fn many_adds_at_once_lose_nothing() {
    let (nats, bus) = Nats::start().await;
    let acme = org("acme");
    let replicas = [bus.quotas(), nats.connect().await.quotas()];
    let adds = (0..200).map(|n| replicas[n % 2].add(&acme, day(22), 5));
    for sum in futures::future::join_all(adds).await {
        assert_eq!(sum.unwrap() % 5, 0);
    }
    assert_eq!(replicas[0].read(&acme, day(22)).await.unwrap(), 1_000);
}

#[tokio::test]
async fn the_sum_outlives_the_server() {
    let (mut nats, bus) = Nats::start().await;
    let acme = org("acme");
    bus.quotas().add(&acme, day(22), 41).await.unwrap();
    nats.restart();
    let again = nats.connect().await;
    // Making the streams again leaves what is in them.
    eventually("JetStream answers", async || again.ensure(&Topology::default()).await.ok()).await;
    assert_eq!(again.quotas().add(&acme, day(22), 1).await.unwrap(), 42);
}
