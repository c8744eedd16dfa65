//! The projector as a service: what it needs, how it starts and how it stops.

use std::sync::Arc;

use bus::Bus;
use nkeys::{KeyPair, KeyPairType};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::configs::Configs;
use crate::counts::Counts;
use crate::error::Error;
use crate::feed::Feed;
use crate::flows::Flows;
use crate::presence;
use crate::store::Store;
use crate::views::Views;

/// What a projector works with. The streams and buckets must be there (`Bus::ensure`).
pub struct Deps {
    pub bus: Bus,
    /// Where the flow table is kept.
    pub store: Store,
    /// Signs device configs: an account key with its seed.
    pub signing_key: KeyPair,
}

/// Projects events and flow batches.
pub struct Projector {
    bus: Bus,
    views: Views,
    flows: Flows,
    counts: Arc<Counts>,
}

impl Projector {
    /// Gets ready; nothing runs yet.
    pub async fn bind(config: Config, deps: Deps) -> Result<Self, Error> {
        let Deps { bus, store, signing_key } = deps;
        let signs = matches!(signing_key.key_pair_type(), KeyPairType::Account) && signing_key.seed().is_ok();
        if !signs {
            return Err(Error::SigningKey);
        }
        let counts = Arc::new(Counts::default());
        let feed = Feed::new(bus.clone(), counts.clone());
        let configs = Configs::new(bus.clone(), signing_key, counts.clone());
        let batches = bus.flow_batches("flows").await?;
        Ok(Self {
            views: Views::new(bus.clone(), configs, feed, counts.clone(), &config),
            flows: Flows::new(bus.clone(), store, config, batches, counts.clone()),
            bus,
            counts,
        })
    }

    /// What it has done so far; stays readable while it runs.
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    /// Runs until `stop`, then finishes what is in hand and returns.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let Self { bus, views, flows, counts } = self;
        // A part that ends takes the others along: half a projector helps nobody.
        let stop_all = stop.child_token();
        let mut parts = JoinSet::new();
        parts.spawn(views.run(stop_all.clone()));
        parts.spawn(flows.run(stop_all.clone()));
        parts.spawn(presence::run(bus, counts, stop_all.clone()));
        let mut outcome = Ok(());
        while let Some(ended) = parts.join_next().await {
            if outcome.is_ok() {
                outcome = match ended {
                    Err(error) => Err(Error::Ended(error.to_string())),
                    Ok(()) if !stop.is_cancelled() => Err(Error::Ended("it returned before it was told to".to_owned())),
                    Ok(()) => Ok(()),
                };
            }
            stop_all.cancel();
        }
        outcome
    }
}
