//! Merge patches (RFC 7396): the schema of what a caller writes, made into that of a change of it.

use std::collections::BTreeSet;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AllOf, AnyOf, Array, Object, OneOf, Schema, SchemaType, Type};

/// The schema with no field required: what is absent stays, and what is `null` is back at its default. A client that
/// filled in defaults by itself would change what nobody asked it to, so that none is told.
pub(super) fn patch_of(mut schema: RefOr<Schema>) -> RefOr<Schema> {
    if let RefOr::T(Schema::Object(object)) = &mut schema {
        let required: BTreeSet<String> = object.required.drain(..).collect();
        for (name, field) in &mut object.properties {
            forget_default(field);
            if !required.contains(name) {
                allow_null(field);
            }
        }
    }
    schema
}

fn forget_default(field: &mut RefOr<Schema>) {
    let RefOr::T(field) = field else { return };
    if let Schema::Object(Object { default, .. })
    | Schema::Array(Array { default, .. })
    | Schema::OneOf(OneOf { default, .. })
    | Schema::AllOf(AllOf { default, .. })
    | Schema::AnyOf(AnyOf { default, .. }) = field
    {
        *default = None;
    }
}

fn allow_null(field: &mut RefOr<Schema>) {
    let null = || RefOr::T(Schema::Object(Object::with_type(Type::Null)));
    let is_null = |schema: &RefOr<Schema>| *schema == null();
    match field {
        RefOr::T(Schema::Object(Object { schema_type, enum_values, .. })) => {
            add_null(schema_type);
            enum_values.iter_mut().for_each(|values| values.push(serde_json::Value::Null));
        }
        RefOr::T(Schema::Array(Array { schema_type, .. })) => add_null(schema_type),
        RefOr::T(Schema::OneOf(OneOf { items, .. }) | Schema::AnyOf(AnyOf { items, .. })) => {
            if !items.iter().any(is_null) {
                items.push(null());
            }
        }
        other @ (RefOr::Ref(_) | RefOr::T(_)) => {
            let mut either = OneOf::new();
            either.items = vec![null(), other.clone()];
            *other = RefOr::T(Schema::OneOf(either));
        }
    }
}

fn add_null(schema_type: &mut SchemaType) {
    let mut types = match schema_type {
        SchemaType::Type(one) => vec![one.clone()],
        SchemaType::Array(types) => types.clone(),
        // Null is any value, too.
        SchemaType::AnyValue => return,
    };
    if !types.contains(&Type::Null) {
        types.push(Type::Null);
    }
    *schema_type = SchemaType::Array(types);
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use utoipa::PartialSchema;

    use super::*;

    #[test]
    fn a_patch_says_nothing_of_what_it_leaves_out() {
        let whole = schemas::rule::NewRule::schema();
        let patch = serde_json::to_value(patch_of(whole.clone())).unwrap();
        let whole = serde_json::to_value(whole).unwrap();
        assert_eq!(patch.get("required"), None);
        for (name, field) in patch["properties"].as_object().unwrap() {
            assert_eq!(field.get("default"), None, "{name}: {field}");
            let is_required = whole["required"].as_array().unwrap().iter().any(|required| required == name);
            assert_eq!(!is_required, field.to_string().contains(r#""null""#), "{name}: {field}");
        }
        assert_eq!(patch["properties"]["enabled"]["type"], json!(["boolean", "null"]));
        assert_eq!(patch["additionalProperties"], whole["additionalProperties"]);
    }
}
