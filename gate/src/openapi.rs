//! The routes of the API and the OpenAPI document that is made from them.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use schemas::id::{ApiTokenId, DeviceId, EventId, OrgId, RuleId, SetupKeyId, UserId, ZoneId};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::body::Json;
use crate::problem::ProblemBody;
use crate::{errors, roles};

/// The base that the document names. `/api` and `/v1` lead to the same routes.
pub const BASE: &str = "/api/v1";
const OTHER_BASES: [&str; 2] = ["/api", "/v1"];
const DOCUMENT: &str = "/openapi.json";
const BEARER: &str = "bearer";

/// The routes under every base, with their document and the pages that explain them.
///
/// Adds `/roles` and `/errors` to the routes, so they must not have their own.
pub fn mount(routes: OpenApiRouter<()>) -> Router {
    let (routes, paths) = routes.merge(roles::router()).merge(errors::router()).split_for_parts();
    let document = Arc::new(document(paths));
    let show = move || {
        let document = document.clone();
        async move { Json(document) }
    };
    let api = OTHER_BASES
        .iter()
        .fold(Router::new().nest(BASE, routes.clone()), |router, base| router.nest(base, routes.clone()));
    api.route(DOCUMENT, get(show.clone()))
        .route(&format!("{BASE}/api-docs"), get(show))
        .route("/errors", get(errors::errors))
        .merge(SwaggerUi::new("/api-docs").config(Config::from(DOCUMENT)))
}

/// The document of routes that are not yet under their base.
fn document(paths: OpenApi) -> OpenApi {
    let mut schemes = Components::new();
    let scheme = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API token (nk_…) or a JWT of the configured issuer"))
        .build();
    schemes.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
    let mut schemas = Vec::new();
    ProblemBody::schemas(&mut schemas);
    schemes.schemas.extend(schemas);
    schemes.schemas.insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    add_ids(&mut schemes);

    let info = InfoBuilder::new()
        .title("Netkeep")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Central rules, audit and traffic of a fleet of Linux firewalls."))
        .license(Some(License::new("Apache-2.0")))
        .build();
    let base = OpenApiBuilder::new()
        .info(info)
        .components(Some(schemes))
        .security(Some([SecurityRequirement::new(BEARER, Vec::<String>::new())]))
        .build();
    let mut document = base.nest(BASE, paths);
    for path in document.paths.paths.values_mut() {
        operations(path).for_each(|operation| {
            explain_refusals(operation);
            describe_answers(operation);
        });
    }
    document
}

/// Adds the ids: utoipa refers to them from path parameters, but brings only what bodies refer to.
fn add_ids(components: &mut Components) {
    fn add<T: ToSchema>(components: &mut Components) {
        components.schemas.insert(T::name().into_owned(), T::schema());
    }
    add::<OrgId>(components);
    add::<RuleId>(components);
    add::<ZoneId>(components);
    add::<SetupKeyId>(components);
    add::<DeviceId>(components);
    add::<ApiTokenId>(components);
    add::<UserId>(components);
    add::<EventId>(components);
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut path.get,
        &mut path.put,
        &mut path.post,
        &mut path.delete,
        &mut path.options,
        &mut path.head,
        &mut path.patch,
        &mut path.trace,
    ]
    .into_iter()
    .flatten()
}

/// Gives each answer that its handler did not describe the words of its status: the format demands some.
fn describe_answers(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            let status = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
            let words =
                status.and_then(|status| status.canonical_reason()).unwrap_or("A refusal; /errors lists every reason");
            response.description = words.to_owned();
        }
    }
}

/// Says of every operation how its refusals look.
fn explain_refusals(operation: &mut Operation) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemBody::name()))).build();
    let refusal = ResponseBuilder::new()
        .description("A refusal; /errors lists every reason")
        .content("application/json", content)
        .build();
    operation.responses.responses.entry("default".to_owned()).or_insert(RefOr::T(refusal));
}
