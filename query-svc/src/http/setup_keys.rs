//! `/setup-keys`: what devices enrol with.

use axum::extract::State;
use axum::response::Response;
use gate::{Caller, Json, ListQuery, Listing, Min, Path, Problem, etagged, positioned};
use schemas::access::Verb;
use schemas::id::SetupKeyId;
use schemas::kind::Kind;
use schemas::setup_key::SetupKey;
use schemas::view::SetupKeyView;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, listed};
use crate::clock::now;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(all)).routes(routes!(one))
}

/// Lists the setup keys, without their secrets.
#[utoipa::path(get, path = "/setup-keys", operation_id = "list_setup_keys", tag = "setup-keys", params(ListQuery, Min), responses(
    (status = 200, body = Listing<SetupKeyView>)))]
async fn all(State(app): State<App>, caller: Caller, min: Min, query: ListQuery) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::SetupKey)?;
    let org = app.see(&caller, min).await?;
    let keys = org.models.setup_keys.values().map(|key| view(key));
    listed(keys, &app.fields.setup_keys, &query, org.position)
}

/// Shows a setup key, without its secret. Its state changes with time alone, so it is never answered with 304.
#[utoipa::path(get, path = "/setup-keys/{id}", operation_id = "show_setup_keys", tag = "setup-keys", params(("id" = SetupKeyId, Path), Min), responses(
    (status = 200, body = SetupKeyView)))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    Path(id): Path<SetupKeyId>,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::SetupKey)?;
    let org = app.see(&caller, min).await?;
    let found = org.models.setup_keys.get(&id).ok_or_else(|| Problem::not_found(Kind::SetupKey, id))?;
    Ok(positioned(etagged(Json(view(found)), found.revision), org.position))
}

fn view(key: &SetupKey) -> SetupKeyView {
    SetupKeyView { state: key.state(now()), setup_key: key.clone() }
}
