//! The control loop: hears configs, applies each once, proves it, reports it, and keeps the last good one on disk.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bus::device::DeviceBus;
use bytes::Bytes;
use futures::StreamExt;
use schemas::agent::{Outcome, Report, ReportAnswer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock::{now, now_us};
use crate::confirm;
use crate::enforce::{Enforcer, Surroundings};
use crate::identity::{Membership, replace_file};
use crate::running::Running;
use crate::signed::{Accepted, accept};

/// How often the last config is read, in case a push was missed.
const REREAD: Duration = Duration::from_secs(30);
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// After this a config that failed is tried again: what was in its way may be gone.
const RETRY_AFTER: Duration = Duration::from_secs(300);
const REPORT_PAUSE_MAX: Duration = Duration::from_secs(10);

/// Brings configs into force.
pub(crate) struct Control {
    pub(crate) membership: Membership,
    /// The bus addresses in use.
    pub(crate) urls: Vec<String>,
    pub(crate) enforcer: Enforcer,
    pub(crate) running: watch::Sender<Arc<Running>>,
    pub(crate) stored: PathBuf,
    pub(crate) confirm_within: Duration,
    pub(crate) reports: mpsc::Sender<Report>,
    memory: Memory,
}

#[derive(Default)]
struct Memory {
    /// Where the control plane was found last.
    control: Vec<SocketAddr>,
    reported: Option<String>,
    /// A config that could not be brought into force, and when.
    failed: Option<(String, Instant)>,
}

/// The last good config as it lies on disk.
#[derive(Serialize, Deserialize)]
struct Stored {
    control: Vec<SocketAddr>,
    signed: Box<RawValue>,
}

impl Control {
    pub(crate) fn new(
        membership: Membership,
        urls: Vec<String>,
        enforcer: Enforcer,
        running: watch::Sender<Arc<Running>>,
        stored: PathBuf,
        confirm_within: Duration,
        reports: mpsc::Sender<Report>,
    ) -> Self {
        Self { membership, urls, enforcer, running, stored, confirm_within, reports, memory: Memory::default() }
    }

    /// Brings the last good config back into force, before anybody is asked. Rules that were never proved go.
    pub(crate) async fn restore(&mut self) {
        let stored = std::fs::read(&self.stored).ok().and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok());
        let Some(stored) = stored else {
            if let Err(error) = self.enforcer.apply(None, &Surroundings::default()).await {
                warn!("rules of an earlier run cannot be removed: {error}");
            }
            return;
        };
        let accepted = match accept(stored.signed.get().as_bytes(), &self.membership) {
            Ok(accepted) => accepted,
            Err(error) => return error!("the config on disk is not used: {error}"),
        };
        self.memory.control = stored.control;
        match self.enforcer.apply(Some(&accepted.config), &self.surroundings()).await {
            Ok(()) => {
                info!("revision {} is back in force", accepted.config.revision);
                self.publish(accepted);
            }
            Err(error) => error!("the config on disk cannot be applied: {error}"),
        }
    }

    /// Follows the device's configs until stopped.
    pub(crate) async fn run(mut self, bus: &DeviceBus, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match bus.configs().await {
                Ok(live) => self.follow(bus, std::pin::pin!(live), stop).await,
                Err(error) => warn!("configs cannot be followed yet: {error}"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_AFTER) => {}
            }
        }
    }

    async fn follow(
        &mut self,
        bus: &DeviceBus,
        mut live: std::pin::Pin<&mut impl futures::Stream<Item = Bytes>>,
        stop: &CancellationToken,
    ) {
        let mut tick = tokio::time::interval(LOOK_AFTER);
        let (mut was_connected, mut reread_at) = (false, Instant::now());
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                pushed = live.next() => match pushed {
                    Some(config) => self.consider(&config, stop).await,
                    None => return,
                },
                _ = tick.tick() => {
                    let connected = bus.connected();
                    if connected && (!was_connected || Instant::now() >= reread_at) {
                        let last = tokio::select! {
                            () = stop.cancelled() => return,
                            last = bus.last_config() => last,
                        };
                        match last {
                            Ok(Some(config)) => self.consider(&config, stop).await,
                            Ok(None) => {}
                            Err(error) => warn!("the last config cannot be read: {error}"),
                        }
                        reread_at = Instant::now() + REREAD;
                    }
                    was_connected = connected;
                }
            }
        }
    }

    /// Applies a config unless it is not ours, not newer, or known to fail.
    async fn consider(&mut self, bytes: &[u8], stop: &CancellationToken) {
        let accepted = match accept(bytes, &self.membership) {
            Ok(accepted) => accepted,
            Err(error) => return warn!("a config is refused: {error}"),
        };
        let running = Arc::clone(&self.running.borrow());
        let revision = accepted.config.revision;
        if revision < running.revision() {
            return warn!("a config of revision {revision} is refused: revision {} is in force", running.revision());
        }
        if accepted.hash == running.hash {
            if self.memory.reported.as_ref() != Some(&accepted.hash) {
                self.report(&accepted, Outcome::Applied).await;
            }
            return;
        }
        let failed = self.memory.failed.as_ref();
        if failed.is_some_and(|(hash, at)| *hash == accepted.hash && at.elapsed() < RETRY_AFTER) {
            return;
        }
        match self.bring_into_force(&accepted, &running, stop).await {
            Some(Outcome::Applied) => {
                info!(config.revision = revision, "revision {revision} is in force");
                self.keep(bytes);
                self.memory.failed = None;
                self.report(&accepted, Outcome::Applied).await;
            }
            Some(outcome) => {
                warn!(config.revision = revision, "revision {revision} is not in force: {outcome:?}");
                self.memory.failed = Some((accepted.hash.clone(), Instant::now()));
                self.report(&accepted, outcome).await;
            }
            None => {}
        }
    }

    /// Applies, proves, and goes back where there is no proof. Nothing if stopped before the proof.
    async fn bring_into_force(
        &mut self,
        accepted: &Accepted,
        before: &Arc<Running>,
        stop: &CancellationToken,
    ) -> Option<Outcome> {
        let control = confirm::resolve(&self.urls).await;
        if !control.is_empty() {
            self.memory.control = control;
        }
        if let Err(error) = self.enforcer.apply(Some(&accepted.config), &self.surroundings()).await {
            return Some(Outcome::Failed { error });
        }
        self.publish(accepted.clone());
        let proof = tokio::select! {
            () = stop.cancelled() => Err(None),
            reached = confirm::reach(&self.urls, self.confirm_within) => reached.map_err(Some),
        };
        let Err(lacking) = proof else { return Some(Outcome::Applied) };
        let reverted = self.enforcer.apply(before.config.as_ref(), &self.surroundings()).await;
        self.running.send_replace(Arc::clone(before));
        if let Err(error) = &reverted {
            error!("the previous rules cannot be put back: {error}");
        }
        let also = reverted.err().map(|error| format!("; putting the previous rules back failed: {error}"));
        lacking.map(|cause| {
            let error = format!("the control plane was not reached: {cause}{}", also.unwrap_or_default());
            Outcome::Reverted { error }
        })
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings { control: self.memory.control.clone() }
    }

    fn publish(&self, accepted: Accepted) {
        let before = Arc::clone(&self.running.borrow());
        self.running.send_replace(Arc::new(Running::under(accepted.config, accepted.hash, &before, now_us())));
    }

    /// Keeps the config for the next start. If that fails it is only fetched again then.
    fn keep(&self, signed: &[u8]) {
        let stored = serde_json::from_slice(signed)
            .and_then(|signed| serde_json::to_vec(&Stored { control: self.memory.control.clone(), signed }));
        let kept = stored.map_err(std::io::Error::from).and_then(|bytes| replace_file(&self.stored, &bytes));
        if let Err(error) = kept {
            warn!("the config cannot be kept on disk: {error}");
        }
    }

    async fn report(&mut self, accepted: &Accepted, outcome: Outcome) {
        let (revision, hash) = (accepted.config.revision, accepted.hash.clone());
        self.memory.reported = (outcome == Outcome::Applied).then(|| hash.clone());
        // A full queue holds older outcomes that must arrive first.
        let _ = self.reports.send(Report { revision, hash, outcome, at: now() }).await;
    }
}

/// Sends reports in order, each until it is answered.
pub(crate) async fn send_reports(bus: &DeviceBus, mut reports: mpsc::Receiver<Report>, stop: &CancellationToken) {
    loop {
        let report = tokio::select! {
            () = stop.cancelled() => return,
            report = reports.recv() => report,
        };
        let Some(report) = report else { return };
        let mut pause = Duration::from_millis(200);
        loop {
            let answer = tokio::select! {
                () = stop.cancelled() => return,
                answer = bus.report(&report) => answer,
            };
            match answer {
                Ok(ReportAnswer::Recorded { .. }) => break,
                Ok(ReportAnswer::Refused { reason, message }) => {
                    warn!("the report on revision {} was refused: {reason}: {message}", report.revision);
                    break;
                }
                Err(error) => warn!("the report on revision {} is not answered yet: {error}", report.revision),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(REPORT_PAUSE_MAX),
            }
        }
    }
}

#[cfg(test)]
mod tests;
