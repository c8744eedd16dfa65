//! `/system/status` and `/health`: whether everything runs.

use axum::extract::State;
use axum::response::Response;
use gate::{Caller, Json, Min, Problem, positioned};
use schemas::access::{Role, Verb};
use schemas::id::OrgId;
use schemas::kind::Kind;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use crate::shown::{Shown, is_in_sync};
use crate::view::parked::Parked;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(status)).routes(routes!(health))
}

/// How the system and the caller's org are.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct SystemStatus {
    /// `ok`, or `degraded` without a connection to NATS or with a commit that is parked.
    status: &'static str,
    version: &'static str,
    org: OrgId,
    role: Role,
    /// How far reads are.
    position: u64,
    revision: u64,
    devices: DeviceCounts,
    rules: usize,
    uptime_s: u64,
    nats: Nats,
    /// The commit that could not be digested: reads stay behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    parked: Option<Parked>,
}

/// How many devices are in which state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct DeviceCounts {
    total: usize,
    online: usize,
    /// Those that said they run what they should.
    in_sync: usize,
}

/// The connection to NATS.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct Nats {
    connected: bool,
}

/// Says how the system and the caller's org are.
#[utoipa::path(get, path = "/system/status", operation_id = "system_status", tag = "about", params(Min), responses(
    (status = 200, body = SystemStatus)))]
async fn status(State(app): State<App>, caller: Caller, min: Min) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::Org)?;
    let org = app.see(&caller, min).await?;
    let mut counts = DeviceCounts::default();
    let seen = app.seen(caller.clone(), org.clone());
    for device in org.models.state.devices.values().filter(|device| device.is_visible(&seen)) {
        let view = device.view(&seen);
        counts.total += 1;
        counts.online += usize::from(view.online);
        counts.in_sync += usize::from(is_in_sync(&view));
    }
    let connected = app.views.connected();
    let parked = app.views.parked(&caller.org, &org).await;
    let status = SystemStatus {
        status: if connected && parked.is_none() { "ok" } else { "degraded" },
        version: env!("CARGO_PKG_VERSION"),
        org: caller.org,
        role: caller.role,
        position: org.position,
        revision: org.models.head.revision,
        devices: counts,
        rules: org.models.state.rules.len(),
        uptime_s: app.began.elapsed().as_secs(),
        nats: Nats { connected },
        parked,
    };
    Ok(positioned(Json(status), org.position))
}

/// Says `ok` to whoever asks, if the service runs.
#[utoipa::path(get, path = "/health", operation_id = "health", tag = "about", security(()), responses(
    (status = 200, body = String, content_type = "text/plain")))]
async fn health() -> &'static str {
    "ok"
}
