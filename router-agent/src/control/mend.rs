//! What the kernel should hold: the last good config after a start, the rules before a change that failed, and the rules
//! in force after somebody took them away.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use schemas::device::Mode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tracing::{error, info, warn};

use super::{Control, MEND_EVERY};
use crate::enforce::Surroundings;
use crate::identity::Membership;
use crate::running::Running;
use crate::signed::{Accepted, accept};

/// The last good config as it lies on disk.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) control: Vec<SocketAddr>,
    pub(super) signed: Box<RawValue>,
}

/// Whether the kernel holds what it should.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Kernel {
    /// It holds the rules in force; without any, what it held before.
    #[default]
    Settled,
    /// It may not: they could not be put there, which is tried again.
    Owed,
    /// What it should hold until other rules are proved is of an earlier run, whose config cannot be used.
    Found {
        /// As nft lists it.
        table: String,
        is_owed: bool,
    },
}

/// Why the config on disk is not used.
enum Unusable {
    Absent,
    /// Reading it may succeed later.
    Unread(String),
    Damaged(String),
}

impl Kernel {
    /// Whether rules wait to be put back.
    pub(super) fn differs(&self) -> bool {
        match self {
            Self::Owed | Self::Found { is_owed: true, .. } => true,
            Self::Settled | Self::Found { is_owed: false, .. } => false,
        }
    }
}

impl Control {
    /// Brings the last good config back into force, before anybody is asked. Where there is none, rules that were never
    /// proved go; where it cannot be used, the kernel keeps what it has.
    pub(crate) async fn restore(&mut self) {
        let (control, accepted) = match read(&self.stored, &self.membership) {
            Ok(read) => read,
            Err(Unusable::Absent) => {
                let cleared = self.enforcer.apply(None, &Surroundings::default()).await;
                self.memory.kernel = if cleared.is_ok() { Kernel::Settled } else { Kernel::Owed };
                if let Err(error) = cleared {
                    warn!("rules of an earlier run cannot be removed yet: {error}");
                }
                return;
            }
            Err(Unusable::Unread(error)) => {
                self.memory.kernel = Kernel::Owed;
                return error!("the config on disk cannot be read yet, the kernel keeps its rules: {error}");
            }
            Err(Unusable::Damaged(error)) => {
                self.memory.kernel = Kernel::Settled;
                return error!("the config on disk is not used, the kernel keeps its rules: {error}");
            }
        };
        self.memory.control = control;
        match self.enforce(&accepted.config).await {
            Ok(in_force) => {
                info!("revision {} is back in force", accepted.config.revision);
                self.memory.kernel = Kernel::Settled;
                self.publish(accepted, in_force);
            }
            Err(error) => {
                self.memory.kernel = Kernel::Owed;
                error!("the config on disk cannot be applied yet: {error}");
            }
        }
    }

    /// Watches over the kernel until `connected` gives a connection to follow configs on.
    pub(crate) async fn mend_until<T>(&mut self, connected: impl Future<Output = T>) -> T {
        let mut connected = std::pin::pin!(connected);
        loop {
            tokio::select! {
                connection = &mut connected => return connection,
                () = tokio::time::sleep(MEND_EVERY) => self.mend().await,
            }
        }
    }

    /// Puts the rules in force back into the kernel if they could not be before, or if the table is gone.
    pub(super) async fn mend(&mut self) {
        self.keep_up().await;
        let running = Arc::clone(&self.running.borrow());
        if self.memory.kernel.differs() {
            self.put_back(&running).await;
            return;
        }
        let has_table = match &self.memory.kernel {
            Kernel::Found { table, .. } => !table.is_empty(),
            Kernel::Settled | Kernel::Owed => {
                running.config.as_ref().is_some_and(|config| config.mode != Mode::Observe)
            }
        };
        if !has_table {
            return;
        }
        match self.enforcer.is_in_force().await {
            Ok(true) => {}
            Ok(false) => {
                warn!("somebody removed the rules from the kernel: they are put back");
                self.put_back(&running).await;
            }
            Err(error) => warn!("whether the rules are in force cannot be seen: {error}"),
        }
    }

    /// Remembers the rules of an earlier run before they are replaced, if no config tells of them.
    pub(super) async fn remember_table(&mut self, before: &Running) -> Result<(), String> {
        if before.config.is_some() || matches!(self.memory.kernel, Kernel::Found { .. }) {
            return Ok(());
        }
        match read(&self.stored, &self.membership) {
            Ok(_) | Err(Unusable::Absent) => {}
            Err(Unusable::Unread(_) | Unusable::Damaged(_)) => {
                let table = self.enforcer.table().await?;
                self.memory.kernel = Kernel::Found { table, is_owed: false };
            }
        }
        Ok(())
    }

    /// Puts the rules back that hold under `before`. If that fails it is tried again later; gives what to say of it.
    pub(super) async fn put_back(&mut self, before: &Running) -> String {
        let put = if let Kernel::Found { table, .. } = &self.memory.kernel {
            self.enforcer.apply_table(table).await
        } else if let Some(config) = &before.config {
            let put = self.enforce(config).await;
            put.map(|in_force| self.note_moment(before, in_force))
        } else {
            self.restore().await;
            return if self.memory.kernel.differs() { TRIED_AGAIN.to_owned() } else { String::new() };
        };
        match &mut self.memory.kernel {
            Kernel::Found { is_owed, .. } => *is_owed = put.is_err(),
            kernel @ (Kernel::Settled | Kernel::Owed) => {
                *kernel = if put.is_ok() { Kernel::Settled } else { Kernel::Owed };
            }
        }
        let Err(error) = put else { return String::new() };
        error!("the previous rules cannot be put back yet: {error}");
        format!("{TRIED_AGAIN}: {error}")
    }
}

const TRIED_AGAIN: &str = "; putting the previous rules back failed and is tried again";

fn read(path: &Path, membership: &Membership) -> Result<(Vec<SocketAddr>, Accepted), Unusable> {
    let bytes = std::fs::read(path).map_err(|error| {
        if error.kind() == ErrorKind::NotFound { Unusable::Absent } else { Unusable::Unread(error.to_string()) }
    })?;
    let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| Unusable::Damaged(error.to_string()))?;
    let accepted = accept(stored.signed.get().as_bytes(), membership);
    accepted.map(|accepted| (stored.control, accepted)).map_err(|error| Unusable::Damaged(error.to_string()))
}
