//! A connection to NATS with its JetStream context.

use std::time::Duration;

use async_nats::jetstream::{self, context::Context};
use async_nats::{Client, ConnectOptions};
use tracing::{debug, info, warn};

use crate::error::Error;

/// How to prove who we are.
#[derive(Clone, Default)]
pub enum BusAuth {
    /// A server that asks for nothing, as in tests of one part.
    #[default]
    None,
    /// The seed of an nkey user (Ed25519): the server's nonce is signed, the seed never leaves.
    Seed(String),
}

/// How long an acknowledgement may take before its outcome counts as unknown.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a reader looks whether its connection is still the same.
const LOOK: Duration = Duration::from_millis(100);
/// Publishes without an acknowledgement so far; beyond, publishers wait.
const UNACKED_MAX: usize = 4_096;

/// A connection of a service to the bus. Cloning shares it.
#[derive(Clone)]
pub struct Bus {
    pub(crate) client: Client,
    pub(crate) jetstream: Context,
}

impl Bus {
    /// Connects; afterwards the connection is kept up for ever.
    pub async fn connect(urls: &[String], auth: &BusAuth, name: &str) -> Result<Self, Error> {
        Self::connect_with(urls, auth, name, |options| options).await
    }

    /// Connects with options of the caller's own beside those that all connections have.
    pub(crate) async fn connect_with(
        urls: &[String],
        auth: &BusAuth,
        name: &str,
        more: impl FnOnce(ConnectOptions) -> ConnectOptions,
    ) -> Result<Self, Error> {
        let client = connect(urls, more(options(auth, name))).await?;
        Ok(Self { jetstream: context(&client), client })
    }

    /// Whether the connection is up at this moment.
    pub fn connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// How often the connection was made. A server that comes back may have lost the tail of what it keeps with
    /// `persist_mode: async`, although it had acknowledged it.
    pub fn connects(&self) -> u64 {
        self.client.statistics().connects.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The largest message that the server takes, headers included.
    pub fn payload_bytes_max(&self) -> usize {
        self.client.max_payload()
    }

    /// Waits until the connection is made anew, after it was made `connects` times. A reader would notice only by the
    /// absence of heartbeats, a quarter of a minute later.
    pub(crate) async fn made_anew(&self, connects: u64) {
        while self.connects() == connects {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until everything that was published has left this process.
    pub async fn flush(&self) -> Result<(), Error> {
        self.client.flush().await.map_err(|cause| Error::Failed { what: "flush", cause: cause.to_string() })
    }
}

fn options(auth: &BusAuth, name: &str) -> ConnectOptions {
    let options = match auth {
        BusAuth::None => ConnectOptions::new(),
        BusAuth::Seed(seed) => ConnectOptions::with_nkey(seed.clone()),
    };
    let whose = name.to_owned();
    options
        .name(name)
        .request_timeout(Some(REQUEST_TIMEOUT))
        .ping_interval(Duration::from_secs(10))
        .reconnect_delay_callback(|attempts| Duration::from_millis(50 * (attempts as u64).clamp(1, 40)))
        .event_callback(move |event| {
            let whose = whose.clone();
            async move { log_event(&whose, &event) }
        })
}

async fn connect(urls: &[String], options: ConnectOptions) -> Result<Client, Error> {
    let failed = |cause: String| Error::Connect { urls: urls.join(","), cause };
    let mut servers = Vec::new();
    for url in urls {
        servers.push(url.parse::<async_nats::ServerAddr>().map_err(|cause| failed(cause.to_string()))?);
    }
    options.connect(servers).await.map_err(|cause| failed(cause.to_string()))
}

fn context(client: &Client) -> Context {
    jetstream::context::ContextBuilder::new()
        .timeout(REQUEST_TIMEOUT)
        .ack_timeout(ACK_TIMEOUT)
        .max_ack_inflight(UNACKED_MAX)
        .backpressure_on_inflight(true)
        .build(client.clone())
}

fn log_event(whose: &str, event: &async_nats::Event) {
    match event {
        async_nats::Event::Connected => info!("{whose}: connected to NATS"),
        async_nats::Event::Disconnected => warn!("{whose}: lost the connection to NATS"),
        async_nats::Event::LameDuckMode
        | async_nats::Event::Draining
        | async_nats::Event::Closed
        | async_nats::Event::SlowConsumer(_)
        | async_nats::Event::ServerError(_)
        | async_nats::Event::ClientError(_) => debug!("{whose}: NATS says {event}"),
    }
}
