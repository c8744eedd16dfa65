//! A server with a route for everything that the front door does, and credentials to enter by.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use gate::{
    Caller, Fields, Gate, GateConfig, IfNoneMatch, Json, JwtVerifier, Keyring, ListQuery, Min, NdJson, OrgFacts, Path,
    Problem, Query, Write, WriteOptions, list, openapi, positioned,
};
use schemas::access::{Role, Scope, Verb};
use schemas::credential::{Credential, CredentialKey};
use schemas::event::SecretHash;
use schemas::id::{ApiTokenId, RuleId, SetupKeyId, Ulid, UserId};
use schemas::kind::Kind;
use schemas::rule::NewRule;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) struct Rig {
    pub(crate) url: String,
    pub(crate) keyring: Keyring,
    pub(crate) stop: CancellationToken,
    /// Told when a request is inside `/waits`; tells it to go on.
    pub(crate) entered: Arc<Notify>,
    pub(crate) released: Arc<Notify>,
    pub(crate) server: JoinHandle<std::io::Result<()>>,
    pub(crate) gate: Gate,
    client: reqwest::Client,
}

#[derive(Clone)]
struct App {
    gate: Gate,
    entered: Arc<Notify>,
    released: Arc<Notify>,
}

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.gate.clone()
    }
}

pub(crate) const RULE: &str = "rule_01jcz3k9mv5x8q2w4e6r7t9y0a";

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(None, Duration::from_secs(5)).await
    }

    pub(crate) async fn with(jwt: Option<JwtVerifier>, drain: Duration) -> Self {
        // Tests of credentials that do not hold send many.
        let config = GateConfig { limits: vec!["auth.per_minute=1000".to_owned()], ..GateConfig::default() };
        Self::build(jwt, drain, &config).await
    }

    pub(crate) async fn configured(config: &GateConfig) -> Self {
        Self::build(None, Duration::from_secs(5), config).await
    }

    async fn build(jwt: Option<JwtVerifier>, drain: Duration, config: &GateConfig) -> Self {
        let (keyring, stop) = (Keyring::default(), CancellationToken::new());
        let (entered, released) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let gate = Gate::new(keyring.clone(), jwt, config).unwrap();
        let app = App { gate: gate.clone(), entered: entered.clone(), released: released.clone() };
        let router = openapi::mount(api().with_state(app));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let (front, stopped) = (gate.clone(), stop.clone());
        let server = tokio::spawn(async move { gate::serve(listener, router, &front, stopped, drain).await });
        Self { url, keyring, stop, entered, released, server, gate, client }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method.parse().unwrap(), format!("{}{path}", self.url))
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.request("GET", path)
    }

    /// Lets a token in and returns it.
    pub(crate) fn token(&self, role: Role, expires_at: Option<DateTime<Utc>>) -> String {
        let token = format!("nk_{role:?}_{}", expires_at.is_some());
        self.keyring.put(key(&token), api_token(role, expires_at, Vec::new(), false));
        token
    }

    /// Says what the org of all tokens is like.
    pub(crate) fn org(&self, facts: OrgFacts) {
        self.keyring.set_org(&"acme".parse().unwrap(), facts);
    }

    pub(crate) fn setup_key(&self, secret: &str) {
        let id = SetupKeyId::new(Ulid::from_parts(1, 3));
        self.keyring.put(key(secret), Credential::SetupKey { org: "acme".parse().unwrap(), id });
    }
}

pub(crate) const TOKEN: ApiTokenId = ApiTokenId::new(Ulid::from_parts(1, 1));
pub(crate) const OWNER: UserId = UserId::new(Ulid::from_parts(1, 2));

pub(crate) fn api_token(
    role: Role,
    expires_at: Option<DateTime<Utc>>,
    scopes: Vec<Scope>,
    revoked: bool,
) -> Credential {
    let org = "acme".parse().unwrap();
    Credential::ApiToken { org, id: TOKEN, owner_id: OWNER, role, expires_at, scopes, revoked }
}

pub(crate) fn key(secret: &str) -> CredentialKey {
    CredentialKey::Secret(SecretHash::of(secret))
}

/// Sends a request and expects a refusal: its status must be its reason's, its operation that of the header.
pub(crate) async fn refused(request: reqwest::RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let operation = response.headers().get("netkeep-operation-id").unwrap().to_str().unwrap().to_owned();
    assert_eq!(response.headers().get("content-type").unwrap(), "application/json");
    let body: Value = response.json().await.unwrap();
    let error = body["error"].clone();
    let names: Vec<&String> = error.as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 6, "{error}");
    for name in ["code", "reason", "message", "field", "details", "operation_id"] {
        assert!(error.get(name).is_some(), "{name} is missing from {error}");
    }
    assert_eq!(error["operation_id"], operation);
    assert!(operation.starts_with("op_"));
    let reason = schemas::reason::Reason::ALL.iter().find(|reason| error["reason"] == reason.name()).unwrap();
    assert_eq!(status, reason.status(), "{error}");
    assert_eq!(error["code"], serde_json::to_value(reason.code()).unwrap());
    error
}

fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(whoami))
        .routes(routes!(things, create))
        .routes(routes!(thing, delete))
        .routes(routes!(forbidden))
        .routes(routes!(search))
        .routes(routes!(panics))
        .routes(routes!(fails))
        .routes(routes!(waits))
        .routes(routes!(echo))
        .routes(routes!(traffic))
        .routes(routes!(stream))
        .routes(routes!(text))
        .routes(routes!(live))
        .routes(routes!(lines))
}

#[utoipa::path(get, path = "/traffic/logs", responses((status = 200)))]
async fn traffic(caller: Caller) -> Json<Value> {
    Json(json!({"org": caller.org}))
}

/// Holds one of the org's streams until it is let go.
#[utoipa::path(get, path = "/stream", responses((status = 200)))]
async fn stream(State(app): State<App>, caller: Caller) -> Result<Json<&'static str>, Problem> {
    let _slot = app.gate.limits().stream(&caller.org)?;
    app.entered.notify_one();
    app.released.notified().await;
    Ok(Json("done"))
}

#[derive(serde::Deserialize, utoipa::IntoParams)]
struct Size {
    words: usize,
}

#[utoipa::path(get, path = "/text", params(Size), responses((status = 200)))]
async fn text(Query(size): Query<Size>) -> Json<String> {
    Json("netkeep ".repeat(size.words))
}

#[utoipa::path(get, path = "/live", responses((status = 200)))]
async fn live() -> Response {
    let body = format!("data: {}\n\n", "x".repeat(5_000));
    axum::response::IntoResponse::into_response(([("content-type", "text/event-stream")], body))
}

#[utoipa::path(post, path = "/lines", request_body = Value, responses((status = 200)))]
async fn lines(NdJson(lines): NdJson<Value>) -> Json<usize> {
    Json(lines.len())
}

#[utoipa::path(get, path = "/whoami", responses((status = 200)))]
async fn whoami(caller: Caller) -> Json<Value> {
    Json(json!({
        "org": caller.org, "actor": caller.actor, "user_id": caller.user_id, "credential": caller.credential,
        "role": caller.role, "source_ip": caller.source_ip, "scopes": caller.token_scopes.as_deref(),
    }))
}

#[utoipa::path(get, path = "/things", params(ListQuery), responses((status = 200, body = gate::Listing<NewRule>)))]
async fn things(query: ListQuery) -> Result<gate::List, Problem> {
    let items = (0..7).map(|n| json!({"id": format!("t_{n}"), "even": n % 2 == 0}));
    list(items, &Fields::new(["id", "even"]), &query)
}

#[utoipa::path(post, path = "/things", params(WriteOptions), request_body = NewRule, responses((status = 201)))]
async fn create(caller: Caller, write: Write<NewRule>) -> Result<Response, Problem> {
    caller.may(Verb::Create, Kind::Rule)?;
    let body = json!({"name": write.body.name, "options": options(&write.options)});
    Ok(positioned((StatusCode::CREATED, Json(body)), 7))
}

#[utoipa::path(get, path = "/things/{id}", params(("id" = RuleId, Path), Min), responses((status = 200)))]
async fn thing(Path(id): Path<RuleId>, Min(min): Min, seen: IfNoneMatch) -> Response {
    positioned(seen.respond(12, Json(json!({"id": id, "min": min}))), min.unwrap_or(1))
}

#[utoipa::path(delete, path = "/things/{id}", params(("id" = RuleId, Path), WriteOptions), responses((status = 200)))]
async fn delete(_caller: Caller, Path(id): Path<RuleId>, write: WriteOptions) -> Json<Value> {
    Json(json!({"id": id, "options": options(&write)}))
}

#[utoipa::path(get, path = "/forbidden", responses((status = 200)))]
async fn forbidden(State(_app): State<App>, caller: Caller) -> Result<(), Problem> {
    caller.may(Verb::Update, Kind::Event)
}

#[derive(serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
struct Search {
    limit: u32,
}

#[utoipa::path(get, path = "/search", params(Search), responses((status = 200)))]
async fn search(Query(search): Query<Search>) -> Json<u32> {
    Json(search.limit)
}

#[utoipa::path(get, path = "/panics", responses((status = 200)))]
async fn panics() -> Response {
    panic!("the secret of the house")
}

#[utoipa::path(get, path = "/fails", responses((status = 200)))]
async fn fails() -> Problem {
    Problem::internal("the secret of the house")
}

#[utoipa::path(get, path = "/waits", responses((status = 200)))]
async fn waits(State(app): State<App>) -> Json<&'static str> {
    app.entered.notify_one();
    app.released.notified().await;
    Json("done")
}

#[utoipa::path(post, path = "/echo", request_body = Value, responses((status = 200)))]
async fn echo(Json(body): Json<Value>) -> Json<Value> {
    Json(body)
}

fn options(options: &WriteOptions) -> Value {
    json!({
        "idempotency_key": options.idempotency_key, "if_match": options.if_match, "dry_run": options.dry_run,
        "request_hash": options.request_hash, "operation": options.operation, "traceparent": options.traceparent,
    })
}
