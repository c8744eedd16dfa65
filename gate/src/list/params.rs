//! What the document says of the parameters of lists.

use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::{FieldsQuery, ListQuery};

const FIELDS: &str = "Only these fields come back, with commas between them: id,name,metadata.team";
const FILTER: &str = "Only items for which this expression holds: obj.enabled && \"web\" in obj.tags. \
    Fields as obj.name or name; operators && || ! == != < <= > >= in; text, numbers, true, false, null and [lists]; \
    size(x), x.startsWith(text), x.endsWith(text), x.contains(y), cidr_contains(\"10.0.0.0/8\", obj.x), \
    timestamp(\"2026-01-31T00:00:00Z\"), time.now - duration(\"24h\")";
const SORT: &str =
    "The fields to order by, with commas between them; with - before one it is turned round: -created_at,name";

impl utoipa::IntoParams for ListQuery {
    fn into_params(_place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            parameter("page", Type::Integer, "Which page, from 1"),
            parameter("per_page", Type::Integer, "How many on a page, 1 to 100; also page_size. 50 if absent"),
            parameter("limit", Type::Integer, "The newest so many, 1 to 100; not together with page"),
            parameter("before_id", Type::String, "Only what is older than the one with this id, newest first"),
            parameter("sort", Type::String, SORT),
            parameter("filter", Type::String, FILTER),
            parameter("fields", Type::String, FIELDS),
        ]
    }
}

impl utoipa::IntoParams for FieldsQuery {
    fn into_params(_place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![parameter("fields", Type::String, FIELDS)]
    }
}

fn parameter(name: &str, kind: Type, description: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(kind)))
        .build()
}
