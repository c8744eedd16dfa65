//! `/me` and `/orgs/current`: who the caller is, and of which org.

use axum::extract::State;
use axum::response::Response;
use gate::{Caller, IfNoneMatch, Json, Min, Problem, positioned};
use schemas::access::{Role, Verb};
use schemas::id::{OrgId, UserId};
use schemas::kind::Kind;
use schemas::org::Org;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(me)).routes(routes!(current_org))
}

/// Who sends the request.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct Me {
    org: OrgId,
    /// `usr_…`, or `jwt:` and the subject of the JWT.
    actor: String,
    user_id: Option<UserId>,
    /// The id of the API token, or `jwt`.
    credential: String,
    role: Role,
    #[schema(value_type = String)]
    source_ip: std::net::IpAddr,
}

/// Says who the caller is.
#[utoipa::path(get, path = "/me", operation_id = "me", tag = "about", responses((status = 200, body = Me)))]
async fn me(caller: Caller) -> Json<Me> {
    let Caller { org, actor, user_id, credential, role, source_ip } = caller;
    Json(Me { org, actor, user_id, credential, role, source_ip })
}

/// Shows the caller's org.
#[utoipa::path(get, path = "/orgs/current", operation_id = "show_org", tag = "about", params(Min), responses(
    (status = 200, body = Org), (status = 304, description = "The caller has this revision already")))]
async fn current_org(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::Org)?;
    let seen = app.see(&caller, min).await?;
    let org = seen.models.org.as_ref().ok_or_else(|| Problem::not_found(Kind::Org, &caller.org))?;
    Ok(positioned(known.respond(org.revision, Json(org)), seen.position))
}
