//! How writes answer that are only tried: `?dry_run=true` is of every write, and so is its answer.

use std::collections::BTreeSet;

use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::schema::{AnyOf, Schema};
use utoipa::openapi::{Content, ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};

use crate::dry_run::DryRun;
use crate::write::DRY_RUN;

const JSON: &str = "application/json";

/// The schemas that say by themselves whether they are of a dry run.
pub(super) fn own(document: &OpenApi) -> BTreeSet<String> {
    let schemas = document.components.iter().flat_map(|components| &components.schemas);
    let says = |schema: &RefOr<Schema>| match schema {
        RefOr::T(Schema::Object(object)) => object.properties.contains_key(DRY_RUN),
        RefOr::T(_) | RefOr::Ref(_) => false,
    };
    let named = schemas.filter(|(_, schema)| says(schema));
    named.map(|(name, _)| Ref::from_schema_name(name).ref_location).collect()
}

/// Says of a write how it answers if it is only tried.
pub(super) fn explain(operation: &mut Operation, own: &BTreeSet<String>) {
    let is_write = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(parameter) if parameter.name == DRY_RUN);
    if !operation.parameters.as_ref().is_some_and(|all| all.iter().any(is_write)) {
        return;
    }
    let tried = Ref::from_schema_name(DryRun::name());
    let responses = &mut operation.responses.responses;
    if let Some(RefOr::T(done)) = responses.get_mut("200") {
        join(done, tried, own);
    } else {
        let content = ContentBuilder::new().schema(Some(tried)).build();
        let description = "With dry_run: what would be done; nothing was";
        let response = ResponseBuilder::new().description(description).content(JSON, content).build();
        responses.insert("200".to_owned(), RefOr::T(response));
    }
}

fn join(done: &mut Response, tried: Ref, own: &BTreeSet<String>) {
    let Some(RefOr::T(Content { schema: Some(schema), .. })) = done.content.get_mut(JSON) else { return };
    if matches!(schema, RefOr::Ref(reference) if own.contains(&reference.ref_location)) {
        return;
    }
    let mut either = AnyOf::new();
    either.items = vec![schema.clone(), RefOr::Ref(tried)];
    *schema = RefOr::T(Schema::AnyOf(either));
}
