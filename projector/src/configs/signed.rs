//! A device's config as it goes over the bus: canonical bytes, signed; pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use nkeys::KeyPair;
use schemas::config::{DeviceConfig, Ruleset, SignedConfig};
use schemas::device::Mode;
use schemas::digest::sha256_hex;
use schemas::id::{DeviceId, OrgId};
use schemas::view::Desired;
use serde_json::value::RawValue;

/// A config that is ready to be pushed.
pub(super) struct Signed {
    pub(super) device: DeviceId,
    /// SHA-256 of mode and ruleset: what the device does, whatever the revision.
    pub(super) content: String,
    pub(super) desired: Desired,
    /// A [`SignedConfig`] as JSON.
    pub(super) message: Bytes,
}

/// What a pushed config says.
pub(super) struct Known {
    pub(super) content: String,
    pub(super) desired: Desired,
}

/// Signs a config; nothing if its content is what the device was told before.
pub(super) fn seal(
    key: &KeyPair,
    org: &OrgId,
    device: DeviceId,
    revision: u64,
    mode: Mode,
    ruleset: Ruleset,
    told: Option<&str>,
) -> anyhow::Result<Option<Signed>> {
    let content = content(mode, &ruleset)?;
    if told == Some(content.as_str()) {
        return Ok(None);
    }
    let config = DeviceConfig { org: org.clone(), device, revision, mode, ruleset };
    let config = serde_json::to_string(&config)?;
    let signature = STANDARD.encode(key.sign(config.as_bytes())?);
    let desired = Desired { revision, hash: sha256_hex(config.as_bytes()) };
    let signed = SignedConfig { config: RawValue::from_string(config)?, signature };
    let message = Bytes::from(serde_json::to_vec(&signed)?);
    Ok(Some(Signed { device, content, desired, message }))
}

/// Reads a pushed config; nothing if it is not for this device or `key` did not sign it.
pub(super) fn known(key: &KeyPair, org: &OrgId, device: DeviceId, message: &[u8]) -> Option<Known> {
    let signed: SignedConfig = serde_json::from_slice(message).ok()?;
    let raw = signed.config.get().as_bytes();
    key.verify(raw, &STANDARD.decode(&signed.signature).ok()?).ok()?;
    let config: DeviceConfig = serde_json::from_slice(raw).ok()?;
    if config.org != *org || config.device != device {
        return None;
    }
    let desired = Desired { revision: config.revision, hash: sha256_hex(raw) };
    Some(Known { content: content(config.mode, &config.ruleset).ok()?, desired })
}

fn content(mode: Mode, ruleset: &Ruleset) -> Result<String, serde_json::Error> {
    serde_json::to_vec(&(mode, ruleset)).map(|json| sha256_hex(&json))
}

#[cfg(test)]
mod tests {
    use schemas::id::Ulid;
    use schemas::rule::Action;

    use super::*;

    fn ruleset() -> Ruleset {
        Ruleset { default_action: Action::Accept, ..Ruleset::default() }
    }

    #[test]
    fn what_is_sealed_is_known_again_and_not_sealed_twice() {
        let key = KeyPair::new_account();
        let org: OrgId = "acme".parse().expect("an org");
        let device = DeviceId::new(Ulid::from_parts(1, 1));
        let signed = seal(&key, &org, device, 7, Mode::Enforce, ruleset(), None).expect("seals").expect("is new");
        let told = known(&key, &org, device, &signed.message).expect("is known");
        assert_eq!((&told.content, &told.desired), (&signed.content, &signed.desired));

        let again = seal(&key, &org, device, 8, Mode::Enforce, ruleset(), Some(&told.content)).expect("seals");
        assert!(again.is_none(), "the revision alone is no reason to push");
        let other = seal(&key, &org, device, 8, Mode::Shadow, ruleset(), Some(&told.content)).expect("seals");
        assert!(other.is_some(), "the mode is");
    }

    #[test]
    fn a_config_of_another_key_or_device_is_not_known() {
        let key = KeyPair::new_account();
        let org: OrgId = "acme".parse().expect("an org");
        let device = DeviceId::new(Ulid::from_parts(1, 1));
        let signed = seal(&key, &org, device, 7, Mode::Enforce, ruleset(), None).expect("seals").expect("is new");
        assert!(known(&KeyPair::new_account(), &org, device, &signed.message).is_none());
        assert!(known(&key, &org, DeviceId::new(Ulid::from_parts(1, 2)), &signed.message).is_none());
        assert!(known(&key, &org, device, b"{}").is_none());
    }
}
