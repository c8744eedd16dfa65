//! `netkeep up`: the whole of Netkeep in one process.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bus::Bus;
use schemas::id::OrgId;
use schemas::subjects;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::control::{Aside, DoorConfig, Ground, JournalConfig, Layers, feed_keyring, listen, serve};
use crate::founding::found;
use crate::keys::InstanceKeys;
use crate::nats_server::{NatsServer, find};

/// A start folds the whole event log before it writes read models, and `--new-token` may find a long one.
const VISIBLE_DEADLINE: Duration = Duration::from_secs(300);

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Config {
    /// Where the API is served
    #[arg(long, env = "NETKEEP_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where everything is kept: keys, events, read models, traffic
    #[arg(long, env = "NETKEEP_DATA_DIR", default_value = "netkeep-data")]
    data_dir: PathBuf,
    /// Where nats-server listens; devices connect there
    #[arg(long, env = "NETKEEP_NATS_LISTEN", default_value = "127.0.0.1:4222")]
    nats_listen: SocketAddr,
    /// The NATS addresses that devices are told, if they see it under others than --nats-listen
    #[arg(long, env = "NETKEEP_NATS_ADVERTISE", value_delimiter = ',')]
    nats_advertise: Vec<String>,
    /// The nats-server program, 2.15 or newer; found by itself if absent
    #[arg(long, env = "NETKEEP_NATS_SERVER")]
    nats_server: Option<PathBuf>,
    /// The org that the first start founds
    #[arg(long, env = "NETKEEP_ORG", default_value = "default")]
    org: OrgId,
    /// Prints another owner token, for who lost the first
    #[arg(long)]
    new_token: bool,
    #[command(flatten)]
    journal: JournalConfig,
    #[command(flatten)]
    door: DoorConfig,
    #[command(flatten)]
    projector: projector::Config,
    #[command(flatten)]
    query: query_svc::Config,
}

/// Runs until told to stop, also while it starts.
pub(crate) async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let _lock = own(&config.data_dir)?;
    let layers = tokio::select! {
        layers = start(config) => layers?,
        () = stop.cancelled() => return Ok(()),
    };
    layers.run(stop).await
}

async fn start(config: Config) -> anyhow::Result<Layers> {
    let journal = config.journal.choice()?;
    let program = find(config.nats_server.as_deref()).await?;
    let door = config.door.open()?;
    let listener = listen(config.listen).await?;
    let url = format!("http://{}", reachable(listener.local_addr()?));

    let data = &config.data_dir;
    let keys = InstanceKeys::load_or_create(&data.join("instance.key"))?;
    let nats = NatsServer::start(&program, &data.join("nats"), config.nats_listen, &keys).await?;
    let nats_url = format!("nats://{}", reachable(config.nats_listen));
    let ground = Ground { nats_urls: vec![nats_url.clone()], keys, store: data.join("store"), replicas: 1 };
    let mut layers = Layers::default();
    layers.push(|stop| nats.run(stop));

    let bus = ground.bus("netkeep").await?;
    let aside = Aside::new(&bus);
    let device_urls = if config.nats_advertise.is_empty() { vec![nats_url] } else { config.nats_advertise };
    let command = ground.command(&bus, journal.open(&bus)?, &door, &aside, device_urls).await?;
    let erasure = aside.erase_gone(&mut layers, &bus);
    feed_keyring(&mut layers, &bus, &door.keyring, Some(command.revocations()), Some(erasure)).await?;
    let projector = ground.projector(&bus, config.projector).await?;
    let query = ground.query(&bus, &door.gate, &aside, config.query)?;
    let routes = command.router().merge(query.router());
    let orgs = command.orgs().clone();
    layers.push(|stop| async move { Ok(projector.run(stop).await?) });
    layers.push(|stop| async move { Ok(query.run(stop).await?) });
    layers.push(|stop| async move { Ok(command.run(stop).await?) });
    aside.await_people().await;

    let founded = data.join("founded");
    let token = if config.new_token || !founded.exists() {
        let token = found(&orgs, &ground.secrets()?, &config.org).await?;
        await_visible(&bus, &config.org).await?;
        Some(token)
    } else {
        None
    };
    door.keep_counts(&mut layers, &bus, &aside.uses);
    serve(&mut layers, listener, &door.gate, routes);
    announce(&url, token.as_deref())?;
    // Written after the token was shown: a start that is cut off before shows another one.
    File::create(&founded)?.sync_all()?;
    info!("ready at {url}, API description at {url}/api-docs");
    Ok(layers)
}

/// Waits until readers find the org: who is told that all is ready may ask at once.
async fn await_visible(bus: &Bus, org: &OrgId) -> anyhow::Result<()> {
    let models = bus.bucket(subjects::STATE_BUCKET);
    let seen = async {
        while models.read(&subjects::head_key(org)).await?.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    };
    tokio::time::timeout(VISIBLE_DEADLINE, seen).await.context("the read models of the org were not there in time")?
}

/// Makes the data folder, readable by its owner only, and keeps other netkeeps out of it.
fn own(dir: &Path) -> anyhow::Result<File> {
    use std::os::unix::fs::PermissionsExt;
    let made = std::fs::create_dir_all(dir);
    let closed = made.and_then(|()| std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)));
    closed.with_context(|| format!("cannot make the data folder {} one's own", dir.display()))?;
    let lock = File::create(dir.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => bail!("another netkeep uses the data folder {}", dir.display()),
        Err(std::fs::TryLockError::Error(error)) => Err(error).context("cannot lock the data folder"),
    }
}

/// The address under which this machine reaches what listens there.
fn reachable(listening: SocketAddr) -> SocketAddr {
    match listening.ip() {
        ip if ip.is_unspecified() => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), listening.port()),
        _ => listening,
    }
}

/// What scripts read: one line each on stdout.
fn announce(url: &str, token: Option<&str>) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "NETKEEP_URL={url}")?;
    if let Some(token) = token {
        writeln!(out, "NETKEEP_TOKEN={token}")?;
    }
    Ok(out.flush()?)
}
