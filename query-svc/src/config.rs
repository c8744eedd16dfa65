//! The configuration of the read side.

use std::time::Duration;

use crate::sql::Limits;

/// Reads: REST and SQL
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Memory that all SQL queries together may use, in bytes
    #[arg(long, env = "NETKEEP_SQL_MEMORY_BYTES", default_value_t = 512 << 20)]
    pub sql_memory_bytes: usize,
    /// Memory that one SQL query may use, in bytes
    #[arg(long, env = "NETKEEP_SQL_QUERY_MEMORY_BYTES", default_value_t = 256 << 20)]
    pub sql_query_memory_bytes: usize,
    /// Disk that sorts and aggregations may spill to, in bytes
    #[arg(long, env = "NETKEEP_SQL_SPILL_BYTES", default_value_t = 2 << 30)]
    pub sql_spill_bytes: u64,
    /// How long one SQL query may run, in seconds
    #[arg(long, env = "NETKEEP_SQL_TIMEOUT_S", default_value_t = 30)]
    pub sql_timeout_s: u64,
    /// How many rows an answer may have
    #[arg(long, env = "NETKEEP_SQL_ROWS_MAX", default_value_t = 100_000)]
    pub sql_rows_max: usize,
    /// How many queries an org may have running at once
    #[arg(long, env = "NETKEEP_SQL_QUERIES_MAX", default_value_t = 4)]
    pub sql_queries_max: usize,
    /// Threads for SQL; 0 means as many as there are processors
    #[arg(long, env = "NETKEEP_SQL_THREADS", default_value_t = 0)]
    pub sql_threads: usize,
    /// How long an org stays in memory after it was last asked for, in seconds
    #[arg(long, env = "NETKEEP_ORG_IDLE_S", default_value_t = 600)]
    pub org_idle_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sql_memory_bytes: 512 << 20,
            sql_query_memory_bytes: 256 << 20,
            sql_spill_bytes: 2 << 30,
            sql_timeout_s: 30,
            sql_rows_max: 100_000,
            sql_queries_max: 4,
            sql_threads: 0,
            org_idle_s: 600,
        }
    }
}

impl Config {
    pub fn limits(&self) -> Limits {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Limits {
            memory_bytes_max: self.sql_memory_bytes,
            query_memory_bytes_max: self.sql_query_memory_bytes,
            spill_bytes_max: self.sql_spill_bytes,
            timeout: Duration::from_secs(self.sql_timeout_s),
            rows_max: self.sql_rows_max,
            threads: if self.sql_threads == 0 { processors } else { self.sql_threads },
        }
    }

    pub(crate) fn org_idle(&self) -> Duration {
        Duration::from_secs(self.org_idle_s)
    }
}
