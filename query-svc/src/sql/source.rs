//! What a query is asked of: one org at one moment, as one caller may see it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::common::Result;
use datafusion::datasource::MemTable;
use schemas::access::Role;
use schemas::id::UserId;
use schemas::kind::Kind;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::flow_files::FlowFiles;
use super::memory::Kept;
use super::{event_rows, rows};
use crate::view::held::{Held, Snapshot};

/// One org at one moment, as one caller may see it.
pub struct Source {
    pub(crate) role: Role,
    /// Whose API tokens are shown to those who may not see everybody's.
    pub(crate) user_id: Option<UserId>,
    pub(crate) now: DateTime<Utc>,
    pub(crate) snapshot: Snapshot,
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
            role: Role::Owner,
            user_id: None,
            now: DateTime::UNIX_EPOCH,
            snapshot: Snapshot::default(),
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

    /// The rows of a table that is not made of files. They count as memory of the query.
    pub(super) fn rows(&self, kind: Kind, kept: &Kept) -> Result<Option<MemTable>> {
        let models = &self.snapshot.models;
        let rows: Vec<Value> = match kind {
            Kind::Event => return event_rows::table(&self.snapshot.events, kept).map(Some),
            Kind::Rule => rows::json(models.ordered_rules())?,
            Kind::Zone => rows::json(models.zones.values())?,
            Kind::User => rows::json(models.users.values())?,
            Kind::SetupKey => rows::json(models.setup_keys.values().map(|key| rows::setup_key(key, self.now)))?,
            Kind::ApiToken => {
                rows::json(models.api_tokens.values().filter(|token| self.shows_tokens_of(token.owner_id)))?
            }
            Kind::Device => {
                let presence = &self.snapshot.presence;
                let desired = |id| models.desired.get(id).map(Arc::as_ref);
                rows::json(
                    models
                        .devices
                        .values()
                        .map(|device| rows::DeviceRow::of(presence.view(device, desired(&device.id), self.now))),
                )?
            }
            Kind::Org | Kind::Flow => return Ok(None),
        };
        rows::table(kind, &rows, kept).map(Some)
    }

    fn shows_tokens_of(&self, owner: UserId) -> bool {
        self.role >= Role::Admin || self.user_id == Some(owner)
    }
}
