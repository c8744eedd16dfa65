//! A running projector.

use std::path::Path;
use std::sync::Arc;

use bus::Bus;
use nkeys::KeyPair;
use projector::{Config, Counts, Deps, Error, Projector, Store};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct Running {
    pub(crate) counts: Arc<Counts>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    /// Starts a projector with a fresh signing key and an empty store.
    pub(crate) async fn start(bus: &Bus, folder: &Path) -> Self {
        Self::start_with(bus, folder, &KeyPair::new_account()).await
    }

    pub(crate) async fn start_with(bus: &Bus, folder: &Path, key: &KeyPair) -> Self {
        Self::start_as(bus, folder, key, Config::default()).await
    }

    pub(crate) async fn start_as(bus: &Bus, folder: &Path, key: &KeyPair, config: Config) -> Self {
        let store = Store::open(folder.to_str().unwrap()).unwrap();
        let signing_key = KeyPair::from_seed(&key.seed().unwrap()).unwrap();
        let config = Config { flow_flush_ms: 50, flow_threads: 2, ..config };
        let projector = Projector::bind(config, Deps { bus: bus.clone(), store, signing_key }).await.unwrap();
        let stop = CancellationToken::new();
        Self { counts: projector.counts(), task: tokio::spawn(projector.run(stop.clone())), stop }
    }

    /// Stops it as a service is stopped.
    pub(crate) async fn stop(self) -> Arc<Counts> {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        self.counts
    }

    /// Ends it as a crash does, at whatever point it is.
    pub(crate) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}
