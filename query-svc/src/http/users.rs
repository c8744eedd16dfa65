//! `/users`: the people of an org.

use axum::extract::State;
use axum::response::Response;
use gate::{Caller, IfNoneMatch, Json, ListQuery, Listing, Min, Path, Problem, positioned};
use schemas::access::Verb;
use schemas::id::UserId;
use schemas::kind::Kind;
use schemas::user::User;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, listed};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(all)).routes(routes!(one))
}

/// Lists the users.
#[utoipa::path(get, path = "/users", operation_id = "list_users", tag = "users", params(ListQuery, Min), responses(
    (status = 200, body = Listing<User>)))]
async fn all(State(app): State<App>, caller: Caller, min: Min, query: ListQuery) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::User)?;
    let org = app.see(&caller, min).await?;
    listed(org.models.users.values(), &app.fields.users, &query, org.position)
}

/// Shows a user.
#[utoipa::path(get, path = "/users/{id}", operation_id = "show_users", tag = "users", params(("id" = UserId, Path), Min), responses(
    (status = 200, body = User), (status = 304, description = "The caller has this revision already")))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    known: IfNoneMatch,
    Path(id): Path<UserId>,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::User)?;
    let org = app.see(&caller, min).await?;
    let found = org.models.users.get(&id).ok_or_else(|| Problem::not_found(Kind::User, id))?;
    Ok(positioned(known.respond(found.revision, Json(found)), org.position))
}
