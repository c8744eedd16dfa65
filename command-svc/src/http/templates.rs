//! `/config-templates/{id}/apply`: the settings of a template, given to many devices at once.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use gate::{Caller, Path, Problem, ProblemBody, ProblemDetail, Write, WriteOptions, positioned};
use schemas::access::Verb;
use schemas::command::Command;
use schemas::config_template::ApplyTemplate;
use schemas::id::{ConfigTemplateId, DeviceId, OperationId};
use schemas::kind::Kind;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, Call};
use crate::decide::{Plan, Planned};
use crate::submission::Accepted;

/// Devices that are changed at a time; what waits together shares a commit.
const AT_ONCE: usize = 256;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(apply))
}

/// What became of a template, device by device.
#[derive(Serialize, utoipa::ToSchema)]
struct TemplateApplied {
    /// Whether this only says what would be.
    dry_run: bool,
    results: Vec<DeviceResult>,
}

/// What became of a template on one device.
#[derive(Serialize, utoipa::ToSchema)]
struct DeviceResult {
    device_id: DeviceId,
    status: DeviceStatus,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ProblemDetail>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum DeviceStatus {
    Applied,
    /// The device had these settings already.
    Unchanged,
    Failed,
}

/// Applies a template to devices and to all devices of groups.
///
/// Each device is changed by itself: what fails on one does not keep it from the others. Variables that are not declared,
/// and those that have no value, are refused before any device is changed.
#[utoipa::path(post, path = "/config-templates/{id}/apply", operation_id = "apply_config_template", tag = "config-templates",
    params(("id" = ConfigTemplateId, Path), WriteOptions), request_body = ApplyTemplate,
    responses((status = 200, body = TemplateApplied), (status = "default", body = ProblemBody)))]
async fn apply(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ConfigTemplateId>,
    apply: Write<ApplyTemplate>,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::ConfigTemplate)?;
    caller.may(Verb::Update, Kind::Device)?;
    let (dry_run, operation) = (apply.options.dry_run, apply.options.operation);
    let whole = Call::new(caller, apply.options);
    // A plan changes nothing, so that there is nothing to try and nothing to remember.
    let accepted = app.run(whole.plan(), Command::PlanTemplate(id, apply.body)).await?;
    let (Accepted::Done(answer) | Accepted::Would { answer, .. }) = accepted;
    let plan: Plan = serde_json::from_value(answer.body).map_err(Problem::internal)?;
    let changes = plan.devices.into_iter().map(|planned| change(&app, &whole, planned, operation));
    let outcomes: Vec<(DeviceResult, u64)> = stream::iter(changes).buffered(AT_ONCE).collect().await;
    let position = outcomes.iter().map(|(_, position)| *position).max().unwrap_or(answer.position);
    let results = outcomes.into_iter().map(|(result, _)| result).collect();
    Ok(positioned(axum::Json(TemplateApplied { dry_run, results }).into_response(), position))
}

/// Changes one device, and says what became of it and where that is in the log.
async fn change(app: &App, whole: &Call, planned: Planned, operation: OperationId) -> (DeviceResult, u64) {
    let Planned { device_id, revision, patch } = planned;
    let call = whole.part(device_id);
    let result = |status, error| DeviceResult { device_id, status, error };
    match app.run(call, Command::Patch(device_id.into(), patch)).await {
        Ok(Accepted::Would { events, answer, .. }) if events.is_empty() => {
            (result(DeviceStatus::Unchanged, None), answer.position)
        }
        // What is remembered changed the device: an answer to what changed nothing is not.
        Ok(Accepted::Done(answer)) if answer.revision == revision && !answer.replayed => {
            (result(DeviceStatus::Unchanged, None), answer.position)
        }
        Ok(Accepted::Done(answer) | Accepted::Would { answer, .. }) => {
            (result(DeviceStatus::Applied, None), answer.position)
        }
        Err(problem) => (result(DeviceStatus::Failed, Some(problem.body(Some(operation)).error)), 0),
    }
}
