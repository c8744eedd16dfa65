//! Keeps the keyring as the bucket `credentials` has it, for the services of this process.

use bus::Bus;
use bus::bucket::Change;
use futures::StreamExt;
use gate::Keyring;
use schemas::credential::CredentialKey;
use schemas::subjects;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

/// Feeds the keyring for ever; tells `loaded` once it knows all that was in the bucket at the start, and `revoked`
/// of each device key that is taken away.
pub(crate) async fn keep(
    bus: Bus,
    keyring: Keyring,
    loaded: oneshot::Sender<()>,
    revoked: Option<mpsc::UnboundedSender<String>>,
) -> anyhow::Result<()> {
    let bucket = bus.bucket(subjects::CREDENTIALS_BUCKET);
    let last = bucket.last_revision().await?;
    let mut loaded = Some(loaded);
    let mut tell = |revision: u64| {
        if revision >= last
            && let Some(loaded) = loaded.take()
        {
            let _ = loaded.send(());
        }
    };
    tell(0);
    let mut changes = Box::pin(bucket.watch(">"));
    while let Some(change) = changes.next().await {
        let revision = change.revision;
        // What is not a credential is the projector's own note of how far it is.
        if let Some(key) = CredentialKey::from_kv_key(&change.key) {
            follow(&keyring, key, &change, revoked.as_ref());
        }
        tell(revision);
    }
    Ok(())
}

fn follow(keyring: &Keyring, key: CredentialKey, change: &Change, revoked: Option<&mpsc::UnboundedSender<String>>) {
    match change.value.as_deref().map(serde_json::from_slice) {
        Some(Ok(credential)) => keyring.put(key, credential),
        Some(Err(error)) => warn!("the credential {} cannot be read and opens nothing: {error}", change.key),
        None => {
            keyring.remove(&key);
            if let (Some(revoked), CredentialKey::DeviceKey(public_key)) = (revoked, key) {
                let _ = revoked.send(public_key);
            }
        }
    }
}
