//! `/firewall/rules/order`: which rule is asked first.

use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use gate::{Caller, Problem, ProblemBody, Write, WriteOptions};
use schemas::access::Verb;
use schemas::command::Command;
use schemas::rule::{MovedRule, RuleOrder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(order)).layer(DefaultBodyLimit::max(ORDER_BYTES_MAX))
}

/// The order of as many rules as an org may have.
const ORDER_BYTES_MAX: usize = 4 << 20;

/// What an order changed.
#[derive(serde::Serialize, utoipa::ToSchema)]
struct Ordered {
    /// The rules whose place changed.
    moved: Vec<MovedRule>,
}

/// Puts all rules into a new order. The list names every rule of the org exactly once.
#[utoipa::path(put, path = "/firewall/rules/order", operation_id = "order_rules", tag = "rules", params(WriteOptions), request_body = RuleOrder, responses(
    (status = 200, body = Ordered), (status = "default", body = ProblemBody)))]
async fn order(State(app): State<App>, caller: Caller, order: Write<RuleOrder>) -> Result<Response, Problem> {
    app.submit(caller, Verb::Update, order.options, Command::OrderRules(order.body)).await
}
