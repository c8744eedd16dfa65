//! `/devices`: the firewalls of the fleet. They enrol themselves; people name, configure and remove them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use gate::{Caller, Path, Problem, ProblemBody, Write, WriteOptions};
use schemas::access::{Role, Verb};
use schemas::command::Command;
use schemas::credential::{Credential, CredentialKey};
use schemas::device::{Device, Enrolled, Enrolment};
use schemas::event::SecretHash;
use schemas::id::DeviceId;
use schemas::reason::Reason;
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, Call, EnrolmentFacts, problem};
use crate::clock::random_command_id;
use crate::refusal::Refusal;
use crate::submission::{Accepted, Failure, Options, Origin};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(enrol)).routes(routes!(approve))
}

/// Approves a device, so that it gets its ruleset. What is approved already stays so.
#[utoipa::path(post, path = "/devices/{id}/approve", operation_id = "approve_device", tag = "devices",
    params(("id" = DeviceId, Path), WriteOptions),
    responses((status = 200, body = Device), (status = "default", body = ProblemBody)))]
async fn approve(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<DeviceId>,
    options: WriteOptions,
) -> Result<Response, Problem> {
    let approved = Map::from_iter([("approved".to_owned(), Value::Bool(true))]);
    app.submit(caller, Verb::Update, options, Command::Patch(id.into(), approved)).await
}

/// Enrols a device. The setup key in the body is the credential; the same key pair gets the same device.
#[utoipa::path(post, path = "/devices/enroll", operation_id = "enrol_device", tag = "devices", request_body = Enrolment, security(()), responses(
    (status = 201, body = Enrolled), (status = "default", body = ProblemBody)))]
async fn enrol(State(app): State<App>, parts: Parts, enrolment: Write<Enrolment>) -> Result<Response, Problem> {
    let gate = app.gate.clone();
    take_in(app, enrolment).await.map_err(|problem| gate.refused(&parts, problem))
}

async fn take_in(app: App, enrolment: Write<Enrolment>) -> Result<Response, Problem> {
    let Write { options: write, body } = enrolment;
    let known = app.keyring.find(&CredentialKey::Secret(SecretHash::of(&body.setup_key)));
    let Some(Credential::SetupKey { org, id }) = known else {
        return Err(problem(Failure::Refused(Refusal::SetupKeyUnknown)));
    };
    let held = app.keyring.find(&CredentialKey::DeviceKey(body.public_key.clone()));
    if held.is_some_and(|held| !matches!(held, Credential::Device { org: its, .. } if its == org)) {
        return Err(problem(Failure::Refused(Refusal::DeviceKeyTaken)));
    }
    if nkeys::KeyPair::from_public_key(&body.public_key).is_err() || !body.public_key.starts_with('U') {
        return Err(problem(Failure::Refused(Refusal::DeviceKeyInvalid)));
    }
    let origin = Origin {
        traceparent: write.traceparent,
        ..Origin::of(format!("device:{}", body.public_key), id.to_string(), Role::Viewer, write.operation)
    };
    let options = Options { command_id: random_command_id(), dry_run: write.dry_run, ..Options::default() };
    let call = Call { org: org.clone(), origin, options };
    let Accepted::Done(answer) = app.run(call, Command::EnrolDevice(body)).await? else {
        return Err(Problem::new(Reason::QueryInvalid, "an enrolment cannot be tried").field("dry_run"));
    };
    let device: Device = serde_json::from_value(answer.body).map_err(Problem::internal)?;
    let EnrolmentFacts { nats_urls, config_key } = app.enrolment;
    let enrolled = Enrolled { org, device, nats_urls, config_key };
    Ok(gate::positioned((StatusCode::CREATED, axum::Json(enrolled)).into_response(), answer.position))
}
