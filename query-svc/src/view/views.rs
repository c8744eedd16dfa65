//! The orgs in memory: loaded when first asked for, let go when nobody has asked for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::Bus;
use schemas::id::OrgId;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::OrgView;
use super::held::Snapshot;
use super::parked::{self, Parked};
use crate::error::Refused;

/// The orgs in memory.
pub(crate) struct Views {
    bus: Bus,
    queries_max: usize,
    orgs: Mutex<HashMap<OrgId, Entry>>,
}

struct Entry {
    view: Arc<OnceCell<Arc<OrgView>>>,
    asked: Instant,
}

impl Views {
    pub(crate) fn new(bus: Bus, queries_max: usize) -> Self {
        Self { bus, queries_max, orgs: Mutex::default() }
    }

    /// The view of an org; callers that ask while it is loaded wait for the one loading.
    pub(crate) async fn org(&self, org: &OrgId) -> Result<Arc<OrgView>, Refused> {
        let cell = {
            let mut orgs = self.orgs.lock().unwrap_or_else(PoisonError::into_inner);
            let asked = Instant::now();
            match orgs.get_mut(org) {
                Some(entry) => {
                    entry.asked = asked;
                    entry.view.clone()
                }
                None => orgs.entry(org.clone()).or_insert(Entry { view: Arc::default(), asked }).view.clone(),
            }
        };
        let load = || async { OrgView::load(&self.bus, org, self.queries_max).await.map(Arc::new) };
        cell.get_or_try_init(load).await.cloned()
    }

    /// Lets go of the orgs that nobody asked for in `idle`. Those who still read one keep it until they are done.
    pub(crate) fn evict(&self, idle: Duration) {
        let mut orgs = self.orgs.lock().unwrap_or_else(PoisonError::into_inner);
        orgs.retain(|_, entry| entry.asked.elapsed() < idle);
    }

    /// The commit that the org's read models cannot go beyond, if the projector parked it.
    pub(crate) async fn parked(&self, org: &OrgId, seen: &Snapshot) -> Option<Parked> {
        match self.connected() {
            true => parked::look(&self.bus, org, seen).await,
            false => None,
        }
    }

    pub(crate) fn connected(&self) -> bool {
        self.bus.connected()
    }
}
