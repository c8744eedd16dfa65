//! Admissions: which devices may connect to the bus. What is taken back is cut at once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bus::Bus;
use bus::callout::{Admission, Callout, Connection};
use futures::StreamExt;
use gate::Keyring;
use schemas::credential::{Credential, CredentialKey};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::now;

/// Answers the NATS server's questions about who connects, from the keyring.
#[derive(Clone)]
pub struct Admissions {
    callout: Callout,
    system: Bus,
    keyring: Keyring,
    connections: Arc<Mutex<HashMap<String, VecDeque<Connection>>>>,
}

/// Connections that are remembered of one key: a device has one, and a few old ones that the server has ended.
const CONNECTIONS_MAX: usize = 16;

impl Admissions {
    /// `system` is a connection in the system account.
    pub fn new(callout: Callout, system: Bus, keyring: Keyring) -> Self {
        Self { callout, system, keyring, connections: Arc::default() }
    }

    /// Answers until it is stopped.
    pub async fn run(self, stop: CancellationToken) -> Result<(), bus::Error> {
        let mut admissions = Box::pin(self.callout.admissions().await?);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                Some(admission) = admissions.next() => {
                    if let Err(error) = self.answer(&admission).await {
                        warn!("admission of {}: {error}", admission.public_key);
                    }
                }
            }
        }
    }

    async fn answer(&self, admission: &Admission) -> Result<(), bus::Error> {
        let key = CredentialKey::DeviceKey(admission.public_key.clone());
        let Some(Credential::Device { org, id }) = self.keyring.find(&key) else {
            info!("refused the unknown device key {}", admission.public_key);
            return self.callout.refuse(admission, "the device is not enrolled").await;
        };
        self.remember(admission);
        self.callout.admit(admission, &org, id, now().timestamp()).await
    }

    /// Ends the connections of a device whose key was taken back.
    pub async fn revoke(&self, public_key: &str) {
        let connections = self.lock().remove(public_key);
        for connection in connections.into_iter().flatten() {
            if let Err(error) = self.system.kick(&connection).await {
                warn!("cannot end a connection of {public_key}: {error}");
            }
        }
    }

    fn remember(&self, admission: &Admission) {
        let mut connections = self.lock();
        let of_key = connections.entry(admission.public_key.clone()).or_default();
        if of_key.len() >= CONNECTIONS_MAX {
            of_key.pop_front();
        }
        of_key.push_back(admission.connection.clone());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, VecDeque<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
