//! Packets of this moment: the end of each window by the clock, and the kernel's word on packets.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::now_us;
use crate::flow_table::Heard;
use crate::nflog::{Logged, NfLog};
use crate::packet::{self, Link};
use crate::pipeline::Pipeline;
use crate::routes::Routes;
use crate::running::{Running, RunningWatch};
use crate::verdict::{Judge, Under};

const LISTEN_PAUSE: Duration = Duration::from_secs(10);

/// Closes a window every `every` until stopped.
pub(crate) async fn close_windows(
    pipeline: Arc<Pipeline>,
    running: RunningWatch,
    every: Duration,
    stop: CancellationToken,
) {
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let (pipeline, running) = (Arc::clone(&pipeline), Arc::clone(&running.borrow()));
        let closed = spawn_blocking(move || close_window(&pipeline, &running, false)).await;
        if let Err(error) = closed {
            warn!("a window could not be closed: {error}");
        }
    }
}

/// Closes the window that ends at this moment. Blocks.
pub(crate) fn close_window(pipeline: &Pipeline, running: &Running, all: bool) {
    let routes = Routes::read();
    pipeline.close_window(now_us(), all, &Judge::new(running, &routes, Under::ItsTime));
}

/// Listens to the kernel's log group until stopped. Without it verdicts are evaluated.
pub(crate) async fn listen(pipeline: Arc<Pipeline>, running: RunningWatch, group: u16, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let (pipeline, running, halt) = (Arc::clone(&pipeline), running.clone(), stop.clone());
        let ended = spawn_blocking(move || listen_blocking(&pipeline, &running, group, &halt)).await;
        match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => warn!("the kernel's verdicts (NFLOG group {group}) cannot be heard: {error}"),
            Err(error) => warn!("the listener to the kernel's verdicts ended: {error}"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LISTEN_PAUSE) => {}
        }
    }
}

fn listen_blocking(
    pipeline: &Pipeline,
    running: &RunningWatch,
    group: u16,
    stop: &CancellationToken,
) -> std::io::Result<()> {
    let mut log = NfLog::listen(group)?;
    info!("the kernel's verdicts are heard on NFLOG group {group}");
    while !stop.is_cancelled() {
        log.read(&mut |Logged { number, action, datagram }| {
            let Some(packet) = packet::parse(Link::Ip, datagram) else { return };
            let rule = running.borrow().rule(number);
            pipeline.hear(&packet, Heard { action, rule }, now_us());
        })?;
    }
    Ok(())
}
