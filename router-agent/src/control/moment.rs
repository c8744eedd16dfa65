//! What of the config holds at this moment, by the device's own clock and its own resolver, and enforcing just that.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use policy::Answers;
use schemas::config::{DeviceConfig, Ruleset};
use tracing::{error, info};

use super::Control;
use super::mend::Kernel;
use crate::clock::{now, now_us};
use crate::names::AnswersWatch;
use crate::running::Running;

/// When and with what it was worked out last what holds.
#[derive(Debug, Default)]
pub(super) struct Moment {
    /// Where the addresses of domains are learnt.
    pub(super) answers: Option<AnswersWatch>,
    /// The addresses in use.
    used: Arc<Answers>,
    at: DateTime<Utc>,
    /// When something else may hold by itself.
    next_change: Option<DateTime<Utc>>,
}

impl Moment {
    fn newest(&self) -> Arc<Answers> {
        self.answers.as_ref().map_or_else(Arc::default, |answers| Arc::clone(&answers.borrow()))
    }

    /// Whether something else may hold than was worked out last. A clock that was set back begins anew.
    fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.newest() != self.used || now < self.at || self.next_change.is_some_and(|change| change <= now)
    }
}

impl Control {
    /// Brings into force what holds at this moment, and says what that is.
    pub(super) async fn enforce(&mut self, config: &DeviceConfig) -> Result<Ruleset, String> {
        let in_force = self.holding(config);
        self.enforcer.apply(Some((config.mode, &in_force)), &self.surroundings()).await?;
        Ok(in_force)
    }

    /// Enforces what holds at this moment, if that is something else than a moment ago.
    pub(super) async fn keep_up(&mut self) {
        let running = Arc::clone(&self.running.borrow());
        let Some(config) = &running.config else { return };
        if self.memory.kernel.differs() || !self.memory.moment.is_over(now()) {
            return;
        }
        let in_force = self.holding(config);
        if in_force == running.in_force {
            return;
        }
        match self.enforcer.apply(Some((config.mode, &in_force)), &self.surroundings()).await {
            Ok(()) => {
                info!("other rules of revision {} hold at this moment: they are in force", config.revision);
                self.note_moment(&running, in_force);
            }
            Err(error) => {
                error!("the rules that hold at this moment cannot be applied yet: {error}");
                self.memory.kernel = Kernel::Owed;
            }
        }
    }

    /// Says that this much of a config is in force.
    pub(super) fn note_moment(&self, before: &Running, in_force: Ruleset) {
        if let Some(config) = before.config.clone().filter(|_| before.in_force != in_force) {
            let moved_on = Running::under(config, in_force, before.hash.clone(), before, now_us());
            self.running.send_replace(Arc::new(moved_on));
        }
    }

    fn holding(&mut self, config: &DeviceConfig) -> Ruleset {
        let (now, moment) = (now(), &mut self.memory.moment);
        moment.used = moment.newest();
        moment.at = now;
        moment.next_change = policy::next_change(&config.ruleset, now);
        policy::resolve(&policy::at(&config.ruleset, now), &moment.used)
    }
}
