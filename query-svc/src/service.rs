//! The service: its state, its routes and its background work.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, People, Uses};
use gate::Gate;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

use crate::config::Config;
use crate::error::Error;
use crate::http::{self, App, ListFields, Parts};
use crate::sql::Engine;
use crate::view::Views;
use crate::view::aside::Aside;

/// What the read side stands on.
pub struct Deps {
    pub bus: Bus,
    pub gate: Gate,
    /// The root of the local object store.
    pub store_dir: PathBuf,
    /// Who users are; followed by this service.
    pub people: People,
    /// When something was used last; followed by this service.
    pub uses: Uses,
}

/// The read side.
pub struct QuerySvc {
    app: App,
    idle: Duration,
}

const EVICTION_INTERVAL: Duration = Duration::from_secs(10);

impl QuerySvc {
    /// Sets the service up; nothing runs yet.
    pub fn bind(config: Config, deps: Deps) -> Result<Self, Error> {
        let Deps { bus, gate, store_dir, people, uses } = deps;
        let engine = Arc::new(Engine::new(config.limits(), &store_dir)?);
        let aside = Arc::new(Aside::new(people, uses));
        let views = Arc::new(Views::new(bus, config.sql_queries_max));
        let app = App::new(Parts {
            gate,
            views,
            engine,
            sql_timeout: config.limits().timeout,
            began: tokio::time::Instant::now(),
            fields: Arc::new(ListFields::new()),
            folds: Arc::default(),
            aside,
        });
        Ok(Self { app, idle: config.org_idle() })
    }

    /// The routes, without the base path.
    pub fn router(&self) -> OpenApiRouter {
        http::router(&self.app).with_state(self.app.clone())
    }

    /// Learns names and last uses and lets go of orgs that nobody reads, until it is stopped.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let mut ticks = tokio::time::interval(EVICTION_INTERVAL.min(self.idle.max(Duration::from_millis(1))));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let aside = self.app.aside.clone();
        let mut following = Box::pin(async move { aside.follow().await });
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = &mut following => {}
                _ = ticks.tick() => self.app.views.evict(self.idle),
            }
        }
    }
}
