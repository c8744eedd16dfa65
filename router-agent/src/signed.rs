//! Signed configs: what a device accepts as its control plane's word.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nkeys::KeyPair;
use schemas::config::{DeviceConfig, SignedConfig};
use sha2::{Digest, Sha256};

use crate::identity::Membership;

/// A config that its control plane signed for this device.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    pub config: DeviceConfig,
    /// SHA-256 of the signed bytes, in hexadecimal.
    pub hash: String,
}

/// Why a config is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    #[error("it is malformed: {0}")]
    Malformed(String),
    #[error("its signature does not verify")]
    Signature,
    #[error("it is for another device")]
    OtherDevice,
}

/// Checks a config's signature, then reads it.
pub fn accept(bytes: &[u8], membership: &Membership) -> Result<Accepted, NotAccepted> {
    let malformed = |error: &dyn std::fmt::Display| NotAccepted::Malformed(error.to_string());
    let signed: SignedConfig = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    let key = KeyPair::from_public_key(&membership.config_key).map_err(|error| malformed(&error))?;
    let signature = STANDARD.decode(&signed.signature).map_err(|_| NotAccepted::Signature)?;
    let text = signed.config.get();
    key.verify(text.as_bytes(), &signature).map_err(|_| NotAccepted::Signature)?;
    let config: DeviceConfig = serde_json::from_str(text).map_err(|error| malformed(&error))?;
    if config.org != membership.org || config.device != membership.device {
        return Err(NotAccepted::OtherDevice);
    }
    Ok(Accepted { config, hash: hex(&Sha256::digest(text.as_bytes())) })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use schemas::config::{Ruleset, RulesetRule, RulesetService, RulesetZone};
    use schemas::device::Mode;
    use schemas::id::{DeviceId, Ulid};
    use schemas::resource::ResourceId;
    use schemas::rule::Action;
    use schemas::selector::Selector;
    use schemas::service::{PortRange, Protocol};

    use super::*;

    pub(crate) fn membership(key: &KeyPair) -> Membership {
        Membership {
            org: "acme".parse().expect("an org"),
            device: DeviceId::new(Ulid::from_parts(1, 1)),
            config_key: key.public_key(),
            nats_urls: vec!["nats://127.0.0.1:4222".to_owned()],
        }
    }

    pub(crate) fn config(membership: &Membership, revision: u64) -> DeviceConfig {
        let zone = |name: &str, interface: &str| RulesetZone {
            name: name.parse().expect("a zone"),
            interfaces: vec![interface.parse().expect("an interface")],
        };
        DeviceConfig {
            org: membership.org.clone(),
            device: membership.device,
            revision,
            mode: Mode::Enforce,
            ruleset: Ruleset {
                zones: vec![zone("LAN", "lan0"), zone("WAN", "wan0")],
                default_action: Action::Accept,
                ..Ruleset::default()
            },
        }
    }

    pub(crate) fn block_telnet(id: ResourceId, number: u32) -> RulesetRule {
        RulesetRule {
            id,
            number,
            zone_from: "LAN".parse().expect("a zone"),
            zone_to: "WAN".parse().expect("a zone"),
            sources: vec![Selector::Any],
            sources_negated: false,
            destinations: vec![Selector::Any],
            destinations_negated: false,
            services: vec![RulesetService {
                protocol: Protocol::TCP,
                ports: vec![PortRange::new(23, 23).expect("a port")],
            }],
            action: Action::Drop,
            log: false,
            log_only: false,
            schedule: None,
            expires_at: None,
        }
    }

    pub(crate) fn sign(key: &KeyPair, config: &DeviceConfig) -> Vec<u8> {
        let text = serde_json::to_string(config).expect("writes");
        let signature = STANDARD.encode(key.sign(text.as_bytes()).expect("signs"));
        format!(r#"{{"config":{text},"signature":"{signature}"}}"#).into_bytes()
    }

    #[test]
    fn only_the_pinned_key_and_the_right_device_are_accepted() {
        let key = KeyPair::new_account();
        let member = membership(&key);
        let config = config(&member, 7);
        let bytes = sign(&key, &config);
        let accepted = accept(&bytes, &member).expect("accepted");
        assert_eq!((accepted.config.revision, accepted.hash.len()), (7, 64));

        let stranger = sign(&KeyPair::new_account(), &config);
        assert_eq!(accept(&stranger, &member), Err(NotAccepted::Signature));
        let changed = String::from_utf8(bytes).expect("text").replace("\"revision\":7", "\"revision\":8");
        assert_eq!(accept(changed.as_bytes(), &member), Err(NotAccepted::Signature));
        let other = DeviceConfig { device: DeviceId::new(Ulid::from_parts(2, 2)), ..config };
        assert_eq!(accept(&sign(&key, &other), &member), Err(NotAccepted::OtherDevice));
        assert!(matches!(accept(b"{}", &member), Err(NotAccepted::Malformed(_))));
    }
}
