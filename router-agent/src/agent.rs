//! Puts the parts of the agent together, and takes them apart again in order.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bus::device::DeviceBus;
use schemas::agent::Report;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Config;
use crate::control::{Control, send_reports};
use crate::enforce::Enforcer;
use crate::enrol::enrol;
use crate::error::Error;
use crate::identity::{Identity, Membership, StateDir};
use crate::pipeline::Pipeline;
use crate::replay::Reader;
use crate::running::{Running, RunningWatch};
use crate::spool::Spool;
use crate::{capture, live, names, replayed};

/// How long batches may still leave after the agent was told to stop.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
const CONNECT_PAUSE_MAX: Duration = Duration::from_secs(5);
const SEND_PAUSE_FIRST: Duration = Duration::from_millis(250);
const SEND_PAUSE_MAX: Duration = Duration::from_secs(10);
const REPORTS_MAX: usize = 16;

/// The agent of one device.
pub struct Agent {
    config: Config,
    state: StateDir,
    identity: Identity,
    pipeline: Arc<Pipeline>,
}

impl Agent {
    /// Takes the device's state folder and checks what can be checked without anybody else.
    pub fn bind(config: Config) -> Result<Self, Error> {
        let state = StateDir::take(&config.state_dir)?;
        let identity = Identity::load_or_create(&state.file("identity.json"))?;
        if identity.enrolled.is_none() && config.setup_key.is_none() {
            return Err(Error::SetupKeyMissing);
        }
        if let Some(path) = &config.replay {
            Reader::open(path).map_err(|source| Error::Replay { path: path.clone(), source })?;
        }
        let folder = state.file("spool");
        let spool = Spool::open(&folder, config.spool_bytes_max).map_err(Error::state(&folder))?;
        let pipeline = Arc::new(Pipeline::new(config.flows_max, spool));
        Ok(Self { config, state, identity, pipeline })
    }

    /// Runs until stopped; then sends what it has, for a few seconds, and leaves the rules in force.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let Some(membership) = self.enrolled(&stop).await? else { return Ok(()) };
        let urls = self.config.nats_url.as_ref().map_or_else(|| membership.nats_urls.clone(), |url| vec![url.clone()]);
        let (running, watch) = watch::channel(Arc::new(Running::without_config(&self.config.interfaces)));
        let (reports, outbox) = mpsc::channel(REPORTS_MAX);
        let enforcer = match self.config.replay {
            Some(_) => Enforcer::Replay,
            None => Enforcer::Kernel { nflog_group: self.config.nflog_group },
        };
        let (names, answers) = watch::channel(Arc::default());
        let confirm_within = Duration::from_millis(self.config.confirm_ms);
        let stored = self.state.file("config.json");
        let control =
            Control::new(membership.clone(), urls.clone(), enforcer, running, stored, confirm_within, reports)
                .with_names(answers);

        let mut tasks = JoinSet::new();
        let device = Device { membership, urls, seed: self.identity.seed().to_owned() };
        let (pipeline, halt, followed) = (Arc::clone(&self.pipeline), stop.clone(), watch.clone());
        let every = Duration::from_millis(self.config.heartbeat_ms);
        let link = async move { device.link(control, outbox, &pipeline, followed, every, &halt).await };
        tasks.spawn(async move { Ok(Ended::Link(link.await.map(Box::new))) });
        tasks.spawn(source(names::follow(watch.clone(), names, stop.clone())));
        self.spawn_sources(&mut tasks, &watch, &stop);
        let bus = supervise(&mut tasks, &stop).await;

        let (pipeline, last, is_live) = (Arc::clone(&self.pipeline), watch, self.config.replay.is_none());
        let flushed = spawn_blocking(move || {
            let running = Arc::clone(&last.borrow());
            if is_live {
                live::close_window(&pipeline, &running, true);
            }
        });
        flushed.await.map_err(|error| Error::Task(error.to_string()))?;
        if let Some(bus) = bus.as_ref().ok().and_then(Option::as_deref) {
            let drained = timeout(DRAIN_WITHIN, send_waiting(bus, &self.pipeline)).await;
            if drained.is_err() {
                warn!("{} batches wait for the next start", self.pipeline.batches_spooled());
            }
        }
        info!("the agent has stopped; the rules stay in force");
        bus.map(|_| ())
    }

    /// The device's place in its org; enrols it if it has none.
    async fn enrolled(&mut self, stop: &CancellationToken) -> Result<Option<Membership>, Error> {
        if self.identity.enrolled.is_none() {
            self.identity.enrolled = enrol(&self.config, &self.identity, stop).await?;
            self.identity.save(&self.state.file("identity.json"))?;
        }
        Ok(self.identity.enrolled.clone())
    }

    /// Starts what packets come from.
    fn spawn_sources(&self, tasks: &mut JoinSet<Result<Ended, Error>>, watch: &RunningWatch, stop: &CancellationToken) {
        let pipeline = || Arc::clone(&self.pipeline);
        if let Some(path) = self.config.replay.clone() {
            let (pipeline, config, watch, stop) = (pipeline(), self.config.clone(), watch.clone(), stop.clone());
            tasks.spawn(async move { play(&pipeline, &config, path, watch, stop).await });
            return;
        }
        let capture = capture::run(pipeline(), watch.clone(), stop.clone());
        tasks.spawn(source(capture));
        let listen = live::listen(pipeline(), watch.clone(), self.config.nflog_group, stop.clone());
        tasks.spawn(source(listen));
        let every = Duration::from_millis(self.config.window_ms);
        let windows = live::close_windows(pipeline(), watch.clone(), every, stop.clone());
        tasks.spawn(source(windows));
    }
}

/// What a task of the agent ended with.
enum Ended {
    /// The connection, if there ever was one.
    Link(Option<Box<DeviceBus>>),
    Source,
}

async fn source(task: impl Future<Output = ()>) -> Result<Ended, Error> {
    task.await;
    Ok(Ended::Source)
}

/// Plays the capture, then waits like a live source would.
async fn play(
    pipeline: &Pipeline,
    config: &Config,
    path: PathBuf,
    watch: RunningWatch,
    stop: CancellationToken,
) -> Result<Ended, Error> {
    let played = replayed::play(pipeline, config, &path, watch, &stop).await;
    played.map_err(|source| Error::Replay { path, source })?;
    stop.cancelled().await;
    Ok(Ended::Source)
}

/// Waits for all tasks. The first that fails stops the others.
async fn supervise(
    tasks: &mut JoinSet<Result<Ended, Error>>,
    stop: &CancellationToken,
) -> Result<Option<Box<DeviceBus>>, Error> {
    let (mut bus, mut failure) = (None, None);
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(Ok(Ended::Link(connection))) => bus = connection,
            Ok(Ok(Ended::Source)) => {}
            Ok(Err(error)) => failure = failure.or(Some(error)),
            Err(error) => failure = failure.or(Some(Error::Task(error.to_string()))),
        }
        if !stop.is_cancelled() {
            failure = failure.or_else(|| Some(Error::Task("it should run until it is stopped".to_owned())));
            stop.cancel();
        }
    }
    failure.map_or(Ok(bus), Err)
}

/// What the device connects with.
struct Device {
    membership: Membership,
    urls: Vec<String>,
    seed: String,
}

impl Device {
    /// Everything that goes over the bus, until stopped.
    async fn link(
        self,
        mut control: Control,
        outbox: mpsc::Receiver<Report>,
        pipeline: &Pipeline,
        watch: RunningWatch,
        heartbeat_every: Duration,
        stop: &CancellationToken,
    ) -> Option<DeviceBus> {
        control.restore().await;
        let bus = control.mend_until(self.connect(stop)).await?;
        tokio::join!(
            control.run(&bus, stop),
            send_reports(&bus, outbox, stop),
            heartbeats(&bus, pipeline, &watch, heartbeat_every, stop),
            send_batches(&bus, pipeline, stop),
        );
        Some(bus)
    }

    async fn connect(&self, stop: &CancellationToken) -> Option<DeviceBus> {
        let mut pause = Duration::from_millis(100);
        loop {
            let (org, device) = (self.membership.org.clone(), self.membership.device);
            let connected = tokio::select! {
                () = stop.cancelled() => return None,
                connected = DeviceBus::connect(&self.urls, &self.seed, org, device) => connected,
            };
            match connected {
                Ok(bus) => return Some(bus),
                Err(error) => warn!("the bus cannot be reached yet: {error}"),
            }
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(CONNECT_PAUSE_MAX),
            }
        }
    }
}

async fn heartbeats(
    bus: &DeviceBus,
    pipeline: &Pipeline,
    watch: &RunningWatch,
    every: Duration,
    stop: &CancellationToken,
) {
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        // A sign of life that waited in a buffer would be a lie.
        if bus.connected() {
            let heartbeat = pipeline.heartbeat(watch.borrow().revision());
            if let Err(error) = bus.heartbeat(&heartbeat).await {
                warn!("a heartbeat was not sent: {error}");
            }
        }
    }
}

/// Sends batches in order, one at a time; each stays on disk until it is acknowledged.
async fn send_batches(bus: &DeviceBus, pipeline: &Pipeline, stop: &CancellationToken) {
    let mut pause = SEND_PAUSE_FIRST;
    while !stop.is_cancelled() {
        let Some(batch) = pipeline.oldest_batch() else {
            tokio::select! {
                () = stop.cancelled() => return,
                () = pipeline.spooled.notified() => continue,
            }
        };
        // Given up half-way it is sent again under its number, which is harmless.
        let sent = tokio::select! {
            () = stop.cancelled() => return,
            sent = bus.send_batch(batch.number, batch.payload.clone()) => sent,
        };
        match sent {
            Ok(_) => {
                pipeline.batch_sent(&batch);
                pause = SEND_PAUSE_FIRST;
            }
            Err(error) => {
                warn!(batch.number, "batch {} is sent again later: {error}", batch.number);
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(SEND_PAUSE_MAX),
                }
            }
        }
    }
}

/// Sends what waits, until nothing does or one is not taken.
async fn send_waiting(bus: &DeviceBus, pipeline: &Pipeline) {
    while let Some(batch) = pipeline.oldest_batch() {
        match bus.send_batch(batch.number, batch.payload.clone()).await {
            Ok(_) => pipeline.batch_sent(&batch),
            Err(error) => return warn!("batch {} waits for the next start: {error}", batch.number),
        }
    }
}
