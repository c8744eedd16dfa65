//! The routes that read: one file per resource.

mod zones;
mod rules;
mod setup_keys;
mod devices;
mod api_tokens;
mod users;
mod me;
mod events;
mod history;
mod sql;
mod traffic_logs;
mod system;
mod next_page;
mod fields;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use axum::response::Response;
use gate::{Caller, Fields, Gate, ListQuery, Min, Problem, list, positioned};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;

use crate::clock::now;
use crate::sql::{Answer, Engine, Flows, Query, Source};
use crate::view::Views;
use crate::view::events::Events;
use crate::view::held::Snapshot;

pub(crate) use fields::ListFields;

/// What the handlers work with.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) gate: Gate,
    pub(crate) views: Arc<Views>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) sql_timeout: Duration,
    pub(crate) began: tokio::time::Instant,
    pub(crate) fields: Arc<ListFields>,
}

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.gate.clone()
    }
}

/// The routes, without their base path.
pub(crate) fn router(app: &App) -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(zones::router())
        .merge(alias("/firewall", zones::router()))
        .merge(rules::router())
        .merge(setup_keys::router())
        .merge(devices::router())
        .merge(api_tokens::router())
        .merge(users::router())
        .merge(me::router())
        .merge(events::router())
        .merge(history::router())
        .merge(sql::router(app.sql_timeout))
        .merge(traffic_logs::router(app.sql_timeout))
        .merge(system::router())
}

/// The same routes under another path. An operation id is unique in the document, so these begin with the prefix.
fn alias(prefix: &str, routes: OpenApiRouter<App>) -> OpenApiRouter<App> {
    let mut routes = OpenApiRouter::new().nest(prefix, routes);
    for path in routes.get_openapi_mut().paths.paths.values_mut() {
        if let Some(operation) = &mut path.get {
            let word = prefix.trim_start_matches('/');
            operation.operation_id = operation.operation_id.take().map(|id| format!("{word}_{id}"));
        }
    }
    routes
}

impl App {
    /// The caller's org, at or after the position that the caller asks for.
    async fn see(&self, caller: &Caller, min: Min) -> Result<Snapshot, Problem> {
        Ok(self.views.org(&caller.org).await?.at(min.0).await?)
    }

    /// Answers a query as the caller may see the org.
    async fn ask(&self, caller: &Caller, min: Min, query: &Query) -> Result<Answer, Problem> {
        let view = self.views.org(&caller.org).await?;
        let snapshot = view.at(min.0).await?;
        let source = Source {
            role: caller.role,
            user_id: caller.user_id,
            now: now(),
            snapshot,
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

/// A list at a position.
fn listed<T: Serialize>(
    items: impl IntoIterator<Item = T>,
    fields: &Fields,
    query: &ListQuery,
    position: u64,
) -> Result<Response, Problem> {
    Ok(positioned(list(items, fields, query)?, position))
}
