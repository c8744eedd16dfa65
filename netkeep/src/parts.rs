//! Each part of Netkeep by itself, against an existing NATS and object store.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use command_svc::journal::Journal;
use command_svc::orgs::Orgs;
use command_svc::sign_in::Desk;
use schemas::credential::changed_by;
use schemas::event::Recorded;
use schemas::id::OrgId;
use schemas::plan::Plan;
use tokio_util::sync::CancellationToken;

use crate::control::{Aside, Door, DoorConfig, Ground, JournalConfig, Layers, feed_keyring, listen, serve};
use crate::keys::InstanceKeys;
use crate::{founding, nats_server};

/// Where the bus is and who we are on it.
#[derive(Debug, clap::Args)]
pub(crate) struct BusConfig {
    /// Addresses of NATS, with commas between them
    #[arg(long, env = "NETKEEP_NATS_URL", default_value = "nats://127.0.0.1:4222", value_delimiter = ',')]
    nats_url: Vec<String>,
    /// The key file that the NATS configuration was made with (`netkeep nats-config`)
    #[arg(long, env = "NETKEEP_KEYS", default_value = "netkeep-data/instance.key")]
    keys: PathBuf,
    /// Copies of each stream on a NATS cluster: 1, 3 or 5; what has more keeps them
    #[arg(long, env = "NETKEEP_REPLICAS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FoundConfig {
    #[command(flatten)]
    bus: BusConfig,
    #[command(flatten)]
    journal: JournalConfig,
    /// The orgs to found, with commas between them; one that is there gets another owner
    #[arg(long, env = "NETKEEP_ORG", default_value = "default", value_delimiter = ',')]
    org: Vec<OrgId>,
    /// How much they may have and ask: free, team, enterprise or unmetered; absent: a new one is unmetered
    #[arg(long, value_parser = plan_of)]
    plan: Option<Plan>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PlanConfig {
    #[command(flatten)]
    bus: BusConfig,
    #[command(flatten)]
    journal: JournalConfig,
    /// The org that gets the plan
    #[arg(long, env = "NETKEEP_ORG", default_value = "default")]
    org: OrgId,
    /// How much the org may have and ask: free, team, enterprise or unmetered
    #[arg(long, value_parser = plan_of)]
    plan: Plan,
}

fn plan_of(word: &str) -> Result<Plan, String> {
    let known = Plan::ALL.into_iter().find(|plan| plan.word() == word);
    known.ok_or_else(|| format!("a plan is one of {}", Plan::ALL.map(Plan::word).join(", ")))
}

#[derive(Debug, clap::Args)]
pub(crate) struct CommandConfig {
    #[command(flatten)]
    bus: BusConfig,
    #[command(flatten)]
    journal: JournalConfig,
    /// Where the write side of the API is served
    #[arg(long, env = "NETKEEP_LISTEN", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// The NATS addresses that devices are told, if they see it under others than --nats-url
    #[arg(long, env = "NETKEEP_NATS_ADVERTISE", value_delimiter = ',')]
    nats_advertise: Vec<String>,
    #[command(flatten)]
    door: DoorConfig,
}

#[derive(Debug, clap::Args)]
pub(crate) struct QueryConfig {
    #[command(flatten)]
    bus: BusConfig,
    #[command(flatten)]
    journal: JournalConfig,
    /// The root of the object store
    #[arg(long, env = "NETKEEP_STORE", default_value = "netkeep-data/store")]
    store: PathBuf,
    /// Where the read side of the API is served
    #[arg(long, env = "NETKEEP_LISTEN", default_value = "127.0.0.1:8082")]
    listen: SocketAddr,
    #[command(flatten)]
    door: DoorConfig,
    #[command(flatten)]
    query: query_svc::Config,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ProjectConfig {
    #[command(flatten)]
    bus: BusConfig,
    /// The root of the object store
    #[arg(long, env = "NETKEEP_STORE", default_value = "netkeep-data/store")]
    store: PathBuf,
    #[command(flatten)]
    projector: projector::Config,
}

#[derive(Debug, clap::Args)]
pub(crate) struct NatsConfig {
    /// The key file; made if it is not there
    #[arg(long, env = "NETKEEP_KEYS", default_value = "netkeep-data/instance.key")]
    keys: PathBuf,
    /// Where nats-server is to listen
    #[arg(long, default_value = "127.0.0.1:4222")]
    listen: SocketAddr,
    /// Where nats-server is to keep its data
    #[arg(long, default_value = "netkeep-data/nats/data")]
    store: PathBuf,
}

impl BusConfig {
    fn ground(&self, store: PathBuf) -> anyhow::Result<Ground> {
        let keys = InstanceKeys::load(&self.keys)?;
        Ok(Ground { nats_urls: self.nats_url.clone(), keys, store, replicas: usize::from(self.replicas) })
    }
}

/// Founds orgs on a NATS of the user's own, and shows their owners' tokens; of several each with its org.
pub(crate) async fn found(config: FoundConfig) -> anyhow::Result<()> {
    use std::io::Write;
    let journal = config.journal.choice()?;
    let ground = config.bus.ground(PathBuf::new())?;
    let bus = ground.bus("found").await?;
    let secrets = ground.secrets()?;
    let orgs = Orgs::new(journal.open(&bus)?, Arc::new(|_, _| {}), secrets.clone());
    for org in &config.org {
        let token = founding::found(&orgs, &secrets, org).await?;
        if let Some(plan) = config.plan {
            founding::set_plan(&orgs, org, plan).await?;
        }
        let mut out = std::io::stdout().lock();
        if config.org.len() > 1 {
            write!(out, "NETKEEP_ORG={org} ")?;
        }
        writeln!(out, "NETKEEP_TOKEN={token}")?;
    }
    orgs.drain().await;
    Ok(())
}

/// Gives an org another plan. What it has above it stays.
pub(crate) async fn plan(config: PlanConfig) -> anyhow::Result<()> {
    let journal = config.journal.choice()?;
    let ground = config.bus.ground(PathBuf::new())?;
    let bus = ground.bus("plan").await?;
    let orgs = Orgs::new(journal.open(&bus)?, Arc::new(|_, _| {}), ground.secrets()?);
    let outcome = founding::set_plan(&orgs, &config.org, config.plan).await;
    orgs.drain().await;
    outcome
}

pub(crate) async fn command(config: CommandConfig, stop: CancellationToken) -> anyhow::Result<()> {
    let journal = config.journal.choice()?;
    let door = config.door.open()?;
    let listener = listen(config.listen).await?;
    let ground = config.bus.ground(PathBuf::new())?;
    let bus = ground.bus("command-svc").await?;
    let told = if config.nats_advertise.is_empty() { config.bus.nats_url } else { config.nats_advertise };
    let aside = Aside::new(&bus);
    let service = ground.command(&bus, journal.open(&bus)?, &door, &aside, told).await?;
    let mut layers = Layers::default();
    let erasure = aside.erase_gone(&mut layers, &bus);
    feed_keyring(&mut layers, &bus, &door.keyring, Some(service.revocations()), Some(erasure)).await?;
    aside.follow_people(&mut layers);
    aside.await_people().await;
    let routes = service.router();
    layers.push(|stop| async move { Ok(service.run(stop).await?) });
    door.keep_counts(&mut layers, &bus, &aside.uses);
    serve(&mut layers, listener, &door.gate, routes);
    layers.run(stop).await
}

pub(crate) async fn query(config: QueryConfig, stop: CancellationToken) -> anyhow::Result<()> {
    let journal = config.journal.choice()?;
    let door = config.door.open()?;
    let listener = listen(config.listen).await?;
    let ground = config.bus.ground(config.store)?;
    let bus = ground.bus("query-svc").await?;
    let mut layers = Layers::default();
    feed_keyring(&mut layers, &bus, &door.keyring, None, None).await?;
    let aside = Aside::new(&bus);
    sign_in_here(&mut layers, &ground, journal.open(&bus)?, &door, &aside)?;
    let service = ground.query(&bus, &door.gate, &aside, config.query)?;
    let routes = service.router();
    layers.push(|stop| async move { Ok(service.run(stop).await?) });
    aside.await_people().await;
    door.keep_counts(&mut layers, &bus, &aside.uses);
    serve(&mut layers, listener, &door.gate, routes);
    layers.run(stop).await
}

/// Signs people in at a read side of its own: a first sign-in is the one thing that it writes.
fn sign_in_here(
    layers: &mut Layers,
    ground: &Ground,
    journal: Journal,
    door: &Door,
    aside: &Aside,
) -> anyhow::Result<()> {
    let (secrets, keyring) = (ground.secrets()?, door.keyring.clone());
    let observer = move |org: &OrgId, recorded: &Recorded| {
        if let Some(change) = changed_by(org, &recorded.event) {
            keyring.apply(org, change);
        }
    };
    let orgs = Orgs::new(journal, Arc::new(observer), secrets.clone());
    let desk = Desk {
        orgs: orgs.clone(),
        keyring: door.keyring.clone(),
        people: aside.people.clone(),
        secrets,
        first: door.first_sign_in,
    };
    door.gate.on_sign_in(desk.hook());
    layers.push(|stop| async move {
        stop.cancelled().await;
        orgs.drain().await;
        Ok(())
    });
    Ok(())
}

pub(crate) async fn project(config: ProjectConfig, stop: CancellationToken) -> anyhow::Result<()> {
    let ground = config.bus.ground(config.store)?;
    let bus = ground.bus("projector").await?;
    let projector = ground.projector(&bus, config.projector).await?;
    Ok(projector.run(stop).await?)
}

pub(crate) async fn agent(config: router_agent::Config, stop: CancellationToken) -> anyhow::Result<()> {
    let agent = router_agent::Agent::bind(config)?;
    Ok(agent.run(stop).await?)
}

pub(crate) fn nats_config(config: &NatsConfig) -> anyhow::Result<()> {
    use std::io::Write;
    if let Some(folder) = config.keys.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let keys = InstanceKeys::load_or_create(&config.keys)?;
    let text = nats_server::configuration(&config.store, config.listen, &keys)?;
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}
