//! `/api-tokens`: with which programs call.

use axum::extract::State;
use axum::response::Response;
use gate::{Caller, Path, Problem, ProblemBody, Write, WriteOptions};
use schemas::access::Verb;
use schemas::api_token::{ApiToken, ApiTokenPatch, NewApiToken};
use schemas::command::Command;
use schemas::id::ApiTokenId;
use schemas::view::ApiTokenWithSecret;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use crate::secrets::SecretKind;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(update, delete))
}

/// Creates an API token of the caller's own. The answer shows its secret, once.
#[utoipa::path(post, path = "/api-tokens", operation_id = "create_api_token", tag = "api-tokens", params(WriteOptions), request_body = NewApiToken, responses(
    (status = 201, body = ApiTokenWithSecret), (status = "default", body = ProblemBody)))]
async fn create(State(app): State<App>, caller: Caller, new: Write<NewApiToken>) -> Result<Response, Problem> {
    let command = Command::CreateApiToken(new.body);
    app.submit_secret(caller, new.options, command, SecretKind::ApiToken, with_secret).await
}

/// Renames an API token.
#[utoipa::path(patch, path = "/api-tokens/{id}", operation_id = "update_api_token", tag = "api-tokens", params(("id" = ApiTokenId, Path), WriteOptions),
    request_body = ApiTokenPatch, responses((status = 200, body = ApiToken), (status = "default", body = ProblemBody)))]
async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ApiTokenId>,
    patch: Write<ApiTokenPatch>,
) -> Result<Response, Problem> {
    app.submit(caller, Verb::Update, patch.options, Command::UpdateApiToken(id, patch.body)).await
}

/// Deletes an API token: it opens nothing any more.
#[utoipa::path(delete, path = "/api-tokens/{id}", operation_id = "delete_api_token", tag = "api-tokens", params(("id" = ApiTokenId, Path), WriteOptions),
    responses((status = 204), (status = "default", body = ProblemBody)))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ApiTokenId>,
    options: WriteOptions,
) -> Result<Response, Problem> {
    app.submit(caller, Verb::Delete, options, Command::DeleteApiToken(id)).await
}

fn with_secret(body: Value, secret: &str) -> Value {
    match serde_json::from_value::<ApiToken>(body.clone()) {
        Ok(api_token) => json!(ApiTokenWithSecret { api_token, token: secret.to_owned() }),
        Err(_) => body,
    }
}
