//! What a query is asked of: one org at one moment, as one caller may see it.

use std::sync::Arc;

use chrono::DateTime;
use datafusion::common::Result;
use datafusion::datasource::MemTable;
use schemas::access::Verb;
use schemas::kind::Kind;
use tokio::sync::Semaphore;

use super::flow_files::FlowFiles;
use super::memory::Kept;
use super::{event_rows, rows};
use crate::shown::Seen;
use crate::view::held::Held;

/// One org at one moment, as one caller may see it.
pub struct Source {
    pub(crate) seen: Seen,
    pub(crate) flows: Flows,
    /// The org's queries that may run at once.
    pub(crate) slots: Arc<Semaphore>,
}

/// Where the files of the flow table are found.
pub(crate) enum Flows {
    Listed(Arc<FlowFiles>),
    /// Listed when a query asks for them.
    Held(Arc<Held>),
}

impl Source {
    /// Flows alone, for whoever may read everything.
    pub fn of_flows(flows: Arc<FlowFiles>) -> Self {
        Self {
            seen: Seen { org: Arc::default(), caller: None, aside: None, now: DateTime::UNIX_EPOCH },
            flows: Flows::Listed(flows),
            slots: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        }
    }

    /// The files of the flow table.
    pub(super) fn flows(&self) -> Arc<FlowFiles> {
        match &self.flows {
            Flows::Listed(files) => files.clone(),
            Flows::Held(held) => held.flows(),
        }
    }

    /// The devices whose flows the caller may see, if not all.
    pub(super) fn devices_of_flows(&self) -> Option<Vec<String>> {
        let groups = self.seen.caller.as_ref()?.device_groups(Verb::Read, Kind::Flow)?;
        let devices = self.seen.org.models.state.devices.values();
        let seen = devices.filter(|device| device.group_ids.iter().any(|id| groups.contains(id)));
        Some(seen.map(|device| device.id.to_string()).collect())
    }

    /// Whether the caller may read this kind.
    pub(super) fn may_read(&self, kind: Kind) -> bool {
        self.seen.may_read(kind)
    }

    /// The rows of a table that is not made of files. They count as memory of the query.
    pub(super) fn rows(&self, kind: Kind, kept: &Kept) -> Result<Option<MemTable>> {
        if kind == Kind::Event {
            return event_rows::table(&self.seen.org.events, kept).map(Some);
        }
        rows::table(kind, &self.seen, kept)
    }
}
