//! `/sql`: questions over what the org is, what happened to it and what passed through it.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::Response;
use gate::{Caller, Json, Min, Problem, RouteTimeout, positioned};
use schemas::access::Verb;
use schemas::kind::Kind;
use schemas::reason::Reason;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use crate::sql::{Format, Query, Stats};

/// What a query may wait for beside its own time.
pub(super) const SLACK: Duration = Duration::from_secs(15);

pub(super) fn router(timeout: Duration) -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(ask)).route_layer(RouteTimeout::of(timeout + SLACK))
}

/// The answer to a query, as `application/json`.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SqlAnswer {
    columns: Vec<Column>,
    /// A row is a list with a value for each column.
    #[schema(value_type = Vec<Vec<Value>>)]
    data: Vec<Vec<serde_json::Value>>,
    stats: Stats,
}

/// A column of an answer.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Column {
    name: String,
    #[serde(rename = "type")]
    #[schema(example = "timestamp")]
    column_type: String,
}

/// Answers a SELECT over flows, events, and every kind of resource: rules, zones, devices, setup_keys …
///
/// Addresses and protocols are text. `cidr_contains(cidr, ip)`, `ip_prefix(ip, bits)` and `ip_family(ip)` prune files as
/// comparisons do. `Accept` chooses JSON, NDJSON, CSV or an Arrow IPC stream.
#[utoipa::path(post, path = "/sql", operation_id = "sql", tag = "sql", params(Min), request_body = Query, responses(
    (status = 200, content((SqlAnswer = "application/json"), (String = "application/x-ndjson"), (String = "text/csv"),
        (String = "application/vnd.apache.arrow.stream")))))]
async fn ask(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    headers: HeaderMap,
    Json(query): Json<Query>,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::Flow)?;
    let accept = headers.get(ACCEPT).map(|accept| accept.to_str().unwrap_or_default());
    let format = Format::accepted(accept).ok_or_else(|| {
        let offered = Format::ALL.map(Format::content_type).join(", ");
        Problem::new(Reason::AcceptUnsupported, format!("offered are {offered}")).field("Accept")
    })?;
    let answer = app.ask(&caller, min, &query).await?;
    let position = answer.stats.position;
    let body = app.engine.spawn_cpu(move || format.write(&answer)).await?;
    let body = body.map_err(|error| Problem::new(Reason::SqlFailed, error.to_string()))?;
    Ok(positioned(([(CONTENT_TYPE, format.content_type())], body), position))
}
