//! What the control loop promises of the kernel, with real nft in a network namespace of the test's own.

use std::path::Path;
use std::process::Command;

use nkeys::KeyPair;
use schemas::config::{RulesetRule, RulesetService};
use schemas::device::Mode;
use schemas::id::{RuleId, Ulid};
use schemas::service::{PortRange, Protocol};

use super::*;
use crate::signed::tests::{block_telnet, config, membership, sign};

/// Names the folder of nft's faults to the process inside the namespace.
const INSIDE: &str = "NETKEEP_TEST_NFT_FAULTS";

/// The real nft, save for one `-f` that works and says it did not (`lies`), and those that do nothing (`refuses`).
const NFT: &str = r#"#!/bin/sh
if [ "$1" = -f ] && [ -e "$NETKEEP_TEST_NFT_FAULTS/lies" ]; then
    rm "$NETKEEP_TEST_NFT_FAULTS/lies"; "$NFT_REAL" "$@"; echo "nothing was done" >&2; exit 1
fi
if [ "$1" = -f ] && [ -e "$NETKEEP_TEST_NFT_FAULTS/refuses" ]; then
    cat >/dev/null; echo "not just yet" >&2; exit 1
fi
exec "$NFT_REAL" "$@"
"#;

#[test]
fn the_kernel_keeps_the_rules_it_should() {
    if std::env::var(INSIDE).is_ok() {
        return;
    }
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"));
    if !is_root {
        return eprintln!("skipped: a namespace needs root");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let found = Command::new("sh").args(["-c", "command -v nft"]).output().expect("a shell");
    let real = String::from_utf8(found.stdout).expect("text");
    std::fs::write(folder.path().join("nft"), NFT).expect("written");
    let path = std::env::var("PATH").expect("a path");
    let script = "chmod +x \"$NETKEEP_TEST_NFT_FAULTS/nft\" && ip link set lo up && exec \"$0\" \"$@\"";
    let inside = Command::new("unshare")
        .args(["--net", "sh", "-c", script])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", "control::in_kernel::inside_the_namespace", "--nocapture"])
        .env(INSIDE, folder.path())
        .env("NFT_REAL", real.trim())
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .status();
    assert!(inside.expect("it runs").success());
}

/// What runs in the namespace; alone it does nothing.
#[tokio::test]
async fn inside_the_namespace() {
    let Ok(faults) = std::env::var(INSIDE) else { return };
    let faults = Path::new(&faults);
    a_stored_config_that_cannot_be_used_costs_no_rules().await;
    what_an_nft_that_failed_did_is_undone(faults).await;
    what_somebody_flushed_is_put_back(faults).await;
    what_has_an_end_leaves_the_kernel_in_time(faults).await;
}

async fn a_stored_config_that_cannot_be_used_costs_no_rules() {
    let url = super::tests::bus_that_greets().await;
    let mut rig = Rig::new(url);
    assert_eq!(rig.push(5).await, Some((5, Outcome::Applied)));
    let stored = rig.control.stored.clone();
    let good = std::fs::read(&stored).expect("it was kept");

    std::fs::remove_file(&stored).expect("removed");
    std::fs::create_dir(&stored).expect("what is there cannot be read");
    let mut again = rig.again();
    again.control.restore().await;
    assert_eq!((in_kernel(), again.control.running.borrow().revision()), (Some(5), 0));
    again.control.urls = vec!["nats://127.0.0.1:1".to_owned()];
    assert!(matches!(again.push(6).await, Some((6, Outcome::Reverted { .. }))));
    assert_eq!(in_kernel(), Some(5), "the table that was found is back");
    flush();
    again.control.mend().await;
    assert_eq!(in_kernel(), Some(5), "also after somebody flushed it");
    std::fs::remove_dir(&stored).expect("removed");

    let mut again = again.again();
    std::fs::write(&stored, &good[..good.len() / 2]).expect("written");
    again.control.restore().await;
    assert_eq!(in_kernel(), Some(5), "damaged");

    std::fs::remove_file(&stored).expect("removed");
    again.control.restore().await;
    assert_eq!(in_kernel(), None, "rules that nothing proves go");
}

async fn what_an_nft_that_failed_did_is_undone(faults: &Path) {
    let mut rig = Rig::new(super::tests::bus_that_greets().await);
    assert_eq!(rig.push(5).await, Some((5, Outcome::Applied)));
    fault(faults, "lies");
    assert_eq!(rig.push(6).await, Some((6, Outcome::Failed { error: "nothing was done".to_owned() })));
    assert_eq!(in_kernel(), Some(5));

    fault(faults, "lies");
    fault(faults, "refuses");
    let Some((7, Outcome::Failed { error })) = rig.push(7).await else { panic!("it failed") };
    assert!(error.contains("tried again: not just yet"), "{error}");
    assert_eq!(in_kernel(), Some(7));
    rig.control.mend().await;
    assert_eq!(in_kernel(), Some(7), "not yet");
    std::fs::remove_file(faults.join("refuses")).expect("removed");
    rig.control.mend().await;
    assert_eq!(in_kernel(), Some(5));
}

async fn what_somebody_flushed_is_put_back(faults: &Path) {
    let mut rig = Rig::new(super::tests::bus_that_greets().await);
    rig.push(5).await;
    flush();
    fault(faults, "refuses");
    rig.control.mend().await;
    assert_eq!(in_kernel(), None);
    std::fs::remove_file(faults.join("refuses")).expect("removed");
    rig.control.mend().await;
    assert_eq!(in_kernel(), Some(5));

    rig.mode = Mode::Observe;
    assert_eq!(rig.push(6).await, Some((6, Outcome::Applied)));
    fault(faults, "lies");
    rig.control.mend().await;
    assert!(faults.join("lies").exists(), "a device that observes has no table to miss");
    std::fs::remove_file(faults.join("lies")).expect("removed");
}

async fn what_has_an_end_leaves_the_kernel_in_time(faults: &Path) {
    let mut rig = Rig::new(super::tests::bus_that_greets().await);
    rig.expires_at = Some(now() + chrono::TimeDelta::seconds(1));
    assert_eq!(rig.push(5).await, Some((5, Outcome::Applied)));
    assert_eq!(in_kernel(), Some(5));
    fault(faults, "refuses");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !rig.control.memory.kernel.differs() {
        assert!(Instant::now() < deadline, "the rule has an end");
        rig.control.keep_up().await;
        tokio::task::yield_now().await;
    }
    assert_eq!(in_kernel(), Some(5), "nft refused");
    std::fs::remove_file(faults.join("refuses")).expect("removed");
    rig.control.mend().await;
    assert_eq!((in_kernel(), rig.control.running.borrow().in_force.rules.len()), (None, 0));
    assert!(rig.reports.try_recv().is_err(), "nobody asked for a report");
}

struct Rig {
    control: Control,
    key: KeyPair,
    mode: Mode,
    expires_at: Option<chrono::DateTime<chrono::Utc>>,
    reports: mpsc::Receiver<Report>,
    folder: tempfile::TempDir,
}

impl Rig {
    fn new(url: String) -> Self {
        Self::in_folder(url, KeyPair::new_account(), tempfile::tempdir().expect("a folder"))
    }

    fn in_folder(url: String, key: KeyPair, folder: tempfile::TempDir) -> Self {
        let (sender, reports) = mpsc::channel(8);
        let (running, _) = watch::channel(Arc::new(Running::default()));
        let (stored, within) = (folder.path().join("config.json"), Duration::from_millis(300));
        let enforcer = Enforcer::Kernel { nflog_group: 5 };
        let control = Control::new(membership(&key), vec![url], enforcer, running, stored, within, sender);
        Self { control, key, mode: Mode::Enforce, expires_at: None, reports, folder }
    }

    /// The same device after a restart.
    fn again(self) -> Self {
        Self::in_folder(self.control.urls[0].clone(), self.key, self.folder)
    }

    /// Pushes a config whose one rule has the revision as its number.
    async fn push(&mut self, revision: u64) -> Option<(u64, Outcome)> {
        let mut config = config(&self.control.membership, revision);
        config.mode = self.mode;
        config.ruleset.rules = vec![rule(u32::try_from(revision).expect("small"))];
        config.ruleset.rules[0].expires_at = self.expires_at;
        let bytes = sign(&self.key, &config);
        let accepted = accept(&bytes, &self.control.membership).expect("accepted");
        self.control.consider(&bytes, accepted, &CancellationToken::new()).await;
        self.reports.try_recv().ok().map(|report| (report.revision, report.outcome))
    }
}

fn rule(number: u32) -> RulesetRule {
    RulesetRule {
        sources: vec!["10.0.0.0/8".parse().expect("a network"), "10.200.0.1-10.200.0.9".parse().expect("a range")],
        services: vec![RulesetService {
            protocol: Protocol::TCP,
            ports: vec![PortRange::new(23, 23).expect("a port"), PortRange::new(8_000, 8_099).expect("ports")],
        }],
        log: true,
        ..block_telnet(RuleId::new(Ulid::from_parts(number.into(), 1)).into(), number)
    }
}

/// The number of the one rule in the kernel.
fn in_kernel() -> Option<u32> {
    let listed = Command::new("nft").args(["list", "table", "inet", "netkeep"]).output().expect("nft runs");
    let text = String::from_utf8(listed.stdout).expect("text");
    let counters = text.lines().filter_map(|line| line.trim().strip_prefix("counter rule_")?.strip_suffix(" {"));
    let numbers: Vec<u32> = counters.map(|number| number.parse().expect("a number")).collect();
    assert!(numbers.len() <= 1, "{text}");
    assert_eq!(text.contains("th dport vmap"), !numbers.is_empty(), "{text}");
    numbers.first().copied()
}

fn flush() {
    assert!(Command::new("nft").args(["flush", "ruleset"]).status().expect("nft runs").success());
}

fn fault(faults: &Path, name: &str) {
    std::fs::write(faults.join(name), "").expect("written");
}
