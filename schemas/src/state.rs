//! The state of an org: the fold of its events. Cloning it costs nothing, so that a decision may be tried on a copy.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use imbl::{OrdMap, OrdSet};

use crate::api_token::ApiToken;
use crate::device::Device;
use crate::event::{Event, Recorded, SecretHash};
use crate::id::{ApiTokenId, DeviceId, RuleId, SetupKeyId, UserId, ZoneId};
use crate::org::Org;
use crate::rule::Rule;
use crate::setup_key::SetupKey;
use crate::text::Name;
use crate::user::User;
use crate::zone::{Zone, ZoneName};

/// Everything that an org has, at one revision.
#[derive(Debug, Clone, Default)]
pub struct OrgState {
    pub revision: u64,
    pub org: Option<Arc<Org>>,
    pub users: OrdMap<UserId, Arc<User>>,
    pub api_tokens: OrdMap<ApiTokenId, Arc<ApiToken>>,
    pub zones: OrdMap<ZoneId, Arc<Zone>>,
    pub rules: OrdMap<RuleId, Arc<Rule>>,
    pub setup_keys: OrdMap<SetupKeyId, Arc<SetupKey>>,
    pub devices: OrdMap<DeviceId, Arc<Device>>,

    pub api_token_hashes: OrdMap<ApiTokenId, SecretHash>,
    pub setup_key_hashes: OrdMap<SetupKeyId, SecretHash>,
    pub api_token_names: OrdMap<Name, ApiTokenId>,
    pub zone_names: OrdMap<ZoneName, ZoneId>,
    pub rule_names: OrdMap<Name, RuleId>,
    pub setup_key_names: OrdMap<Name, SetupKeyId>,
    pub device_names: OrdMap<Name, DeviceId>,
    pub device_keys: OrdMap<String, DeviceId>,
    /// The rules in matching order.
    pub rule_order: OrdSet<(u32, RuleId)>,
    /// The highest rule number that was ever given.
    pub rule_number_last: u32,
}

impl OrgState {
    /// Adds what happened. It happened, so this cannot fail.
    pub fn apply(&mut self, recorded: &Recorded) {
        self.apply_event(&recorded.event, recorded.meta.revision, recorded.meta.time);
    }

    /// Adds one event that happened as `revision` at `time`.
    pub fn apply_event(&mut self, event: &Event, revision: u64, time: DateTime<Utc>) {
        self.revision = revision;
        match event {
            Event::OrgCreated { org } => self.org = Some(Arc::new(org.clone())),
            Event::UserCreated { user } => {
                self.users.insert(user.id, Arc::new(user.clone()));
            }
            Event::ApiTokenCreated { api_token, secret_hash } => {
                self.api_token_hashes.insert(api_token.id, secret_hash.clone());
                self.put_api_token(api_token);
            }
            Event::ApiTokenUpdated { api_token, .. } => self.put_api_token(api_token),
            Event::ApiTokenDeleted { id, .. } => self.remove_api_token(*id),
            Event::ZoneCreated { zone } | Event::ZoneUpdated { zone, .. } => {
                self.zone_names.insert(zone.name.clone(), zone.id);
                self.zones.insert(zone.id, Arc::new(zone.clone()));
            }
            Event::ZoneDeleted { id } => {
                if let Some(zone) = self.zones.remove(id) {
                    self.zone_names.remove(&zone.name);
                }
            }
            Event::RuleCreated { rule } | Event::RuleUpdated { rule, .. } => self.put_rule(rule.clone()),
            Event::RuleDeleted { id } => self.remove_rule(*id),
            Event::RulesReordered { moved } => {
                for place in moved {
                    if let Some(rule) = self.rules.get(&place.rule_id) {
                        let moved = Rule { order: place.order, revision, updated_at: time, ..Rule::clone(rule) };
                        self.put_rule(moved);
                    }
                }
            }
            Event::SetupKeyCreated { setup_key, secret_hash } => {
                self.setup_key_hashes.insert(setup_key.id, secret_hash.clone());
                self.put_setup_key(setup_key);
            }
            Event::SetupKeyUpdated { setup_key, .. } => self.put_setup_key(setup_key),
            Event::SetupKeyDeleted { id, .. } => self.remove_setup_key(*id),
            Event::DeviceEnrolled { device } | Event::DeviceUpdated { device, .. } => self.put_device(device.clone()),
            Event::DeviceDeleted { id, .. } => self.remove_device(*id),
            Event::DeviceConfigApplied { id, applied } => {
                self.change_device(*id, |device| {
                    device.applied = Some(applied.clone());
                    device.failure = None;
                });
            }
            Event::DeviceConfigFailed { id, failure } => {
                self.change_device(*id, |device| device.failure = Some(failure.clone()));
            }
        }
    }

    /// The rules in matching order.
    pub fn ordered_rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rule_order.iter().filter_map(|(_, id)| self.rules.get(id))
    }

    /// The place after the last rule.
    pub fn rule_order_next(&self) -> u32 {
        self.rule_order.get_max().map_or(1, |(order, _)| order.saturating_add(1))
    }

    fn put_api_token(&mut self, api_token: &ApiToken) {
        if let Some(old) = self.api_tokens.insert(api_token.id, Arc::new(api_token.clone())) {
            self.api_token_names.remove(&old.name);
        }
        self.api_token_names.insert(api_token.name.clone(), api_token.id);
    }

    fn remove_api_token(&mut self, id: ApiTokenId) {
        self.api_token_hashes.remove(&id);
        if let Some(old) = self.api_tokens.remove(&id) {
            self.api_token_names.remove(&old.name);
        }
    }

    fn put_rule(&mut self, rule: Rule) {
        if let Some(old) = self.rules.get(&rule.id) {
            self.rule_names.remove(&old.name);
            self.rule_order.remove(&(old.order, old.id));
        }
        self.rule_number_last = self.rule_number_last.max(rule.number);
        self.rule_names.insert(rule.name.clone(), rule.id);
        self.rule_order.insert((rule.order, rule.id));
        self.rules.insert(rule.id, Arc::new(rule));
    }

    fn remove_rule(&mut self, id: RuleId) {
        if let Some(old) = self.rules.remove(&id) {
            self.rule_names.remove(&old.name);
            self.rule_order.remove(&(old.order, old.id));
        }
    }

    fn put_setup_key(&mut self, setup_key: &SetupKey) {
        if let Some(old) = self.setup_keys.insert(setup_key.id, Arc::new(setup_key.clone())) {
            self.setup_key_names.remove(&old.name);
        }
        self.setup_key_names.insert(setup_key.name.clone(), setup_key.id);
    }

    fn remove_setup_key(&mut self, id: SetupKeyId) {
        self.setup_key_hashes.remove(&id);
        if let Some(old) = self.setup_keys.remove(&id) {
            self.setup_key_names.remove(&old.name);
        }
    }

    fn put_device(&mut self, device: Device) {
        if let Some(old) = self.devices.get(&device.id) {
            self.device_names.remove(&old.name);
            self.device_keys.remove(&old.public_key);
        }
        self.device_names.insert(device.name.clone(), device.id);
        self.device_keys.insert(device.public_key.clone(), device.id);
        self.devices.insert(device.id, Arc::new(device));
    }

    /// What a device says of itself does not make it another revision: nobody's `If-Match` fails for it.
    fn change_device(&mut self, id: DeviceId, change: impl FnOnce(&mut Device)) {
        if let Some(device) = self.devices.get_mut(&id) {
            change(Arc::make_mut(device));
        }
    }

    fn remove_device(&mut self, id: DeviceId) {
        if let Some(old) = self.devices.remove(&id) {
            self.device_names.remove(&old.name);
            self.device_keys.remove(&old.public_key);
        }
    }
}
