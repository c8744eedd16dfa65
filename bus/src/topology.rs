//! The streams and buckets that Netkeep needs, made where they are missing.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, PersistenceMode, StorageType};
use schemas::subjects;

use crate::connect::Bus;
use crate::error::{During, Error};

/// How the streams are laid out.
#[derive(Debug, Clone)]
pub struct Topology {
    /// Copies of each stream: 1, 3 or 5.
    pub replicas: usize,
    /// Flow batches wait here until they are in a file; a full stream makes devices spool.
    pub flows_bytes_max: i64,
    /// How long a device counts as online after a heartbeat.
    pub presence: Duration,
}

impl Default for Topology {
    fn default() -> Self {
        Self { replicas: 1, flows_bytes_max: 4 << 30, presence: Duration::from_secs(15) }
    }
}

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Bus {
    /// Makes the streams and buckets that are missing; existing ones are brought to this layout, but never to fewer
    /// copies than they have.
    pub async fn ensure(&self, topology: &Topology) -> Result<(), Error> {
        for mut config in streams(topology) {
            if let Ok(existing) = self.jetstream.get_stream(&config.name).await {
                let existing = &existing.cached_info().config;
                config.num_replicas = config.num_replicas.max(existing.num_replicas);
                // How a stream is stored is settled when it is made.
                config.persist_mode = existing.persist_mode;
            }
            self.jetstream.create_or_update_stream(config).await.during("create a stream")?;
        }
        Ok(())
    }
}

/// `persist_mode: async` is for what can be folded again, and for one copy only: several copies protect themselves.
pub(crate) fn rebuildable(topology: &Topology) -> Option<PersistenceMode> {
    (topology.replicas == 1).then_some(PersistenceMode::Async)
}

fn streams(topology: &Topology) -> Vec<Config> {
    let truth = |name: &str, filter: &str| Config {
        name: name.to_owned(),
        subjects: vec![filter.to_owned()],
        storage: StorageType::File,
        num_replicas: topology.replicas,
        allow_direct: true,
        ..Config::default()
    };
    let log = |name: &str, filter: &str| Config { deny_delete: true, deny_purge: true, ..truth(name, filter) };
    let derived = |name: &str, filter: &str| Config { persist_mode: rebuildable(topology), ..truth(name, filter) };
    let bucket = |name: &str| Config {
        max_messages_per_subject: 1,
        deny_delete: true,
        allow_rollup: true,
        discard: DiscardPolicy::New,
        ..derived(&format!("KV_{name}"), &format!("$KV.{name}.>"))
    };
    vec![
        log(subjects::EVENTS, "events.*"),
        log(subjects::FILES, "files.*"),
        Config {
            max_bytes: topology.flows_bytes_max,
            discard: DiscardPolicy::New,
            ..truth(subjects::FLOWS, "flows.*.*")
        },
        Config { max_messages_per_subject: 4, ..derived(subjects::DEVICES, "device.*.*.config") },
        Config { max_age: 7 * DAY, max_bytes: 4 << 30, ..derived(subjects::FEED, "feed.>") },
        bucket(subjects::STATE_BUCKET),
        // Devices can fill this one: its oldest keys make room.
        Config {
            max_age: 30 * DAY,
            max_bytes: 64 << 20,
            discard: DiscardPolicy::Old,
            ..bucket(subjects::PARKED_BUCKET)
        },
        crate::quota::stream(topology),
        // Keys are truth, and erasing one takes its bytes off the disk.
        Config { deny_delete: false, persist_mode: None, ..bucket(subjects::PEOPLE_BUCKET) },
        Config { max_age: 400 * DAY, ..bucket(subjects::USES_BUCKET) },
        Config { max_age: topology.presence, ..bucket(subjects::PRESENCE_BUCKET) },
    ]
}
