//! Figures and where they are written.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// The figures of one run, in sections.
#[derive(Default)]
pub(crate) struct Report {
    text: String,
}

impl Report {
    /// Begins a section: what is asked, how it is measured, and the columns of its table.
    pub(crate) fn section(&mut self, title: &str, method: &str, columns: &[&str]) {
        println!("\n== {title}");
        writeln!(self.text, "\n## {title}\n\n{method}\n\n| {} |", columns.join(" | ")).unwrap();
        writeln!(self.text, "|{}", " --- |".repeat(columns.len())).unwrap();
    }

    pub(crate) fn row(&mut self, cells: &[String]) {
        println!("   {}", cells.join("   "));
        writeln!(self.text, "| {} |", cells.join(" | ")).unwrap();
    }

    pub(crate) fn note(&mut self, note: &str) {
        println!("   {note}");
        writeln!(self.text, "\n{note}").unwrap();
    }

    /// Writes the whole file, or prints what a partial run measured.
    pub(crate) fn write(&self, whole: bool) {
        if !whole {
            println!("\n(RESULTS.md is written by a run of everything)");
            return;
        }
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let head = format!(
            "# Results\n\nWritten by `make bench` (release build, {cores} cores, nats-server with `sync_interval: always`, everything on one\n\
             machine and its one disk). Peers run in the same run, in alternating rounds; latencies are over all calls of all rounds.\n\
             The disk's fsync varies with what else writes: compare within a table, not between runs.\n"
        );
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/RESULTS.md");
        std::fs::write(path, head + &self.text).unwrap();
    }
}

/// The value below which `percent` of the samples lie. Sorts them.
pub(crate) fn percentile(samples: &mut [Duration], percent: usize) -> Duration {
    samples.sort_unstable();
    let last = samples.len().saturating_sub(1);
    samples.get(last * percent / 100).copied().unwrap_or_default()
}

pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

pub(crate) fn per_second(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

pub(crate) fn ratio(ours: Duration, theirs: Duration) -> String {
    format!("{:.2}x", ours.as_secs_f64() / theirs.as_secs_f64())
}
