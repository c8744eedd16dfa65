//! When the last config is read again: after each reconnect, and from time to time.

use tokio::time::Instant;

/// What was read last.
#[derive(Debug, Default)]
pub(super) struct Reread {
    /// The connection it was read over, and until when that is enough.
    done: Option<(u64, Instant)>,
}

impl Reread {
    /// Whether a push may have been missed, on the connection that was made as the `connects`th.
    pub(super) fn is_due(&self, connects: u64, at: Instant) -> bool {
        self.done.is_none_or(|(over, until)| over != connects || at >= until)
    }

    /// The last config was read.
    pub(super) fn is_done(&mut self, connects: u64, until: Instant) {
        self.done = Some((connects, until));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_due_until_it_succeeds_after_each_reconnect_and_after_a_while() {
        let (start, mut reread) = (Instant::now(), Reread::default());
        assert!(reread.is_due(1, start) && reread.is_due(1, start), "nothing was read yet");
        reread.is_done(1, start + Duration::from_secs(30));
        assert!(!reread.is_due(1, start + Duration::from_secs(29)));
        assert!(reread.is_due(2, start), "reconnected, however short the gap");
        assert!(reread.is_due(1, start + Duration::from_secs(30)));
    }
}
