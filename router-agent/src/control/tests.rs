//! What the control loop promises, without a kernel.

use nkeys::KeyPair;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;
use crate::signed::tests::{block_telnet, config, membership, sign};

struct Rig {
    control: Control,
    key: KeyPair,
    running: watch::Receiver<Arc<Running>>,
    reports: mpsc::Receiver<Report>,
    stop: CancellationToken,
    folder: tempfile::TempDir,
}

impl Rig {
    fn new(url: String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::in_folder(url, KeyPair::new_account(), folder)
    }

    fn in_folder(url: String, key: KeyPair, folder: tempfile::TempDir) -> Self {
        let (running, watch) = watch::channel(Arc::new(Running::default()));
        let (sender, reports) = mpsc::channel(8);
        let stored = folder.path().join("config.json");
        let within = Duration::from_millis(300);
        let control = Control::new(membership(&key), vec![url], Enforcer::Replay, running, stored, within, sender);
        Self { control, key, running: watch, reports, stop: CancellationToken::new(), folder }
    }

    /// Pushes a config of this revision and gives what was reported.
    async fn push(&mut self, revision: u64) -> Option<(u64, Outcome)> {
        let bytes = sign(&self.key, &config(&self.control.membership, revision));
        self.consider(&bytes).await;
        self.reports.try_recv().ok().map(|report| (report.revision, report.outcome))
    }

    async fn consider(&mut self, bytes: &[u8]) {
        if let Some(accepted) = verified(bytes, &self.control.membership) {
            self.control.consider(bytes, accepted, &self.stop).await;
        }
    }

    fn revision(&self) -> u64 {
        self.running.borrow().revision()
    }
}

pub(super) async fn bus_that_greets() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"INFO {}\r\n").await;
        }
    });
    format!("nats://{address}")
}

#[tokio::test]
async fn each_config_is_applied_and_reported_once_and_older_ones_never() {
    let mut rig = Rig::new(bus_that_greets().await);
    assert_eq!(rig.push(5).await, Some((5, Outcome::Applied)));
    assert_eq!(rig.push(5).await, None);
    assert_eq!(rig.push(4).await, None);
    assert_eq!(rig.revision(), 5);
    assert_eq!(rig.push(6).await, Some((6, Outcome::Applied)));
}

#[tokio::test]
async fn what_others_signed_changes_nothing() {
    let mut rig = Rig::new(bus_that_greets().await);
    let forged = sign(&KeyPair::new_account(), &config(&rig.control.membership, 9));
    rig.consider(&forged).await;
    assert_eq!((rig.revision(), rig.reports.try_recv().is_err()), (0, true));
}

#[tokio::test]
async fn rules_over_which_nobody_is_reached_do_not_stay() {
    let mut rig = Rig::new("nats://127.0.0.1:1".to_owned());
    let outcome = rig.push(5).await;
    assert!(matches!(outcome, Some((5, Outcome::Reverted { .. }))), "{outcome:?}");
    assert_eq!(rig.revision(), 0);
    assert!(!rig.control.stored.exists(), "what was not proved is not kept");
    assert_eq!(rig.push(5).await, None, "not tried again at once");
}

#[tokio::test]
async fn stopped_before_the_proof_the_previous_rules_come_back() {
    let mut rig = Rig::new("nats://127.0.0.1:1".to_owned());
    rig.stop.cancel();
    assert_eq!(rig.push(5).await, None);
    assert_eq!(rig.revision(), 0);
}

#[tokio::test]
async fn the_last_good_config_is_back_after_a_restart_and_is_reported_again() {
    let url = bus_that_greets().await;
    let mut rig = Rig::new(url.clone());
    rig.push(5).await;
    let mut again = Rig::in_folder(url, rig.key, rig.folder);
    again.control.restore().await;
    assert_eq!(again.revision(), 5);
    assert_eq!(again.push(5).await, Some((5, Outcome::Applied)));
}

/// A rule of what a domain stands for, with an end.
fn of_a_domain(config: &mut schemas::config::DeviceConfig, expires_in: chrono::TimeDelta) {
    let id = schemas::id::AddressId::default();
    let set = json!({"id": id, "spans": [], "domains": ["www.example.com"]});
    config.ruleset.sets = vec![Arc::new(serde_json::from_value(set).expect("a set"))];
    config.ruleset.rules = vec![schemas::config::RulesetRule {
        sources: vec![schemas::selector::Selector::Address(id)],
        expires_at: Some(now() + expires_in),
        ..block_telnet(schemas::id::RuleId::default().into(), 7)
    }];
}

#[tokio::test]
async fn what_holds_follows_the_clock_and_what_dns_says() {
    let mut rig = Rig::new(bus_that_greets().await);
    let (names, answers) = watch::channel(Arc::default());
    rig.control = rig.control.with_names(answers);
    let mut config = config(&rig.control.membership, 5);
    of_a_domain(&mut config, chrono::TimeDelta::milliseconds(600));
    rig.consider(&sign(&rig.key, &config)).await;
    let in_force = |rig: &Rig| rig.running.borrow().in_force.clone();
    assert_eq!((in_force(&rig).rules.len(), in_force(&rig).sets[0].spans.len()), (1, 0));

    let found = ["192.0.2.1".parse().expect("an address")].into();
    let domain = "www.example.com".parse().expect("a domain");
    names.send_replace(Arc::new(policy::Answers::from([(domain, found)])));
    rig.control.keep_up().await;
    assert_eq!(in_force(&rig).sets[0].spans.len(), 1);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !in_force(&rig).rules.is_empty() {
        assert!(Instant::now() < deadline, "the rule has an end");
        rig.control.keep_up().await;
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.revision(), 5);
    assert_eq!(rig.running.borrow().rule(7), Some(schemas::id::RuleId::default().into()), "of a verdict under way");
}

#[tokio::test]
async fn of_the_configs_that_wait_only_the_newest_of_ours_counts() {
    let key = KeyPair::new_account();
    let member = membership(&key);
    let signed = |key: &KeyPair, revision| Bytes::from(sign(key, &config(&member, revision)));
    let (sender, queue) = futures::channel::mpsc::unbounded();
    let stranger = KeyPair::new_account();
    let waiting = [signed(&key, 7), signed(&stranger, 9), signed(&key, 6), Bytes::from_static(b"nonsense")];
    for bytes in waiting {
        sender.unbounded_send(bytes).expect("sent");
    }
    let mut queue = std::pin::pin!(queue);
    let (bytes, accepted) = newest(signed(&key, 5), queue.as_mut(), &member).expect("one of ours");
    assert_eq!((accepted.config.revision, &bytes), (7, &signed(&key, 7)));
    assert!(queue.next().now_or_never().is_none(), "nothing is left for later, and nothing was waited for");
    assert_eq!(newest(signed(&stranger, 9), queue, &member), None);
}
