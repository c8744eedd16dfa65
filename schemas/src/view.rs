//! Views: what the projector keeps in KV and the API shows.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::agent::Heartbeat;
use crate::api_token::ApiToken;
use crate::device::Device;
use crate::setup_key::{SetupKey, SetupKeyState};

/// The value of an org's head key: how far its read models are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The EVENTS stream sequence of the last commit that is in the read models.
    pub position: u64,
    /// The revision of its last event.
    pub revision: u64,
}

/// The config that a device should run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Desired {
    /// The org revision that it was compiled at.
    pub revision: u64,
    /// SHA-256 of the config, in hexadecimal.
    pub hash: String,
}

/// A device as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeviceView {
    #[serde(flatten)]
    pub device: Device,
    /// The config that the device should run; compare with `applied`.
    pub desired: Option<Desired>,
    /// Whether a heartbeat arrived within the last seconds.
    pub online: bool,
    pub last_seen: Option<DateTime<Utc>>,
    /// The last heartbeat of an online device.
    pub heartbeat: Option<Heartbeat>,
}

/// A setup key as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SetupKeyView {
    #[serde(flatten)]
    pub setup_key: SetupKey,
    pub state: SetupKeyState,
}

/// A setup key with its secret: the answer to its creation, and only that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SetupKeyWithSecret {
    #[serde(flatten)]
    pub setup_key: SetupKeyView,
    /// The secret, `nks_…`; it is not shown again.
    pub key: String,
}

/// An API token with its secret: the answer to its creation, and only that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ApiTokenWithSecret {
    #[serde(flatten)]
    pub api_token: ApiToken,
    /// The secret, `nk_…`; it is not shown again.
    pub token: String,
}
