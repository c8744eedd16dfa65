//! The routes that write. Handlers say who may and what is wanted; [`App::submit`] does it.

mod resources;
mod orgs;
mod users;
mod people;
mod rules;
mod entries;
mod templates;
mod devices;
mod batch;

use axum::extract::FromRef;
use axum::http::header::LOCATION;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bus::{People, Uses};
use gate::{Caller, DryRun, FieldDifference, Gate, Problem, WriteOptions, positioned};
use schemas::access::Verb;
use schemas::api_token::ApiToken;
use schemas::command::Command;
use schemas::device::Device;
use schemas::digest::sha256_hex;
use schemas::id::OrgId;
use schemas::kind::Kind;
use schemas::resource::ResourceId;
use schemas::setup_key::{SetupKey, SetupKeyState};
use schemas::view::{ApiTokenWithSecret, SetupKeyWithSecret};
use schemas::zone::Zone;
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
    pub people: People,
    pub uses: Uses,
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
    let router = OpenApiRouter::new()
        .merge(resources::creation_at::<ApiToken, ApiTokenWithSecret>(Kind::ApiToken.path(), ""))
        .merge(resources::creation_at::<ApiToken, ApiTokenWithSecret>("/tokens", "tokens_"))
        .merge(resources::changes_at::<ApiToken>("/tokens", "tokens_"))
        .merge(resources::creation_at::<SetupKey, SetupKeyWithSecret>(Kind::SetupKey.path(), ""))
        .merge(resources::creation_at::<Zone, Zone>("/firewall/zones", "firewall_"))
        .merge(resources::changes_at::<Zone>("/firewall/zones", "firewall_"))
        .merge(resources::changes_at::<Device>("/peers", "peer_"))
        .merge(orgs::router())
        .merge(users::router())
        .merge(rules::router())
        .merge(entries::router())
        .merge(templates::router())
        .merge(devices::router())
        .merge(batch::router());
    plain(router).with_state(app)
}

macro_rules! plain {
    ($($name:ident $table:ident $id:ident $new:ident $module:ident,)*) => {
        /// Adds the routes that every kind has.
        fn plain(router: OpenApiRouter<App>) -> OpenApiRouter<App> {
            let router = router$(.merge(match Kind::$name {
                Kind::User => OpenApiRouter::new(),
                _ => resources::changes::<schemas::$module::$name>(),
            }))*;
            router$(.merge(match Kind::$name {
                // Devices enrol themselves, people are sealed, and what has a secret is created with another answer.
                Kind::Device | Kind::User | Kind::ApiToken | Kind::SetupKey => OpenApiRouter::new(),
                _ => resources::creation::<schemas::$module::$name>(),
            }))*
        }
    };
}

schemas::for_each_resource!(plain);

/// A write that is about to be submitted.
#[derive(Clone)]
pub(crate) struct Call {
    org: OrgId,
    origin: Origin,
    options: Options,
}

impl App {
    /// Checks the caller's role and submits a command.
    async fn submit(
        &self,
        caller: Caller,
        verb: Verb,
        write: WriteOptions,
        command: Command,
    ) -> Result<Response, Problem> {
        caller.may(verb, command.kind())?;
        self.submit_checked(caller, write, command).await
    }

    /// Submits a command that the caller may give. What it opens is shown in the answer to its creation, once.
    async fn submit_checked(&self, caller: Caller, write: WriteOptions, command: Command) -> Result<Response, Problem> {
        let (kind, org) = (command.kind(), caller.org.clone());
        let accepted = self.run(Call::new(caller, write), command).await?;
        let done = matches!(accepted, Accepted::Done(_));
        Ok(respond(kind.path(), accepted, |answer| {
            let body = answer.body.clone();
            // What a dry run would give out is given to nobody.
            if done { self.with_secret(&org, answer, body) } else { body }
        }))
    }

    /// Adds the secret to the answer to a creation that gives one out.
    fn with_secret(&self, org: &OrgId, answer: &Answer, mut body: Value) -> Value {
        if let Some(results) = body.get_mut("results").and_then(Value::as_array_mut) {
            for result in results {
                let id = result.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
                let is_new = result.get("status").and_then(Value::as_u64) == Some(201);
                if let Some(body) = result.get_mut("body").filter(|_| is_new) {
                    self.add_secret(org, &id, body);
                }
            }
        } else if answer.outcome == Outcome::Created {
            self.add_secret(org, &answer.id, &mut body);
        }
        body
    }

    fn add_secret(&self, org: &OrgId, id: &str, body: &mut Value) {
        let Some(body) = body.as_object_mut() else { return };
        match id.parse::<ResourceId>() {
            Ok(ResourceId::ApiToken(_)) => {
                body.insert("token".to_owned(), self.secrets.derive(SecretKind::ApiToken, org, id).into());
            }
            Ok(ResourceId::SetupKey(_)) => {
                // A key that was made this moment is good for what it says.
                body.insert("state".to_owned(), json!(SetupKeyState::Valid));
                body.insert("key".to_owned(), self.secrets.derive(SecretKind::SetupKey, org, id).into());
            }
            Ok(_) | Err(_) => {}
        }
    }

    async fn run(&self, call: Call, command: Command) -> Result<Accepted, Problem> {
        let submitted = self.orgs.submit(&call.org, command, call.origin, call.options).await;
        submitted.map_err(problem)
    }
}

impl Call {
    fn new(caller: Caller, write: WriteOptions) -> Self {
        let device_groups = caller.device_groups(Verb::Update, Kind::Device);
        let origin = Origin {
            actor: caller.actor,
            credential: caller.credential,
            source_ip: Some(caller.source_ip),
            role: caller.role,
            device_groups,
            scopes: caller.token_scopes,
            user_id: caller.user_id,
            operation: write.operation,
            traceparent: write.traceparent,
        };
        let options = Options {
            // With the credential and its role: another token of the same user may do less, and does not get the answer
            // of this one, nor the secret that it was given.
            command_hash: write.idempotency_key.is_some().then(|| {
                sha256_hex(format!("{} {:?} {}", write.request_hash, origin.role, origin.credential).as_bytes())
            }),
            command_id: write.idempotency_key.unwrap_or_else(random_command_id),
            if_match: write.if_match,
            dry_run: write.dry_run,
        };
        Self { org: caller.org, origin, options }
    }
}

impl Call {
    /// A part of this call: it has a command id of its own, and the same one when the call is repeated. What must be at
    /// a revision must be so before the first part.
    fn part(&self, name: impl std::fmt::Display) -> Self {
        let name = name.to_string();
        let command_id = &self.options.command_id;
        let first = name == "0";
        let command_id = match &self.options.command_hash {
            _ if first => command_id.clone(),
            Some(_) => format!("part_{}", sha256_hex(format!("{command_id} {name}").as_bytes())),
            None => format!("{command_id}.{name}"),
        };
        let if_match = self.options.if_match.filter(|_| first);
        Self { options: Options { command_id, if_match, ..self.options.clone() }, ..self.clone() }
    }

    /// This call, to find out what it takes.
    fn plan(&self) -> Self {
        let options = Options { command_hash: None, dry_run: false, ..self.options.clone() };
        Self { options, ..self.clone() }
    }
}

/// The answer to a command as HTTP: 201 with the resource and its place, 200 with the resource, or 204.
fn respond(path: &str, accepted: Accepted, show: impl Fn(&Answer) -> Value) -> Response {
    let answer = match accepted {
        Accepted::Done(answer) => answer,
        Accepted::Would { answer, events, before } => {
            let resource = show(&answer);
            let changes = changes(&before, &resource);
            return positioned(axum::Json(DryRun { dry_run: true, events, resource, changes }), answer.position);
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
        && let Ok(place) = HeaderValue::try_from(format!("/api/v1{path}/{}", answer.id))
    {
        response.headers_mut().insert(LOCATION, place);
    }
    positioned(replayed(response, answer.replayed), answer.position)
}

/// Says whether this is the answer to an earlier call.
fn replayed(mut response: Response, is_replay: bool) -> Response {
    if is_replay {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// Field by field, what a change would change.
fn changes(before: &Value, after: &Value) -> Vec<FieldDifference> {
    let none = Map::new();
    let before = before.as_object().unwrap_or(&none);
    let after = after.as_object().unwrap_or(&none);
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let of = |fields: &Map<String, Value>, name: &String| fields.get(name).cloned().unwrap_or(Value::Null);
    let change = |name: &String| (name.clone(), of(before, name), of(after, name));
    let changes = after.keys().chain(gone).map(change).filter(|(_, before, after)| before != after);
    changes.map(|(field, before, after)| FieldDifference { field, before, after }).collect()
}

/// A failure as the caller may know it.
pub(crate) fn problem(failure: Failure) -> Problem {
    match &failure {
        Failure::Refused(refusal) => {
            let mut problem = Problem::new(refusal.reason(), refusal.to_string());
            problem.field = refusal.field().map(std::borrow::Cow::into_owned);
            problem.details = refusal.details();
            problem
        }
        Failure::LogDamaged(_) => Problem::internal(&failure),
        Failure::Overloaded | Failure::LogUnavailable(_) | Failure::Stopping => {
            Problem::new(failure.reason(), failure.to_string()).retry_after(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use schemas::access::Role;
    use schemas::id::{OperationId, Ulid};

    use super::*;

    #[test]
    fn what_one_credential_was_told_no_other_is_told() {
        let hash = |credential: &str, role: Role, key: Option<&str>| {
            let caller = Caller {
                org: "acme".parse().expect("an org"),
                actor: "usr".to_owned(),
                user_id: None,
                credential: credential.to_owned(),
                role,
                source_ip: Ipv4Addr::LOCALHOST.into(),
                token_scopes: None,
            };
            let write = WriteOptions {
                idempotency_key: key.map(str::to_owned),
                if_match: None,
                dry_run: false,
                request_hash: "hash".to_owned(),
                operation: OperationId::new(Ulid::nil()),
                traceparent: None,
            };
            Call::new(caller, write).options.command_hash
        };
        let first = hash("tok_1", Role::Admin, Some("key"));
        assert_eq!(first, hash("tok_1", Role::Admin, Some("key")));
        assert_ne!(first, hash("tok_2", Role::Admin, Some("key")));
        assert_ne!(first, hash("tok_1", Role::Viewer, Some("key")));
        assert_eq!(hash("tok_1", Role::Admin, None), None);
    }
}
