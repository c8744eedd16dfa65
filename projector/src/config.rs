//! How a projector is configured.

use std::time::Duration;

/// Configures the projector.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Config {
    /// How long flow batches are collected before they are written to the flow table, in milliseconds.
    #[arg(
        long,
        env = "NETKEEP_FLOW_FLUSH_MS",
        default_value_t = 1_000,
        value_parser = clap::value_parser!(u64).range(10..=60_000)
    )]
    pub flow_flush_ms: u64,

    /// The most flow batches that are written to the flow table at once.
    #[arg(
        long,
        env = "NETKEEP_FLOW_FLUSH_BATCHES_MAX",
        default_value_t = 2_048,
        value_parser = clap::value_parser!(u32).range(1..=8_192)
    )]
    pub flow_flush_batches_max: u32,

    /// The most flow rows that are written to the flow table at once.
    #[arg(
        long,
        env = "NETKEEP_FLOW_FLUSH_ROWS_MAX",
        default_value_t = 1 << 20,
        value_parser = clap::value_parser!(u32).range(16_384..=8 << 20)
    )]
    pub flow_flush_rows_max: u32,

    /// The most bytes of flow batches, as they come over the bus, that are fetched at once.
    #[arg(
        long,
        env = "NETKEEP_FLOW_FLUSH_BYTES_MAX",
        default_value_t = 32 << 20,
        value_parser = clap::value_parser!(u32).range(1 << 20..=1 << 30)
    )]
    pub flow_flush_bytes_max: u32,

    /// The threads that encode flow files; 0 for as many as there are processors.
    #[arg(long, env = "NETKEEP_FLOW_THREADS", default_value_t = 0)]
    pub flow_threads: u16,

    /// The orgs that stay in memory though nobody writes to them.
    #[arg(long, env = "NETKEEP_PROJECTOR_AWAKE_MAX", default_value_t = 64)]
    pub orgs_awake_max: u32,

    /// How long nobody writes to an org before it may leave memory, in seconds.
    #[arg(
        id = "projector_idle_s",
        long = "projector-idle-s",
        value_name = "SECONDS",
        env = "NETKEEP_PROJECTOR_IDLE_S",
        default_value_t = 600
    )]
    pub org_idle_s: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            flow_flush_ms: 1_000,
            flow_flush_batches_max: 2_048,
            flow_flush_rows_max: 1 << 20,
            flow_flush_bytes_max: 32 << 20,
            flow_threads: 0,
            orgs_awake_max: 64,
            org_idle_s: 600,
        }
    }
}

impl Config {
    pub(crate) fn flow_flush(&self) -> Duration {
        Duration::from_millis(self.flow_flush_ms)
    }

    pub(crate) fn awake_max(&self) -> usize {
        usize::try_from(self.orgs_awake_max).unwrap_or(usize::MAX)
    }

    pub(crate) fn org_idle(&self) -> Duration {
        Duration::from_secs(self.org_idle_s.into())
    }

    pub(crate) fn threads(&self) -> usize {
        match self.flow_threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => usize::from(threads),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Config;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn the_default_of_the_command_line_is_the_default() {
        let parsed = Line::parse_from(["projector"]).config;
        assert_eq!(format!("{parsed:?}"), format!("{:?}", Config::default()));
    }
}
