//! The keys of an issuer, each bound to the one algorithm that it is for.

use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use serde_json::value::RawValue;

use super::ALGORITHMS;

/// An issuer with more keys than this is not one.
const KEYS_MAX: usize = 100;
const RSA_BITS_MIN: usize = 2_048;

/// The keys that an issuer publishes and that can be used.
#[derive(Debug, Clone, Default)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    decoding: Arc<DecodingKey>,
}

/// What a key set has for a JWT.
#[derive(Debug)]
pub(super) enum Lookup {
    Found(Arc<DecodingKey>),
    /// The key exists, but is for another algorithm.
    OtherAlgorithm(Algorithm),
    Unknown,
}

#[derive(serde::Deserialize)]
struct Document {
    keys: Vec<Box<RawValue>>,
}

impl KeySet {
    /// Reads a JWKS. Keys that cannot be used here are passed over; without any that can it is an error.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if document.keys.len() > KEYS_MAX {
            return Err(format!("more than {KEYS_MAX} keys"));
        }
        let mut keys = Vec::new();
        for raw in &document.keys {
            match serde_json::from_str(raw.get()).map_err(|error| error.to_string()).and_then(|jwk| read(&jwk)) {
                Ok(key) => keys.push(key),
                Err(why) => tracing::debug!("passed over a key of the JWKS: {why}"),
            }
        }
        if keys.is_empty() { Err("no key that can be used".to_owned()) } else { Ok(Self(keys)) }
    }

    /// The key for a JWT. One that names no key gets the only one of its algorithm, if there is only one.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Lookup {
        let mut fitting = self.0.iter().filter(|key| key.algorithm == algorithm);
        let Some(id) = id else {
            return match (fitting.next(), fitting.next()) {
                (Some(key), None) => Lookup::Found(key.decoding.clone()),
                _ => Lookup::Unknown,
            };
        };
        let named = |key: &&Key| key.id.as_deref() == Some(id);
        match (fitting.find(named), self.0.iter().find(named)) {
            (Some(key), _) => Lookup::Found(key.decoding.clone()),
            (None, Some(key)) => Lookup::OtherAlgorithm(key.algorithm),
            (None, None) => Lookup::Unknown,
        }
    }
}

fn read(jwk: &Jwk) -> Result<Key, String> {
    let common = &jwk.common;
    if common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
        return Err("not for signatures (use)".to_owned());
    }
    if common.key_operations.as_ref().is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
        return Err("not for verifying (key_ops)".to_owned());
    }
    let algorithm = algorithm(jwk)?;
    let decoding = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    if let DecodingKeyKind::RsaModulusExponent { n, .. } = decoding.kind() {
        let bits = n.iter().skip_while(|byte| **byte == 0).count() * 8;
        if bits < RSA_BITS_MIN {
            return Err(format!("an RSA key of {bits} bits is too short"));
        }
    }
    Ok(Key { id: common.key_id.clone(), algorithm, decoding: Arc::new(decoding) })
}

/// The algorithm of a key: what it says, if its type can do that; else the one that its type is mostly used with.
#[expect(clippy::wildcard_enum_match_arm, reason = "the key types of jsonwebtoken are not exhaustive")]
fn algorithm(jwk: &Jwk) -> Result<Algorithm, String> {
    let usable: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => &[Algorithm::ES256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => &[Algorithm::ES384],
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
        _ => &[],
    };
    let said = match common_algorithm(jwk)? {
        Some(said) => said,
        None => *usable.first().ok_or("a type of key that is not used here")?,
    };
    let fits = usable.contains(&said) && ALGORITHMS.contains(&said);
    if fits { Ok(said) } else { Err(format!("{said:?} is not used with this type of key")) }
}

fn common_algorithm(jwk: &Jwk) -> Result<Option<Algorithm>, String> {
    match jwk.common.key_algorithm {
        None => Ok(None),
        Some(said) => Algorithm::try_from(said).map(Some).map_err(|error| error.to_string()),
    }
}
