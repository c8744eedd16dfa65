//! Network namespaces that vanish with the test that made them.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A network namespace; dropped, it is deleted with all that is in it.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// A new namespace, or `None` (and a word why) where this process may not make one.
    pub(crate) fn new(purpose: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("nkp{}-{count}-{purpose}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).output();
        if made.is_ok_and(|output| output.status.success()) {
            return Some(Self { name });
        }
        eprintln!("skipped: needs root, iproute2 and network namespaces");
        None
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` commands in here, one a line.
    pub(crate) fn ip(&self, lines: &str) {
        let output = feed(Command::new("ip").args(["-n", &self.name, "-batch", "-"]), lines);
        assert!(output.status.success(), "ip: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Sets kernel parameters by their paths: `net/ipv4/ip_forward=1`.
    pub(crate) fn sysctl(&self, settings: &[&str]) {
        for setting in settings {
            let (path, value) = setting.split_once('=').expect("path=value");
            let output = self.run("tee", &[&format!("/proc/sys/{path}")], value);
            assert!(output.status.success(), "{setting}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }

    /// A program that runs in here.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    pub(crate) fn run(&self, program: &str, arguments: &[&str], input: &str) -> Output {
        feed(self.command(program).args(arguments), input)
    }

    /// Gives a script to nft, which must take it.
    pub(crate) fn nft(&self, script: &str) {
        let output = self.run("nft", &["-f", "-"], script);
        let refused = String::from_utf8_lossy(&output.stderr).chars().take(2_000).collect::<String>();
        assert!(output.status.success(), "nft: {refused}\nin\n{}", script.chars().take(20_000).collect::<String>());
    }

    /// What `nft -j list …` says: the objects of one kind.
    pub(crate) fn nft_list(&self, arguments: &[&str], kind: &str) -> Vec<serde_json::Value> {
        let listed = self.run("nft", &[&["-j", "list"], arguments].concat(), "");
        assert!(listed.status.success(), "nft: {}", String::from_utf8_lossy(&listed.stderr));
        let json: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
        let objects = json["nftables"].as_array().expect("a list");
        objects.iter().filter_map(|object| object.get(kind).cloned()).collect()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

fn feed(command: &mut Command, input: &str) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A program that ends before it has read everything says why itself.
            let _ = stdin.write_all(input.as_bytes());
        });
        child.wait_with_output().expect("it ends")
    })
}

/// Asks again and again until the answer is `Ok`, or the last answer after some seconds.
pub(crate) fn eventually<T, E>(mut ask: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let answer = ask();
        if answer.is_ok() || Instant::now() > deadline {
            return answer;
        }
    }
}
