//! `/api-tokens`: what programs call the API with. `/tokens` is the same.

use axum::extract::State;
use axum::response::Response;
use gate::{Caller, IfNoneMatch, Json, ListQuery, Listing, Min, Path, Problem, positioned};
use schemas::access::{Role, Verb};
use schemas::api_token::ApiToken;
use schemas::id::ApiTokenId;
use schemas::kind::Kind;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, listed};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(all))
        .routes(routes!(one))
        .routes(routes!(all_tokens))
        .routes(routes!(one_token))
}

/// Lists the caller's API tokens, or everybody's for admins; without their secrets.
#[utoipa::path(get, path = "/api-tokens", operation_id = "list_api_tokens", tag = "api-tokens", params(ListQuery, Min), responses(
    (status = 200, body = Listing<ApiToken>)))]
async fn all(State(app): State<App>, caller: Caller, min: Min, query: ListQuery) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::ApiToken)?;
    let org = app.see(&caller, min).await?;
    let tokens = org.models.api_tokens.values().filter(|token| is_shown(token, &caller));
    listed(tokens, &app.fields.api_tokens, &query, org.position)
}

/// Shows an API token, without its secret.
#[utoipa::path(get, path = "/api-tokens/{id}", operation_id = "show_api_tokens", tag = "api-tokens", params(("id" = ApiTokenId, Path), Min), responses(
    (status = 200, body = ApiToken), (status = 304, description = "The caller has this revision already")))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    known: IfNoneMatch,
    Path(id): Path<ApiTokenId>,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::ApiToken)?;
    let org = app.see(&caller, min).await?;
    let found = org.models.api_tokens.get(&id).filter(|token| is_shown(token, &caller));
    let found = found.ok_or_else(|| Problem::not_found(Kind::ApiToken, id))?;
    Ok(positioned(known.respond(found.revision, Json(found)), org.position))
}

/// Lists API tokens: another name of `/api-tokens`.
#[utoipa::path(get, path = "/tokens", operation_id = "list_tokens", tag = "api-tokens", params(ListQuery, Min), responses(
    (status = 200, body = Listing<ApiToken>)))]
async fn all_tokens(app: State<App>, caller: Caller, min: Min, query: ListQuery) -> Result<Response, Problem> {
    all(app, caller, min, query).await
}

/// Shows an API token: another name of `/api-tokens/{id}`.
#[utoipa::path(get, path = "/tokens/{id}", operation_id = "show_tokens", tag = "api-tokens", params(("id" = ApiTokenId, Path), Min), responses(
    (status = 200, body = ApiToken), (status = 304, description = "The caller has this revision already")))]
async fn one_token(
    app: State<App>,
    caller: Caller,
    min: Min,
    known: IfNoneMatch,
    id: Path<ApiTokenId>,
) -> Result<Response, Problem> {
    one(app, caller, min, known, id).await
}

fn is_shown(token: &ApiToken, caller: &Caller) -> bool {
    caller.role >= Role::Admin || caller.user_id == Some(token.owner_id)
}
