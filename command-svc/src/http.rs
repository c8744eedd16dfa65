//! The routes that write. Handlers say who may and what is wanted; [`App::submit`] does it.

mod zones;
mod rules;
mod setup_keys;
mod devices;
mod api_tokens;

use axum::extract::FromRef;
use axum::http::header::LOCATION;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use gate::{Caller, Gate, Problem, WriteOptions, positioned};
use schemas::access::Verb;
use schemas::command::Command;
use schemas::digest::sha256_hex;
use schemas::id::OrgId;
use schemas::kind::Kind;
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;

use crate::answer::{Answer, Outcome};
use crate::clock::random_command_id;
use crate::orgs::Orgs;
use crate::secrets::{SecretKind, Secrets};
use crate::submission::{Accepted, Failure, Options, Origin};

/// What the handlers work with.
#[derive(Clone)]
pub struct App {
    pub gate: Gate,
    pub orgs: Orgs,
    pub secrets: Secrets,
    /// What a device is told when it enrols.
    pub enrolment: EnrolmentFacts,
    pub keyring: gate::Keyring,
}

/// The public facts that a device needs.
#[derive(Debug, Clone)]
pub struct EnrolmentFacts {
    pub nats_urls: Vec<String>,
    pub config_key: String,
}

const REPLAYED: HeaderName = HeaderName::from_static("netkeep-idempotent-replay");

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.gate.clone()
    }
}

/// The routes, without their base path.
pub fn router(app: App) -> OpenApiRouter {
    OpenApiRouter::new()
        .merge(zones::router())
        .merge(rules::router())
        .merge(setup_keys::router())
        .merge(devices::router())
        .merge(api_tokens::router())
        .with_state(app)
}

/// A write that is about to be submitted.
pub(crate) struct Call {
    org: OrgId,
    origin: Origin,
    options: Options,
}

impl App {
    /// Checks the caller's role and submits a command without a secret.
    async fn submit(
        &self,
        caller: Caller,
        verb: Verb,
        write: WriteOptions,
        command: Command,
    ) -> Result<Response, Problem> {
        caller.may(verb, command.kind())?;
        let place = segment(command.kind());
        let accepted = self.run(Call::new(caller, write), command).await?;
        Ok(respond(&place, accepted, |answer| answer.body.clone()))
    }

    /// Checks the caller's role and submits a command that gives out a secret; `show` adds it to the answer.
    async fn submit_secret(
        &self,
        caller: Caller,
        write: WriteOptions,
        command: Command,
        kind: SecretKind,
        show: impl Fn(Value, &str) -> Value,
    ) -> Result<Response, Problem> {
        caller.may(Verb::Create, command.kind())?;
        let place = segment(command.kind());
        let org = caller.org.clone();
        let accepted = self.run(Call::new(caller, write), command).await?;
        let done = matches!(accepted, Accepted::Done(_));
        Ok(respond(&place, accepted, |answer| {
            let body = answer.body.clone();
            // What a dry run would give out is given to nobody.
            if done { show(body, &self.secrets.derive(kind, &org, &answer.id)) } else { body }
        }))
    }

    async fn run(&self, call: Call, command: Command) -> Result<Accepted, Problem> {
        let submitted = self.orgs.submit(&call.org, command, call.origin, call.options).await;
        submitted.map_err(problem)
    }
}

impl Call {
    fn new(caller: Caller, write: WriteOptions) -> Self {
        let origin = Origin {
            actor: caller.actor,
            credential: caller.credential,
            source_ip: Some(caller.source_ip),
            role: caller.role,
            user_id: caller.user_id,
            operation: write.operation,
            traceparent: write.traceparent,
        };
        let options = Options {
            // With the role: who may do less does not get the answer of who may do more.
            command_hash: write
                .idempotency_key
                .is_some()
                .then(|| sha256_hex(format!("{} {:?}", write.request_hash, origin.role).as_bytes())),
            command_id: write.idempotency_key.unwrap_or_else(random_command_id),
            if_match: write.if_match,
            dry_run: write.dry_run,
        };
        Self { org: caller.org, origin, options }
    }
}

/// The answer to a command as HTTP: 201 with the resource and its place, 200 with the resource, or 204.
fn respond(segment: &str, accepted: Accepted, show: impl Fn(&Answer) -> Value) -> Response {
    let answer = match accepted {
        Accepted::Done(answer) => answer,
        Accepted::Would { answer, events, before } => {
            let resource = show(&answer);
            let changes = changes(&before, &resource);
            let told = json!({"dry_run": true, "events": events, "resource": resource, "changes": changes});
            return positioned(axum::Json(told), answer.position);
        }
    };
    let mut response = match answer.outcome {
        Outcome::Created => (StatusCode::CREATED, axum::Json(show(&answer))).into_response(),
        Outcome::Updated => axum::Json(show(&answer)).into_response(),
        Outcome::Deleted => StatusCode::NO_CONTENT.into_response(),
    };
    if answer.outcome != Outcome::Deleted {
        response = gate::etagged(response, answer.revision);
    }
    if answer.outcome == Outcome::Created
        && let Ok(place) = HeaderValue::try_from(format!("/api/v1/{segment}/{}", answer.id))
    {
        response.headers_mut().insert(LOCATION, place);
    }
    if answer.replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    positioned(response, answer.position)
}

/// Where the resources of a kind are found.
fn segment(kind: Kind) -> String {
    match kind {
        Kind::Rule => "firewall/rules".to_owned(),
        Kind::Org
        | Kind::User
        | Kind::ApiToken
        | Kind::Zone
        | Kind::SetupKey
        | Kind::Device
        | Kind::Event
        | Kind::Flow => kind.plural().replace('_', "-"),
    }
}

/// Field by field, what a change would change.
fn changes(before: &Value, after: &Value) -> Vec<Value> {
    let none = Map::new();
    let before = before.as_object().unwrap_or(&none);
    let after = after.as_object().unwrap_or(&none);
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let of = |fields: &Map<String, Value>, name: &String| fields.get(name).cloned().unwrap_or(Value::Null);
    let change = |name: &String| (name.clone(), of(before, name), of(after, name));
    let changes = after.keys().chain(gone).map(change).filter(|(_, before, after)| before != after);
    changes.map(|(field, before, after)| json!({"field": field, "before": before, "after": after})).collect()
}

/// A failure as the caller may know it.
fn problem(failure: Failure) -> Problem {
    match &failure {
        Failure::Refused(refusal) => {
            let mut problem = Problem::new(refusal.reason(), refusal.to_string());
            problem.field = refusal.field().map(str::to_owned);
            problem.details = refusal.details();
            problem
        }
        Failure::LogDamaged(_) => Problem::internal(&failure),
        Failure::Overloaded | Failure::LogUnavailable(_) | Failure::Stopping => {
            Problem::new(failure.reason(), failure.to_string()).retry_after(1)
        }
    }
}
