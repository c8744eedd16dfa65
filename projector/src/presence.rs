//! Heartbeats of devices to the bucket `presence`, where they age by themselves.

use std::pin::pin;
use std::sync::Arc;

use bus::Bus;
use bus::bucket::PendingPut;
use bytes::Bytes;
use futures::StreamExt;
use schemas::subjects;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::counts::Counts;
use crate::retry::until_done;

/// Heartbeats under way; the next one waits.
const UNDER_WAY_MAX: usize = 256;

/// Keeps presence up until it is time to stop. A heartbeat that cannot be written is left out: the next one comes.
pub(crate) async fn run(bus: Bus, counts: Arc<Counts>, stop: CancellationToken) {
    let bucket = bus.bucket(subjects::PRESENCE_BUCKET);
    while !stop.is_cancelled() {
        let listening = until_done(&stop, "listen for heartbeats", || bus.heartbeats()).await;
        let Some(heartbeats) = listening else { return };
        let writes = heartbeats
            .map(|(org, device, heartbeat)| {
                let (bucket, counts) = (bucket.clone(), counts.clone());
                async move {
                    let value = serde_json::to_vec(&heartbeat).unwrap_or_default();
                    let put = bucket.put(&subjects::presence_key(&org, device), Bytes::from(value)).await;
                    match settle(put).await {
                        Ok(()) => counts.heartbeats.add(1),
                        Err(error) => debug!("left out a heartbeat of {device}: {error}"),
                    }
                }
            })
            .buffered(UNDER_WAY_MAX);
        let mut writes = pin!(writes.take_until(stop.cancelled()));
        while writes.next().await.is_some() {}
    }
}

async fn settle(put: Result<PendingPut, bus::Error>) -> Result<(), bus::Error> {
    put?.await.map(|_| ())
}
