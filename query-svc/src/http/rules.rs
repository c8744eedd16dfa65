//! `/firewall/rules`: firewall rules, in matching order.

use axum::extract::State;
use axum::response::Response;
use gate::{Caller, IfNoneMatch, Json, ListQuery, Listing, Min, Path, Problem, positioned};
use schemas::access::Verb;
use schemas::id::RuleId;
use schemas::kind::Kind;
use schemas::rule::Rule;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, listed};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(all)).routes(routes!(one))
}

/// Lists the rules in matching order, unless sorted otherwise.
#[utoipa::path(get, path = "/firewall/rules", operation_id = "list_rules", tag = "rules", params(ListQuery, Min), responses(
    (status = 200, body = Listing<Rule>)))]
async fn all(State(app): State<App>, caller: Caller, min: Min, query: ListQuery) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::Rule)?;
    let org = app.see(&caller, min).await?;
    listed(org.models.ordered_rules(), &app.fields.rules, &query, org.position)
}

/// Shows a rule.
#[utoipa::path(get, path = "/firewall/rules/{id}", operation_id = "show_rules", tag = "rules", params(("id" = RuleId, Path), Min), responses(
    (status = 200, body = Rule), (status = 304, description = "The caller has this revision already")))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    known: IfNoneMatch,
    Path(id): Path<RuleId>,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::Rule)?;
    let org = app.see(&caller, min).await?;
    let found = org.models.rules.get(&id).ok_or_else(|| Problem::not_found(Kind::Rule, id))?;
    Ok(positioned(known.respond(found.revision, Json(found)), org.position))
}
