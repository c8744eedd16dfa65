//! Last uses: when each API token was used last, and when each user signed in last. Not events: they tell nothing that
//! anybody decided.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use schemas::id::OrgId;
use schemas::subjects;

use crate::bucket::PendingPut;
use crate::connect::Bus;
use crate::error::Error;
use crate::mirror::Mirror;

/// The last uses of all orgs. Cloning shares them.
#[derive(Clone)]
pub struct Uses {
    times: Mirror<DateTime<Utc>>,
}

impl Bus {
    /// Last uses. They are known without waiting once [`Uses::follow`] runs.
    pub fn uses(&self) -> Uses {
        Uses { times: Mirror::new(self.bucket(subjects::USES_BUCKET), parse) }
    }
}

impl Uses {
    /// Follows the uses for ever.
    pub async fn follow(self) -> Result<(), Error> {
        self.times.follow().await
    }

    /// Sends the time at which something was used last.
    pub async fn put(&self, org: &OrgId, id: &str, at: DateTime<Utc>) -> Result<PendingPut, Error> {
        let key = key(org, id);
        let sent = self.times.bucket().put(&key, at.timestamp_millis().to_string().into()).await?;
        self.times.hold(&key, at);
        Ok(sent)
    }

    /// When something was used last, as far as it is known.
    pub fn last(&self, org: &OrgId, id: &str) -> Option<DateTime<Utc>> {
        self.times.get(&key(org, id))
    }
}

fn key(org: &OrgId, id: &str) -> String {
    format!("{org}.{id}")
}

fn parse(value: &Bytes) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(std::str::from_utf8(value).ok()?.parse().ok()?)
}
