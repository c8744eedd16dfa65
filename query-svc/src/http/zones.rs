//! `/zones`: the networks behind interfaces. `/firewall/zones` is the same.

use axum::extract::State;
use axum::response::Response;
use gate::{Caller, IfNoneMatch, Json, ListQuery, Listing, Min, Path, Problem, positioned};
use schemas::access::Verb;
use schemas::id::ZoneId;
use schemas::kind::Kind;
use schemas::zone::Zone;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, listed};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(all)).routes(routes!(one))
}

/// Lists the zones.
#[utoipa::path(get, path = "/zones", operation_id = "list_zones", tag = "zones", params(ListQuery, Min), responses(
    (status = 200, body = Listing<Zone>)))]
async fn all(State(app): State<App>, caller: Caller, min: Min, query: ListQuery) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::Zone)?;
    let org = app.see(&caller, min).await?;
    listed(org.models.zones.values(), &app.fields.zones, &query, org.position)
}

/// Shows a zone.
#[utoipa::path(get, path = "/zones/{id}", operation_id = "show_zones", tag = "zones", params(("id" = ZoneId, Path), Min), responses(
    (status = 200, body = Zone), (status = 304, description = "The caller has this revision already")))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    known: IfNoneMatch,
    Path(id): Path<ZoneId>,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::Zone)?;
    let org = app.see(&caller, min).await?;
    let found = org.models.zones.get(&id).ok_or_else(|| Problem::not_found(Kind::Zone, id))?;
    Ok(positioned(known.respond(found.revision, Json(found)), org.position))
}
