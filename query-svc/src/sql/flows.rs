//! The table `flows`: a scan of the files that may hold an answer, below a projection that makes text of addresses.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::{DFSchema, Result, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::{TableType, ViewTable, provider_as_source};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableProviderFilterPushDown, col, lit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::future::BoxFuture;
use schemas::files::File;
use schemas::flow::table_schema;

use super::flow_files::{Bounds, FlowFiles, statistics, summary};
use super::functions::{address_text, protocol_text};

/// Where the files of all orgs are registered in the query runtime.
pub(super) const STORE_URL: &str = "store://local";

/// A file that alone is read by several threads is at least this large.
const SPLIT_BYTES_MIN: u64 = 8 << 20;

/// How many of a scan's files, the newest, are skipped without being opened when the rows found so far rule them out.
/// Bounds in DataFusion's form take 7 kB a file.
const SKIPPED_MAX: usize = 10_000;

/// How many files a query could have read, and had to.
#[derive(Debug, Default)]
pub(super) struct ScanCount {
    pub(super) total: AtomicUsize,
    pub(super) kept: AtomicUsize,
}

/// The files as they are, with addresses in 16 bytes and protocols as numbers.
pub(super) struct Stored {
    files: Arc<FlowFiles>,
    schema: SchemaRef,
    count: Arc<ScanCount>,
}

impl Stored {
    pub(super) fn new(files: Arc<FlowFiles>, count: Arc<ScanCount>) -> Self {
        Self { files, schema: table_schema(), count }
    }

    /// The table as SQL sees it: addresses and protocols are text. With `devices` it is only their flows.
    pub(super) fn view(self, devices: Option<Vec<String>>) -> Result<ViewTable> {
        let columns: Vec<Expr> = self.schema.fields().iter().map(|field| shown(field.name())).collect();
        let mut scan = LogicalPlanBuilder::scan("flows", provider_as_source(Arc::new(self)), None)?;
        if let Some(devices) = devices {
            scan = scan.filter(col("device").in_list(devices.into_iter().map(lit).collect(), false))?;
        }
        Ok(ViewTable::new(scan.project(columns)?.build()?, None))
    }

    /// The files that may hold a row that matches, newest first.
    fn matching(&self, predicate: Option<&Arc<dyn PhysicalExpr>>) -> Result<Vec<Arc<File>>> {
        let files = &self.files.files;
        let Some(predicate) = predicate else { return Ok(files.clone()) };
        let pruning = PruningPredicateBuilder::new().with_file_schema(self.schema.clone()).build(predicate.clone());
        let Some(pruning) = pruning else { return Ok(files.clone()) };
        let kept = pruning.prune(&Bounds(files))?;
        Ok(files.iter().zip(kept).filter(|(_, kept)| *kept).map(|(file, _)| file.clone()).collect())
    }

    fn plan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let whole = DFSchema::try_from(self.schema.clone())?;
        let predicate = conjunction(filters.to_vec());
        let predicate = predicate.map(|predicate| state.create_physical_expr(predicate, &whole)).transpose()?;
        let files = self.matching(predicate.as_ref())?;
        self.count.total.fetch_add(self.files.files.len(), Ordering::Relaxed);
        self.count.kept.fetch_add(files.len(), Ordering::Relaxed);
        if files.is_empty() {
            let schema = projection.map(|columns| self.schema.project(columns)).transpose()?;
            return Ok(Arc::new(EmptyExec::new(schema.map_or_else(|| self.schema.clone(), Arc::new))));
        }
        let url = ObjectStoreUrl::parse(STORE_URL)?;
        let runtime = state.runtime_env();
        let options =
            TableParquetOptions { global: state.config_options().execution.parquet.clone(), ..Default::default() };
        let reader = CachedParquetFileReaderFactory::new(
            runtime.object_store(&url)?,
            runtime.cache_manager.get_file_metadata_cache(),
        );
        let mut source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(reader));
        let exact = predicate.is_none();
        if let Some(predicate) = predicate {
            source = source.with_predicate(predicate);
        }
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_statistics(merged(&files, &self.schema, exact))
            .with_file_groups(groups(&files, &self.schema, state.config().target_partitions()))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} flow files", self.files.files.len())
    }
}

impl TableProvider for Stored {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn scan<'a, 'b, 'c, 'd, 'e>(
        &'a self,
        state: &'b dyn Session,
        projection: Option<&'c Vec<usize>>,
        filters: &'d [Expr],
        limit: Option<usize>,
    ) -> BoxFuture<'e, Result<Arc<dyn ExecutionPlan>>>
    where
        'a: 'e,
        'b: 'e,
        'c: 'e,
        'd: 'e,
        Self: 'e,
    {
        Box::pin(async move { self.plan(state, projection, filters, limit) })
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // The rows are filtered in the reader where it can and above it where it cannot; both ends are DataFusion's.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

fn shown(column: &str) -> Expr {
    match column {
        "src" | "dst" => address_text(col(column)).alias(column),
        "protocol" => protocol_text(col(column)).alias(column),
        other => col(other),
    }
}

/// Deals the files out to the threads, so that each reads its newest first; a lone large file is cut up.
fn groups(files: &[Arc<File>], schema: &SchemaRef, threads: usize) -> Vec<FileGroup> {
    let threads = threads.max(1);
    let mut groups: Vec<Vec<PartitionedFile>> = vec![Vec::new(); threads];
    for (index, kept) in files.iter().enumerate() {
        let mut file = PartitionedFile::new(kept.path.clone(), kept.bytes);
        if index < SKIPPED_MAX {
            file = file.with_statistics(Arc::new(statistics(kept, schema)));
        }
        if files.len() >= threads || kept.bytes < SPLIT_BYTES_MIN {
            groups[index % threads].push(file);
            continue;
        }
        let bytes = i64::try_from(kept.bytes).unwrap_or(i64::MAX);
        let parts = i64::try_from(threads).unwrap_or(1);
        for (part, group) in (0..parts).zip(&mut groups) {
            group.push(file.clone().with_range(bytes / parts * part, part_end(bytes, parts, part)));
        }
    }
    groups.into_iter().filter(|group| !group.is_empty()).map(FileGroup::new).collect()
}

fn part_end(bytes: i64, parts: i64, part: i64) -> i64 {
    if part + 1 == parts { bytes } else { bytes / parts * (part + 1) }
}

/// What the files have together. Exact without a filter: then counts and newest times are answered from it.
fn merged(files: &[Arc<File>], schema: &SchemaRef, exact: bool) -> Statistics {
    let merged = summary(files, schema).unwrap_or_else(|| Statistics::new_unknown(schema));
    if exact { merged } else { merged.to_inexact() }
}
