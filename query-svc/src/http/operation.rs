//! Routes that are the same for every kind: their handlers are generic, so the document learns of them in code.

use axum::handler::Handler;
use axum::routing::get;
use gate::ListMeta;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem, Paths};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema};
use utoipa::openapi::{Content, HttpMethod, Ref, RefOr, Required, ResponseBuilder};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::UtoipaMethodRouter;

/// A GET, as the document has it.
pub(super) struct Get {
    path: String,
    operation: OperationBuilder,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Get {
    /// `id` is its name in generated clients: no other operation has it.
    pub(super) fn new(path: String, id: String, tag: &str, summary: String) -> Self {
        let operation = OperationBuilder::new().operation_id(Some(id)).tag(tag).summary(Some(summary));
        Self { path, operation, schemas: Vec::new() }
    }

    /// What its parameters are.
    pub(super) fn takes<P: IntoParams>(mut self) -> Self {
        for parameter in P::into_params(|| None) {
            self.operation = self.operation.parameter(parameter);
        }
        self
    }

    pub(super) fn takes_one(mut self, parameter: Parameter) -> Self {
        self.operation = self.operation.parameter(parameter);
        self
    }

    /// The id in its path.
    pub(super) fn of<I: ToSchema>(mut self) -> Self {
        self.bring::<I>();
        self.takes_one(
            ParameterBuilder::new()
                .name("id")
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(Ref::from_schema_name(I::name())))
                .build(),
        )
    }

    /// It answers with one of these.
    pub(super) fn shows<T: ToSchema>(mut self) -> Self {
        self.bring::<T>();
        self.answers("200", Some(Ref::from_schema_name(T::name())))
    }

    /// It answers with a page of these.
    pub(super) fn lists<T: ToSchema>(mut self) -> Self {
        self.bring::<T>();
        self.bring::<ListMeta>();
        let listing = ObjectBuilder::new()
            .description(Some("A page of a list."))
            .property("data", ArrayBuilder::new().items(Ref::from_schema_name(T::name())))
            .required("data")
            .property("meta", Ref::from_schema_name(ListMeta::name()))
            .required("meta");
        let name = format!("Listing_{}", T::name());
        self.schemas.push((name.clone(), listing.into()));
        self.answers("200", Some(Ref::from_schema_name(name)))
    }

    /// Who has the revision already is told so.
    pub(super) fn may_be_known(self) -> Self {
        self.answers("304", None)
    }

    pub(super) fn to<S, H, A>(self, handler: H) -> UtoipaMethodRouter<S>
    where
        S: Clone + Send + Sync + 'static,
        H: Handler<A, S>,
        A: 'static,
    {
        let mut paths = Paths::new();
        paths.paths.insert(self.path, PathItem::new(HttpMethod::Get, self.operation));
        (self.schemas, paths, get(handler))
    }

    fn bring<T: ToSchema>(&mut self) {
        T::schemas(&mut self.schemas);
        self.schemas.push((T::name().into_owned(), T::schema()));
    }

    fn answers(mut self, status: &str, body: Option<Ref>) -> Self {
        let mut response = ResponseBuilder::new();
        match body {
            Some(body) => response = response.content("application/json", Content::new(Some(body))),
            None => response = response.description("The caller has this revision already"),
        }
        self.operation = self.operation.response(status, response);
        self
    }
}
