//! A nats-server of the test's own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bus::topology::Topology;
use bus::{Bus, BusAuth};

pub(crate) struct Nats {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Nats {
    /// Starts a server with all streams and buckets.
    pub(crate) async fn start() -> (Self, Bus) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(CONFIG), "max_payload: 8388608\n").unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = spawn(port, folder.path());
        let nats = Self { child, port, folder };
        let bus = nats.connect().await;
        bus.ensure(&Topology::default()).await.unwrap();
        (nats, bus)
    }

    /// A connection of its own, as another process has one.
    pub(crate) async fn connect(&self) -> Bus {
        let urls = [self.url()];
        eventually("nats-server answers", async || Bus::connect(&urls, &BusAuth::None, "test").await.ok()).await
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
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
}

const CONFIG: &str = "nats.conf";

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

const DEADLINE: Duration = Duration::from_secs(60);
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
