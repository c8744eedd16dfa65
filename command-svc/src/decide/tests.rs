//! Cases of the rule book by topic, and the laws that hold for any sequence of commands. Here is how they are put.

mod orgs;
mod rules;
mod objects;
mod entries;
mod network;
mod devices;
mod groups;
mod templates;
mod people;
mod changes;
pub(crate) mod any;
mod laws;

use schemas::event::SecretHash;
use schemas::id::SetupKeyId;
use schemas::resource::ReadNew;
use schemas::text::Name;
use serde_json::json;

use super::*;

/// The circumstances of the `n`th command.
pub(crate) fn ctx(n: u16) -> Context {
    Context {
        org: "acme".parse().expect("an org"),
        now: time(n),
        ulid: Ulid::from_parts(1_000 + u64::from(n), u128::from(n) << 32),
        role: Role::Owner,
        user_id: Some(UserId::new(Ulid::from_parts(1, 1))),
        credential: "tok".to_owned(),
        source_ip: Some([192, 0, 2, 7].into()),
        device_groups: None,
        scopes: None,
        secrets: Secrets::new([7; 32]),
    }
}

pub(crate) fn time(n: u16) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Duration::seconds(i64::from(n))
}

/// The id of what the `n`th command after the founding creates.
fn at<I: From<Ulid>>(n: u16) -> I {
    ctx(n + 1).id(0).into()
}

fn read<T: serde::de::DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("reads")
}

pub(crate) struct Json(pub(crate) Value);

impl ReadNew for Json {
    type Error = serde_json::Error;

    fn read<T: serde::de::DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        serde_json::from_value(self.0)
    }

    fn unwritable(self, kind: Kind) -> serde_json::Error {
        serde::de::Error::custom(kind)
    }
}

fn new(kind: Kind, json: Value) -> AnyNew {
    let shown = json.to_string();
    AnyNew::parse(kind, Json(json)).unwrap_or_else(|error| panic!("{shown}: {error}"))
}

fn create(kind: Kind, json: Value) -> Command {
    Command::Create(new(kind, json))
}

fn replace<I: Into<ResourceId>>(id: I, json: Value) -> Command {
    let id = id.into();
    Command::Replace(id, new(id.kind(), json))
}

fn patch<I: Into<ResourceId>>(id: I, json: Value) -> Command {
    Command::Patch(id.into(), read(json))
}

fn delete<I: Into<ResourceId>>(id: I) -> Command {
    Command::Delete(id.into())
}

/// One object with the fields of two; those of the second count more.
fn with(mut json: Value, more: Value) -> Value {
    json.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    json
}

pub(crate) fn found() -> Command {
    Command::CreateOrg { name: Name::new("Acme").expect("a name") }
}

/// Decides commands one after the other in a founded org; all but the last must be accepted.
fn run(commands: &[Command]) -> (OrgState, Result<Vec<Event>, Refusal>) {
    run_as(commands, |_| {})
}

/// The same, with the last command in other circumstances.
fn run_as(commands: &[Command], change: impl Fn(&mut Context)) -> (OrgState, Result<Vec<Event>, Refusal>) {
    let mut org = OrgState::default();
    let mut last = Ok(Vec::new());
    let all = std::iter::once(&found()).chain(commands).cloned().collect::<Vec<_>>();
    for (n, command) in (1u16..).zip(&all) {
        last.clone()
            .unwrap_or_else(|refusal: Refusal| panic!("only the last may be refused, not {}: {refusal}", n - 2));
        let mut ctx = ctx(n);
        if usize::from(n) == all.len() {
            change(&mut ctx);
        }
        last = decide(&org, command, &ctx);
        for event in last.iter().flatten() {
            let revision = org.revision + 1;
            org.apply_event(event, revision, time(n));
        }
    }
    (org, last)
}

fn names(events: Result<Vec<Event>, Refusal>) -> Result<Vec<String>, Refusal> {
    events.map(|events| events.iter().map(Event::name).collect())
}

/// In a founded org these commands end with these events, or with this refusal.
fn check(commands: impl IntoIterator<Item = Command>, then: Result<&[&str], Refusal>) {
    check_as(commands, |_| {}, then);
}

/// The same, with the last command in other circumstances.
fn check_as(
    commands: impl IntoIterator<Item = Command>,
    change: impl Fn(&mut Context),
    then: Result<&[&str], Refusal>,
) {
    let commands: Vec<Command> = commands.into_iter().collect();
    let then = then.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(names(run_as(&commands, change).1), then, "{:?}", commands.last());
}

/// These commands and one more.
fn then(before: &[Command], last: Command) -> Vec<Command> {
    before.iter().cloned().chain([last]).collect()
}

fn not_found<I: Into<ResourceId>>(id: I) -> Refusal {
    let id = id.into();
    Refusal::NotFound { kind: id.kind(), id: id.to_string() }
}

fn invalid(field: &'static str, cause: &str) -> Refusal {
    Refusal::Invalid { field, cause: cause.to_owned() }
}

/// The reason and the field of the refusal that these commands end with.
fn refused(commands: &[Command]) -> (String, String) {
    let refusal = run(commands).1.expect_err("to be refused");
    (refusal.reason().name(), refusal.field().unwrap_or_default().into_owned())
}

fn rule(name: &str) -> Value {
    json!({"name": name, "zone_from": "WAN", "zone_to": "LAN", "protocol": "tcp", "port": "23", "action": "drop"})
}

fn create_rule(name: &str) -> Command {
    create(Kind::Rule, rule(name))
}

fn setup_key(more: Value) -> Command {
    create(Kind::SetupKey, with(json!({"name": "k"}), more))
}

/// The secret of the setup key that the `n`th command after the founding creates.
fn secret(n: u16) -> String {
    let id: SetupKeyId = at(n);
    Secrets::new([7; 32]).derive(SecretKind::SetupKey, &ctx(1).org, &id.to_string())
}

/// Enrols a device with the setup key that the first command after the founding creates.
fn enrol(name: &str, public_key: &str) -> Command {
    Command::EnrolDevice(read(json!({"setup_key": secret(1), "public_key": public_key, "name": name})))
}

/// What each resource refers to.
pub(crate) fn references(org: &OrgState) -> Vec<(ResourceId, schemas::resource::Reference)> {
    use schemas::resource::{AnyResource, Related};
    let mut all = Vec::new();
    for resource in org.resources() {
        let id = resource.id();
        let note: &mut dyn FnMut(&'static str, schemas::resource::Reference) =
            &mut |_, reference| all.push((id, reference));
        macro_rules! each {
            ($($name:ident $table:ident $id:ident $new:ident $module:ident,)*) => {
                match &resource { $(AnyResource::$name(it) => it.references(note),)* }
            };
        }
        schemas::for_each_resource!(each);
    }
    all
}

/// Everything in an org, as text.
pub(crate) fn dump(org: &OrgState) -> String {
    let hash = |id| org.secret_hash(id).map(|SecretHash(hash)| hash.clone());
    let resources: Vec<_> = org.resources().map(|it| json!([it.kind(), it, hash(it.id())])).collect();
    let order: Vec<_> = org.ordered_rule_ids().collect();
    let entries: Vec<_> =
        org.address_lists.keys().map(|id| json!([id, org.entries(*id).collect::<Vec<_>>()])).collect();
    json!([org.revision, org.org, resources, order, entries, org.number_last]).to_string()
}
