//! Sign-in: who a person with a JWT is to their org; at the first sign-in they become a user of it.

use std::sync::Arc;

use bus::People;
use bus::people::NewKey;
use futures::FutureExt;
use gate::{Keyring, Problem, SignIn, SignInHook, SignedIn};
use schemas::access::Role;
use schemas::command::Command;
use schemas::id::OperationId;
use schemas::reason::Reason;
use schemas::text::Name;
use schemas::user::{Email, FirstSignIn, Person, Sealed, SignedInPerson, User};

use crate::clock::{random_command_id, random_ulid};
use crate::http::problem;
use crate::orgs::Orgs;
use crate::secrets::Secrets;
use crate::submission::{Accepted, Failure, Options, Origin};

/// What signing people in takes.
#[derive(Clone)]
pub struct Desk {
    pub orgs: Orgs,
    pub keyring: Keyring,
    pub people: People,
    pub secrets: Secrets,
    pub first: FirstSignIn,
}

impl Desk {
    /// What the front door asks of everybody who comes with a JWT.
    pub fn hook(self) -> SignInHook {
        Arc::new(move |person| {
            let desk = self.clone();
            async move { desk.sign_in(person).await }.boxed()
        })
    }

    async fn sign_in(&self, person: SignIn) -> Result<SignedIn, Problem> {
        let subject_hash = self.secrets.subject_hash(&person.org, &person.issuer, &person.subject);
        if let Some((user_id, facts)) = self.keyring.user_of_subject(&subject_hash) {
            return Ok(SignedIn { user_id, role: facts.role, blocked: facts.blocked });
        }
        let (org, email) = (&person.org, person.email.as_deref().and_then(|email| Email::new(email).ok()));
        let name = person.name.as_deref().and_then(|name| Name::new(name).ok());
        let email_hash = email.as_ref().map(|email| self.secrets.email_hash(org, email));
        let who = Person { name, email };
        let key = if who.is_empty() { None } else { Some(NewKey::random().map_err(unavailable)?) };
        let mut sealed = None;
        if let Some(key) = &key {
            sealed = Some(key.seal(org, &who).map_err(Problem::internal)?);
            self.people.keep(org, key).await.map_err(unavailable)?;
        }
        let told =
            SignedInPerson { subject_hash, email_hash, person: sealed.clone(), role: person.role, first: self.first };
        let done = self.orgs.submit(org, Command::SignIn(told), origin(), options()).await;
        let user = match done {
            Ok(Accepted::Done(answer)) => serde_json::from_value::<User>(answer.body).map_err(Problem::internal),
            Ok(Accepted::Would { .. }) => Err(Problem::internal("a sign-in is never a trial")),
            Err(failure) => Err(self.refused(&person, key.as_ref(), failure).await),
        }?;
        self.drop_unless_used(&person, sealed.as_ref(), &user).await;
        Ok(SignedIn { user_id: user.id, role: user.role, blocked: user.blocked })
    }

    /// A key that sealed nothing goes. One whose outcome is unknown stays, until the next start sees what became of it.
    async fn refused(&self, person: &SignIn, key: Option<&NewKey>, failure: Failure) -> Problem {
        if let (Some(key), Failure::Refused(_)) = (key, &failure) {
            self.erase(person, key.id()).await;
        }
        problem(failure)
    }

    async fn drop_unless_used(&self, person: &SignIn, sealed: Option<&Sealed>, user: &User) {
        if let Some(sealed) = sealed
            && user.person.as_ref() != Some(sealed)
        {
            self.erase(person, &sealed.key_id).await;
        }
    }

    async fn erase(&self, person: &SignIn, key_id: &str) {
        if let Err(error) = self.people.erase(&person.org, key_id).await {
            tracing::warn!("a key that sealed nothing is left until the next start: {error}");
        }
    }
}

fn unavailable(error: bus::Error) -> Problem {
    tracing::warn!("nobody can sign in for the first time: {error}");
    Problem::new(Reason::BusUnavailable, "the bus cannot be reached").retry_after(1)
}

/// Signing in is nobody's wish but the installation's: it says who may.
fn origin() -> Origin {
    Origin::of("system", "jwt", Role::Owner, OperationId::new(random_ulid()))
}

fn options() -> Options {
    Options { command_id: random_command_id(), ..Options::default() }
}
