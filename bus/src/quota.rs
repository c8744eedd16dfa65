//! Quotas: how many requests each org sent on a day, summed over all replicas by counters of the server.

use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, StorageType};
use chrono::NaiveDate;
use schemas::id::OrgId;

use crate::connect::Bus;
use crate::error::{During, Error};
use crate::log::last_message;
use crate::topology::{DAY, Topology, rebuildable};

const STREAM: &str = "QUOTAS";
/// Adds to the counter of a subject; the answer carries the sum.
const INCREMENT: &str = "Nats-Incr";

/// The counters of all orgs. A counter goes two days after it was last added to.
#[derive(Clone)]
pub struct Quotas {
    bus: Bus,
}

/// A counter as the server stores it.
#[derive(serde::Deserialize)]
struct Counter {
    val: String,
}

impl Bus {
    /// The requests of each org and day.
    pub fn quotas(&self) -> Quotas {
        Quotas { bus: self.clone() }
    }
}

impl Quotas {
    /// Adds requests and says the sum. After an error they may have been added all the same.
    pub async fn add(&self, org: &OrgId, day: NaiveDate, requests: u64) -> Result<u64, Error> {
        if requests == 0 {
            return self.read(org, day).await;
        }
        let message = PublishMessage::build().header(INCREMENT, format!("+{requests}").as_str());
        let sent = self.bus.jetstream.send_publish(subject(org, day), message).await.during("count requests")?;
        let ack = sent.await.during("count requests")?;
        number(ack.value.as_deref().unwrap_or_default())
    }

    /// The sum of an org and day.
    pub async fn read(&self, org: &OrgId, day: NaiveDate) -> Result<u64, Error> {
        let Some((_, payload)) = last_message(&self.bus, STREAM, &subject(org, day)).await? else { return Ok(0) };
        let counter: Counter = serde_json::from_slice(&payload)
            .map_err(|error| Error::Malformed("a counter of requests", error.to_string()))?;
        number(&counter.val)
    }
}

/// The stream of the counters. A tail that is lost makes somebody's day a little longer.
pub(crate) fn stream(topology: &Topology) -> Config {
    Config {
        name: STREAM.to_owned(),
        subjects: vec!["quota.*.*".to_owned()],
        storage: StorageType::File,
        num_replicas: topology.replicas,
        allow_direct: true,
        allow_message_counter: true,
        max_messages_per_subject: 1,
        max_age: 2 * DAY,
        persist_mode: rebuildable(topology),
        ..Config::default()
    }
}

fn subject(org: &OrgId, day: NaiveDate) -> String {
    format!("quota.{org}.{}", day.format("%Y%m%d"))
}

fn number(text: &str) -> Result<u64, Error> {
    text.parse().map_err(|_| Error::Malformed("a counter of requests", text.chars().take(80).collect()))
}
