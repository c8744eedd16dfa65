//! The tables of one query: those of one org that the caller may read, and no others.

use std::fmt;
use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::DataFusionError;
use futures::future::BoxFuture;
use schemas::kind::Kind;

use super::flows::{ScanCount, Stored};
use super::memory::Kept;
use super::source::Source;

/// The kinds that are tables: all but the org itself.
pub(super) fn tables() -> impl Iterator<Item = Kind> {
    Kind::ALL.iter().copied().filter(|kind| *kind != Kind::Org)
}

/// Serves as the catalogue list, the only catalogue and the only schema of a query.
pub(super) struct Tables {
    source: Arc<Source>,
    count: Arc<ScanCount>,
    kept: Kept,
}

impl Tables {
    pub(super) fn new(source: Arc<Source>, count: Arc<ScanCount>, kept: Kept) -> Self {
        Self { source, count, kept }
    }

    fn provider(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        match kind_of(name, &self.source) {
            Some(Kind::Flow) => {
                let stored = Stored::new(self.source.flows(), self.count.clone());
                Ok(Some(Arc::new(stored.view(self.source.devices_of_flows())?)))
            }
            Some(kind) => self
                .source
                .rows(kind, &self.kept)
                .map(|rows| rows.map(|table| Arc::new(table) as Arc<dyn TableProvider>)),
            None => Ok(None),
        }
    }
}

/// The table of this name, if whoever asks may read it.
pub(super) fn kind_of(name: &str, source: &Source) -> Option<Kind> {
    Kind::from_plural(name).filter(|kind| *kind != Kind::Org && source.may_read(*kind))
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the tables of {:?}", self.source.seen.caller)
    }
}

impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        let read = tables().filter(|kind| self.source.may_read(*kind));
        read.map(|kind| kind.plural().to_owned()).collect()
    }

    fn table<'a, 'b, 'c>(
        &'a self,
        name: &'b str,
    ) -> BoxFuture<'c, Result<Option<Arc<dyn TableProvider>>, DataFusionError>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async move { self.provider(name) })
    }

    fn table_exist(&self, name: &str) -> bool {
        kind_of(name, &self.source).is_some()
    }
}

/// The one catalogue, with the one schema.
#[derive(Debug)]
pub(super) struct Only(pub(super) Arc<Tables>);

impl CatalogProvider for Only {
    fn schema_names(&self) -> Vec<String> {
        vec!["public".to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        (name == "public").then(|| self.0.clone() as Arc<dyn SchemaProvider>)
    }
}

impl CatalogProviderList for Only {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec!["netkeep".to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == "netkeep").then(|| Arc::new(Self(self.0.clone())) as Arc<dyn CatalogProvider>)
    }
}
