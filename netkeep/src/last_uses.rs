//! Keeps when API tokens were used and users signed in last: what the front door saw goes to the bus, at most once a
//! minute for each.

use std::time::Duration;

use bus::Uses;
use gate::uses::Told;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::warn;

const PERIOD: Duration = Duration::from_secs(1);
/// How long the last telling may take.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Tells every second what is due, and all of it on `stop`. What cannot be told is told with the next use.
pub(crate) async fn keep(uses: Uses, seen: gate::Uses, stop: CancellationToken) -> anyhow::Result<()> {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = period.tick() => {}
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tell(&uses, seen.due()) => {}
        }
    }
    if tokio::time::timeout(LAST_WORDS, tell(&uses, seen.rest())).await.is_err() {
        warn!("the last uses of some tokens are not kept: the bus did not answer");
    }
    Ok(())
}

async fn tell(uses: &Uses, told: Vec<Told>) {
    let mut pending = Vec::with_capacity(told.len());
    for (org, used, at) in told {
        match uses.put(&org, &used.to_string(), at).await {
            Ok(sent) => pending.push(sent),
            Err(error) => return warn!("the last uses of some tokens are not kept: {error}"),
        }
    }
    for sent in pending {
        if let Err(error) = sent.await {
            return warn!("the last uses of some tokens are not kept: {error}");
        }
    }
}
