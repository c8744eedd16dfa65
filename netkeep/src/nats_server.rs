//! The nats-server that `netkeep up` starts, watches and stops.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::keys::InstanceKeys;

/// The account that devices are placed in. It shares with the services' own just what devices need, and replies are
/// the server's to carry: no device can have an answer delivered where it may not publish.
pub(crate) const DEVICE_ACCOUNT: &str = "EDGE";
/// Versions before this one lose data or lack what we need.
const VERSION_MIN: (u32, u32) = (2, 15);
const START_DEADLINE: Duration = Duration::from_secs(30);
const ORPHAN_DEADLINE: Duration = Duration::from_secs(10);
const STOP_DEADLINE: Duration = Duration::from_secs(20);
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// One commit or flow batch; the streams' own limits are lower.
const MESSAGE_BYTES_MAX: u32 = 8 << 20;
/// What may wait for one connection before the server hangs up: several readers of large commits share it.
const PENDING_BYTES_MAX: u32 = 512 << 20;

/// A nats-server with its own data folder and configuration.
pub(crate) struct NatsServer {
    program: PathBuf,
    config: PathBuf,
    listen: SocketAddr,
    child: Child,
}

impl NatsServer {
    /// Writes the configuration, starts the server and waits until it takes connections.
    pub(crate) async fn start(
        program: &Path,
        dir: &Path,
        listen: SocketAddr,
        keys: &InstanceKeys,
    ) -> anyhow::Result<Self> {
        await_free(listen).await?;
        std::fs::create_dir_all(dir)?;
        let config = dir.join("nats-server.conf");
        std::fs::write(&config, configuration(&dir.join("data"), listen, keys)?)?;
        let child = spawn(program, &config)?;
        let mut server = Self { program: program.to_owned(), config, listen, child };
        server.await_ready().await?;
        Ok(server)
    }

    /// Watches the server and starts it again if it ends; stops it when told to.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return self.stop().await,
                ended = self.child.wait() => {
                    error!("nats-server ended by itself ({ended:?}), starting it again");
                    sleep(RESTART_PAUSE).await;
                    self.child = spawn(&self.program, &self.config)?;
                    if let Err(error) = self.await_ready().await {
                        warn!("{error:#}");
                    }
                }
            }
        }
    }

    async fn await_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("nats-server ended at once with {status}; its last words are in the log above");
            }
            if greets(self.listen).await {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("nats-server does not answer on {} after {START_DEADLINE:?}", self.listen);
            }
            // Polled, because a server tells nobody that it is ready.
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        let Some(pid) = self.child.id() else { return Ok(()) };
        terminate(pid);
        match timeout(STOP_DEADLINE, self.child.wait()).await {
            Ok(status) => info!("nats-server stopped with {}", status?),
            Err(_) => {
                warn!("nats-server did not stop within {STOP_DEADLINE:?}, ending it");
                self.child.kill().await?;
            }
        }
        Ok(())
    }
}

/// Waits until nobody listens there: the server of a netkeep that was killed needs a moment to notice.
async fn await_free(listen: SocketAddr) -> anyhow::Result<()> {
    let deadline = Instant::now() + ORPHAN_DEADLINE;
    while let Err(error) = std::net::TcpListener::bind(listen) {
        if Instant::now() > deadline {
            bail!(
                "cannot listen for NATS on {listen}: {error}; is another netkeep or nats-server running? (--nats-listen)"
            );
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Finds a nats-server that is new enough: as told, on the path, beside this program, or in a `.tools` folder above.
pub(crate) async fn find(told: Option<&Path>) -> anyhow::Result<PathBuf> {
    let mut tried = String::new();
    for candidate in candidates(told) {
        match version(&candidate).await {
            Ok(version) if version >= VERSION_MIN => return Ok(candidate),
            Ok((major, minor)) => writeln!(tried, "  {} is {major}.{minor}", candidate.display())?,
            Err(error) => writeln!(tried, "  {}: {error:#}", candidate.display())?,
        }
    }
    let (major, minor) = VERSION_MIN;
    bail!("no nats-server {major}.{minor} or newer found (`make tools` gets one; --nats-server names one):\n{tried}")
}

fn candidates(told: Option<&Path>) -> Vec<PathBuf> {
    if let Some(told) = told {
        return vec![told.to_owned()];
    }
    let mut candidates = vec![PathBuf::from("nats-server")];
    let program = std::env::current_exe().ok();
    candidates.extend(program.iter().filter_map(|program| program.parent()).map(|folder| folder.join("nats-server")));
    let here = std::env::current_dir().ok();
    let above = program.iter().chain(&here).flat_map(|path| path.ancestors());
    candidates.extend(above.map(|folder| folder.join(".tools/bin/nats-server")).filter(|path| path.exists()));
    candidates
}

async fn version(program: &Path) -> anyhow::Result<(u32, u32)> {
    let output = Command::new(program).arg("--version").output().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers = text.rsplit('v').next().unwrap_or_default();
    let mut numbers = numbers.trim().split(['.', '-']).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => bail!("says {text:?} when asked for its version"),
    }
}

/// Accounts: the services, the devices, the callout, and the system's own.
pub(crate) fn configuration(data: &Path, listen: SocketAddr, keys: &InstanceKeys) -> anyhow::Result<String> {
    let service = keys.service_user()?.public_key();
    let callout = keys.callout_user()?.public_key();
    let system = keys.system_user()?.public_key();
    let issuer = keys.admission_issuer()?.public_key();
    let data = data.to_str().context("the data folder's path is not UTF-8")?;
    Ok(format!(
        r#"# Written by netkeep; `netkeep up` writes its own at every start.
server_name: netkeep
listen: "{listen}"
max_payload: {MESSAGE_BYTES_MAX}
max_pending: {PENDING_BYTES_MAX}
jetstream {{
  store_dir: {data:?}
  # Acknowledged means on disk.
  sync_interval: always
}}
accounts {{
  APP {{
    jetstream: enabled
    users: [{{ nkey: {service} }}]
    exports: [
      {{ service: "agent.*.*.report" }}
      {{ service: "agent.*.*.telemetry" }}
      {{ service: "flows.*.*" }}
      {{ service: "$JS.API.DIRECT.GET.DEVICES.>" }}
      {{ stream: "device.*.*.config" }}
    ]
  }}
  {DEVICE_ACCOUNT} {{
    imports: [
      {{ service: {{ account: APP, subject: "agent.*.*.report" }} }}
      {{ service: {{ account: APP, subject: "agent.*.*.telemetry" }} }}
      {{ service: {{ account: APP, subject: "flows.*.*" }} }}
      {{ service: {{ account: APP, subject: "$JS.API.DIRECT.GET.DEVICES.>" }} }}
      {{ stream: {{ account: APP, subject: "device.*.*.config" }} }}
    ]
  }}
  AUTH {{ users: [{{ nkey: {callout} }}] }}
  SYS {{ users: [{{ nkey: {system} }}] }}
}}
system_account: SYS
authorization {{
  timeout: 3
  auth_callout {{ issuer: {issuer}, account: AUTH, auth_users: [{service}, {callout}, {system}] }}
}}
"#
    ))
}

fn spawn(program: &Path, config: &Path) -> anyhow::Result<Child> {
    let mut command = Command::new(program);
    command.arg("-c").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    die_with_parent(&mut command);
    let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if line.contains("[ERR]") || line.contains("[FTL]") {
                    warn!("nats-server: {line}");
                } else {
                    debug!("nats-server: {line}");
                }
            }
        });
    }
    Ok(child)
}

/// An orphaned server would hold the port and the data folder: it ends with us, however we end. It has a process
/// group of its own, so that Ctrl-C reaches us first and nothing that is under way loses its log.
#[expect(unsafe_code, reason = "prctl and setpgid between fork and exec are async-signal-safe and touch no memory")]
fn die_with_parent(command: &mut Command) {
    command.process_group(0);
    // SAFETY: the closure makes one async-signal-safe system call.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

#[expect(unsafe_code, reason = "there is no safe kill(2) in std")]
fn terminate(pid: u32) {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return };
    // SAFETY: kill(2) touches no memory of ours, and the child is not reaped while we hold it.
    unsafe { libc::kill(pid, libc::SIGTERM) };
}

/// Whether a NATS server greets with its INFO line.
async fn greets(address: SocketAddr) -> bool {
    let greeting = async {
        let stream = tokio::net::TcpStream::connect(address).await.ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await.ok()?;
        Some(line.starts_with("INFO"))
    };
    timeout(Duration::from_secs(2), greeting).await.ok().flatten().unwrap_or(false)
}
