//! The service: what `command-svc` needs, what it offers, and how it stops.

use std::sync::Arc;

use bus::callout::Callout;
use bus::{Bus, People, Uses};
use gate::{Gate, Keyring};
use schemas::credential::changed_by;
use schemas::event::Recorded;
use schemas::id::OrgId;
use schemas::user::FirstSignIn;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

use crate::actor::Observer;
use crate::admissions::Admissions;
use crate::http::{self, App, EnrolmentFacts};
use crate::journal::Journal;
use crate::orgs::Orgs;
use crate::secrets::Secrets;
use crate::sign_in::Desk;
use crate::{ephemeral, reports};

/// What the write side is built from.
pub struct Deps {
    pub bus: Bus,
    pub journal: Journal,
    pub gate: Gate,
    pub keyring: Keyring,
    pub secrets: Secrets,
    pub enrolment: EnrolmentFacts,
    pub people: People,
    pub uses: Uses,
    pub first_sign_in: FirstSignIn,
    /// `None` where something else decides who connects to the bus.
    pub admission: Option<AdmissionDeps>,
}

/// What deciding over connections needs.
pub struct AdmissionDeps {
    pub callout: Callout,
    pub system: Bus,
}

/// The write side.
pub struct CommandSvc {
    app: App,
    bus: Bus,
    journal: Journal,
    admissions: Option<Admissions>,
    revoked: mpsc::UnboundedReceiver<String>,
    revoke: mpsc::UnboundedSender<String>,
}

impl CommandSvc {
    pub fn bind(deps: Deps) -> Self {
        let Deps { bus, journal, gate, keyring, secrets, enrolment, people, uses, first_sign_in, admission } = deps;
        let (revoke, revoked) = mpsc::unbounded_channel();
        let observer = observer(keyring.clone(), revoke.clone());
        let orgs = Orgs::new(journal.clone(), observer, secrets.clone());
        let admissions = admission.map(|deps| Admissions::new(deps.callout, deps.system, keyring.clone()));
        let desk = Desk {
            orgs: orgs.clone(),
            keyring: keyring.clone(),
            people: people.clone(),
            secrets: secrets.clone(),
            first: first_sign_in,
        };
        gate.on_sign_in(desk.hook());
        let app = App { gate, orgs, secrets, enrolment, keyring, people, uses };
        Self { app, bus, journal, admissions, revoked, revoke }
    }

    /// The routes, without their base path.
    pub fn router(&self) -> OpenApiRouter {
        http::router(self.app.clone())
    }

    /// Where the founding of an org and the like are submitted.
    pub fn orgs(&self) -> &Orgs {
        &self.app.orgs
    }

    /// Where the public keys of devices are sent whose credential another replica took away.
    pub fn revocations(&self) -> mpsc::UnboundedSender<String> {
        self.revoke.clone()
    }

    /// Serves devices until it is stopped, then answers all that was submitted.
    pub async fn run(self, stop: CancellationToken) -> Result<(), bus::Error> {
        let Self { app, bus, journal, admissions, mut revoked, revoke: _ } = self;
        let mut tasks = JoinSet::new();
        tasks.spawn(reports::run(bus.clone(), app.orgs.clone(), stop.clone()));
        tasks.spawn(ephemeral::run(bus, app.orgs.clone(), ephemeral::Config::default(), stop.clone()));
        let relaying = stop.clone();
        tasks.spawn(async move {
            journal.relay(relaying).await;
            Ok(())
        });
        if let Some(admissions) = admissions.clone() {
            tasks.spawn(admissions.run(stop.clone()));
        }
        let outcome = loop {
            tokio::select! {
                () = stop.cancelled() => break Ok(()),
                Some(public_key) = revoked.recv() => {
                    if let Some(admissions) = admissions.clone() {
                        tasks.spawn(async move { admissions.revoke(&public_key).await; Ok(()) });
                    }
                }
                Some(ended) = tasks.join_next() => {
                    if let Ok(Err(error)) = ended {
                        break Err(error);
                    }
                }
            }
        };
        app.orgs.drain().await;
        while tasks.join_next().await.is_some() {}
        outcome
    }
}

/// Credentials change with the answer, not after it: a token works in the very next call.
fn observer(keyring: Keyring, revoke: mpsc::UnboundedSender<String>) -> Observer {
    Arc::new(move |org: &OrgId, recorded: &Recorded| {
        let change = changed_by(org, &recorded.event);
        if let Some(public_key) = change.and_then(|change| keyring.apply(org, change)) {
            let _ = revoke.send(public_key);
        }
    })
}
