//! What the document says of the parameters of lists.

use serde_json::Value;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::{FieldsQuery, ListQuery, PER_PAGE_MAX};

const FIELDS: &str = "Only these fields come back, with commas between them: id,name,metadata.team";
const FILTER: &str = "Only items for which this expression holds: obj.enabled && \"web\" in obj.tags. \
    Fields as obj.name or name; operators && || ! == != < <= > >= in; text, numbers, true, false, null and [lists]; \
    size(x), x.startsWith(text), x.endsWith(text), x.contains(y), cidr_contains(\"10.0.0.0/8\", obj.x), \
    timestamp(\"2026-01-31T00:00:00Z\"), time.now - duration(\"24h\")";
const SORT: &str =
    "The fields to order by, with commas between them; with - before one it is turned round: -created_at,name";

impl utoipa::IntoParams for ListQuery {
    fn into_params(_place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let most = Some(PER_PAGE_MAX);
        vec![
            number("page", None, "Which page, from 1"),
            number("per_page", most, "How many on a page; also page_size. 50 if absent"),
            number("limit", most, "The newest so many; not together with page"),
            text("before_id", None, "Only what is older than the one with this id, newest first"),
            text("sort", Some("-revision"), SORT),
            text("filter", Some("obj.revision > 1"), FILTER),
            text("fields", Some("id,revision"), FIELDS),
        ]
    }
}

impl utoipa::IntoParams for FieldsQuery {
    fn into_params(_place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![text("fields", Some("id,revision"), FIELDS)]
    }
}

fn number(name: &str, most: Option<usize>, description: &str) -> Parameter {
    parameter(name, description, ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(most))
}

fn text(name: &str, example: Option<&str>, description: &str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    parameter(name, description, schema.examples(example.map(Value::from)))
}

fn parameter(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    let builder = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
    builder.description(Some(description)).schema(Some(schema)).build()
}
