//! Writing users: what is personal is sealed with a key of each user's own, which is kept before the event is written and
//! goes when the user does.

use axum::response::Response;
use bus::people::NewKey;
use gate::{Caller, Problem, WriteOptions};
use schemas::access::Verb;
use schemas::command::Command;
use schemas::id::{OrgId, UserId};
use schemas::kind::Kind;
use schemas::reason::Reason;
use schemas::resource::ResourceId;
use schemas::user::{NewUser, Person, Sealed, User, WrittenUser};
use schemas::view::UserView;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{App, Call, problem, respond};
use crate::clock::random_command_id;
use crate::refusal::Refusal;
use crate::submission::{Accepted, Failure, Options};

/// How often a change is decided again because the user changed meanwhile.
const TRIES_MAX: usize = 5;

/// What a caller writes of a user that is there.
pub(super) enum Written {
    Whole(WrittenUser),
    Patch(Map<String, Value>),
}

/// What was sealed of a user that is about to be written.
#[derive(Default)]
struct Draft {
    /// What was sealed, and who that is.
    person: Option<(Sealed, Person)>,
    /// The key that was made for that.
    key: Option<NewKey>,
}

impl App {
    pub(super) async fn create_user(
        &self,
        caller: Caller,
        write: WriteOptions,
        written: WrittenUser,
    ) -> Result<Response, Problem> {
        caller.may(Verb::Create, Kind::User)?;
        let org = caller.org.clone();
        let (new, draft) = self.draft(&org, written, None, write.dry_run).await?;
        let outcome = self.submit_user(caller, write, Command::Create(new.into())).await;
        self.finish(&org, draft, outcome).await.map_err(problem)
    }

    pub(super) async fn change_user(
        &self,
        caller: Caller,
        write: WriteOptions,
        id: UserId,
        written: &Written,
    ) -> Result<Response, Problem> {
        caller.may(Verb::Update, Kind::User)?;
        let org = caller.org.clone();
        let mut tries = 0;
        loop {
            tries += 1;
            let before: Option<User> = self.look(&caller, &write, id.into()).await.ok();
            // Refused, or to be refused, or done already: what nothing is changed of tells which.
            let Some(before) = before.filter(|it| write.if_match.is_none_or(|wanted| wanted == it.revision)) else {
                let nothing = Command::Patch(id.into(), Map::new());
                let outcome = self.submit_user(caller.clone(), write.clone(), nothing).await;
                if tries < TRIES_MAX && outcome.as_ref().is_ok_and(is_new) {
                    continue;
                }
                return self.finish(&org, Draft::default(), outcome).await.map_err(problem);
            };
            let person = match &before.person {
                Some(sealed) => self.people.read(&org, sealed).await.map_err(unavailable)?,
                None => None,
            };
            let wanted = written.over(as_written(&before, person.clone()))?;
            let (new, draft) = self.draft(&org, wanted, Some((&before, person)), write.dry_run).await?;
            let at = WriteOptions { if_match: Some(before.revision), ..write.clone() };
            let outcome = self.submit_user(caller.clone(), at, Command::Replace(id.into(), new.into())).await;
            match self.finish(&org, draft, outcome).await {
                Err(Failure::Refused(Refusal::RevisionMismatch { .. }))
                    if write.if_match.is_none() && tries < TRIES_MAX => {}
                done => return done.map_err(problem),
            }
        }
    }

    pub(super) async fn delete_user(
        &self,
        caller: Caller,
        write: WriteOptions,
        id: UserId,
    ) -> Result<Response, Problem> {
        caller.may(Verb::Delete, Kind::User)?;
        let org = caller.org.clone();
        let before: Option<User> = self.look(&caller, &write, id.into()).await.ok();
        let outcome = self.submit_user(caller, write, Command::Delete(id.into())).await;
        let sealed = before.and_then(|before| before.person);
        if let (Ok(Accepted::Done(_)), Some(sealed)) = (&outcome, &sealed) {
            self.erase(&org, &sealed.key_id).await;
        }
        self.finish(&org, Draft::default(), outcome).await.map_err(problem)
    }

    /// A resource as it stands, for who may change it.
    pub(super) async fn look<T: DeserializeOwned>(
        &self,
        caller: &Caller,
        write: &WriteOptions,
        id: ResourceId,
    ) -> Result<T, Failure> {
        let Call { org, origin, .. } = Call::new(caller.clone(), write.clone());
        let options = Options { command_id: random_command_id(), dry_run: true, ..Options::default() };
        let seen = self.orgs.submit(&org, Command::Patch(id, Map::new()), origin, options).await?;
        let (Accepted::Would { before, .. } | Accepted::Done(crate::answer::Answer { body: before, .. })) = seen;
        serde_json::from_value(before).map_err(|error| Failure::LogDamaged(error.to_string()))
    }

    async fn submit_user(&self, caller: Caller, write: WriteOptions, command: Command) -> Result<Accepted, Failure> {
        let Call { org, origin, mut options } = Call::new(caller, write);
        // The hash of a request with a name in it could be guessed.
        options.command_hash = options.command_hash.map(|hash| self.secrets.request_hash(&hash));
        self.orgs.submit(&org, command, origin, options).await
    }

    /// Seals what is personal. What a trial seals opens for nobody.
    async fn draft(
        &self,
        org: &OrgId,
        written: WrittenUser,
        before: Option<(&User, Option<Person>)>,
        is_trial: bool,
    ) -> Result<(NewUser, Draft), Problem> {
        let WrittenUser { name, email, role, kind, blocked, description, metadata } = written;
        let email_hash = email.as_ref().map(|email| self.secrets.email_hash(org, email));
        let who = Person { name, email };
        let (known, was) = before.map_or((None, None), |(before, was)| (before.person.as_ref(), was));
        let mut key = None;
        let sealed = match known {
            _ if who.is_empty() => None,
            Some(sealed) if was.as_ref() == Some(&who) => Some(sealed.clone()),
            Some(sealed) => self.people.seal(org, &sealed.key_id, &who).await.map_err(unavailable)?,
            None => None,
        };
        let sealed = match sealed {
            None if !who.is_empty() => {
                let new = NewKey::random().map_err(Problem::internal)?;
                let sealed = new.seal(org, &who).map_err(Problem::internal)?;
                if !is_trial {
                    self.people.keep(org, &new).await.map_err(unavailable)?;
                    key = Some(new);
                }
                Some(sealed)
            }
            sealed => sealed,
        };
        let person = sealed.clone().map(|sealed| (sealed, who));
        let new =
            NewUser { kind, role, blocked, description, metadata, person: sealed, email_hash, subject_hash: None };
        Ok((new, Draft { person, key }))
    }

    /// Answers with the user as callers see it, and drops the key that was made for nothing.
    async fn finish(&self, org: &OrgId, draft: Draft, outcome: Result<Accepted, Failure>) -> Result<Response, Failure> {
        let used = match &outcome {
            Ok(Accepted::Done(answer)) => answer.body.pointer("/person/key_id").and_then(Value::as_str),
            Ok(Accepted::Would { .. }) | Err(_) => None,
        };
        // Where the outcome is unknown, the next start sees what became of the key.
        let is_known = matches!(&outcome, Ok(_) | Err(Failure::Refused(_)));
        if let Some(key) = draft.key.as_ref().filter(|key| is_known && used != Some(key.id())) {
            self.erase(org, key.id()).await;
        }
        let mut accepted = match outcome {
            Ok(accepted) => accepted,
            Err(Failure::Refused(Refusal::RevisionMismatch { kind, expected, actual, current })) => {
                let current = Box::new(self.shown(org, *current, &draft).await);
                return Err(Refusal::RevisionMismatch { kind, expected, actual, current }.into());
            }
            Err(failure) => return Err(failure),
        };
        match &mut accepted {
            Accepted::Done(answer) => answer.body = self.shown(org, answer.body.take(), &draft).await,
            Accepted::Would { answer, before, .. } => {
                answer.body = self.shown(org, answer.body.take(), &draft).await;
                *before = self.shown(org, before.take(), &draft).await;
            }
        }
        Ok(respond(Kind::User.path(), accepted, |answer| answer.body.clone()))
    }

    /// A stored user as callers see it; `null` stays `null`.
    async fn shown(&self, org: &OrgId, stored: Value, draft: &Draft) -> Value {
        let Ok(user) = serde_json::from_value::<User>(stored) else { return Value::Null };
        let person = match (&user.person, &draft.person) {
            (Some(sealed), Some((ours, who))) if sealed == ours => Some(who.clone()),
            (Some(sealed), _) => self.people.read(org, sealed).await.ok().flatten(),
            (None, _) => None,
        };
        let last_sign_in_at = self.uses.last(org, &user.id.to_string());
        serde_json::to_value(UserView::new(&user, person, last_sign_in_at)).unwrap_or_default()
    }

    async fn erase(&self, org: &OrgId, key_id: &str) {
        if let Err(error) = self.people.erase(org, key_id).await {
            tracing::warn!("a key of personal data is left until the next start: {error}");
        }
    }
}

/// Whether an answer is not the one to an earlier call.
fn is_new(accepted: &Accepted) -> bool {
    match accepted {
        Accepted::Done(answer) => !answer.replayed,
        Accepted::Would { .. } => true,
    }
}

/// What a caller could have written to get this user.
fn as_written(user: &User, person: Option<Person>) -> WrittenUser {
    let Person { name, email } = person.unwrap_or_default();
    WrittenUser {
        name,
        email,
        role: user.role,
        kind: user.kind,
        blocked: user.blocked,
        description: user.description.clone(),
        metadata: user.metadata.clone(),
    }
}

fn unavailable(error: bus::Error) -> Problem {
    tracing::warn!("personal data cannot be sealed or opened: {error}");
    Problem::new(Reason::BusUnavailable, "the bus cannot be reached").retry_after(1)
}
