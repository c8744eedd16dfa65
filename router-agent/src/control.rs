//! The control loop: hears configs, applies each once, proves it, reports it, and keeps the last good one on disk.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bus::device::DeviceBus;
use bytes::Bytes;
use futures::{FutureExt, Stream, StreamExt};
use schemas::agent::{Outcome, Report, ReportAnswer};
use schemas::config::Ruleset;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::{now, now_us};
use crate::confirm;
use crate::enforce::{Enforcer, Surroundings};
use crate::identity::{Membership, replace_file};
use crate::names::AnswersWatch;
use crate::running::Running;
use crate::signed::{Accepted, accept};

mod mend;
mod moment;
mod reread;

use mend::{Kernel, Stored};
use moment::Moment;
use reread::Reread;

/// How often the last config is read, in case a push was missed.
const REREAD: Duration = Duration::from_secs(30);
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// How often the kernel is looked at, and how soon rules that could not be put back are tried again.
const MEND_EVERY: Duration = Duration::from_secs(5);
/// Configs that arrived while another was being applied: more are considered in turns.
const WAITING_MAX: usize = 1_024;
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
    kernel: Kernel,
    moment: Moment,
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

    /// Hears the addresses of domains from now on.
    pub(crate) fn with_names(mut self, answers: AnswersWatch) -> Self {
        self.memory.moment.answers = Some(answers);
        self
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
        mut live: Pin<&mut impl Stream<Item = Bytes>>,
        stop: &CancellationToken,
    ) {
        let (mut look, mut mend) = (every(LOOK_AFTER), every(MEND_EVERY));
        let mut reread = Reread::default();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                pushed = live.next() => match pushed {
                    Some(first) => {
                        let newest = newest(first, live.as_mut(), &self.membership);
                        if let Some((bytes, accepted)) = newest {
                            self.consider(&bytes, accepted, stop).await;
                        }
                    }
                    None => return,
                },
                _ = look.tick() => {
                    self.keep_up().await;
                    self.reread(bus, &mut reread, stop).await;
                },
                _ = mend.tick() => tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.mend() => {}
                },
            }
        }
    }

    /// Reads the last config if one may have been missed.
    async fn reread(&mut self, bus: &DeviceBus, reread: &mut Reread, stop: &CancellationToken) {
        let connects = bus.connects();
        if !bus.connected() || !reread.is_due(connects, Instant::now()) {
            return;
        }
        let last = tokio::select! {
            () = stop.cancelled() => return,
            last = bus.last_config() => last,
        };
        match last {
            Ok(last) => {
                reread.is_done(connects, Instant::now() + REREAD);
                let last = last.and_then(|bytes| Some((verified(&bytes, &self.membership)?, bytes)));
                if let Some((accepted, bytes)) = last {
                    self.consider(&bytes, accepted, stop).await;
                }
            }
            Err(error) => warn!("the last config cannot be read: {error}"),
        }
    }

    /// Applies a config unless it is not newer or known to fail.
    async fn consider(&mut self, bytes: &[u8], accepted: Accepted, stop: &CancellationToken) {
        let running = Arc::clone(&self.running.borrow());
        let revision = accepted.config.revision;
        if revision < running.revision() {
            return warn!("a config of revision {revision} is refused: revision {} is in force", running.revision());
        }
        if accepted.hash == running.hash {
            if self.memory.reported.as_ref() != Some(&accepted.hash) && !self.memory.kernel.differs() {
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
        if let Err(error) = self.remember_table(before).await {
            return Some(Outcome::Failed { error });
        }
        let in_force = match self.enforce(&accepted.config).await {
            Ok(in_force) => in_force,
            Err(error) => {
                // An nft that failed or hung may have done its work all the same.
                let also = self.put_back(before).await;
                return Some(Outcome::Failed { error: error + &also });
            }
        };
        self.publish(accepted.clone(), in_force);
        let proof = tokio::select! {
            () = stop.cancelled() => Err(None),
            reached = confirm::reach(&self.urls, self.confirm_within) => reached.map_err(Some),
        };
        let Err(lacking) = proof else {
            self.memory.kernel = Kernel::default();
            return Some(Outcome::Applied);
        };
        self.running.send_replace(Arc::clone(before));
        let also = self.put_back(before).await;
        lacking.map(|cause| {
            let error = format!("the control plane was not reached: {cause}{also}");
            Outcome::Reverted { error }
        })
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings { control: self.memory.control.clone() }
    }

    fn publish(&self, accepted: Accepted, in_force: Ruleset) {
        let before = Arc::clone(&self.running.borrow());
        let running = Running::under(Arc::new(accepted.config), in_force, accepted.hash, &before, now_us());
        self.running.send_replace(Arc::new(running));
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

/// The newest config among those that wait, if the control plane signed one of them for this device.
fn newest(
    first: Bytes,
    mut live: Pin<&mut impl Stream<Item = Bytes>>,
    membership: &Membership,
) -> Option<(Bytes, Accepted)> {
    let mut newest: Option<(Bytes, Accepted)> = None;
    let waiting = std::iter::from_fn(|| live.next().now_or_never().flatten());
    for bytes in std::iter::once(first).chain(waiting).take(WAITING_MAX) {
        let Some(accepted) = verified(&bytes, membership) else { continue };
        if newest.as_ref().is_none_or(|(_, newest)| newest.config.revision <= accepted.config.revision) {
            newest = Some((bytes, accepted));
        }
    }
    newest
}

fn verified(bytes: &[u8], membership: &Membership) -> Option<Accepted> {
    accept(bytes, membership).inspect_err(|error| warn!("a config is refused: {error}")).ok()
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tick
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

#[cfg(test)]
mod in_kernel;
