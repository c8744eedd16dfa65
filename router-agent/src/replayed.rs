//! Packets of a capture file in place of live ones: same flow table, same verdicts, same batches.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::now_us;
use crate::config::{Config, InterfaceZone};
use crate::packet;
use crate::pipeline::Pipeline;
use crate::replay::{Reader, ReplayError};
use crate::routes::Routes;
use crate::running::RunningWatch;
use crate::verdict::{Judge, Under};

/// How long the first config is waited for, so that rows carry its verdicts.
const CONFIG_WAIT: Duration = Duration::from_secs(15);
/// A file is read faster than batches are sent: beyond this many it waits.
const BATCHES_WAITING_MAX: usize = 16;
const PAUSE: Duration = Duration::from_millis(20);

/// Private networks (RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291): behind the first interface of a replay.
const PRIVATE: [(&str, u8); 7] = [
    ("10.0.0.0", 8),
    ("172.16.0.0", 12),
    ("192.168.0.0", 16),
    ("100.64.0.0", 10),
    ("169.254.0.0", 16),
    ("fc00::", 7),
    ("fe80::", 10),
];

/// Plays the file once, from its beginning to its end.
pub(crate) async fn play(
    pipeline: &Pipeline,
    config: &Config,
    path: &Path,
    mut running: RunningWatch,
    stop: &CancellationToken,
) -> Result<(), ReplayError> {
    let shift_us = if config.replay_rebase { now_us() - last_packet_us(path)? } else { 0 };
    let routes = routes(&config.interfaces);
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        configured = timeout(CONFIG_WAIT, running.wait_for(|running| running.revision() > 0)) => {
            if configured.is_err() {
                warn!("no config arrived: the capture is replayed without rules");
            }
        }
    }
    let unknown: Arc<str> = Arc::from("replay");
    let window_us = i64::try_from(config.window_ms).unwrap_or(5_000).saturating_mul(1_000);
    let mut reader = Reader::open(path)?;
    let (mut window_end_us, mut packets) = (None, 0u64);
    while let Some(frame) = reader.next_frame()? {
        let Some(packet) = frame.link.and_then(|link| packet::parse(link, frame.bytes)) else { continue };
        let at_us = frame.at_us + shift_us;
        if at_us >= *window_end_us.get_or_insert(at_us + window_us) {
            close(pipeline, at_us, &running, &routes, stop).await;
            window_end_us = Some(at_us + window_us);
        }
        let interface = routes.interface_to(packet.source).unwrap_or(&unknown);
        pipeline.observe(&packet, interface, at_us);
        packets += 1;
        if stop.is_cancelled() {
            break;
        }
    }
    let running = Arc::clone(&running.borrow());
    pipeline.close_window(i64::MAX / 2, true, &Judge::new(&running, &routes, Under::Present));
    info!("the capture is replayed: {packets} packets");
    Ok(())
}

async fn close(pipeline: &Pipeline, at_us: i64, running: &RunningWatch, routes: &Routes, stop: &CancellationToken) {
    let in_force = Arc::clone(&running.borrow());
    pipeline.close_window(at_us, false, &Judge::new(&in_force, routes, Under::Present));
    tokio::task::yield_now().await;
    while pipeline.batches_spooled() > BATCHES_WAITING_MAX && !stop.is_cancelled() {
        sleep(PAUSE).await;
    }
}

/// Which interface an address of the file is behind.
fn routes(interfaces: &[InterfaceZone]) -> Routes {
    let mut routes = Routes::default();
    if let (Some(inside), Some(outside)) = (interfaces.first(), interfaces.last()) {
        for (network, prefix) in PRIVATE {
            if let Ok(network) = network.parse() {
                routes.add(network, prefix, 0, inside.name.as_str());
            }
        }
        routes.add(IpAddr::from([0; 4]), 0, 0, outside.name.as_str());
        routes.add(IpAddr::from([0; 16]), 0, 0, outside.name.as_str());
    }
    routes
}

fn last_packet_us(path: &Path) -> Result<i64, ReplayError> {
    let mut reader = Reader::open(path)?;
    let mut last_us = None;
    while let Some(frame) = reader.next_frame()? {
        last_us = last_us.max(Some(frame.at_us));
    }
    Ok(last_us.unwrap_or_else(now_us))
}
