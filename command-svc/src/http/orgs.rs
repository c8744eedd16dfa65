//! `/orgs/current`: the settings of the caller's org.

use axum::extract::State;
use axum::response::Response;
use gate::{Caller, Problem, ProblemBody, Write, WriteOptions};
use schemas::access::Verb;
use schemas::command::Command;
use schemas::org::{Org, OrgPatch};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(update))
}

/// Changes what is given of the caller's org. What would shut the caller's own address out is refused.
#[utoipa::path(patch, path = "/orgs/current", operation_id = "update_org", tag = "about", params(WriteOptions), request_body = OrgPatch,
    responses((status = 200, body = Org), (status = "default", body = ProblemBody)))]
async fn update(State(app): State<App>, caller: Caller, patch: Write<OrgPatch>) -> Result<Response, Problem> {
    app.submit(caller, Verb::Update, patch.options, Command::UpdateOrg(patch.body)).await
}
