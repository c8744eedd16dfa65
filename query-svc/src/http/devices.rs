//! `/devices`: the firewalls, what they should run, what they run and whether they are there.

use axum::extract::State;
use axum::response::Response;
use gate::{Caller, Json, ListQuery, Listing, Min, Path, Problem, etagged, positioned};
use schemas::access::Verb;
use schemas::device::Device;
use schemas::id::DeviceId;
use schemas::kind::Kind;
use schemas::view::DeviceView;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, listed};
use crate::clock::now;
use crate::view::held::Snapshot;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(all)).routes(routes!(one))
}

/// Lists the devices.
#[utoipa::path(get, path = "/devices", operation_id = "list_devices", tag = "devices", params(ListQuery, Min), responses(
    (status = 200, body = Listing<DeviceView>)))]
async fn all(State(app): State<App>, caller: Caller, min: Min, query: ListQuery) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::Device)?;
    let org = app.see(&caller, min).await?;
    let devices = org.models.devices.values().map(|device| view(&org, device));
    listed(devices, &app.fields.devices, &query, org.position)
}

/// Shows a device. Its presence changes without a revision, so it is never answered with 304.
#[utoipa::path(get, path = "/devices/{id}", operation_id = "show_devices", tag = "devices", params(("id" = DeviceId, Path), Min), responses(
    (status = 200, body = DeviceView)))]
async fn one(State(app): State<App>, caller: Caller, min: Min, Path(id): Path<DeviceId>) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::Device)?;
    let org = app.see(&caller, min).await?;
    let found = org.models.devices.get(&id).ok_or_else(|| Problem::not_found(Kind::Device, id))?;
    Ok(positioned(etagged(Json(view(&org, found)), found.revision), org.position))
}

/// A device as the API shows it.
pub(super) fn view(org: &Snapshot, device: &Device) -> DeviceView {
    let desired = org.models.desired.get(&device.id).map(AsRef::as_ref);
    org.presence.view(device, desired, now())
}
