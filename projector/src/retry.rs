//! What must be done is tried again until it is done or the projector stops: with patience, or beside other work.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::Instant;
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

/// A pause after each failure in a row, ever longer, of what is tried again beside other work.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    until: Option<Instant>,
    length: Duration,
}

impl Pause {
    pub(crate) fn is_over(&self) -> bool {
        self.until.is_none_or(|until| until <= Instant::now())
    }

    /// Logs the failure and begins the next pause.
    pub(crate) fn after(&mut self, what: &str, error: &impl Display) {
        warn!("cannot {what} (will try again): {error}");
        self.length = (self.length * 2).clamp(FIRST, LAST);
        self.until = Some(Instant::now() + self.length);
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
