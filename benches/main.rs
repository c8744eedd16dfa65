//! The benchmarks: each beside a named peer in the same run, medians over alternating rounds, written to `RESULTS.md`.
//!
//! `make bench` runs all; `cargo bench -p netkeep -- NAME…` some: commands, lag, flows, enforced,
//! reads, scale.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on says so by panicking")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark reports to the terminal")]
#![allow(dead_code, reason = "the rig of the tests can do more than the benchmarks need")]

#[path = "../tests/it/rig.rs"]
mod rig;
#[path = "../tests/it/device.rs"]
mod device;
#[path = "../tests/it/town.rs"]
mod town;
mod report;
mod peer;
mod traffic;
mod plain_http;
mod commands;
mod lag;
mod flows;
mod enforced;
mod reads;
mod scale;

use report::Report;

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, listen, file] = words.as_slice()
        && word == reads::SERVE
    {
        return reads::serve_bytes(listen, file).await;
    }
    let wanted: Vec<String> = words.into_iter().filter(|it| !it.starts_with('-')).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|it| it == name);
    let mut report = Report::default();
    if wants("commands") {
        commands::run(&mut report).await;
    }
    if wants("lag") {
        lag::run(&mut report).await;
    }
    if wants("flows") {
        flows::run(&mut report).await;
    }
    if wants("enforced") {
        enforced::run(&mut report).await;
    }
    if wants("reads") {
        reads::run(&mut report).await;
    }
    if wants("scale") {
        scale::run(&mut report).await;
    }
    report.write(wanted.is_empty());
}
