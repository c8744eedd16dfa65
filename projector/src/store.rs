//! Where the files of the tables are kept. What was put is durable: file and folders are synced.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;

/// An object store. Cloning shares it.
#[derive(Debug, Clone)]
pub enum Store {
    /// A folder of this machine.
    Local(LocalStore),
}

/// A folder of this machine.
#[derive(Debug, Clone)]
pub struct LocalStore {
    root: PathBuf,
    /// Folders whose own entries, up to the root, this process has synced.
    synced: Arc<Mutex<HashSet<PathBuf>>>,
}

/// Folders that are remembered as synced; more are synced again.
const SYNCED_MAX: usize = 10_000;

impl Store {
    /// Opens a folder, given as a path or as `file://<folder>`, and makes it where it is missing.
    pub fn open(url_or_path: &str) -> Result<Self, Error> {
        let path = match url_or_path.split_once("://") {
            Some(("file", path)) => path,
            Some(_) => return Err(Error::StoreUnsupported(url_or_path.to_owned())),
            None => url_or_path,
        };
        if path.is_empty() {
            return Err(Error::StoreUnsupported(url_or_path.to_owned()));
        }
        let failed = |source| Error::Store { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(failed)?;
        let root = fs::canonicalize(path).map_err(failed)?;
        sync_folder(&root).map_err(failed)?;
        Ok(Self::Local(LocalStore { root, synced: Arc::default() }))
    }

    /// Writes a file, whole and durable, or not at all. A file of the same path is replaced.
    pub async fn put(&self, path: &str, bytes: Arc<Vec<u8>>) -> io::Result<()> {
        let Self::Local(local) = self.clone();
        let path = path.to_owned();
        blocking(move || local.put(&path, &bytes)).await
    }

    /// Removes a file; one that is not there is no error.
    pub async fn delete(&self, path: &str) -> io::Result<()> {
        let Self::Local(local) = self.clone();
        let path = path.to_owned();
        blocking(move || local.delete(&path)).await
    }

    /// The folder itself, for those that read in place.
    pub fn root(&self) -> &Path {
        let Self::Local(local) = self;
        &local.root
    }
}

impl LocalStore {
    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.inside(path)?;
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        let mut temporary = path.clone().into_os_string();
        temporary.push(".part");
        let temporary = PathBuf::from(temporary);
        let written = write_synced(&temporary, bytes).and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written?;
        sync_folder(folder)?;
        self.sync_parents(folder)
    }

    fn delete(&self, path: &str) -> io::Result<()> {
        match fs::remove_file(self.inside(path)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Syncs the folders above `folder`, where its own name is kept. An earlier process may have made it and lost its
    /// power before it was synced, so that being there proves nothing.
    fn sync_parents(&self, folder: &Path) -> io::Result<()> {
        if self.synced.lock().unwrap_or_else(PoisonError::into_inner).contains(folder) {
            return Ok(());
        }
        for parent in folder.ancestors().skip(1).take_while(|parent| parent.starts_with(&self.root)) {
            sync_folder(parent)?;
        }
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if synced.len() >= SYNCED_MAX {
            synced.clear();
        }
        synced.insert(folder.to_owned());
        Ok(())
    }

    fn inside(&self, path: &str) -> io::Result<PathBuf> {
        let relative = Path::new(path);
        let is_plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if path.is_empty() || !is_plain {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{path:?} is not inside the store")));
        }
        Ok(self.root.join(relative))
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path().join("new").to_str().expect("text")).expect("opens");
        (folder, store)
    }

    #[tokio::test]
    async fn what_is_put_is_there_whole_and_nothing_else() {
        let (_folder, store) = store();
        store.put("acme/flows/hour=2026-11-21T13/a.parquet", Arc::new(b"one".to_vec())).await.expect("puts");
        store.put("acme/flows/hour=2026-11-21T13/a.parquet", Arc::new(b"two".to_vec())).await.expect("puts again");
        let folder = store.root().join("acme/flows/hour=2026-11-21T13");
        let names: Vec<_> =
            fs::read_dir(&folder).expect("lists").map(|entry| entry.expect("an entry").file_name()).collect();
        assert_eq!(names, ["a.parquet"]);
        assert_eq!(fs::read(folder.join("a.parquet")).expect("reads"), b"two");
        store.delete("acme/flows/hour=2026-11-21T13/a.parquet").await.expect("deletes");
        store.delete("acme/flows/hour=2026-11-21T13/a.parquet").await.expect("is gone already");
        assert_eq!(fs::read_dir(&folder).expect("lists").count(), 0);
    }

    #[tokio::test]
    async fn nothing_is_written_outside() {
        let (_folder, store) = store();
        for path in ["", "/etc/passwd", "../a", "a/../../b", "./a"] {
            assert!(store.put(path, Arc::default()).await.is_err(), "{path:?}");
            assert!(store.delete(path).await.is_err(), "{path:?}");
        }
    }

    #[test]
    fn other_stores_are_refused() {
        for url in ["", "s3://bucket/prefix", "file://"] {
            assert!(matches!(Store::open(url), Err(Error::StoreUnsupported(_))), "{url:?}");
        }
    }
}
