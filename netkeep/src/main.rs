//! The one binary: all of Netkeep in one process (`netkeep up`), one part at a time, or the agent of a device.
//!
//! Reading order: `up` (the composition), `parts` (each part alone), `nats_server`, `keys`, `founding`, `credentials`,
//! `erasure`, `quotas`, `last_uses`.

mod keys;
mod nats_server;
mod credentials;
mod erasure;
mod last_uses;
mod quotas;
mod founding;
mod signals;
mod control;
mod up;
mod parts;

use std::io::IsTerminal;

use clap::Parser;
use tracing_subscriber::EnvFilter;

/// Requests allocate often, and this is faster at it than the C library.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A self-hosted control plane for a fleet of Linux firewalls.
#[derive(Debug, Parser)]
#[command(name = "netkeep", version, about)]
struct Cli {
    #[command(subcommand)]
    part: Part,
    /// What to log: error, warn, info, debug, trace, or a filter like `info,projector=debug`
    #[arg(long, global = true, env = "NETKEEP_LOG", default_value = "info,async_nats=warn")]
    log: String,
    /// Logs one JSON object a line
    #[arg(long, global = true, env = "NETKEEP_LOG_JSON")]
    log_json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Part {
    /// Runs everything in this process, over a nats-server that it starts, watches and stops
    Up(Box<up::Config>),
    /// Founds an org on an existing NATS and shows its owner's token
    Found(Box<parts::FoundConfig>),
    /// Gives an org another plan
    Plan(Box<parts::PlanConfig>),
    /// Runs the write side against an existing NATS
    Command(Box<parts::CommandConfig>),
    /// Runs the read side against an existing NATS and object store
    Query(Box<parts::QueryConfig>),
    /// Runs the projections against an existing NATS and object store
    Project(Box<parts::ProjectConfig>),
    /// Runs on a device: enrols it, enforces its rules, captures its traffic
    Agent(Box<router_agent::Config>),
    /// Prints the nats-server configuration that goes with a key file
    NatsConfig(Box<parts::NatsConfig>),
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    if let Err(error) = log(&cli.log, cli.log_json) {
        return fail(&error);
    }
    #[cfg(feature = "eventstore")]
    if let Err(error) = command_svc::journal::event_store::settle_tls().await {
        return fail(&error.into());
    }
    let stop = signals::stop();
    let ended = match cli.part {
        Part::Up(config) => up::run(*config, stop).await,
        Part::Found(config) => parts::found(*config).await,
        Part::Plan(config) => parts::plan(*config).await,
        Part::Command(config) => parts::command(*config, stop).await,
        Part::Query(config) => parts::query(*config, stop).await,
        Part::Project(config) => parts::project(*config, stop).await,
        Part::Agent(config) => parts::agent(*config, stop).await,
        Part::NatsConfig(config) => parts::nats_config(&config),
    };
    match ended {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Logs go to stderr: stdout is for what was asked for.
fn log(filter: &str, json: bool) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = if json { builder.json().try_init() } else { builder.try_init() };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}

#[expect(clippy::print_stderr, reason = "the last words of a command line program")]
fn fail(error: &anyhow::Error) -> std::process::ExitCode {
    eprintln!("netkeep: {error:#}");
    std::process::ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_of_all_parts_fit_together() {
        super::Cli::command().debug_assert();
    }
}
