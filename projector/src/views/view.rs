//! One org's read models: what is folded, what is written, and the writing in between.

use std::time::Duration;

use bus::Bus;
use bus::log::LogMessage;
use bytes::Bytes;
use schemas::id::OrgId;
use schemas::state::OrgState;
use schemas::subjects;
use schemas::view::Head;
use tokio::time::Instant;
use tracing::{error, warn};

use crate::configs::{Configs, DesiredKey, Pushed};
use crate::counts::Counts;
use crate::parked::park_large;
use crate::pending::Pending;
use crate::retry::Pause;
use crate::views::changes::Changes;
use crate::views::fold::{Fold, Happened, Note, Undigested};

/// One org.
pub(super) struct View {
    org: OrgId,
    pub(super) fold: Fold,
    /// Whether an event could not be digested: nothing after it is folded.
    pub(super) is_parked: bool,
    /// The position of the head key.
    head: u64,
    changes: Changes,
    pushed: Pushed,
    /// After failures.
    pause: Pause,
    /// When the last commit came in that was not there at the start.
    active: Option<Instant>,
    /// Whether the state was let go; the position is kept.
    pub(super) is_resting: bool,
}

impl View {
    /// Opens an org's read models as an earlier process left them. `end` is the end of the event log.
    pub(super) async fn open(bus: &Bus, org: &OrgId, end: u64) -> Result<Self, bus::Error> {
        let mut head = read_position(bus, org).await?;
        if head > end {
            warn!("the read models of {org} are at {head}, the event log ends at {end}: writing them again");
            head = 0;
        }
        Ok(Self {
            org: org.clone(),
            fold: Fold::default(),
            is_parked: false,
            head,
            changes: Changes::default(),
            pushed: Pushed::default(),
            pause: Pause::default(),
            active: None,
            is_resting: false,
        })
    }

    /// Lets go of the state of an org that nobody writes to.
    pub(super) fn rest(&mut self) {
        self.fold.state = OrgState::default();
        self.pushed = Pushed::default();
        self.is_resting = true;
    }

    /// Whether the org could rest: all is written, and nobody wrote to it for a while.
    pub(super) fn is_idle(&self, idle: Duration) -> bool {
        let quiet = self.active.is_none_or(|active| active.elapsed() >= idle);
        quiet && !self.is_resting && self.fold.position <= self.head && self.changes.devices.is_empty()
    }

    /// Takes back the state that was let go.
    pub(super) fn wake(&mut self, fold: Fold) {
        self.fold = fold;
        self.is_resting = false;
    }

    /// Notes that somebody writes to the org.
    pub(super) fn is_written_to(&mut self) {
        self.active = Some(Instant::now());
    }

    /// An org as of a position, folded from its log.
    pub(super) async fn fold_at(bus: &Bus, org: &OrgId, position: u64) -> Result<Fold, bus::Error> {
        let mut fold = Fold::default();
        for message in bus.events().replay(org, 0).await?.iter().filter(|message| message.position <= position) {
            if let Err(undigested) = fold.follow(message, None) {
                // It was digested before: the commit that comes next will not follow on, and says so.
                error!("{org} at {}: {undigested}", message.position);
                break;
            }
        }
        Ok(fold)
    }

    /// Whether the position still is where it was left.
    pub(super) async fn is_intact(&self, bus: &Bus) -> Result<bool, bus::Error> {
        Ok(read_position(bus, &self.org).await? == self.head)
    }

    /// Adds one commit and notes what is to be written for it. What an earlier process wrote is left out.
    pub(super) fn follow(&mut self, message: &LogMessage) -> Result<Vec<Happened>, Undigested> {
        let Self { fold, changes, head, .. } = self;
        let mut note = |before: &OrgState, after: &OrgState, event: &Happened| {
            changes.note_models(&event.recorded.event);
            changes.note_devices(before, after, &event.recorded.event);
        };
        fold.follow(message, (message.position > *head).then_some(&mut note as Note<'_>))
    }

    /// Notes that every device is to be compiled.
    pub(super) fn note_all_devices(&mut self) {
        self.changes.devices.all = true;
    }

    /// Whether there is something to write, and no failure was just before.
    pub(super) fn is_due(&self) -> bool {
        let is_changed = self.fold.position > self.head || !self.changes.devices.is_empty();
        is_changed && self.pause.is_over()
    }

    /// Tries once to write what changed, the head key last.
    pub(super) async fn flush(&mut self, bus: &Bus, configs: &Configs, counts: &Counts) {
        match self.write_models(bus, configs, counts).await {
            Ok(written) => {
                counts.keys_written.add(written);
                self.pause = Pause::default();
            }
            Err(error) => self.pause.after(&format!("write the read models of {}", self.org), &error),
        }
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
        for model in &self.changes.models {
            let key = model.key(&self.org);
            let write = match model.value(&self.fold.state)? {
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

/// How far the read models of an org are.
async fn read_position(bus: &Bus, org: &OrgId) -> Result<u64, bus::Error> {
    let head = bus.bucket(subjects::STATE_BUCKET).read(&subjects::head_key(org)).await?;
    let head: Head = head.and_then(|(_, value)| serde_json::from_slice(&value).ok()).unwrap_or_default();
    Ok(head.position)
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
