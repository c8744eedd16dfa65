//! A nats-server of the test's own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bus::topology::Topology;
use bus::{Bus, BusAuth};

pub(crate) struct Nats {
    child: Child,
    port: u16,
    pub(crate) url: String,
    folder: tempfile::TempDir,
}

impl Nats {
    /// Starts a server with all streams and buckets.
    pub(crate) async fn start() -> (Self, Bus) {
        Self::start_with(PAYLOAD_BYTES_MAX).await
    }

    /// Starts one that takes messages of so many bytes.
    pub(crate) async fn start_with(payload_bytes_max: usize) -> (Self, Bus) {
        let folder = tempfile::tempdir().unwrap();
        limit_payload(folder.path(), payload_bytes_max);
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = spawn(port, folder.path());
        let nats = Self { child, port, url: format!("nats://127.0.0.1:{port}"), folder };
        let bus = nats.connect().await;
        bus.ensure(&Topology::default()).await.unwrap();
        (nats, bus)
    }

    pub(crate) async fn connect(&self) -> Bus {
        let urls = [self.url.clone()];
        eventually("nats-server answers", async || Bus::connect(&urls, &BusAuth::None, "test").await.ok()).await
    }

    /// Kills the server without a warning.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on what it has.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(self.port, self.folder.path());
    }

    /// Starts it again as one that takes messages of so many bytes.
    pub(crate) fn start_again_with(&mut self, payload_bytes_max: usize) {
        limit_payload(self.folder.path(), payload_bytes_max);
        self.start_again();
    }

    /// Where a stream is kept.
    pub(crate) fn stream_folder(&self, stream: &str) -> PathBuf {
        self.folder.path().join("jetstream/$G/streams").join(stream)
    }

    /// A connection for what services never do.
    pub(crate) async fn raw(&self) -> async_nats::jetstream::Context {
        async_nats::jetstream::new(async_nats::connect(&self.url).await.unwrap())
    }
}

const CONFIG: &str = "nats.conf";
const PAYLOAD_BYTES_MAX: usize = 1 << 20;

fn limit_payload(folder: &Path, bytes: usize) {
    std::fs::write(folder.join(CONFIG), format!("max_payload: {bytes}\n")).unwrap();
}

fn spawn(port: u16, folder: &Path) -> Child {
    Command::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/nats-server"))
        .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
        .arg(folder)
        .arg("-c")
        .arg(folder.join(CONFIG))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nats-server is in .tools/bin (make tools)")
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// Waits until something is there.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = tokio::time::Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "in vain: {what}");
        // Waits for the condition above, until the deadline.
        tokio::time::sleep(POLL).await;
    }
}
