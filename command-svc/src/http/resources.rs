//! The routes that every kind of resource has: create, replace, patch, delete.

use axum::extract::State;
use axum::response::Response;
use axum::routing::{delete, patch, post, put};
use gate::openapi::Described;
use gate::{Caller, Path, Problem, Write, WriteOptions};
use schemas::access::Verb;
use schemas::command::Command;
use schemas::kind::Kind;
use schemas::resource::{AnyNew, Resource, ResourceId};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::path::HttpMethod;
use utoipa_axum::router::OpenApiRouter;

use super::App;

/// Replacing, patching and deleting.
pub(super) fn changes<T: Resource>() -> OpenApiRouter<App>
where
    AnyNew: From<T::New>,
{
    changes_at::<T>(T::KIND.path(), "")
}

/// The same under another path; `prefix` keeps operation ids apart.
pub(super) fn changes_at<T: Resource>(path: &str, prefix: &str) -> OpenApiRouter<App>
where
    AnyNew: From<T::New>,
{
    let path = format!("{path}/{{id}}");
    let (kind, word, tag) = (T::KIND, T::KIND.singular(), tag(T::KIND));
    let describe = |method, verb: &str, summary: String| {
        Described::new(method, &path, &format!("{prefix}{verb}_{word}"), &tag, &summary)
            .of::<T::Id>()
            .takes::<WriteOptions>()
    };
    OpenApiRouter::new()
        .routes(
            describe(HttpMethod::Put, "replace", format!("Replaces all of a {kind} that callers write."))
                .reads::<T::New>()
                .shows::<T>()
                .to(put(replace::<T>)),
        )
        .routes(
            describe(HttpMethod::Patch, "update", format!("Changes what is given of a {kind}; null is the default."))
                .reads_patch::<T::New>()
                .shows::<T>()
                .to(patch(update::<T>)),
        )
        .routes(
            describe(HttpMethod::Delete, "delete", format!("Deletes a {kind} that nothing refers to."))
                .answers_nothing("204", "It is gone")
                .to(delete(remove::<T>)),
        )
}

/// Creating.
pub(super) fn creation<T: Resource>() -> OpenApiRouter<App>
where
    AnyNew: From<T::New>,
{
    creation_at::<T, T>(T::KIND.path(), "")
}

/// The same under another path, or with another answer.
pub(super) fn creation_at<T: Resource, A: ToSchema>(path: &str, prefix: &str) -> OpenApiRouter<App>
where
    AnyNew: From<T::New>,
{
    let (kind, word, tag) = (T::KIND, T::KIND.singular(), tag(T::KIND));
    let summary = format!("Creates a {kind}.");
    let described = Described::new(HttpMethod::Post, path, &format!("{prefix}create_{word}"), &tag, &summary);
    let described = described.takes::<WriteOptions>().reads::<T::New>().answers::<A>("201");
    OpenApiRouter::new().routes(described.to(post(create::<T>)))
}

async fn create<T: Resource>(State(app): State<App>, caller: Caller, new: Write<T::New>) -> Result<Response, Problem>
where
    AnyNew: From<T::New>,
{
    app.submit(caller, Verb::Create, new.options, Command::Create(new.body.into())).await
}

async fn replace<T: Resource>(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<T::Id>,
    new: Write<T::New>,
) -> Result<Response, Problem>
where
    AnyNew: From<T::New>,
{
    let id: ResourceId = id.into();
    app.submit(caller, Verb::Update, new.options, Command::Replace(id, new.body.into())).await
}

async fn update<T: Resource>(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<T::Id>,
    patch: Write<Map<String, Value>>,
) -> Result<Response, Problem> {
    app.submit(caller, Verb::Update, patch.options, Command::Patch(id.into(), patch.body)).await
}

async fn remove<T: Resource>(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<T::Id>,
    options: WriteOptions,
) -> Result<Response, Problem> {
    app.submit(caller, Verb::Delete, options, Command::Delete(id.into())).await
}

/// The kind as tags have it: `zones`, `setup-keys`.
fn tag(kind: Kind) -> String {
    kind.plural().replace('_', "-")
}
