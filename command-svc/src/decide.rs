//! The rule book: whether a command is accepted, and as which events. Pure: time, ids and secrets are arguments.

mod org;
mod zone;
mod rule;
mod setup_key;
mod device;
mod api_token;

use chrono::{DateTime, Duration, Utc};
use schemas::access::Role;
use schemas::command::Command;
use schemas::event::Event;
use schemas::id::{OrgId, Ulid, UserId};
use schemas::state::OrgState;
use serde_json::Value;

use crate::refusal::Refusal;
use crate::secrets::{NewSecret, SecretKind, Secrets, kept};

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
    /// For commands that create a secret.
    pub secrets: Secrets,
}

impl Context {
    /// The id of the `n`th resource that a command creates.
    fn id(&self, n: u8) -> Ulid {
        Ulid::from(u128::from(self.ulid).wrapping_add(u128::from(n)))
    }

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
        if expiry.is_some_and(|at| at <= self.now) { Err(Refusal::ExpiryInPast) } else { Ok(expiry) }
    }
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
        Command::CreateUser(role) => org::create_user(org, *role, ctx),
        Command::CreateZone(new) => zone::create(org, new, ctx),
        Command::UpdateZone(id, patch) => zone::update(org, *id, patch, ctx),
        Command::DeleteZone(id) => zone::delete(org, *id),
        Command::CreateRule(new) => rule::create(org, new, ctx),
        Command::ReplaceRule(id, new) => rule::replace(org, *id, new, ctx),
        Command::UpdateRule(id, patch) => rule::update(org, *id, patch, ctx),
        Command::DeleteRule(id) => rule::delete(org, *id),
        Command::OrderRules(order) => rule::order(org, order),
        Command::CreateSetupKey(new) => setup_key::create(org, new, ctx),
        Command::UpdateSetupKey(id, patch) => setup_key::update(org, *id, patch, ctx),
        Command::DeleteSetupKey(id) => setup_key::delete(org, *id),
        Command::EnrolDevice(enrolment) => device::enrol(org, enrolment, ctx),
        Command::UpdateDevice(id, patch) => device::update(org, *id, patch, ctx),
        Command::DeleteDevice(id) => device::delete(org, *id),
        Command::ReportConfig(id, report) => device::report(org, *id, report),
        Command::CreateApiToken(new) => api_token::create(org, new, ctx),
        Command::UpdateApiToken(id, patch) => api_token::update(org, *id, patch, ctx),
        Command::DeleteApiToken(id) => api_token::delete(org, *id, ctx),
    }
}

/// The resource that a command would change, as it stands: its revision and its JSON.
pub fn target(org: &OrgState, command: &Command) -> Option<(u64, Value)> {
    fn shown<T: serde::Serialize>(revision: u64, resource: &T) -> (u64, Value) {
        (revision, serde_json::to_value(resource).unwrap_or(Value::Null))
    }
    match command {
        Command::UpdateZone(id, _) | Command::DeleteZone(id) => org.zones.get(id).map(|it| shown(it.revision, &**it)),
        Command::ReplaceRule(id, _) | Command::UpdateRule(id, _) | Command::DeleteRule(id) => {
            org.rules.get(id).map(|it| shown(it.revision, &**it))
        }
        Command::UpdateSetupKey(id, _) | Command::DeleteSetupKey(id) => {
            org.setup_keys.get(id).map(|it| shown(it.revision, &**it))
        }
        Command::UpdateDevice(id, _) | Command::DeleteDevice(id) | Command::ReportConfig(id, _) => {
            org.devices.get(id).map(|it| shown(it.revision, &**it))
        }
        Command::UpdateApiToken(id, _) | Command::DeleteApiToken(id) => {
            org.api_tokens.get(id).map(|it| shown(it.revision, &**it))
        }
        Command::EnrolDevice(enrolment) => {
            let id = org.device_keys.get(&enrolment.public_key)?;
            org.devices.get(id).map(|it| shown(it.revision, &**it))
        }
        // The order as a whole is as new as the rule that changed last.
        Command::OrderRules(_) => {
            let revision = org.rules.values().map(|rule| rule.revision).max()?;
            Some((revision, Value::Null))
        }
        Command::CreateOrg { .. }
        | Command::CreateZone(_)
        | Command::CreateRule(_)
        | Command::CreateSetupKey(_)
        | Command::CreateApiToken(_)
        | Command::CreateUser(_) => None,
    }
}

/// The names of the fields in which two versions of a resource differ, but for its stamps.
fn changed_fields<T: serde::Serialize>(before: &T, after: &T) -> Vec<String> {
    let fields = |resource: &T| match serde_json::to_value(resource) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (before, after) = (fields(before), fields(after));
    let stamps = ["revision", "updated_at"];
    let differs = |name: &&String| !stamps.contains(&name.as_str()) && before.get(*name) != after.get(*name);
    after.keys().filter(differs).cloned().collect()
}

#[cfg(test)]
mod tests;
