//! `/zones`: the networks behind interfaces.

use axum::extract::State;
use axum::response::Response;
use gate::{Caller, Path, Problem, ProblemBody, Write, WriteOptions};
use schemas::access::Verb;
use schemas::command::Command;
use schemas::id::ZoneId;
use schemas::zone::{NewZone, Zone, ZonePatch};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(update, delete))
}

/// Creates a zone.
#[utoipa::path(post, path = "/zones", operation_id = "create_zone", tag = "zones", params(WriteOptions), request_body = NewZone, responses(
    (status = 201, body = Zone), (status = "default", body = ProblemBody)))]
async fn create(State(app): State<App>, caller: Caller, new: Write<NewZone>) -> Result<Response, Problem> {
    app.submit(caller, Verb::Create, new.options, Command::CreateZone(new.body)).await
}

/// Changes what is given of a zone.
#[utoipa::path(patch, path = "/zones/{id}", operation_id = "update_zone", tag = "zones", params(("id" = ZoneId, Path), WriteOptions), request_body = ZonePatch,
    responses((status = 200, body = Zone), (status = "default", body = ProblemBody)))]
async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ZoneId>,
    patch: Write<ZonePatch>,
) -> Result<Response, Problem> {
    app.submit(caller, Verb::Update, patch.options, Command::UpdateZone(id, patch.body)).await
}

/// Deletes a zone that nothing refers to.
#[utoipa::path(delete, path = "/zones/{id}", operation_id = "delete_zone", tag = "zones", params(("id" = ZoneId, Path), WriteOptions),
    responses((status = 204), (status = "default", body = ProblemBody)))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ZoneId>,
    options: WriteOptions,
) -> Result<Response, Problem> {
    app.submit(caller, Verb::Delete, options, Command::DeleteZone(id)).await
}
