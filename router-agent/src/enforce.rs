//! Puts a ruleset into the kernel with `nft`: one transaction on the device's own table, all or nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use schemas::config::Ruleset;
use schemas::device::Mode;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, Command};
use tokio::time::timeout;

const NFT_TIMEOUT: Duration = Duration::from_secs(120);
const ERROR_LINES_MAX: usize = 4;
const ERROR_CHARS_MAX: usize = 1_000;

/// Removes the table, whether it is there or not.
const CLEAR: &str = "table inet netkeep {}\ndelete table inet netkeep\n";

/// What makes a ruleset hold.
#[derive(Debug, Clone)]
pub enum Enforcer {
    /// The kernel of this machine.
    Kernel { nflog_group: u16 },
    /// Nobody: packets come from a file, the ruleset is only evaluated.
    Replay,
}

/// What a ruleset becomes on this device beside its rules.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The control plane: always reachable, whatever the rules say.
    pub control: Vec<SocketAddr>,
}

impl Enforcer {
    /// Replaces the rules in force by these, or by none. The error is what `nft` said.
    pub async fn apply(&self, rules: Option<(Mode, &Ruleset)>, surroundings: &Surroundings) -> Result<(), String> {
        match self {
            Self::Replay => Ok(()),
            Self::Kernel { nflog_group } => {
                let script = match rules {
                    None => CLEAR.to_owned(),
                    Some((mode, ruleset)) => {
                        let options = policy::nft::Options {
                            control: surroundings.control.clone(),
                            nflog_group: *nflog_group,
                            counters: counters().await,
                        };
                        policy::nft::script(ruleset, mode, &options)
                    }
                };
                nft(&["-f", "-"], &script).await.map(|_| ())
            }
        }
    }

    /// Whether the table is in the kernel, whatever is in it.
    pub async fn is_in_force(&self) -> Result<bool, String> {
        match self {
            Self::Replay => Ok(true),
            Self::Kernel { .. } => {
                let tables = nft(&["list", "tables", "inet"], "").await?;
                Ok(tables.lines().any(|line| line.trim() == "table inet netkeep"))
            }
        }
    }

    /// The table as it is in the kernel; nothing where there is none.
    pub async fn table(&self) -> Result<String, String> {
        match self {
            Self::Replay => Ok(String::new()),
            Self::Kernel { .. } if !self.is_in_force().await? => Ok(String::new()),
            Self::Kernel { .. } => nft(&["-n", "list", "table", "inet", "netkeep"], "").await,
        }
    }

    /// Replaces the rules in force by what [`Enforcer::table`] gave.
    pub async fn apply_table(&self, table: &str) -> Result<(), String> {
        match self {
            Self::Replay => Ok(()),
            Self::Kernel { .. } => nft(&["-f", "-"], &format!("{CLEAR}{table}")).await.map(|_| ()),
        }
    }
}

/// Packets and bytes of each rule so far, so that a new ruleset counts on.
async fn counters() -> BTreeMap<u32, (u64, u64)> {
    match nft(&["-j", "list", "counters", "table", "inet", "netkeep"], "").await {
        Ok(json) => read_counters(&json),
        Err(_) => BTreeMap::new(),
    }
}

#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    counter: Option<Counter>,
}

#[derive(Deserialize)]
struct Counter {
    name: String,
    packets: u64,
    bytes: u64,
}

fn read_counters(json: &str) -> BTreeMap<u32, (u64, u64)> {
    let Ok(listing) = serde_json::from_str::<Listing>(json) else { return BTreeMap::new() };
    let counters = listing.nftables.into_iter().filter_map(|item| item.counter);
    let numbered = counters
        .filter_map(|counter| Some((policy::nft::number_of_counter(&counter.name)?, (counter.packets, counter.bytes))));
    numbered.collect()
}

async fn nft(args: &[&str], input: &str) -> Result<String, String> {
    let mut command = Command::new("nft");
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let cannot_run = |error: std::io::Error| format!("nft cannot be run: {error}");
    let mut child = command.spawn().map_err(cannot_run)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let ended = timeout(NFT_TIMEOUT, async {
        // If nft ends before it has read everything, its own words say why.
        let ((), stdout, stderr) = tokio::join!(give(stdin, input), read(stdout), read(stderr));
        child.wait().await.map(|status| (status, stdout, stderr))
    });
    match ended.await {
        Ok(Ok((status, stdout, _))) if status.success() => Ok(stdout),
        Ok(Ok((_, _, stderr))) => Err(first_lines(&stderr)),
        Ok(Err(error)) => Err(cannot_run(error)),
        Err(_) => {
            // What it may still do to the rules must be over before they are put back.
            let killed = child.kill().await;
            let also = killed.err().map(|error| format!(", and it cannot be ended: {error}"));
            Err(format!("nft did not end in time{}", also.unwrap_or_default()))
        }
    }
}

async fn give(stdin: Option<ChildStdin>, input: &str) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input.as_bytes()).await;
    }
}

async fn read(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        // What was read until it broke is all there is to say.
        let _ = stream.read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn first_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().take(ERROR_LINES_MAX).collect();
    let text: String = lines.join("\n").chars().take(ERROR_CHARS_MAX).collect();
    if text.is_empty() { "nft failed without a word".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_by_number() {
        let json = r#"{"nftables":[{"metainfo":{"version":"1.0.6"}},
            {"counter":{"family":"inet","name":"rule_17","table":"netkeep","handle":3,"packets":5,"bytes":300}},
            {"counter":{"family":"inet","name":"other","table":"netkeep","handle":4,"packets":1,"bytes":1}}]}"#;
        assert_eq!(read_counters(json), BTreeMap::from([(17, (5, 300))]));
        assert!(read_counters("nonsense").is_empty());
    }

    #[tokio::test]
    async fn a_replay_enforces_nothing() {
        assert_eq!(Enforcer::Replay.apply(None, &Surroundings::default()).await, Ok(()));
    }
}
