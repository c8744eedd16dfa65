//! Ephemeral devices: they leave their org when nothing was heard of them for a while.
//!
//! Silence counts only while somebody listens: from the start of this process, from the last time that the connection to
//! the bus was made, or from the last sign of life, whichever is latest.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use bus::Bus;
use bus::bucket::Change;
use futures::StreamExt;
use schemas::access::Role;
use schemas::command::Command;
use schemas::id::{DeviceId, OperationId, OrgId};
use schemas::kind::Kind;
use schemas::subjects;
use serde::Deserialize;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::{random_command_id, random_ulid};
use crate::orgs::Orgs;
use crate::refusal::Refusal;
use crate::submission::{Failure, Options, Origin};

/// When a device is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How long nothing is heard of it.
    pub offline: Duration,
    /// How often is looked.
    pub look: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { offline: Duration::from_secs(600), look: Duration::from_secs(30) }
    }
}

/// A device of an org.
type Whose = (OrgId, DeviceId);

/// Removes devices until it is stopped.
pub async fn run(bus: Bus, orgs: Orgs, config: Config, stop: CancellationToken) -> Result<(), bus::Error> {
    let mut heard = pin!(bus.signs_of_life().await?);
    let mut devices = pin!(bus.bucket(subjects::STATE_BUCKET).watch(&format!("*.{}.*", Kind::Device.plural())));
    let mut silence = Silence::default();
    let mut look = interval(config.look);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut connects, mut looked) = (bus.connects(), Instant::now());
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(whose) = heard.next() => silence.hear(&whose, Instant::now()),
            Some(change) = devices.next() => silence.note(&change, Instant::now()),
            now = look.tick() => {
                // Who did not listen, or slept, heard nothing.
                if bus.connects() != connects || now - looked > 4 * config.look {
                    silence.start_again(now);
                }
                connects = bus.connects();
                for whose in silence.longer_than(config.offline, now) {
                    if stop.is_cancelled() {
                        return Ok(());
                    }
                    if is_absent(&bus, &whose, connects).await {
                        silence.settle(&whose, remove(&orgs, &whose).await, Instant::now());
                    }
                }
                looked = Instant::now();
            }
        }
    }
}

/// Whether the bus says that the device is not there. A bus that does not answer says nothing.
async fn is_absent(bus: &Bus, (org, device): &Whose, connects: u64) -> bool {
    let presence = bus.bucket(subjects::PRESENCE_BUCKET).read(&subjects::presence_key(org, *device)).await;
    matches!(presence, Ok(None)) && bus.connects() == connects
}

async fn remove(orgs: &Orgs, (org, device): &Whose) -> Result<(), Failure> {
    let origin = Origin::of("system", "ephemeral", Role::Owner, OperationId::new(random_ulid()));
    let options = Options { command_id: random_command_id(), ..Options::default() };
    orgs.submit(org, Command::Delete((*device).into()), origin, options).await.map(|_| ())
}

/// Since when nothing was heard of each ephemeral device.
#[derive(Debug, Default)]
struct Silence(HashMap<Whose, Instant>);

/// What of a device is of interest here.
#[derive(Deserialize)]
struct Facts {
    ephemeral: bool,
}

impl Silence {
    /// Notes a device that is new, was changed or is gone.
    fn note(&mut self, change: &Change, now: Instant) {
        let mut words = change.key.split('.');
        let (org, device) = (words.next().and_then(|it| it.parse().ok()), words.nth(1).and_then(|it| it.parse().ok()));
        let Some(whose) = org.zip(device) else { return };
        let facts = change.value.as_ref().and_then(|value| serde_json::from_slice::<Facts>(value).ok());
        if facts.is_some_and(|facts| facts.ephemeral) {
            self.0.entry(whose).or_insert(now);
        } else {
            self.0.remove(&whose);
        }
    }

    fn hear(&mut self, whose: &Whose, now: Instant) {
        if let Some(since) = self.0.get_mut(whose) {
            *since = now;
        }
    }

    fn start_again(&mut self, now: Instant) {
        self.0.values_mut().for_each(|since| *since = now);
    }

    fn longer_than(&self, limit: Duration, now: Instant) -> Vec<Whose> {
        let over = self.0.iter().filter(|(_, since)| now.saturating_duration_since(**since) >= limit);
        over.map(|(whose, _)| whose.clone()).collect()
    }

    /// Notes what became of a removal. What failed for now is tried at the next look.
    fn settle(&mut self, whose: &Whose, removed: Result<(), Failure>, now: Instant) {
        let (org, device) = whose;
        match removed {
            Ok(()) => {
                info!(device.id = %device, "removed the ephemeral device {device} of {org}: it was offline");
                self.0.remove(whose);
            }
            Err(Failure::Refused(Refusal::NotFound { .. } | Refusal::OrgMissing(_))) => {
                self.0.remove(whose);
            }
            Err(failure @ Failure::Refused(_)) => {
                warn!("the ephemeral device {device} of {org} is offline and stays: {failure}");
                self.hear(whose, now);
            }
            Err(failure) => warn!("cannot remove the ephemeral device {device} of {org}: {failure}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use schemas::id::Ulid;

    use super::*;

    fn change(device: DeviceId, value: Option<&'static str>) -> Change {
        let value = value.map(|text| Bytes::from_static(text.as_bytes()));
        Change { key: format!("acme.devices.{device}"), value, revision: 1, pending: 0 }
    }

    #[test]
    fn silence_is_counted_from_the_last_sign_of_life() {
        let [one, two] = [1u128, 2].map(|n| DeviceId::new(Ulid(n)));
        let whose = |device| ("acme".parse().expect("an org"), device);
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut silence = Silence::default();
        silence.note(&change(one, Some(r#"{"ephemeral":true,"name":"a"}"#)), at(0));
        silence.note(&change(two, Some(r#"{"ephemeral":false}"#)), at(0));
        silence.hear(&whose(one), at(5));
        silence.hear(&whose(two), at(5));
        // It was changed, which says nothing about its being there.
        silence.note(&change(one, Some(r#"{"ephemeral":true,"name":"b"}"#)), at(9));
        let over = |silence: &Silence, second| silence.longer_than(Duration::from_secs(10), at(second));
        assert_eq!(over(&silence, 14), []);
        assert_eq!(over(&silence, 15), [whose(one)]);
        silence.start_again(at(15));
        assert_eq!(over(&silence, 24), []);
        silence.settle(&whose(one), Err(Failure::Overloaded), at(25));
        assert_eq!(over(&silence, 25), [whose(one)]);
        silence.note(&change(one, None), at(26));
        assert_eq!(over(&silence, 99), []);
    }
}
