//! `/batch`: several commands, all or nothing, in one commit.

use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use gate::{Caller, Problem, ProblemBody, Write, WriteOptions, from_value};
use schemas::access::Verb;
use schemas::command::Command;
use schemas::kind::Kind;
use schemas::reason::Reason;
use schemas::resource::{AnyNew, ReadNew, ResourceId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;

/// A commit takes no more.
const BATCH_BYTES_MAX: usize = 4 << 20;
const COMMANDS_MAX: usize = 2_000;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(batch)).layer(DefaultBodyLimit::max(BATCH_BYTES_MAX))
}

/// Several commands that are accepted together or not at all.
#[derive(Debug, Clone, PartialEq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Batch {
    /// 1 to 2,000, each on what those before it left.
    commands: Vec<BatchCommand>,
}

/// One command of a batch.
#[derive(Debug, Clone, PartialEq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct BatchCommand {
    op: Op,
    /// What is created; otherwise the id says of which kind it is.
    #[serde(default)]
    kind: Option<Kind>,
    /// What is replaced, updated or deleted.
    #[serde(default)]
    id: Option<ResourceId>,
    /// The resource, or for `update` a JSON merge patch of it; absent for `delete`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    body: Option<Map<String, Value>>,
    /// The revision that the resource must be at, as the commands before this one left it.
    #[serde(default)]
    if_match: Option<u64>,
}

/// What a command of a batch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Op {
    Create,
    Replace,
    Update,
    Delete,
}

/// What became of a batch.
#[derive(Serialize, utoipa::ToSchema)]
struct BatchAnswer {
    /// One for each command that changed something, in order.
    results: Vec<BatchResult>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct BatchResult {
    /// The place of the command in the batch, counted from 0.
    index: u32,
    status: u16,
    id: String,
    revision: u64,
    /// The resource as it is; absent for a deletion.
    body: Option<Value>,
}

/// Carries out several commands, all or none of them, as one commit.
#[utoipa::path(post, path = "/batch", operation_id = "batch", tag = "batch", params(WriteOptions), request_body = Batch,
    responses((status = 200, body = BatchAnswer), (status = "default", body = ProblemBody)))]
async fn batch(State(app): State<App>, caller: Caller, batch: Write<Batch>) -> Result<Response, Problem> {
    if batch.options.if_match.is_some() {
        let message = "a batch is about many resources; give if_match with each command";
        return Err(Problem::new(Reason::HeaderInvalid, message).field("If-Match"));
    }
    let accepted = read(batch.body.commands, |verb, kind| caller.may(verb, kind))?;
    app.submit_checked(caller, batch.options, Command::Batch(accepted)).await
}

/// Reads the commands, and asks of each whether it is allowed.
fn read(commands: Vec<BatchCommand>, may: impl Fn(Verb, Kind) -> Result<(), Problem>) -> Result<Vec<Command>, Problem> {
    if commands.is_empty() || commands.len() > COMMANDS_MAX {
        let message = format!("a batch has 1 to {COMMANDS_MAX} commands");
        return Err(Problem::new(Reason::BodyInvalid, message).field("commands"));
    }
    let mut accepted = Vec::with_capacity(commands.len());
    for (index, command) in commands.into_iter().enumerate() {
        let at = |mut problem: Problem| {
            let inner = problem.field.map(|field| format!(".{field}")).unwrap_or_default();
            problem.field = Some(format!("commands[{index}]{inner}"));
            problem
        };
        let (verb, command) = command.read().map_err(at)?;
        // What is personal of users is sealed one user at a time.
        if command.kind() == Kind::User && verb != Verb::Delete {
            let message = "a batch only deletes users; write them one by one at /users";
            return Err(at(Problem::new(Reason::BodyInvalid, message).field("kind")));
        }
        may(verb, command.kind()).map_err(at)?;
        accepted.push(command);
    }
    Ok(accepted)
}

impl BatchCommand {
    /// The command, and what its caller must be allowed to do.
    fn read(self) -> Result<(Verb, Command), Problem> {
        let Self { op, kind, id, body, if_match } = self;
        let (verb, needed): (Verb, &[&str]) = match op {
            Op::Create => (Verb::Create, &["kind", "body"]),
            Op::Replace | Op::Update => (Verb::Update, &["id", "body"]),
            Op::Delete => (Verb::Delete, &["id"]),
        };
        let given = [("kind", kind.is_some()), ("id", id.is_some()), ("body", body.is_some())];
        for (name, given) in given {
            match (given, needed.contains(&name)) {
                (false, true) => return Err(refused(name, "missing")),
                (true, false) => return Err(refused(name, "of no use here")),
                (true, true) | (false, false) => {}
            }
        }
        let command = match (op, kind, id, body) {
            (Op::Create, Some(kind), None, Some(body)) => Command::Create(new(kind, body)?),
            (Op::Replace, None, Some(id), Some(body)) => Command::Replace(id, new(id.kind(), body)?),
            (Op::Update, None, Some(id), Some(body)) => Command::Patch(id, body),
            (Op::Delete, None, Some(id), None) => Command::Delete(id),
            _ => return Err(refused("op", "not with these fields")),
        };
        // People are sealed on their way in, which a batch does not do.
        if command.kind() == Kind::User && op != Op::Delete {
            return Err(refused("op", "users are invited and changed at /users"));
        }
        match if_match {
            Some(_) if op == Op::Create => Err(refused("if_match", "of no use here")),
            Some(revision) => Ok((verb, Command::At(revision, Box::new(command)))),
            None => Ok((verb, command)),
        }
    }
}

fn refused(field: &str, message: &str) -> Problem {
    Problem::new(Reason::BodyInvalid, format!("{field}: {message}")).field(field)
}

fn new(kind: Kind, body: Map<String, Value>) -> Result<AnyNew, Problem> {
    AnyNew::parse(kind, Body(Value::Object(body)))
}

/// The body of one command.
struct Body(Value);

impl ReadNew for Body {
    type Error = Problem;

    fn read<T: serde::de::DeserializeOwned>(self) -> Result<T, Problem> {
        from_value(self.0).map_err(|problem| {
            let field = problem.field.as_deref().map(|field| format!(".{field}")).unwrap_or_default();
            problem.field(format!("body{field}"))
        })
    }

    fn unwritable(self, kind: Kind) -> Problem {
        Problem::new(Reason::BodyInvalid, format!("nobody writes a resource of kind {kind}")).field("kind")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RULE: &str = "rule_01jcz3k9mv5x8q2w4e6r7t9y0a";
    const USER: &str = "usr_01jcz3k9mv5x8q2w4e6r7t9y0a";

    fn reads(commands: Value) -> Result<Vec<Command>, Problem> {
        let batch: Batch = from_value(json!({"commands": commands}))?;
        read(batch.commands, |_, _| Ok(()))
    }

    fn field(command: Value) -> Option<String> {
        reads(json!([{"op": "delete", "id": RULE}, command])).expect_err("refused").field
    }

    #[test]
    fn each_command_is_what_a_call_of_its_own_would_be() {
        let commands = reads(json!([
            {"op": "create", "kind": "zone", "body": {"name": "LAB"}},
            {"op": "update", "id": RULE, "body": {"enabled": null}},
            {"op": "delete", "id": RULE, "if_match": 7},
            {"op": "delete", "id": USER},
        ]));
        let [Command::Create(AnyNew::Zone(_)), Command::Patch(..), Command::At(7, delete), Command::Delete(_)] =
            &commands.expect("reads")[..]
        else {
            panic!("other commands")
        };
        assert!(matches!(**delete, Command::Delete(_)));
    }

    #[test]
    fn the_place_of_what_is_wrong_is_named() {
        let place = |command| field(command).expect("a field");
        assert_eq!(place(json!({"op": "mend", "id": RULE})), "commands[1].op");
        assert_eq!(place(json!({"op": "create", "kind": "rocket", "body": {}})), "commands[1].kind");
        assert_eq!(place(json!({"op": "create", "kind": "flow", "body": {}})), "commands[1].kind");
        assert_eq!(place(json!({"op": "delete", "id": "rule_1"})), "commands[1].id");
        assert_eq!(place(json!({"op": "delete", "id": RULE, "colour": 1})), "commands[1].colour");
        assert_eq!(place(json!({"op": "create", "kind": "zone"})), "commands[1].body");
        assert_eq!(place(json!({"op": "create", "kind": "zone", "body": {"name": 7}})), "commands[1].body.name");
        assert_eq!(place(json!({"op": "create", "kind": "zone", "body": {}})), "commands[1].body.name");
        assert_eq!(place(json!({"op": "delete", "id": RULE, "body": {}})), "commands[1].body");
        assert_eq!(place(json!({"op": "delete", "kind": "rule", "id": RULE})), "commands[1].kind");
        assert_eq!(place(json!({"op": "replace", "body": {}})), "commands[1].id");
        let zone = json!({"op": "create", "kind": "zone", "body": {"name": "LAB"}, "if_match": 1});
        assert_eq!(place(zone), "commands[1].if_match");
        assert_eq!(place(json!({"op": "update", "id": USER, "body": {"role": "owner"}})), "commands[1].op");
        assert_eq!(place(json!({"op": "create", "kind": "user", "body": {"role": "owner"}})), "commands[1].op");
    }

    #[test]
    fn a_batch_has_some_commands_and_not_too_many() {
        assert_eq!(reads(json!([])).expect_err("refused").field.as_deref(), Some("commands"));
        let many = vec![json!({"op": "delete", "id": RULE}); COMMANDS_MAX + 1];
        assert_eq!(reads(json!(many)).expect_err("refused").field.as_deref(), Some("commands"));
    }

    #[test]
    fn who_may_not_do_one_of_them_does_none() {
        let batch: Batch = from_value(json!({"commands": [{"op": "delete", "id": USER}]})).expect("reads");
        let no = |_, _| Err(Problem::new(Reason::RoleForbids, "no"));
        assert_eq!(read(batch.commands, no).expect_err("refused").field.as_deref(), Some("commands[0]"));
    }
}
