//! Who this device is: its own key, made here and never sent, and what enrolment told it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nkeys::KeyPair;
use schemas::id::{DeviceId, OrgId};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The device's key, and its place in the org once it is enrolled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identity {
    /// The private half of the device's NATS user key.
    seed: Secret,
    pub enrolled: Option<Membership>,
}

/// What the control plane told this device on enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    pub org: OrgId,
    pub device: DeviceId,
    /// Configs that this key did not sign are refused.
    pub config_key: String,
    pub nats_urls: Vec<String>,
}

/// Text that does not show in logs.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// The folder of a device's state, held by one agent at a time.
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes the folder if need be and takes it for this process.
    pub fn take(path: &Path) -> Result<Self, Error> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::state(path))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock = lock.map_err(Error::state(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => Err(Error::InUse(path.to_owned())),
            Err(fs::TryLockError::Error(error)) => Err(Error::state(&lock_path)(error)),
        }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Identity {
    /// Reads the identity of the device, or makes one and keeps it.
    pub fn load_or_create(path: &Path) -> Result<Self, Error> {
        match fs::read(path) {
            Ok(bytes) => {
                let damaged = |what: String| Error::Damaged { path: path.to_owned(), what };
                let identity: Self = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
                identity.key().map_err(|error| damaged(error.to_string()))?;
                Ok(identity)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let seed = KeyPair::new_user().seed();
                let seed = seed.map_err(|error| Error::state(path)(io::Error::other(error.to_string())))?;
                let identity = Self { seed: Secret(seed), enrolled: None };
                identity.save(path)?;
                Ok(identity)
            }
            Err(error) => Err(Error::state(path)(error)),
        }
    }

    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let json = serde_json::to_vec_pretty(self).map_err(|error| Error::state(path)(io::Error::other(error)))?;
        replace_file(path, &json).map_err(Error::state(path))
    }

    pub fn seed(&self) -> &str {
        &self.seed.0
    }

    /// The device's public key, as NATS writes it.
    pub fn public_key(&self) -> Result<String, nkeys::error::Error> {
        self.key().map(|key| key.public_key())
    }

    fn key(&self) -> Result<KeyPair, nkeys::error::Error> {
        KeyPair::from_seed(&self.seed.0)
    }
}

/// Writes a file so that after a crash it is the old one or the new one, and whole. Only its owner may read it.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_device_keeps_its_key_and_shows_it_to_nobody() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("identity.json");
        let made = Identity::load_or_create(&path).expect("made");
        let read = Identity::load_or_create(&path).expect("read");
        assert_eq!(made.seed(), read.seed());
        assert!(read.public_key().expect("a key").starts_with('U'));
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert!(!format!("{read:?}").contains(read.seed()));
    }

    #[test]
    fn a_damaged_identity_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("identity.json");
        fs::write(&path, r#"{"seed":"SUnonsense","enrolled":null}"#).expect("written");
        assert!(matches!(Identity::load_or_create(&path), Err(Error::Damaged { .. })));
    }

    #[test]
    fn a_folder_has_one_agent() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = StateDir::take(folder.path()).expect("taken");
        assert!(matches!(StateDir::take(folder.path()), Err(Error::InUse(_))));
        drop(first);
        assert!(StateDir::take(folder.path()).is_ok());
    }
}
