//! The routes of the API and the OpenAPI document that is made from them.

mod described;
mod dry_runs;
mod patches;
mod refusals;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;
use schemas::id::{EventId, OrgId};
use utoipa::ToSchema;
use utoipa::openapi::path::{HttpMethod, Operation, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, RefOr, Server};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::body::Json;
use crate::dry_run::DryRun;
use crate::envelope::envelop;
use crate::list::ListMeta;
use crate::problem::ProblemBody;
use crate::{errors, roles};

pub use described::Described;

/// The base that the document names. `/api` and `/v1` lead to the same routes.
pub const BASE: &str = "/api/v1";
const SHORT_BASE: &str = "/api";
/// Here firewalls have an envelope of their own.
const ENVELOPED_BASE: &str = "/v1";
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
    let api = Router::new()
        .nest(SHORT_BASE, routes.clone())
        .nest(ENVELOPED_BASE, routes.clone().layer(from_fn(envelop)))
        .nest(BASE, routes);
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
    add::<ProblemBody>(&mut schemes);
    add::<DryRun>(&mut schemes);
    add_ids(&mut schemes);

    let info = InfoBuilder::new()
        .title("Netkeep")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Central rules, audit and traffic of a fleet of Linux firewalls."))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    let base = OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new("/")]))
        .components(Some(schemes))
        .security(Some([SecurityRequirement::new(BEARER, Vec::<String>::new())]))
        .build();
    let mut document = base.nest(BASE, paths);
    let own = dry_runs::own(&document);
    for path in document.paths.paths.values_mut() {
        for (method, operation) in operations(path) {
            dry_runs::explain(operation, &own);
            refusals::explain(&method, operation);
            describe_answers(operation);
        }
    }
    if let Some(components) = &mut document.components {
        components.responses.extend(refusals::all());
        components.schemas.values_mut().for_each(complete_page);
    }
    document
}

/// Adds a schema and those that it refers to.
fn add<T: ToSchema>(components: &mut Components) {
    let mut nested = Vec::new();
    T::schemas(&mut nested);
    components.schemas.extend(nested);
    components.schemas.insert(T::name().into_owned(), T::schema());
}

/// Adds the ids: utoipa refers to them from path parameters, but brings only what bodies refer to.
macro_rules! add_ids {
    ($($name:ident $table:ident $id:ident $new:ident $module:ident,)*) => {
        fn add_ids(components: &mut Components) {
            $(add::<schemas::id::$id>(components);)*
            add::<OrgId>(components);
            add::<EventId>(components);
        }
    };
}

schemas::for_each_resource!(add_ids);

fn operations(path: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    let all = [
        (HttpMethod::Get, &mut path.get),
        (HttpMethod::Put, &mut path.put),
        (HttpMethod::Post, &mut path.post),
        (HttpMethod::Delete, &mut path.delete),
        (HttpMethod::Patch, &mut path.patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Gives each answer that its handler did not describe the words of its status: the format demands some.
fn describe_answers(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description =
                refusals::words_of(status).unwrap_or("A refusal; /errors lists every reason").to_owned();
        }
    }
}

/// Adds to the schema of a page what stands beside `meta` for clients of other systems.
fn complete_page(schema: &mut RefOr<Schema>) {
    let meta = format!("#/components/schemas/{}", ListMeta::name());
    let RefOr::T(Schema::Object(page)) = schema else { return };
    let is_page = matches!(page.properties.get("meta"), Some(RefOr::Ref(reference)) if reference.ref_location == meta);
    if !is_page {
        return;
    }
    let number = |text: &str| ObjectBuilder::new().schema_type(Type::Integer).description(Some(text)).into();
    let text = |text: &str, schema_type| ObjectBuilder::new().schema_type(schema_type).description(Some(text)).into();
    let nullable = SchemaType::from_iter([Type::String, Type::Null]);
    let said: [(&str, RefOr<Schema>); 6] = [
        ("page", number("Which page this is, if `page_size` was asked for")),
        ("page_size", number("How many are on a page, if `page_size` was asked for")),
        ("total_records", number("How many there are in all, if `page_size` was asked for")),
        ("total_pages", number("How many pages there are, if `page_size` was asked for")),
        ("uri", text("The question as a whole URI, if `limit` or `before_id` was asked for", Type::String.into())),
        ("next_page_uri", text("The next page as a whole URI, if `limit` or `before_id` was asked for", nullable)),
    ];
    page.properties.extend(said.map(|(name, schema)| (name.to_owned(), schema)));
}
