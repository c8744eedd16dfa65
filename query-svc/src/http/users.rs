//! `/service-users` and `/users/{id}/tokens`: users and API tokens under the paths where others look for them.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use gate::{Caller, Json, ListQuery, Listing, Min, Path, Problem, etagged, list};
use schemas::access::Verb;
use schemas::id::{ApiTokenId, UserId};
use schemas::kind::Kind;
use schemas::user::{User, UserKind};
use schemas::view::{ApiTokenView, UserView};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::past::answered;
use super::resources::ROWS_INLINE_MAX;
use crate::shown::{Seen, Shown};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(service_users)).routes(routes!(tokens)).routes(routes!(token))
}

/// Lists the users that act through API tokens only.
#[utoipa::path(get, path = "/service-users", operation_id = "list_service_users", tag = "users",
    params(ListQuery, Min), responses((status = 200, body = Listing<UserView>)))]
async fn service_users(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    query: ListQuery,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::User)?;
    let (org, fields) = (app.see(&caller, min).await?, app.fields.of(Kind::User));
    let seen = app.seen(caller, org.clone());
    let is_short = org.models.state.users.len() <= ROWS_INLINE_MAX;
    let page = move || {
        let users = seen.org.models.state.users.values().filter(|user| user.kind == UserKind::Service);
        list(users.map(|user| user.view(&seen)), &fields, &query)
    };
    Ok(answered(app.paged(is_short, page).await?, &org))
}

/// Lists the API tokens of a user that the caller may see.
#[utoipa::path(get, path = "/users/{id}/tokens", operation_id = "list_user_tokens", tag = "users",
    params(("id" = UserId, Path), ListQuery, Min), responses((status = 200, body = Listing<ApiTokenView>)))]
async fn tokens(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    Path(id): Path<UserId>,
    query: ListQuery,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::ApiToken)?;
    let (org, fields) = (app.see(&caller, min).await?, app.fields.of(Kind::ApiToken));
    let seen = app.seen(caller, org.clone());
    if !is_known(id, &seen) {
        return Err(Problem::not_found(Kind::User, id));
    }
    let is_short = org.models.state.api_tokens.len() <= ROWS_INLINE_MAX;
    let page = move || {
        let own = seen.org.models.state.api_tokens.values().filter(|token| token.owner_id == id);
        list(own.filter(|token| token.is_visible(&seen)).map(|token| token.view(&seen)), &fields, &query)
    };
    Ok(answered(app.paged(is_short, page).await?, &org))
}

/// Shows an API token of a user.
#[utoipa::path(get, path = "/users/{id}/tokens/{token_id}", operation_id = "show_user_token", tag = "users",
    params(("id" = UserId, Path), ("token_id" = ApiTokenId, Path), Min), responses((status = 200, body = ApiTokenView)))]
async fn token(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    Path((id, token_id)): Path<(UserId, ApiTokenId)>,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::ApiToken)?;
    let org = app.see(&caller, min).await?;
    let seen = app.seen(caller, org.clone());
    let found = schemas::api_token::ApiToken::find(token_id, &seen).filter(|token| token.owner_id == id);
    let found = found.ok_or_else(|| Problem::not_found(Kind::ApiToken, token_id))?;
    let shown = etagged(Json(found.view(&seen)).into_response(), found.revision);
    Ok(answered(shown, &org))
}

/// Who may see neither users nor the tokens of others sees themselves.
fn is_known(id: UserId, seen: &Seen) -> bool {
    let is_self = seen.caller.as_ref().is_some_and(|caller| caller.user_id == Some(id));
    is_self || (seen.may_read(Kind::User) && User::find(id, seen).is_some())
}
