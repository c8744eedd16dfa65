//! One org's read models: what is folded, what is written, and the writing in between.

use bus::Bus;
use bytes::Bytes;
use schemas::id::OrgId;
use schemas::subjects;
use schemas::view::Head;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::configs::{Configs, DesiredKey, Pushed};
use crate::counts::Counts;
use crate::parked::park_large;
use crate::pending::Pending;
use crate::retry::Pause;
use crate::views::changes::{Affected, Changes};
use crate::views::fold::{Fold, Happened};

/// One org.
pub(super) struct View {
    org: OrgId,
    pub(super) fold: Fold,
    /// Whether an event could not be digested: nothing after it is folded.
    pub(super) is_parked: bool,
    /// The position of the head key.
    head: u64,
    /// The position of the last change in the credentials bucket.
    credentials: u64,
    changes: Changes,
    pushed: Pushed,
    /// After failures. Credentials have their own: a revoked one does not wait for a ruleset.
    credentials_pause: Pause,
    models_pause: Pause,
}

/// How far an org's credentials are. Another bucket than the read models: each keeps its own position, so that a
/// bucket that lost its tail is filled up from there.
#[derive(Debug, Default, Serialize, Deserialize)]
struct CredentialsAt {
    position: u64,
}

fn credentials_at_key(org: &OrgId) -> String {
    format!("position.{org}")
}

impl View {
    /// Opens an org's read models as an earlier process left them. `end` is the end of the event log.
    pub(super) async fn open(bus: &Bus, org: &OrgId, end: u64) -> Result<Self, bus::Error> {
        let (head, credentials) = read_positions(bus, org).await?;
        let within = |position: u64| {
            if position > end {
                warn!("the read models of {org} are at {position}, the event log ends at {end}: writing them again");
            }
            if position > end { 0 } else { position }
        };
        Ok(Self {
            org: org.clone(),
            fold: Fold::default(),
            is_parked: false,
            head: within(head),
            credentials: within(credentials),
            changes: Changes::default(),
            pushed: Pushed::default(),
            credentials_pause: Pause::default(),
            models_pause: Pause::default(),
        })
    }

    /// Whether the positions still are where they were left.
    pub(super) async fn is_intact(&self, bus: &Bus) -> Result<bool, bus::Error> {
        Ok(read_positions(bus, &self.org).await? == (self.head, self.credentials))
    }

    /// Notes what is to be written for one event. What an earlier process wrote is left out.
    pub(super) fn note(&mut self, event: &Happened) {
        if event.position > self.credentials {
            self.changes.note_credential(&self.org, &event.recorded.event);
        }
        if event.position > self.head {
            self.changes.note_resources(&event.recorded.event);
            self.changes.note_devices(&event.recorded.event);
        }
    }

    /// Notes that every device is to be compiled.
    pub(super) fn note_all_devices(&mut self) {
        self.changes.devices.add_all();
    }

    /// Whether there is something to write, and no failure was just before.
    pub(super) fn is_due(&self) -> bool {
        self.credentials_are_due() || self.models_are_due()
    }

    fn credentials_are_due(&self) -> bool {
        !self.changes.credentials.is_empty() && self.credentials_pause.is_over()
    }

    /// The head covers the credentials too: they come first.
    fn models_are_due(&self) -> bool {
        let is_changed = self.fold.position > self.head || self.changes.devices != Affected::None;
        is_changed && self.changes.credentials.is_empty() && self.models_pause.is_over()
    }

    /// Tries once to write the credentials that changed.
    pub(super) async fn flush_credentials(&mut self, bus: &Bus, counts: &Counts) {
        if !self.credentials_are_due() {
            return;
        }
        match self.write_credentials(bus).await {
            Ok(written) => {
                counts.keys_written.add(written);
                self.credentials_pause = Pause::default();
            }
            Err(error) => self.credentials_pause.after(&format!("write the credentials of {}", self.org), &error),
        }
    }

    /// Tries once to write the rest of what changed, the head key last.
    pub(super) async fn flush(&mut self, bus: &Bus, configs: &Configs, counts: &Counts) {
        if !self.models_are_due() {
            return;
        }
        match self.write_models(bus, configs, counts).await {
            Ok(written) => {
                counts.keys_written.add(written);
                self.models_pause = Pause::default();
            }
            Err(error) => self.models_pause.after(&format!("write the read models of {}", self.org), &error),
        }
    }

    async fn write_credentials(&mut self, bus: &Bus) -> anyhow::Result<u64> {
        let bucket = bus.bucket(subjects::CREDENTIALS_BUCKET);
        let mut pending = Pending::new();
        for (key, credential) in &self.changes.credentials {
            let write = match credential {
                Some(credential) => bucket.put(key, Bytes::from(serde_json::to_vec(credential)?)).await?,
                None => bucket.delete(key).await?,
            };
            pending.push(write).await?;
        }
        // A write may be lost while a later one is stored: what a position covers is stored before it is sent.
        let written = pending.settle().await?;
        let position = self.fold.position;
        let value = Bytes::from(serde_json::to_vec(&CredentialsAt { position })?);
        bucket.put(&credentials_at_key(&self.org), value).await?.await?;
        self.credentials = position;
        self.changes.credentials.clear();
        Ok(written + 1)
    }

    async fn write_models(&mut self, bus: &Bus, configs: &Configs, counts: &Counts) -> anyhow::Result<u64> {
        let mut pending = Pending::new();
        self.write_resources(bus, counts, &mut pending).await?;
        let devices = self.changes.devices.ids(&self.fold.state);
        let desired = configs.push(&self.org, &self.fold.state, devices.clone(), &mut self.pushed).await?;
        let is_told = !desired.is_empty();
        write_desired(bus, desired, &mut pending).await?;
        let written = pending.settle().await? + self.write_head(bus, is_told).await?;
        self.pushed.announce(&devices);
        self.head = self.head.max(self.fold.position);
        self.changes = Changes::default();
        Ok(written)
    }

    /// Writes read models. One that is too large for the bus stays as it was.
    async fn write_resources(&self, bus: &Bus, counts: &Counts, pending: &mut Pending) -> anyhow::Result<()> {
        let bucket = bus.bucket(subjects::STATE_BUCKET);
        for resource in &self.changes.resources {
            let key = resource.key(&self.org);
            let write = match resource.value(&self.fold.state)? {
                Some(value) if value.len() > bus.payload_bytes_max() => {
                    let (parked, revision) = (format!("state.{key}"), self.fold.state.revision);
                    park_large(bus, counts, &parked, &self.org, revision, value.len()).await?;
                    continue;
                }
                Some(value) => bucket.put(&key, value).await?,
                None => bucket.delete(&key).await?,
            };
            pending.push(write).await?;
        }
        Ok(())
    }

    async fn write_head(&self, bus: &Bus, is_told: bool) -> anyhow::Result<u64> {
        let position = self.fold.position;
        // Readers show what is before a head: desired keys need one too, where no commit asked for them.
        if position <= self.head && !is_told {
            return Ok(0);
        }
        let value = Bytes::from(serde_json::to_vec(&Head { position, revision: self.fold.state.revision })?);
        bus.bucket(subjects::STATE_BUCKET).put(&subjects::head_key(&self.org), value).await?.await?;
        Ok(1)
    }
}

/// How far the read models and the credentials of an org are.
async fn read_positions(bus: &Bus, org: &OrgId) -> Result<(u64, u64), bus::Error> {
    let head = bus.bucket(subjects::STATE_BUCKET).read(&subjects::head_key(org)).await?;
    let head: Head = head.and_then(|(_, value)| serde_json::from_slice(&value).ok()).unwrap_or_default();
    let credentials = bus.bucket(subjects::CREDENTIALS_BUCKET).read(&credentials_at_key(org)).await?;
    let credentials: CredentialsAt =
        credentials.and_then(|(_, value)| serde_json::from_slice(&value).ok()).unwrap_or_default();
    Ok((head.position, credentials.position))
}

async fn write_desired(bus: &Bus, keys: Vec<DesiredKey>, pending: &mut Pending) -> Result<(), bus::Error> {
    let bucket = bus.bucket(subjects::STATE_BUCKET);
    for (key, desired) in keys {
        let write = match desired {
            Some(desired) => bucket.put(&key, desired).await?,
            None => bucket.delete(&key).await?,
        };
        pending.push(write).await?;
    }
    Ok(())
}
