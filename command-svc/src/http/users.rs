//! `/users`: the people of an org, its service users, and the tokens of each. Names and mail addresses are sealed before
//! they become events, and opened in answers.

use axum::extract::State;
use axum::response::Response;
use axum::routing::{delete, patch, post, put};
use gate::openapi::Described;
use gate::{Caller, Path, Problem, Write, WriteOptions, from_value};
use schemas::access::Verb;
use schemas::api_token::{ApiToken, NewApiToken};
use schemas::command::Command;
use schemas::id::{ApiTokenId, UserId};
use schemas::kind::Kind;
use schemas::reason::Reason;
use schemas::user::{UserKind, WrittenUser};
use schemas::view::{ApiTokenWithSecret, UserView};
use serde_json::{Map, Value};
use utoipa::openapi::path::HttpMethod;
use utoipa_axum::router::OpenApiRouter;

use super::App;
use super::people::Written;
use crate::decide::merge;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(creations()).merge(changes()).merge(tokens())
}

fn describe(method: HttpMethod, path: &str, id: &str, summary: &str) -> Described {
    Described::new(method, path, id, "users", summary).takes::<WriteOptions>()
}

fn creations() -> OpenApiRouter<App> {
    let invite = "Creates a user; who signs in with the mail address becomes it.";
    let service = "Creates a user that acts through API tokens only, and may only what they were given.";
    OpenApiRouter::new()
        .routes(
            describe(HttpMethod::Post, "/users", "create_user", invite)
                .reads::<WrittenUser>()
                .answers::<UserView>("201")
                .to(post(create)),
        )
        .routes(
            describe(HttpMethod::Post, "/service-users", "create_service_user", service)
                .reads::<WrittenUser>()
                .answers::<UserView>("201")
                .to(post(create_service_user)),
        )
}

fn changes() -> OpenApiRouter<App> {
    let path = "/users/{id}";
    let gone = "Deletes a user with its tokens, and makes its name and mail address unreadable everywhere.";
    OpenApiRouter::new()
        .routes(
            describe(HttpMethod::Put, path, "replace_user", "Replaces all of a user that callers write.")
                .of::<UserId>()
                .reads::<WrittenUser>()
                .answers::<UserView>("200")
                .to(put(replace)),
        )
        .routes(
            describe(HttpMethod::Patch, path, "update_user", "Changes what is given of a user; null is the default.")
                .of::<UserId>()
                .reads_patch::<WrittenUser>()
                .answers::<UserView>("200")
                .to(patch(update)),
        )
        .routes(
            describe(HttpMethod::Delete, path, "delete_user", gone)
                .of::<UserId>()
                .answers_nothing("204", "It is gone")
                .to(delete(remove)),
        )
}

fn tokens() -> OpenApiRouter<App> {
    let gone = "Deletes an API token of a user.";
    OpenApiRouter::new()
        .routes(
            describe(HttpMethod::Post, "/users/{id}/tokens", "create_user_token", "Creates an API token of a user.")
                .of::<UserId>()
                .reads::<NewApiToken>()
                .answers::<ApiTokenWithSecret>("201")
                .to(post(create_token)),
        )
        .routes(
            describe(HttpMethod::Delete, "/users/{id}/tokens/{token_id}", "delete_user_token", gone)
                .of::<UserId>()
                .of_named::<ApiTokenId>("token_id")
                .answers_nothing("204", "It is gone")
                .to(delete(remove_token)),
        )
}

async fn create(State(app): State<App>, caller: Caller, new: Write<WrittenUser>) -> Result<Response, Problem> {
    app.create_user(caller, new.options, new.body).await
}

async fn create_service_user(
    State(app): State<App>,
    caller: Caller,
    new: Write<Map<String, Value>>,
) -> Result<Response, Problem> {
    let mut body = new.body;
    body.entry("kind").or_insert_with(|| "service".into());
    let written: WrittenUser = from_value(body.into())?;
    if written.kind != UserKind::Service {
        return Err(Problem::new(Reason::ValueInvalid, "a service user is of kind service").field("kind"));
    }
    app.create_user(caller, new.options, written).await
}

async fn replace(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<UserId>,
    new: Write<WrittenUser>,
) -> Result<Response, Problem> {
    app.change_user(caller, new.options, id, &Written::Whole(new.body)).await
}

async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<UserId>,
    patch: Write<Map<String, Value>>,
) -> Result<Response, Problem> {
    app.change_user(caller, patch.options, id, &Written::Patch(patch.body)).await
}

async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<UserId>,
    options: WriteOptions,
) -> Result<Response, Problem> {
    app.delete_user(caller, options, id).await
}

async fn create_token(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<UserId>,
    new: Write<NewApiToken>,
) -> Result<Response, Problem> {
    if new.body.user_id.is_some_and(|other| other != id) {
        return Err(Problem::new(Reason::ValueInvalid, "the path names another user").field("user_id"));
    }
    let of_user = NewApiToken { user_id: Some(id), ..new.body };
    app.submit(caller, Verb::Create, new.options, Command::Create(of_user.into())).await
}

async fn remove_token(
    State(app): State<App>,
    caller: Caller,
    Path((id, token_id)): Path<(UserId, ApiTokenId)>,
    options: WriteOptions,
) -> Result<Response, Problem> {
    caller.may(Verb::Delete, Kind::ApiToken)?;
    let token: Result<ApiToken, _> = app.look(&caller, &options, token_id.into()).await;
    if token.is_ok_and(|token| token.owner_id != id) {
        return Err(Problem::not_found(Kind::ApiToken, token_id));
    }
    app.submit(caller, Verb::Delete, options, Command::Delete(token_id.into())).await
}

impl Written {
    /// What a user is to be that is so.
    pub(super) fn over(&self, before: WrittenUser) -> Result<WrittenUser, Problem> {
        match self {
            Self::Whole(written) => Ok(written.clone()),
            Self::Patch(patch) => {
                let mut patch = patch.clone();
                if let Some(blocked) = patch.remove("is_blocked")
                    && patch.insert("blocked".to_owned(), blocked).is_some()
                {
                    let message = "it is given twice, by that name and by another: blocked";
                    return Err(Problem::new(Reason::BodyInvalid, message).field("blocked"));
                }
                let mut fields = serde_json::to_value(before).map_err(Problem::internal)?;
                merge(&mut fields, &Value::Object(patch));
                from_value(fields)
            }
        }
    }
}
