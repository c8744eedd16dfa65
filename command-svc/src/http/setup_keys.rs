//! `/setup-keys`: with which devices enrol.

use axum::extract::State;
use axum::response::Response;
use gate::{Caller, Path, Problem, ProblemBody, Write, WriteOptions};
use schemas::access::Verb;
use schemas::command::Command;
use schemas::id::SetupKeyId;
use schemas::setup_key::{NewSetupKey, SetupKey, SetupKeyPatch};
use schemas::view::{SetupKeyView, SetupKeyWithSecret};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use crate::clock::now;
use crate::secrets::SecretKind;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(update, delete))
}

/// Creates a setup key. The answer shows its secret, once.
#[utoipa::path(post, path = "/setup-keys", operation_id = "create_setup_key", tag = "setup-keys", params(WriteOptions), request_body = NewSetupKey, responses(
    (status = 201, body = SetupKeyWithSecret), (status = "default", body = ProblemBody)))]
async fn create(State(app): State<App>, caller: Caller, new: Write<NewSetupKey>) -> Result<Response, Problem> {
    let command = Command::CreateSetupKey(new.body);
    app.submit_secret(caller, new.options, command, SecretKind::SetupKey, with_secret).await
}

/// Changes what is given of a setup key; `{"revoked": true}` ends it for good.
#[utoipa::path(patch, path = "/setup-keys/{id}", operation_id = "update_setup_key", tag = "setup-keys", params(("id" = SetupKeyId, Path), WriteOptions),
    request_body = SetupKeyPatch, responses((status = 200, body = SetupKey), (status = "default", body = ProblemBody)))]
async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<SetupKeyId>,
    patch: Write<SetupKeyPatch>,
) -> Result<Response, Problem> {
    app.submit(caller, Verb::Update, patch.options, Command::UpdateSetupKey(id, patch.body)).await
}

/// Deletes a setup key; the devices that enrolled with it stay.
#[utoipa::path(delete, path = "/setup-keys/{id}", operation_id = "delete_setup_key", tag = "setup-keys", params(("id" = SetupKeyId, Path), WriteOptions),
    responses((status = 204), (status = "default", body = ProblemBody)))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<SetupKeyId>,
    options: WriteOptions,
) -> Result<Response, Problem> {
    app.submit(caller, Verb::Delete, options, Command::DeleteSetupKey(id)).await
}

fn with_secret(body: Value, secret: &str) -> Value {
    match serde_json::from_value::<SetupKey>(body.clone()) {
        Ok(setup_key) => {
            let state = setup_key.state(now());
            json!(SetupKeyWithSecret { setup_key: SetupKeyView { setup_key, state }, key: secret.to_owned() })
        }
        Err(_) => body,
    }
}
