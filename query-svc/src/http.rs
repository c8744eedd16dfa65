//! The routes that read: those of all kinds of resource, and one file for everything else.

mod past;
mod resources;
mod used_by;
mod history;
mod entries;
mod orgs;
mod me;
mod users;
mod events;
mod sql;
mod traffic_logs;
mod system;
mod next_page;
mod fields;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use gate::{Caller, Gate, Min, Problem};
use utoipa_axum::router::OpenApiRouter;

use crate::clock::now;
use crate::shown::Seen;
use crate::sql::{Answer, Engine, Flows, Query, Source};
use crate::view::Views;
use crate::view::aside::Aside;
use crate::view::events::Events;
use crate::view::held::Snapshot;
use crate::view::past::Folds;

pub(crate) use fields::ListFields;

/// What the handlers work with. Cloned for each request, so it is one pointer.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) gate: Gate,
    pub(crate) views: Arc<Views>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) sql_timeout: Duration,
    pub(crate) began: tokio::time::Instant,
    pub(crate) fields: Arc<ListFields>,
    pub(crate) folds: Arc<Folds>,
    pub(crate) aside: Arc<Aside>,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.gate.clone()
    }
}

/// The routes, without their base path.
pub(crate) fn router(app: &App) -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(resources::router())
        .merge(entries::router())
        .merge(orgs::router())
        .merge(me::router())
        .merge(users::router())
        .merge(events::router())
        .merge(history::router())
        .merge(sql::router(app.sql_timeout))
        .merge(traffic_logs::router(app.sql_timeout))
        .merge(system::router())
}

impl App {
    /// The caller's org, at or after the position that the caller asks for.
    async fn see(&self, caller: &Caller, min: Min) -> Result<Arc<Snapshot>, Problem> {
        Ok(self.views.org(&caller.org).await?.at(min.0).await?)
    }

    /// An org as a caller sees it at this moment.
    fn seen(&self, caller: Caller, org: Arc<Snapshot>) -> Seen {
        Seen { org, caller: Some(caller), aside: Some(self.aside.clone()), now: now() }
    }

    /// Answers a query as the caller may see the org.
    async fn ask(&self, caller: &Caller, min: Min, query: &Query) -> Result<Answer, Problem> {
        let view = self.views.org(&caller.org).await?;
        let snapshot = view.at(min.0).await?;
        let source = Source {
            seen: self.seen(caller.clone(), snapshot),
            flows: Flows::Held(view.held.clone()),
            slots: view.slots.clone(),
        };
        Ok(self.engine.run(source, query).await?)
    }
}

/// Going through more events than these holds up other requests.
const EVENTS_INLINE_MAX: usize = 10_000;

impl App {
    /// Does what goes through all events of an org, on threads of the engine if they are many.
    async fn over_events<T: Send + 'static>(
        &self,
        events: Events,
        work: impl FnOnce(&Events) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        match events.all.len() > EVENTS_INLINE_MAX {
            true => Ok(self.engine.spawn_cpu(move || work(&events)).await?),
            false => Ok(work(&events)),
        }
    }
}
