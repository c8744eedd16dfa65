//! The services of the control plane, put together over one bus: any of them, in one process.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use bus::callout::Callout;
use bus::topology::Topology;
use bus::{Bus, BusAuth, People, Uses};
use command_svc::journal::{Choice, Journal};
use command_svc::secrets::Secrets;
use command_svc::{AdmissionDeps, CommandSvc, EnrolmentFacts};
use gate::{Gate, GateConfig, JwtConfig, Keyring};
use projector::Projector;
use query_svc::QuerySvc;
use schemas::user::FirstSignIn;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::error;
use utoipa_axum::router::OpenApiRouter;

use crate::credentials;
use crate::erasure::Erasure;
use crate::keys::InstanceKeys;
use crate::nats_server::DEVICE_ACCOUNT;

/// How long the API may take to finish what it has begun.
const DRAIN: Duration = Duration::from_secs(20);

/// What every composition needs.
pub(crate) struct Ground {
    pub(crate) nats_urls: Vec<String>,
    pub(crate) keys: InstanceKeys,
    /// The root of the object store.
    pub(crate) store: PathBuf,
    /// Copies of each stream.
    pub(crate) replicas: usize,
}

impl Ground {
    /// Connects with the services' own key and makes what is missing on the bus.
    pub(crate) async fn bus(&self, name: &str) -> anyhow::Result<Bus> {
        let bus = self.connect(self.keys.service_user()?.seed()?, name).await?;
        bus.ensure(&Topology { replicas: self.replicas, ..Topology::default() }).await?;
        Ok(bus)
    }

    async fn connect(&self, seed: String, name: &str) -> anyhow::Result<Bus> {
        Ok(Bus::connect(&self.nats_urls, &BusAuth::Seed(seed), name).await?)
    }

    /// The write side. `device_urls` is where devices are told to connect.
    pub(crate) async fn command(
        &self,
        bus: &Bus,
        journal: Journal,
        door: &Door,
        aside: &Aside,
        device_urls: Vec<String>,
    ) -> anyhow::Result<CommandSvc> {
        let callout = self.connect(self.keys.callout_user()?.seed()?, "callout").await?;
        let system = self.connect(self.keys.system_user()?.seed()?, "system").await?;
        let callout = Callout::new(callout, self.keys.admission_issuer()?, DEVICE_ACCOUNT);
        Ok(CommandSvc::bind(command_svc::Deps {
            bus: bus.clone(),
            journal,
            gate: door.gate.clone(),
            keyring: door.keyring.clone(),
            secrets: self.secrets()?,
            people: aside.people.clone(),
            uses: aside.uses.clone(),
            first_sign_in: door.first_sign_in,
            enrolment: EnrolmentFacts { nats_urls: device_urls, config_key: self.keys.config_signer()?.public_key() },
            admission: Some(AdmissionDeps { callout, system }),
        }))
    }

    pub(crate) fn secrets(&self) -> anyhow::Result<Secrets> {
        Ok(Secrets::new(self.keys.secrets()?))
    }

    /// The read side.
    pub(crate) fn query(
        &self,
        bus: &Bus,
        gate: &Gate,
        aside: &Aside,
        config: query_svc::Config,
    ) -> anyhow::Result<QuerySvc> {
        let Aside { people, uses } = aside.clone();
        let deps =
            query_svc::Deps { bus: bus.clone(), gate: gate.clone(), store_dir: self.store.clone(), people, uses };
        QuerySvc::bind(config, deps).context("cannot start the read side")
    }

    /// The projections.
    pub(crate) async fn projector(&self, bus: &Bus, config: projector::Config) -> anyhow::Result<Projector> {
        let root = self.store.to_str().context("the object store's path is not UTF-8")?;
        let store = projector::Store::open(root)?;
        let deps = projector::Deps { bus: bus.clone(), store, signing_key: self.keys.config_signer()? };
        Projector::bind(config, deps).await.context("cannot start the projector")
    }
}

/// Where events are appended.
#[derive(Debug, clap::Args)]
pub(crate) struct JournalConfig {
    /// Where events are appended: `jetstream`, or the EventStoreDB at `esdb://host:port?tls=false`
    #[arg(long, env = "NETKEEP_JOURNAL", default_value = "jetstream", hide_env_values = true)]
    journal: String,
}

impl JournalConfig {
    /// Parsed by hand, because clap repeats what it cannot parse, and a connection string may hold a password.
    pub(crate) fn choice(&self) -> anyhow::Result<Choice> {
        self.journal.parse().context("--journal")
    }
}

/// Who is let in, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct DoorConfig {
    #[command(flatten)]
    gate: GateConfig,
    #[command(flatten)]
    jwt: JwtConfig,
    /// Who comes with a good JWT for the first time: `create` makes them a user with the role of the JWT, unless they
    /// are invited; `invited` refuses who is not invited; `off` refuses everybody
    #[arg(long, env = "NETKEEP_JWT_FIRST_SIGN_IN", default_value = "create")]
    jwt_first_sign_in: FirstSignIn,
}

/// The front door with its credentials.
pub(crate) struct Door {
    pub(crate) gate: Gate,
    pub(crate) keyring: Keyring,
    pub(crate) first_sign_in: FirstSignIn,
}

impl DoorConfig {
    pub(crate) fn open(&self) -> anyhow::Result<Door> {
        let keyring = Keyring::default();
        let gate = Gate::configured(keyring.clone(), &self.jwt, &self.gate)?;
        Ok(Door { gate, keyring, first_sign_in: self.jwt_first_sign_in })
    }
}

impl Door {
    /// Keeps on the bus what the front door counts, so that all replicas and the next start know it.
    pub(crate) fn keep_counts(&self, layers: &mut Layers, bus: &Bus, uses: &Uses) {
        let (bus, limits) = (bus.clone(), self.gate.limits().clone());
        layers.push(|stop| crate::quotas::keep(bus, limits, stop));
        let (uses, seen) = (uses.clone(), self.gate.uses().clone());
        layers.push(|stop| crate::last_uses::keep(uses, seen, stop));
    }
}

/// What is known beside the event log.
#[derive(Clone)]
pub(crate) struct Aside {
    pub(crate) people: People,
    pub(crate) uses: Uses,
}

impl Aside {
    pub(crate) fn new(bus: &Bus) -> Self {
        Self { people: bus.people(), uses: bus.uses() }
    }

    /// Follows the keys of personal data where no read side does.
    pub(crate) fn follow_people(&self, layers: &mut Layers) {
        let people = self.people.clone();
        layers.push(|stop| async move {
            tokio::select! { () = stop.cancelled() => Ok(()), ended = people.follow() => Ok(ended?) }
        });
    }

    /// Waits a while until the names of this moment are known.
    pub(crate) async fn await_people(&self) {
        if tokio::time::timeout(Duration::from_secs(10), self.people.complete()).await.is_err() {
            tracing::warn!("not all names of users are known yet");
        }
    }

    /// Erases the keys of users who are gone; what is returned learns who they are.
    pub(crate) fn erase_gone(&self, layers: &mut Layers, bus: &Bus) -> Erasure {
        let (erasure, gone) = Erasure::new(self.people.clone());
        let (erasing, bus) = (erasure.clone(), bus.clone());
        layers.push(|stop| erasing.run(bus, gone, stop));
        erasure
    }
}

/// Tasks in layers: the outer ones are told to stop first, and each layer has ended before the next is told.
#[derive(Default)]
pub(crate) struct Layers {
    layers: Vec<Layer>,
}

struct Layer {
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Layers {
    /// Starts a task as a new outermost layer.
    pub(crate) fn push<F: Future<Output = anyhow::Result<()>> + Send + 'static>(
        &mut self,
        task: impl FnOnce(CancellationToken) -> F,
    ) {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(task(stop.clone()));
        self.layers.push(Layer { stop, tasks });
    }

    /// Runs until told to stop, or until a task ends by itself, which is an error. Then stops layer by layer.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let waits = self.layers.iter_mut().map(|layer| Box::pin(layer.tasks.join_next()));
        let outcome = tokio::select! {
            () = stop.cancelled() => Ok(()),
            (ended, _, _) = futures::future::select_all(waits) => early(ended),
        };
        while let Some(mut layer) = self.layers.pop() {
            layer.stop.cancel();
            while let Some(ended) = layer.tasks.join_next().await {
                if let Err(error) = ended.map_err(anyhow::Error::from).and_then(|ended| ended) {
                    error!("while stopping: {error:#}");
                }
            }
        }
        outcome
    }
}

fn early(ended: Option<Result<anyhow::Result<()>, tokio::task::JoinError>>) -> anyhow::Result<()> {
    match ended {
        Some(Ok(Ok(()))) | None => Err(anyhow::anyhow!("a part of netkeep ended by itself")),
        Some(Ok(Err(error))) => Err(error),
        Some(Err(panic)) => Err(panic.into()),
    }
}

/// Starts feeding the keyring and waits until it knows all credentials of this moment.
pub(crate) async fn feed_keyring(
    layers: &mut Layers,
    bus: &Bus,
    keyring: &Keyring,
    revoked: Option<tokio::sync::mpsc::UnboundedSender<String>>,
    erasure: Option<Erasure>,
) -> anyhow::Result<()> {
    let (loaded, ready) = oneshot::channel();
    let feeding = credentials::keep(bus.clone(), keyring.clone(), loaded, revoked, erasure);
    layers.push(|stop| async move {
        tokio::select! { () = stop.cancelled() => Ok(()), ended = feeding => ended }
    });
    tokio::time::timeout(Duration::from_secs(60), ready).await.context("the credentials were not read in time")??;
    Ok(())
}

/// Serves routes as the outermost layer.
pub(crate) fn serve(layers: &mut Layers, listener: tokio::net::TcpListener, gate: &Gate, routes: OpenApiRouter) {
    let router = gate::openapi::mount(routes);
    let gate = gate.clone();
    layers.push(|stop| async move { Ok(gate::serve(listener, router, &gate, stop, DRAIN).await?) });
}

/// Binds the address that the API is served on.
pub(crate) async fn listen(address: std::net::SocketAddr) -> anyhow::Result<tokio::net::TcpListener> {
    let listener = tokio::net::TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address}; is another netkeep running? (--listen)"))
}
