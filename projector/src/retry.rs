//! Patience: what must be done is tried again until it is done or the projector stops.

use std::fmt::Display;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Pauses between attempts, ever longer.
pub(crate) struct Patience<'a> {
    stop: &'a CancellationToken,
    what: &'a str,
    pause: Duration,
}

const FIRST: Duration = Duration::from_millis(100);
const LAST: Duration = Duration::from_secs(5);

impl<'a> Patience<'a> {
    pub(crate) fn new(stop: &'a CancellationToken, what: &'a str) -> Self {
        Self { stop, what, pause: FIRST }
    }

    /// Logs the failure and pauses. False once it is time to stop.
    pub(crate) async fn after(&mut self, error: &impl Display) -> bool {
        warn!("cannot {} (will try again): {error}", self.what);
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(self.pause) => {
                self.pause = (self.pause * 2).min(LAST);
                true
            }
        }
    }
}

/// Tries again until it works; `None` once it is time to stop. A try that is under way is finished.
pub(crate) async fn until_done<T, E, Attempt>(
    stop: &CancellationToken,
    what: &str,
    mut attempt: impl FnMut() -> Attempt,
) -> Option<T>
where
    E: Display,
    Attempt: Future<Output = Result<T, E>>,
{
    let mut patience = Patience::new(stop, what);
    loop {
        match attempt().await {
            Ok(done) => return Some(done),
            Err(error) if patience.after(&error).await => {}
            Err(_) => return None,
        }
    }
}
