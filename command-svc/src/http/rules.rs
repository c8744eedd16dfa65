//! `/firewall/rules`: which traffic passes.

use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use gate::{Caller, Path, Problem, ProblemBody, Write, WriteOptions};
use schemas::access::Verb;
use schemas::command::Command;
use schemas::id::RuleId;
use schemas::rule::{MovedRule, NewRule, Rule, RuleOrder, RulePatch};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;

pub(super) fn router() -> OpenApiRouter<App> {
    let order = OpenApiRouter::new().routes(routes!(order)).layer(DefaultBodyLimit::max(ORDER_BYTES_MAX));
    OpenApiRouter::new().routes(routes!(create)).merge(order).routes(routes!(replace, update, delete))
}

/// The order of as many rules as an org may have.
const ORDER_BYTES_MAX: usize = 4 << 20;

/// What an order changed.
#[derive(serde::Serialize, utoipa::ToSchema)]
struct Ordered {
    /// The rules whose place changed.
    moved: Vec<MovedRule>,
}

/// Creates a rule after the last one.
#[utoipa::path(post, path = "/firewall/rules", operation_id = "create_rule", tag = "rules", params(WriteOptions), request_body = NewRule, responses(
    (status = 201, body = Rule), (status = "default", body = ProblemBody)))]
async fn create(State(app): State<App>, caller: Caller, new: Write<NewRule>) -> Result<Response, Problem> {
    app.submit(caller, Verb::Create, new.options, Command::CreateRule(new.body)).await
}

/// Puts all rules into a new order. The list names every rule of the org exactly once.
#[utoipa::path(put, path = "/firewall/rules/order", operation_id = "order_rules", tag = "rules", params(WriteOptions), request_body = RuleOrder, responses(
    (status = 200, body = Ordered), (status = "default", body = ProblemBody)))]
async fn order(State(app): State<App>, caller: Caller, order: Write<RuleOrder>) -> Result<Response, Problem> {
    app.submit(caller, Verb::Update, order.options, Command::OrderRules(order.body)).await
}

/// Replaces a rule; its id, number and place stay.
#[utoipa::path(put, path = "/firewall/rules/{id}", operation_id = "replace_rule", tag = "rules", params(("id" = RuleId, Path), WriteOptions), request_body = NewRule,
    responses((status = 200, body = Rule), (status = "default", body = ProblemBody)))]
async fn replace(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<RuleId>,
    new: Write<NewRule>,
) -> Result<Response, Problem> {
    app.submit(caller, Verb::Update, new.options, Command::ReplaceRule(id, new.body)).await
}

/// Changes what is given of a rule.
#[utoipa::path(patch, path = "/firewall/rules/{id}", operation_id = "update_rule", tag = "rules", params(("id" = RuleId, Path), WriteOptions), request_body = RulePatch,
    responses((status = 200, body = Rule), (status = "default", body = ProblemBody)))]
async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<RuleId>,
    patch: Write<RulePatch>,
) -> Result<Response, Problem> {
    app.submit(caller, Verb::Update, patch.options, Command::UpdateRule(id, patch.body)).await
}

/// Deletes a rule.
#[utoipa::path(delete, path = "/firewall/rules/{id}", operation_id = "delete_rule", tag = "rules", params(("id" = RuleId, Path), WriteOptions),
    responses((status = 204), (status = "default", body = ProblemBody)))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<RuleId>,
    options: WriteOptions,
) -> Result<Response, Problem> {
    app.submit(caller, Verb::Delete, options, Command::DeleteRule(id)).await
}
