//! The config reaction: compiles what a device must enforce, signs it and pushes it, once for each real change.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bus::Bus;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use nkeys::KeyPair;
use schemas::id::{DeviceId, OrgId};
use schemas::state::OrgState;
use schemas::subjects;
use schemas::view::Desired;

use crate::counts::Counts;
use crate::parked::park_large;

mod signed;

use signed::{Signed, known, seal};

/// Pushes configs to devices.
#[derive(Clone)]
pub(crate) struct Configs {
    bus: Bus,
    key: Arc<KeyPair>,
    counts: Arc<Counts>,
    last: Arc<Mutex<Option<LastPushed>>>,
}

/// The push that is last in the stream.
struct LastPushed {
    sequence: u64,
    org: OrgId,
    device: DeviceId,
    message: Bytes,
}

/// What the devices of one org were last told.
#[derive(Default)]
pub(crate) struct Pushed(HashMap<DeviceId, Told>);

/// What one device was last told.
struct Told {
    /// SHA-256 of mode and ruleset; absent where nothing valid was ever pushed.
    content: Option<String>,
    desired: Option<Desired>,
    /// Whether the read models say so too.
    announced: bool,
}

/// What is new for devices.
#[derive(Default)]
struct Compiled {
    signed: Vec<Signed>,
    /// Devices whose config is larger than a message, and how large: they keep what they have.
    large: Vec<(DeviceId, usize)>,
}

/// A desired key to write, or (without a value) to delete.
pub(crate) type DesiredKey = (String, Option<Bytes>);

/// Devices that are compiled in one go: rulesets are large.
const COMPILED_MAX: usize = 64;
const UNDER_WAY_MAX: usize = 32;

impl Configs {
    pub(crate) fn new(bus: Bus, key: KeyPair, counts: Arc<Counts>) -> Self {
        Self { bus, key: Arc::new(key), counts, last: Arc::default() }
    }

    /// Pushes to each of `devices` what `state` asks of it, where that differs from what it was told last. Says which
    /// desired keys to write; they are said again until [`Pushed::announce`].
    pub(crate) async fn push(
        &self,
        org: &OrgId,
        state: &OrgState,
        devices: BTreeSet<DeviceId>,
        pushed: &mut Pushed,
    ) -> anyhow::Result<Vec<DesiredKey>> {
        let mut keys = Vec::new();
        let (there, gone): (Vec<_>, Vec<_>) = devices.into_iter().partition(|id| state.devices.contains_key(id));
        for device in gone {
            pushed.0.remove(&device);
            keys.push((subjects::desired_key(org, device), None));
        }
        for devices in there.chunks(COMPILED_MAX) {
            self.recall(org, devices, pushed).await?;
            let Compiled { signed, large } = self.compile(org, state, devices, pushed).await?;
            for (device, bytes) in large {
                let key = format!("config.{org}.{device}");
                park_large(&self.bus, &self.counts, &key, org, state.revision, bytes).await?;
            }
            for signed in signed {
                let sequence = self.bus.push_config(org, signed.device, signed.message.clone()).await?;
                self.counts.configs_pushed.add(1);
                self.note_last(sequence, org, &signed);
                pushed.tell(signed);
            }
            for device in devices {
                if let Some(desired) = pushed.unannounced(*device) {
                    let value = serde_json::to_vec(desired)?;
                    keys.push((subjects::desired_key(org, *device), Some(Bytes::from(value))));
                }
            }
        }
        Ok(keys)
    }

    /// Whether the push that was last is still there.
    pub(crate) async fn is_intact(&self) -> Result<bool, bus::Error> {
        let last = || {
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.as_ref().map(|last| (last.org.clone(), last.device, last.message.clone()))
        };
        let Some((org, device, message)) = last() else { return Ok(true) };
        Ok(self.bus.last_config(&org, device).await? == Some(message))
    }

    fn note_last(&self, sequence: u64, org: &OrgId, signed: &Signed) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|last| last.sequence < sequence) {
            let (org, device, message) = (org.clone(), signed.device, signed.message.clone());
            *last = Some(LastPushed { sequence, org, device, message });
        }
    }

    /// Reads what devices were told by an earlier process.
    async fn recall(&self, org: &OrgId, devices: &[DeviceId], pushed: &mut Pushed) -> Result<(), bus::Error> {
        let unknown: Vec<DeviceId> = devices.iter().filter(|id| !pushed.0.contains_key(id)).copied().collect();
        let mut told = futures::stream::iter(unknown)
            .map(|device| async move { Ok::<_, bus::Error>((device, self.read_told(org, device).await?)) })
            .buffer_unordered(UNDER_WAY_MAX);
        while let Some((device, told)) = told.try_next().await? {
            pushed.0.insert(device, told);
        }
        Ok(())
    }

    async fn read_told(&self, org: &OrgId, device: DeviceId) -> Result<Told, bus::Error> {
        let last = self.bus.last_config(org, device).await?;
        let Some(known) = last.and_then(|message| known(&self.key, org, device, &message)) else {
            return Ok(Told { content: None, desired: None, announced: false });
        };
        let key = subjects::desired_key(org, device);
        let announced = self.bus.bucket(subjects::STATE_BUCKET).read(&key).await?;
        let announced = announced.and_then(|(_, value)| serde_json::from_slice::<Desired>(&value).ok());
        let announced = announced.as_ref() == Some(&known.desired);
        Ok(Told { content: Some(known.content), desired: Some(known.desired), announced })
    }

    /// Compiles off the async threads and keeps what is new.
    async fn compile(
        &self,
        org: &OrgId,
        state: &OrgState,
        devices: &[DeviceId],
        pushed: &Pushed,
    ) -> anyhow::Result<Compiled> {
        let content = |id: &DeviceId| pushed.0.get(id).and_then(|told| told.content.clone());
        let contents: BTreeMap<DeviceId, Option<String>> = devices.iter().map(|id| (*id, content(id))).collect();
        let (org, state, key) = (org.clone(), state.clone(), self.key.clone());
        let bytes_max = self.bus.payload_bytes_max();
        let compile = move || {
            let (mut compiled, mut compiler) = (Compiled::default(), policy::Compiler::new(&state));
            for (device, content) in contents {
                let Some((mode, ruleset)) = compiler.compile(device) else { continue };
                match seal(&key, &org, device, state.revision, mode, ruleset, content.as_deref())? {
                    Some(signed) if signed.message.len() > bytes_max => {
                        compiled.large.push((device, signed.message.len()));
                    }
                    signed => compiled.signed.extend(signed),
                }
            }
            Ok(compiled)
        };
        tokio::task::spawn_blocking(compile).await?
    }
}

impl Pushed {
    /// Notes that the desired keys are written.
    pub(crate) fn announce(&mut self, devices: &BTreeSet<DeviceId>) {
        for device in devices {
            if let Some(told) = self.0.get_mut(device) {
                told.announced = true;
            }
        }
    }

    fn tell(&mut self, signed: Signed) {
        let told = Told { content: Some(signed.content), desired: Some(signed.desired), announced: false };
        self.0.insert(signed.device, told);
    }

    fn unannounced(&self, device: DeviceId) -> Option<&Desired> {
        self.0.get(&device).filter(|told| !told.announced).and_then(|told| told.desired.as_ref())
    }
}
