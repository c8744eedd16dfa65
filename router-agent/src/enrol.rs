//! Enrolment: a setup key and the device's public key become a place in an org.

use std::time::Duration;

use nkeys::KeyPair;
use schemas::device::{Enrolled, Enrolment};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Config;
use crate::error::Error;
use crate::identity::{Identity, Membership};

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(15);
const MESSAGE_CHARS_MAX: usize = 500;

/// Enrols the device. Tries until the control plane answers; gives up when it refuses. Nothing if told to stop.
pub async fn enrol(
    config: &Config,
    identity: &Identity,
    stop: &CancellationToken,
) -> Result<Option<Membership>, Error> {
    let setup_key = config.setup_key.clone().ok_or(Error::SetupKeyMissing)?;
    let unusable = |error: &dyn std::fmt::Display| Error::EnrolmentAnswer(error.to_string());
    let enrolment = Enrolment {
        setup_key,
        public_key: identity.public_key().map_err(|error| unusable(&error))?,
        name: config.device_name().ok_or_else(|| unusable(&"the device has no name"))?,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        interfaces: config.zoned_interfaces(),
    };
    let client = reqwest::Client::builder().timeout(ATTEMPT_TIMEOUT).build()?;
    let url = format!("{}/api/v1/devices/enroll", config.url.trim_end_matches('/'));
    let mut backoff = BACKOFF_FIRST;
    loop {
        let attempt = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            attempt = attempt(&client, &url, &enrolment) => attempt,
        };
        match attempt {
            Attempt::Enrolled(enrolled) => {
                info!(device.id = %enrolled.device.id, "enrolled as {} in org {}", enrolled.device.id, enrolled.org);
                return membership(*enrolled).map(Some);
            }
            Attempt::Refused(error) => return Err(error),
            Attempt::Later(why) => warn!("the control plane at {url} cannot enrol this device yet: {why}"),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(backoff) => backoff = (backoff * 2).min(BACKOFF_MAX),
        }
    }
}

enum Attempt {
    Enrolled(Box<Enrolled>),
    Refused(Error),
    Later(String),
}

/// Asks once. The same device asks with the same command id, so that a lost answer can be had again.
async fn attempt(client: &reqwest::Client, url: &str, enrolment: &Enrolment) -> Attempt {
    let command_id = format!("enrol-{}", enrolment.public_key);
    let sent = client.post(url).header("Idempotency-Key", command_id).json(enrolment).send().await;
    let response = match sent {
        Ok(response) => response,
        Err(error) => return Attempt::Later(chain(&error)),
    };
    let status = response.status();
    let body = match response.bytes().await {
        Ok(body) => body,
        Err(error) => return Attempt::Later(chain(&error)),
    };
    if status.is_success() {
        return match serde_json::from_slice(&body) {
            Ok(enrolled) => Attempt::Enrolled(Box::new(enrolled)),
            Err(error) => Attempt::Refused(Error::EnrolmentAnswer(error.to_string())),
        };
    }
    let message = refusal(&body);
    if status.is_client_error() && !matches!(status.as_u16(), 408 | 429) {
        Attempt::Refused(Error::EnrolmentRefused { status: status.as_u16(), message })
    } else {
        Attempt::Later(format!("status {status}: {message}"))
    }
}

/// Checks what enrolment answered, so that a device never keeps a place it cannot use.
fn membership(enrolled: Enrolled) -> Result<Membership, Error> {
    KeyPair::from_public_key(&enrolled.config_key)
        .map_err(|error| Error::EnrolmentAnswer(format!("the config key is not a public key: {error}")))?;
    if enrolled.nats_urls.is_empty() {
        return Err(Error::EnrolmentAnswer("it names no bus address".to_owned()));
    }
    Ok(Membership {
        org: enrolled.org,
        device: enrolled.device.id,
        config_key: enrolled.config_key,
        nats_urls: enrolled.nats_urls,
    })
}

/// The reason and message of an error answer, else its text.
fn refusal(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Answer {
        error: Problem,
    }
    #[derive(Deserialize)]
    struct Problem {
        reason: String,
        message: String,
    }
    match serde_json::from_slice::<Answer>(body) {
        Ok(Answer { error }) => format!("{}: {}", error.reason, error.message),
        Err(_) => String::from_utf8_lossy(body).chars().take(MESSAGE_CHARS_MAX).collect(),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
