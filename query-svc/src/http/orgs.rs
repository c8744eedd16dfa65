//! `/orgs`: the caller's org, and `/usage`: what it has of what its plan gives.

use axum::extract::State;
use axum::response::Response;
use gate::{Caller, IfNoneMatch, Json, ListQuery, Listing, Min, Path, Problem, list, positioned};
use schemas::access::Verb;
use schemas::id::OrgId;
use schemas::kind::Kind;
use schemas::org::Org;
use schemas::plan::Plan;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::past::answered;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(all)).routes(routes!(current)).routes(routes!(one)).routes(routes!(usage))
}

/// Lists the orgs that the caller belongs to: one.
#[utoipa::path(get, path = "/orgs", operation_id = "list_orgs", tag = "orgs", params(ListQuery, Min), responses(
    (status = 200, body = Listing<Org>)))]
async fn all(State(app): State<App>, caller: Caller, min: Min, mut query: ListQuery) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::Org)?;
    let seen = app.see_at(&caller, min, query.take("at")).await?;
    let orgs = list(seen.models.state.org.as_slice(), &app.fields.of(Kind::Org), &query)?;
    Ok(answered(orgs, &seen))
}

/// Shows the caller's org.
#[utoipa::path(get, path = "/orgs/current", operation_id = "show_org", tag = "orgs", params(Min), responses(
    (status = 200, body = Org), (status = 304, description = "The caller has this revision already")))]
async fn current(State(app): State<App>, caller: Caller, min: Min, known: IfNoneMatch) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::Org)?;
    let seen = app.see(&caller, min).await?;
    let org = seen.models.state.org.as_ref().ok_or_else(|| Problem::not_found(Kind::Org, &caller.org))?;
    Ok(positioned(known.respond(org.revision, Json(org)), seen.position))
}

/// Shows an org, if it is the caller's.
#[utoipa::path(get, path = "/orgs/{id}", operation_id = "show_orgs", tag = "orgs", params(("id" = OrgId, Path), Min),
    responses((status = 200, body = Org), (status = 304, description = "The caller has this revision already")))]
async fn one(
    app: State<App>,
    caller: Caller,
    min: Min,
    known: IfNoneMatch,
    Path(id): Path<OrgId>,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::Org)?;
    if id != caller.org {
        return Err(Problem::not_found(Kind::Org, &id));
    }
    current(app, caller, min, known).await
}

/// What an org has, and what its plan gives.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct OrgUsage {
    plan: Plan,
    resources: Vec<KindUsage>,
    requests: gate::Usage,
    /// Events of the audit trail.
    events: usize,
    flows: FlowUsage,
}

/// How many resources of a kind there are, and may be.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct KindUsage {
    kind: Kind,
    count: usize,
    limit: usize,
}

/// What recorded traffic takes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct FlowUsage {
    files: usize,
    rows: u64,
    bytes: u64,
}

/// Says what the org has of what its plan gives.
#[utoipa::path(get, path = "/usage", operation_id = "show_usage", tag = "orgs", params(Min), responses(
    (status = 200, body = OrgUsage)))]
async fn usage(State(app): State<App>, caller: Caller, min: Min) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::Org)?;
    let view = app.views.org(&caller.org).await?;
    let seen = view.at(min.0).await?;
    let state = &seen.models.state;
    let plan = state.org.as_ref().map(|org| org.plan).unwrap_or_default();
    let kinds = Kind::ALL.iter().copied().filter(|kind| !matches!(kind, Kind::Org | Kind::Event | Kind::Flow));
    let flows = view.held.flows();
    let usage = OrgUsage {
        plan,
        resources: kinds
            .map(|kind| KindUsage { kind, count: state.count(kind), limit: plan.resources_max(kind) })
            .collect(),
        requests: app.gate.limits().usage(&caller.org),
        events: seen.events.all.len(),
        flows: FlowUsage {
            files: flows.files.len(),
            rows: flows.files.iter().map(|file| file.rows).sum(),
            bytes: flows.files.iter().map(|file| file.bytes).sum(),
        },
    };
    Ok(positioned(Json(usage), seen.position))
}
