//! How operations refuse: the statuses of each, once for all.

use axum::http::StatusCode;
use utoipa::ToSchema;
use utoipa::openapi::path::{HttpMethod, Operation, Parameter};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use crate::position;
use crate::problem::ProblemBody;

/// The statuses with which operations refuse.
const REFUSALS: [u16; 14] = [400, 401, 403, 404, 406, 408, 409, 412, 413, 415, 422, 429, 500, 503];
/// Those of operations that anybody may call and that read.
const PUBLIC: &[u16] = &[400, 500, 503];
/// Those of reads: 409 where the read side did not come as far as `Netkeep-Min-Position`.
const OF_READS: &[u16] = &[400, 401, 403, 404, 409, 429, 500, 503];
const OF_WRITES: &[u16] = &[400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 429, 500, 503];
/// Those of questions that come with POST.
const OF_QUESTIONS: &[u16] = &REFUSALS;

/// Says of an operation with which statuses it refuses, and how that looks.
pub(super) fn explain(method: &HttpMethod, operation: &mut Operation) {
    let is_public = operation.security.is_some();
    let takes_min = |parameter: &RefOr<Parameter>| match parameter {
        RefOr::T(parameter) => parameter.name.eq_ignore_ascii_case(position::MIN_HEADER),
        RefOr::Ref(_) => false,
    };
    let reads = operation.parameters.as_ref().is_some_and(|all| all.iter().any(takes_min));
    let statuses = match (method == &HttpMethod::Get, method == &HttpMethod::Post && reads) {
        (true, _) if is_public => PUBLIC,
        (true, _) => OF_READS,
        (_, true) => OF_QUESTIONS,
        (false, false) => OF_WRITES,
    };
    let responses = &mut operation.responses.responses;
    for status in statuses {
        let named = || RefOr::Ref(Ref::new(format!("#/components/responses/{}", name_of(*status))));
        responses.entry(status.to_string()).or_insert_with(named);
    }
    responses.entry("default".to_owned()).or_insert_with(|| refusal(0));
}

/// `NotFound`.
fn name_of(status: u16) -> String {
    let words = words_of(&status.to_string()).unwrap_or("Refusal");
    words.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn refusal(status: u16) -> RefOr<Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemBody::name()))).build();
    let words = words_of(&status.to_string()).map(|words| format!("{words}; ")).unwrap_or_default();
    let description = format!("A refusal: {words}/errors lists every reason");
    RefOr::T(ResponseBuilder::new().description(description).content("application/json", content).build())
}

/// The refusals that operations refer to.
pub(super) fn all() -> impl Iterator<Item = (String, RefOr<Response>)> {
    REFUSALS.iter().map(|status| (name_of(*status), refusal(*status)))
}

pub(super) fn words_of(status: &str) -> Option<&'static str> {
    StatusCode::from_u16(status.parse().ok()?).ok()?.canonical_reason()
}
