//! Operations that are described in code: routes that are the same for every kind of resource have generic handlers, and
//! no attribute could name their types.

use axum::routing::MethodRouter;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, ResponseBuilder};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::UtoipaMethodRouter;

use super::patches::patch_of;
use crate::list::ListMeta;

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// The description of one operation, and the schemas that it names.
pub struct Described {
    method: HttpMethod,
    path: String,
    operation: OperationBuilder,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Described {
    /// `id` is its name in generated clients: no other operation has it.
    pub fn new(method: HttpMethod, path: &str, id: &str, tag: &str, summary: &str) -> Self {
        let operation = OperationBuilder::new().operation_id(Some(id)).tag(tag).summary(Some(summary));
        Self { method, path: path.to_owned(), operation, schemas: Vec::new() }
    }

    /// A GET.
    pub fn get(path: &str, id: &str, tag: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Get, path, id, tag, summary)
    }

    /// What its parameters are.
    pub fn takes<P: IntoParams>(mut self) -> Self {
        for parameter in P::into_params(|| None) {
            self.operation = self.operation.parameter(parameter);
        }
        self
    }

    pub fn takes_one(mut self, parameter: Parameter) -> Self {
        self.operation = self.operation.parameter(parameter);
        self
    }

    /// The id in its path.
    pub fn of<I: ToSchema>(self) -> Self {
        self.of_named::<I>("id")
    }

    /// An id in its path under another name.
    pub fn of_named<I: ToSchema>(mut self, name: &str) -> Self {
        let schema = self.bring::<I>();
        let id = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
        self.takes_one(id.schema(Some(schema)).build())
    }

    /// The JSON that it reads.
    pub fn reads<B: ToSchema>(mut self) -> Self {
        let schema = self.bring::<B>();
        self.body(&schema, &[JSON])
    }

    /// A JSON merge patch (RFC 7396) of what `B` is.
    pub fn reads_patch<B: ToSchema>(mut self) -> Self {
        B::schemas(&mut self.schemas);
        let name = format!("{}Patch", B::name().trim_start_matches("New"));
        self.schemas.push((name.clone(), patch_of(B::schema())));
        self.body(&Ref::from_schema_name(name), &[JSON, MERGE_PATCH])
    }

    /// It answers with one of these.
    pub fn shows<A: ToSchema>(self) -> Self {
        self.answers::<A>("200")
    }

    pub fn answers<A: ToSchema>(mut self, status: &str) -> Self {
        let schema = self.bring::<A>();
        self.answer(status, schema)
    }

    /// It answers with a page of these.
    pub fn lists<T: ToSchema>(mut self) -> Self {
        let listing = ObjectBuilder::new()
            .description(Some("A page of a list."))
            .property("data", ArrayBuilder::new().items(self.bring::<T>()))
            .required("data")
            .property("meta", self.bring::<ListMeta>())
            .required("meta");
        let name = format!("Listing_{}", T::name());
        self.schemas.push((name.clone(), listing.into()));
        self.answer("200", Ref::from_schema_name(name))
    }

    /// Who has the revision already is told so.
    pub fn may_be_known(self) -> Self {
        self.answers_nothing("304", "The caller has this revision already")
    }

    /// It answers without a body.
    pub fn answers_nothing(mut self, status: &str, description: &str) -> Self {
        self.operation = self.operation.response(status, ResponseBuilder::new().description(description).build());
        self
    }

    /// The route with its description.
    pub fn to<S>(self, handler: MethodRouter<S>) -> UtoipaMethodRouter<S> {
        let item = PathItem::new(self.method, self.operation.build());
        (self.schemas, PathsBuilder::new().path(self.path, item).build(), handler)
    }

    fn answer(mut self, status: &str, schema: Ref) -> Self {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        self.operation = self.operation.response(status, ResponseBuilder::new().content(JSON, content).build());
        self
    }

    fn body(mut self, schema: &Ref, types: &[&str]) -> Self {
        let body = types.iter().fold(RequestBodyBuilder::new().required(Some(Required::True)), |body, of_type| {
            body.content(*of_type, ContentBuilder::new().schema(Some(schema.clone())).build())
        });
        self.operation = self.operation.request_body(Some(body.build()));
        self
    }

    /// Adds a schema and what it names.
    fn bring<T: ToSchema>(&mut self) -> Ref {
        T::schemas(&mut self.schemas);
        self.schemas.push((T::name().into_owned(), T::schema()));
        Ref::from_schema_name(T::name())
    }
}
