//! The fields that each kind of list may be filtered and sorted by.

use gate::Fields;
use schemas::api_token::ApiToken;
use schemas::rule::Rule;
use schemas::user::User;
use schemas::view::{DeviceView, SetupKeyView};
use schemas::zone::Zone;

use super::history::HistoryEntry;

/// Worked out once from the schemas.
#[derive(Debug)]
pub(crate) struct ListFields {
    pub(super) zones: Fields,
    pub(super) rules: Fields,
    pub(super) setup_keys: Fields,
    pub(super) devices: Fields,
    pub(super) api_tokens: Fields,
    pub(super) users: Fields,
    pub(super) history: Fields,
}

impl ListFields {
    pub(crate) fn new() -> Self {
        Self {
            zones: Fields::of::<Zone>(),
            rules: Fields::of::<Rule>(),
            setup_keys: Fields::of::<SetupKeyView>(),
            devices: Fields::of::<DeviceView>(),
            api_tokens: Fields::of::<ApiToken>(),
            users: Fields::of::<User>(),
            history: Fields::of::<HistoryEntry>(),
        }
    }
}
