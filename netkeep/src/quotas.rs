//! Keeps the daily counts of requests one in all replicas and over restarts: tells the bus what was counted here, and
//! the front door what was counted everywhere.

use std::time::Duration;

use bus::Bus;
use bus::quota::Quotas;
use futures::StreamExt;
use gate::Limits;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How long a replica may count alone.
const PERIOD: Duration = Duration::from_secs(1);
/// Counters that are told of at one time.
const AT_ONCE: usize = 64;
/// How long the last telling may take.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Tells and learns every second, and at once when an org comes for the first time; for the last time on `stop`.
pub(crate) async fn keep(bus: Bus, limits: Limits, stop: CancellationToken) -> anyhow::Result<()> {
    let quotas = bus.quotas();
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = period.tick() => {}
            () = limits.first_sight() => {}
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tell(&quotas, &limits) => {}
        }
    }
    if tokio::time::timeout(LAST_WORDS, tell(&quotas, &limits)).await.is_err() {
        warn!("the last requests of this process are not counted: the bus did not answer");
    }
    Ok(())
}

/// Tells all that is to be told. What cannot be told stays with the limits until the next time.
async fn tell(quotas: &Quotas, limits: &Limits) {
    let adding = limits.drain().into_iter().map(|(org, day, requests)| {
        let quotas = quotas.clone();
        async move {
            let sum = quotas.add(&org, day, requests).await;
            (org, day, sum)
        }
    });
    let mut sums = futures::stream::iter(adding).buffer_unordered(AT_ONCE);
    let mut failed = None;
    while let Some((org, day, sum)) = sums.next().await {
        match sum {
            Ok(sum) => limits.learn(&org, day, sum),
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = failed {
        warn!("requests are counted by this process alone for now: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};

    use bus::BusAuth;
    use bus::topology::Topology;
    use gate::{Gate, GateConfig, Keyring, OrgFacts};
    use schemas::access::Role;
    use schemas::credential::{Credential, CredentialKey};
    use schemas::event::SecretHash;
    use schemas::id::{ApiTokenId, OrgId, Ulid, UserId};
    use schemas::plan::Plan;

    use super::*;

    struct Nats {
        child: Child,
        url: String,
        _folder: tempfile::TempDir,
    }

    impl Nats {
        fn start() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let child = Command::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/nats-server"))
                .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
                .arg(folder.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("nats-server is in .tools/bin (make tools)");
            Self { child, url: format!("nats://127.0.0.1:{port}"), _folder: folder }
        }

        async fn bus(&self) -> Bus {
            let urls = [self.url.clone()];
            eventually(async || Bus::connect(&urls, &BusAuth::None, "test").await.ok()).await
        }
    }

    impl Drop for Nats {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let begun = tokio::time::Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "in vain");
            // Waits for the condition above, until the deadline.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// One process that answers for an org with twenty requests a day.
    struct Replica {
        gate: Gate,
        stop: CancellationToken,
        keeping: tokio::task::JoinHandle<anyhow::Result<()>>,
    }

    fn acme() -> OrgId {
        "acme".parse().unwrap()
    }

    impl Replica {
        async fn start(nats: &Nats) -> Self {
            let bus = nats.bus().await;
            eventually(async || bus.ensure(&Topology::default()).await.ok()).await;
            let keyring = Keyring::default();
            keyring.set_org(&acme(), OrgFacts { plan: Plan::Free, ..OrgFacts::default() });
            let token = Credential::ApiToken {
                org: acme(),
                id: ApiTokenId::new(Ulid::from_parts(1, 1)),
                owner_id: UserId::new(Ulid::from_parts(1, 2)),
                role: Role::Viewer,
                expires_at: None,
                scopes: Vec::new(),
                revoked: false,
            };
            keyring.put(CredentialKey::Secret(SecretHash::of("nk_1")), token);
            let config = GateConfig { limits: vec!["free.per_day=20".to_owned()], ..GateConfig::default() };
            let gate = Gate::new(keyring, None, &config).unwrap();
            let stop = CancellationToken::new();
            let keeping = tokio::spawn(keep(bus, gate.limits().clone(), stop.clone()));
            Self { gate, stop, keeping }
        }

        /// Sends requests and counts those that are let in.
        async fn send(&self, requests: u32) -> u32 {
            let mut entered = 0;
            for _ in 0..requests {
                let request = axum::http::Request::builder().header("Authorization", "Bearer nk_1").body(()).unwrap();
                entered += u32::from(self.gate.admit(&request.into_parts().0).await.is_ok());
            }
            entered
        }

        async fn knows(&self, requests: u64) {
            let limits = self.gate.limits();
            eventually(async || (limits.usage(&acme()).requests_today >= requests).then_some(())).await;
        }

        async fn stop(self) {
            self.stop.cancel();
            self.keeping.await.unwrap().unwrap();
        }
    }

    async fn stored(bus: &Bus, requests: u64) {
        #[expect(clippy::disallowed_methods, reason = "what is counted at the time of the test counts for today")]
        let today = chrono::Utc::now().date_naive();
        let sum = async || bus.quotas().read(&acme(), today).await.ok();
        eventually(async || sum().await.filter(|sum| *sum == requests)).await;
    }

    #[tokio::test]
    async fn a_day_is_one_for_all_replicas_and_outlives_each() {
        let nats = Nats::start();
        let (one, other) = (Replica::start(&nats).await, Replica::start(&nats).await);
        assert_eq!(one.send(8).await, 8);
        stored(&nats.bus().await, 8).await;
        assert_eq!(other.send(4).await, 4);
        other.knows(12).await;
        // What was counted last is told on the way out.
        assert_eq!(one.send(3).await, 3);
        one.stop().await;
        other.stop().await;
        let again = Replica::start(&nats).await;
        assert_eq!(again.send(1).await, 1);
        again.knows(16).await;
        assert_eq!(again.send(10).await, 4);
        again.stop().await;
    }
}
