//! The rule book: whether a command is accepted, and as which events. Pure: time, ids and secrets are arguments.
//!
//! `resource` decides what is alike for every kind; a kind's own file says what is special about it.

mod resource;
mod org;
mod user;
mod api_token;
mod zone;
mod zone_policy;
mod address;
mod service;
mod address_list;
mod firewall;
mod rule;
mod nat_rule;
mod route;
mod dns;
mod group;
mod policy;
mod setup_key;
mod device;
mod config_template;
mod batch;

use std::sync::Arc;

use chrono::{DateTime, Datelike, Duration, Utc};
use schemas::access::{Role, Scope};
use schemas::command::Command;
use schemas::event::Event;
use schemas::id::{GroupId, OrgId, Ulid, UserId};
use schemas::kind::Kind;
use schemas::resource::{AnyNew, ResourceId};
use schemas::state::OrgState;
use serde_json::{Map, Value};

pub use batch::decide_batch;
pub(crate) use config_template::{Plan, Planned};
pub(crate) use resource::merge;

use crate::refusal::Refusal;
use crate::secrets::{NewSecret, SecretKind, Secrets, kept};

/// Tags of one resource.
const TAGS_MAX: usize = 50;

/// What a decision needs to know beside the org and the command.
#[derive(Debug, Clone)]
pub struct Context {
    pub org: OrgId,
    pub now: DateTime<Utc>,
    /// Where the ids of new resources are counted from; random.
    pub ulid: Ulid,
    pub role: Role,
    /// The user that the caller is or acts for.
    pub user_id: Option<UserId>,
    /// What the caller proved it with; the id of an API token, if it was one.
    pub credential: String,
    /// Where the call comes from.
    pub source_ip: Option<std::net::IpAddr>,
    /// The groups whose devices the caller may change; absent means all.
    pub device_groups: Option<Vec<GroupId>>,
    /// What the caller's token is bound to; absent means to nothing.
    pub scopes: Option<Arc<[Scope]>>,
    /// For commands that create a secret.
    pub secrets: Secrets,
}

impl Context {
    fn secret(&self, kind: SecretKind, id: impl std::fmt::Display) -> NewSecret {
        kept(&self.secrets.derive(kind, &self.org, &id.to_string()))
    }

    /// When something ends that was asked to end at a time or after so many seconds.
    fn expiry(&self, at: Option<DateTime<Utc>>, after_s: Option<u32>) -> Result<Option<DateTime<Utc>>, Refusal> {
        let expiry = match (at, after_s) {
            (Some(_), Some(_)) => return Err(Refusal::ExpiryTwice),
            (at, None) => at,
            (None, Some(seconds)) => self.now.checked_add_signed(Duration::seconds(i64::from(seconds))),
        };
        self.check_expiry(expiry, None).map(|()| expiry)
    }

    /// Whether an expiry may be set: one that is set already may have passed.
    fn check_expiry(&self, at: Option<DateTime<Utc>>, before: Option<DateTime<Utc>>) -> Result<(), Refusal> {
        match at.filter(|_| at != before) {
            Some(at) if at <= self.now => Err(Refusal::ExpiryInPast),
            Some(at) => check_time("expires_at", at),
            None => Ok(()),
        }
    }
}

/// Refuses times that RFC 3339 cannot write: who reads them back would fail.
fn check_time(field: &'static str, at: DateTime<Utc>) -> Result<(), Refusal> {
    if (0..=9_999).contains(&at.year()) {
        return Ok(());
    }
    Err(Refusal::Invalid { field, cause: "a time is in the years up to 9999".to_owned() })
}

/// Decides one command. The events that it accepts are numbered from the org's next revision on.
pub fn decide(org: &OrgState, command: &Command, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    if let Command::CreateOrg { name } = command {
        return org::create(org, name, ctx);
    }
    if org.org.is_none() {
        return Err(Refusal::OrgMissing(ctx.org.clone()));
    }
    match command {
        Command::CreateOrg { .. } => Ok(Vec::new()),
        Command::UpdateOrg(patch) => {
            resource::check_unbound(Kind::Org, ctx)?;
            org::update(org, patch, ctx)
        }
        Command::Create(new) => create(org, new, ctx),
        Command::Replace(id, new) => replace(org, *id, new, ctx),
        Command::Patch(id, changes) => patch(org, *id, changes, ctx),
        Command::Delete(id) => delete(org, *id, ctx),
        Command::OrderRules(order) => {
            resource::check_unbound(Kind::Rule, ctx)?;
            rule::order(org, order)
        }
        Command::ChangeEntries(id, entries) => {
            resource::check_unbound(Kind::AddressList, ctx)?;
            address_list::change_entries(org, *id, entries, ctx)
        }
        Command::ReplaceEntries(id, entries) => {
            resource::check_unbound(Kind::AddressList, ctx)?;
            address_list::replace_entries(org, *id, entries, ctx)
        }
        Command::PlanTemplate(id, apply) => config_template::plan(org, *id, apply, ctx).map(|_| Vec::new()),
        Command::SignIn(told) => user::sign_in(org, told, ctx),
        Command::EnrolDevice(enrolment) => device::enrol(org, enrolment, ctx),
        Command::ReportConfig(id, report) => device::report(org, *id, report),
        Command::At(revision, command) => batch::decide_at(org, *revision, command, ctx),
        Command::Batch(commands) => Ok(decide_batch(org, commands, ctx)?.into_iter().map(|(_, event)| event).collect()),
    }
}

macro_rules! by_kind {
    ($($name:ident $table:ident $id:ident $new:ident $module:ident,)*) => {
        fn create(org: &OrgState, new: &AnyNew, ctx: &Context) -> Result<Vec<Event>, Refusal> {
            if new.kind() == Kind::Device {
                return Err(Refusal::Fixed("a device is not created but enrols itself"));
            }
            match new {
                $(AnyNew::$name(new) => resource::create::<schemas::$module::$name>(org, new, ctx),)*
            }
        }

        fn replace(org: &OrgState, id: ResourceId, new: &AnyNew, ctx: &Context) -> Result<Vec<Event>, Refusal> {
            match (id, new) {
                $((ResourceId::$name(id), AnyNew::$name(new)) => {
                    resource::replace::<schemas::$module::$name>(org, id, new, ctx)
                })*
                (id, _) => Err(Refusal::NotFound { kind: id.kind(), id: id.to_string() }),
            }
        }

        fn patch(
            org: &OrgState,
            id: ResourceId,
            changes: &Map<String, Value>,
            ctx: &Context,
        ) -> Result<Vec<Event>, Refusal> {
            match id {
                $(ResourceId::$name(id) => resource::patch::<schemas::$module::$name>(org, id, changes, ctx),)*
            }
        }

        fn delete(org: &OrgState, id: ResourceId, ctx: &Context) -> Result<Vec<Event>, Refusal> {
            match id {
                $(ResourceId::$name(id) => resource::delete::<schemas::$module::$name>(org, id, ctx),)*
            }
        }
    };
}

schemas::for_each_resource!(by_kind);

/// The resource that a command would change, as it stands: its revision and its JSON. Of what is only planned, the plan.
pub fn target(org: &OrgState, command: &Command, ctx: &Context) -> Option<(u64, Value)> {
    fn shown<T: serde::Serialize>(revision: u64, resource: &T) -> (u64, Value) {
        (revision, serde_json::to_value(resource).unwrap_or(Value::Null))
    }
    let found = |id: ResourceId| org.find(id).map(|it| shown(it.revision(), &it));
    match command {
        Command::Replace(id, _) | Command::Patch(id, _) | Command::Delete(id) => found(*id),
        Command::ChangeEntries(id, _) | Command::ReplaceEntries(id, _) => found((*id).into()),
        Command::PlanTemplate(id, apply) => {
            let template = org.config_templates.get(id)?;
            config_template::plan(org, *id, apply, ctx).ok().map(|plan| shown(template.revision, &plan))
        }
        Command::At(_, command) => target(org, command, ctx),
        Command::ReportConfig(id, _) => found((*id).into()),
        Command::UpdateOrg(_) => org.org.as_ref().map(|it| shown(it.revision, &**it)),
        Command::EnrolDevice(enrolment) => org.device_of_key(&enrolment.public_key).map(|it| shown(it.revision, &**it)),
        Command::SignIn(told) => user::signed_in(org, told).map(|it| shown(it.revision, it)),
        // The order as a whole is as new as the rule that changed last.
        Command::OrderRules(_) => {
            let revision = org.rules.values().map(|rule| rule.revision).max()?;
            Some((revision, Value::Null))
        }
        Command::CreateOrg { .. } | Command::Create(_) | Command::Batch(_) => None,
    }
}

/// The names of the fields in which two versions of a resource differ, but for its stamps.
fn changed_fields<T: serde::Serialize>(before: &T, after: &T) -> Vec<String> {
    let fields = |resource: &T| match serde_json::to_value(resource) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let (before, after) = (fields(before), fields(after));
    let stamps = ["revision", "updated_at"];
    let differs = |name: &&String| !stamps.contains(&name.as_str()) && before.get(*name) != after.get(*name);
    after.keys().filter(differs).cloned().collect()
}

/// Whether an object with these members contains itself, through however many others.
fn contains_itself<I: Copy + Ord>(own: I, mut members: Vec<I>, inner: impl Fn(I) -> Vec<I>) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    while let Some(id) = members.pop() {
        if id == own {
            return true;
        }
        if seen.insert(id) {
            members.extend(inner(id));
        }
    }
    false
}

/// Refuses a list that is too long.
fn bounded(field: &'static str, length: usize, max: usize) -> Result<(), Refusal> {
    if length > max { Err(Refusal::ListTooLong { field, length, max }) } else { Ok(()) }
}

#[cfg(test)]
pub(crate) mod tests;
