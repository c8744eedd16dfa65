//! The keys of one installation, all derived from one file: who keeps that file keeps everything.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use hmac::{Hmac, Mac};
use nkeys::{KeyPair, KeyPairType};
use sha2::Sha256;

/// The root of all keys.
pub(crate) struct InstanceKeys([u8; 32]);

impl InstanceKeys {
    /// Reads the key file, or makes it, readable by its owner only.
    pub(crate) fn load_or_create(path: &Path) -> anyhow::Result<Self> {
        if path.exists() {
            return Self::load(path);
        }
        let key: [u8; 32] = rand::random();
        let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        write(path, &text).with_context(|| format!("cannot create the key file {}", path.display()))?;
        Ok(Self(key))
    }

    /// Reads the key file.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = text.trim();
        let mut key = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            bail!("{} is not a key file: it has one line of 64 hexadecimal digits", path.display());
        }
        for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits)?;
            *byte = u8::from_str_radix(digits, 16).with_context(|| format!("{} is not a key file", path.display()))?;
        }
        Ok(Self(key))
    }

    /// What secrets are derived from.
    pub(crate) fn secrets(&self) -> anyhow::Result<[u8; 32]> {
        self.derive("secrets")
    }

    /// Signs device configs; devices pin its public half.
    pub(crate) fn config_signer(&self) -> anyhow::Result<KeyPair> {
        self.pair(KeyPairType::Account, "config signer")
    }

    /// Signs what devices may do on the bus.
    pub(crate) fn admission_issuer(&self) -> anyhow::Result<KeyPair> {
        self.pair(KeyPairType::Account, "admission issuer")
    }

    /// The services' own user on the bus.
    pub(crate) fn service_user(&self) -> anyhow::Result<KeyPair> {
        self.pair(KeyPairType::User, "service user")
    }

    /// The user that answers who may connect.
    pub(crate) fn callout_user(&self) -> anyhow::Result<KeyPair> {
        self.pair(KeyPairType::User, "callout user")
    }

    /// The user that ends connections.
    pub(crate) fn system_user(&self) -> anyhow::Result<KeyPair> {
        self.pair(KeyPairType::User, "system user")
    }

    fn pair(&self, kind: KeyPairType, label: &str) -> anyhow::Result<KeyPair> {
        Ok(KeyPair::new_from_raw(kind, self.derive(label)?)?)
    }

    fn derive(&self, label: &str) -> anyhow::Result<[u8; 32]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)?;
        mac.update(b"netkeep ");
        mac.update(label.as_bytes());
        Ok(mac.finalize().into_bytes().into())
    }
}

/// Writes a file that is there whole or not at all, also after a power cut.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}
