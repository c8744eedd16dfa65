//! The query engine: one runtime for all queries, and limits on each.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use futures::StreamExt;
use object_store::local::LocalFileSystem;
use schemas::reason::Reason;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::error;

use super::flows::{STORE_URL, ScanCount};
use super::memory::{Kept, Shared};
use super::refusal::SqlError;
use super::rewrite::AskStored;
use super::source::Source;
use super::statement::{Query, forbidden};
use super::tables::{Only, Tables, kind_of, tables};
use super::{expansion, functions};
use crate::error::Error;

/// What one query, and all together, may use.
#[derive(Debug, Clone)]
pub struct Limits {
    pub memory_bytes_max: usize,
    pub query_memory_bytes_max: usize,
    pub spill_bytes_max: u64,
    pub timeout: Duration,
    pub rows_max: usize,
    pub threads: usize,
}

/// The rows of an answer, and what they cost.
#[derive(Debug)]
pub struct Answer {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
    pub stats: Stats,
}

/// What an answer cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Stats {
    pub rows: usize,
    pub elapsed_ms: u64,
    /// The files of the flow table, and how many of them were opened.
    pub files_total: usize,
    pub files_scanned: usize,
    pub bytes_scanned: usize,
    /// The position of the org that the answer was computed at.
    pub position: u64,
}

/// Runs queries on threads of its own, so that they never hold up the HTTP server.
pub struct Engine {
    limits: Limits,
    base: SessionState,
    environment: Arc<RuntimeEnv>,
    memory: Arc<Shared>,
    threads: Threads,
}

/// A runtime that may be dropped anywhere.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Plans are trees and are walked by recursion; see `OPERATORS_MAX`. Untouched stack costs nothing.
const STACK_BYTES: usize = 64 << 20;
/// Threads that read files.
const READERS_MAX: usize = 64;

#[derive(Default)]
struct Scanned {
    opened: usize,
    pruned: usize,
    bytes: usize,
}

/// These make text or lists of any length out of little, beside the memory pool; inside each other, and worked out
/// while planning, they would take all there is.
const WITHOUT: [&str; 33] = [
    "repeat",
    "lpad",
    "rpad",
    "array_repeat",
    "list_repeat",
    "array_resize",
    "list_resize",
    "generate_series",
    "range",
    "gen_series",
    "replace",
    "regexp_replace",
    "concat_ws",
    "encode",
    "array_to_string",
    "list_to_string",
    "array_join",
    "list_join",
    "array_replace",
    "list_replace",
    "array_replace_n",
    "list_replace_n",
    "array_replace_all",
    "list_replace_all",
    "string_to_array",
    // Binary data, of which `Query::parse` says why there is none.
    "arrow_cast",
    "arrow_try_cast",
    "decode",
    "digest",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
];

impl Engine {
    /// An engine over the files below `store_dir`.
    pub fn new(limits: Limits, store_dir: &Path) -> Result<Self, Error> {
        let failed = |error: datafusion::common::DataFusionError| Error::Engine(error.to_string());
        let store_failed = |cause: String| Error::Store { path: store_dir.display().to_string(), cause };
        std::fs::create_dir_all(store_dir).map_err(|error| store_failed(error.to_string()))?;
        let store = LocalFileSystem::new_with_prefix(store_dir).map_err(|error| store_failed(error.to_string()))?;

        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::OsTmpDirectory)
            .with_max_temp_directory_size(limits.spill_bytes_max);
        let environment = RuntimeEnvBuilder::new().with_disk_manager_builder(disk).build_arc().map_err(failed)?;
        let url = ObjectStoreUrl::parse(STORE_URL).map_err(failed)?;
        environment.register_object_store(url.as_ref(), Arc::new(store));

        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(limits.threads.max(1))
            .thread_name("sql")
            .thread_stack_size(STACK_BYTES)
            .max_blocking_threads(READERS_MAX)
            .enable_all()
            .build()
            .map_err(|error| Error::Engine(error.to_string()))?;
        Ok(Self {
            base: base(&limits, environment.clone()),
            memory: Shared::new(limits.memory_bytes_max),
            environment,
            limits,
            threads: Threads(Some(threads)),
        })
    }

    /// Answers a query. Dropping the future ends it.
    pub async fn run(&self, source: Source, query: &Query) -> Result<Answer, SqlError> {
        let began = Instant::now();
        let busy = |_| SqlError::new(Reason::SqlBusy, "the org has as many queries running as it may");
        let slot = source.slots.clone().try_acquire_owned().map_err(busy)?;
        let position = source.seen.org.position;
        let count = Arc::new(ScanCount::default());
        let session = self.session(source, count.clone())?;
        let (query, rows_max) = (query.clone(), self.limits.rows_max);
        let answered = self.spawn(async move {
            let answer = answer(&session, &query, rows_max).await;
            drop(slot);
            answer
        });
        let answered = tokio::time::timeout(self.limits.timeout, answered).await;
        let (schema, batches, scanned) = answered.map_err(|_| {
            SqlError::new(Reason::SqlTimeout, format!("the query ran longer than {:?}", self.limits.timeout))
        })???;
        let stats = Stats {
            rows: batches.iter().map(RecordBatch::num_rows).sum(),
            elapsed_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            files_total: count.total.load(Ordering::Relaxed),
            files_scanned: scanned.opened.saturating_sub(scanned.pruned).min(count.kept.load(Ordering::Relaxed)),
            bytes_scanned: scanned.bytes,
            position,
        };
        Ok(Answer { schema, batches, stats })
    }

    /// Runs work of a query on the engine's threads; dropping the future ends it.
    pub(crate) async fn spawn_cpu<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SqlError> {
        self.spawn(async move { work() }).await
    }

    async fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, SqlError> {
        let Some(runtime) = &self.threads.0 else {
            return Err(SqlError::new(Reason::ShuttingDown, "the service is stopping"));
        };
        AbortOnDropHandle::new(runtime.spawn(work)).await.map_err(|failed| {
            error!("a query failed inside the engine: {failed}");
            SqlError::new(Reason::SqlFailed, "the query failed inside the engine")
        })
    }

    /// A session of one query: its own tables and memory, everything else shared.
    fn session(&self, source: Source, count: Arc<ScanCount>) -> Result<Session, SqlError> {
        let pool = self.memory.query(self.limits.query_memory_bytes_max);
        let environment = RuntimeEnvBuilder::from_runtime_env(&self.environment)
            .with_memory_pool(pool.clone())
            .build_arc()
            .map_err(SqlError::planning)?;
        let source = Arc::new(source);
        let tables = Arc::new(Tables::new(source.clone(), count, Kept::new(pool)));
        let state = SessionStateBuilder::new_from_existing(self.base.clone())
            .with_runtime_env(environment)
            .with_catalog_list(Arc::new(Only(tables)))
            .build();
        Ok(Session { context: SessionContext::new_with_state(state), source })
    }
}

struct Session {
    context: SessionContext,
    source: Arc<Source>,
}

type Collected = (SchemaRef, Vec<RecordBatch>, Scanned);

/// Plans and runs a query. The plan never leaves the engine's threads: dropping it needs their stack.
async fn answer(session: &Session, query: &Query, rows_max: usize) -> Result<Collected, SqlError> {
    let plan = plan(session, query).await?;
    let context = session.context.task_ctx();
    let held = MemoryConsumer::new("answer").register(context.memory_pool());
    let mut rows = 0;
    let mut batches = Vec::new();
    let mut stream = execute_stream(plan.clone(), context).map_err(SqlError::of)?;
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(SqlError::of)?;
        rows += batch.num_rows();
        if rows > rows_max {
            let message = format!("the result has more than {rows_max} rows; add a LIMIT or aggregate");
            return Err(SqlError::new(Reason::SqlRows, message));
        }
        held.try_grow(batch.get_array_memory_size()).map_err(SqlError::of)?;
        batches.push(batch);
    }
    let mut scanned = Scanned::default();
    add_scans(plan.as_ref(), &mut scanned);
    Ok((stream.schema(), batches, scanned))
}

async fn plan(session: &Session, query: &Query) -> Result<Arc<dyn ExecutionPlan>, SqlError> {
    let statement = query.parse()?;
    expansion::check(&statement, query.bytes())?;
    let params = query.scalars()?;
    let state = session.context.state();
    for table in state.resolve_table_references(&statement).map_err(SqlError::planning)? {
        let known = tables().any(|kind| kind.plural() == table.table());
        if known && kind_of(table.table(), &session.source).is_none() {
            return Err(forbidden(format!("you may not read the table {}", table.table())));
        }
    }
    let logical = state.statement_to_plan(statement).await.map_err(SqlError::planning)?;
    let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    read_only.verify_plan(&logical).map_err(|error| forbidden(error.strip_backtrace()))?;
    let logical = match params.is_empty() {
        true => logical,
        false => logical.with_param_values(params).map_err(SqlError::planning)?,
    };
    state.create_physical_plan(&logical).await.map_err(SqlError::planning)
}

/// What all sessions have in common.
fn base(limits: &Limits, environment: Arc<RuntimeEnv>) -> SessionState {
    let mut config = SessionConfig::new()
        .with_target_partitions(limits.threads.max(1))
        .with_default_catalog_and_schema("netkeep", "public")
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false)
        // The flow table deals its files out itself, newest first.
        .with_repartition_file_scans(false);
    let options = config.options_mut();
    options.execution.parquet.pushdown_filters = true;
    options.execution.time_zone = Some("UTC".to_owned());
    let functions = functions::callable();
    let mut state = SessionStateBuilder::new_with_default_features()
        .with_config(config)
        .with_runtime_env(environment)
        .with_optimizer_rules(optimizer_rules())
        .build();
    for name in WITHOUT {
        let _ = datafusion::execution::FunctionRegistry::deregister_udf(&mut state, name);
    }
    for function in functions {
        let _ = datafusion::execution::FunctionRegistry::register_udf(&mut state, function);
    }
    state
}

fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules = Optimizer::new().rules;
    let behind = rules.iter().position(|rule| rule.name() == "push_down_filter").map_or(rules.len(), |at| at + 1);
    rules.insert(behind, Arc::new(AskStored));
    rules
}

/// Adds up what the scans of a plan did.
#[expect(clippy::wildcard_enum_match_arm, reason = "DataFusion's enums are long and grow; only these matter here")]
fn add_scans(plan: &dyn ExecutionPlan, scanned: &mut Scanned) {
    for metric in plan.metrics().iter().flat_map(MetricsSet::iter) {
        match metric.value() {
            MetricValue::Count { name, count } if name == "files_opened" => scanned.opened += count.value(),
            MetricValue::Count { name, count } if name == "bytes_scanned" => scanned.bytes += count.value(),
            // Found to hold nothing of interest before a byte of it was read.
            MetricValue::PruningMetrics { name, pruning_metrics } if name == "files_ranges_pruned_statistics" => {
                scanned.pruned += pruning_metrics.pruned();
            }
            _ => {}
        }
    }
    for child in plan.children() {
        add_scans(child.as_ref(), scanned);
    }
}
