//! KV buckets: read models, credentials, presence.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::Ordered;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use tracing::warn;

use crate::connect::Bus;
use crate::error::{During, Error};
use crate::log::{last_message, open};

/// A KV bucket. Keys are subject tokens with dots between them.
#[derive(Clone)]
pub struct Bucket {
    bus: Bus,
    name: &'static str,
}

/// A key that changed.
#[derive(Debug, Clone)]
pub struct Change {
    pub key: String,
    /// `None`: the key is gone.
    pub value: Option<Bytes>,
    /// The bucket's own sequence.
    pub revision: u64,
    /// How many more were there when this one was read.
    pub pending: u64,
}

/// A write that is on its way; await it to know that it is stored.
pub type PendingPut = BoxFuture<'static, Result<u64, Error>>;

const OPERATION: &str = "KV-Operation";
const RETRY: Duration = Duration::from_millis(200);

impl Bus {
    pub fn bucket(&self, name: &'static str) -> Bucket {
        Bucket { bus: self.clone(), name }
    }
}

impl Bucket {
    /// Sends a value. Writes of one connection are stored in the order in which they are sent.
    pub async fn put(&self, key: &str, value: Bytes) -> Result<PendingPut, Error> {
        self.send(key, None, value).await
    }

    /// Sends a key's removal.
    pub async fn delete(&self, key: &str) -> Result<PendingPut, Error> {
        self.send(key, Some("DEL"), Bytes::new()).await
    }

    async fn send(&self, key: &str, operation: Option<&str>, value: Bytes) -> Result<PendingPut, Error> {
        let mut message = async_nats::jetstream::message::PublishMessage::build().payload(value);
        if let Some(operation) = operation {
            message = message.header(OPERATION, operation);
        }
        let sent = self.bus.jetstream.send_publish(self.subject(key), message).await.during("write to a bucket")?;
        Ok(Box::pin(async move { sent.await.map(|ack| ack.sequence).during("write to a bucket") }))
    }

    /// A key's value, and the bucket revision of its last change.
    pub async fn read(&self, key: &str) -> Result<Option<(u64, Bytes)>, Error> {
        let found = last_message(&self.bus, &self.stream(), &self.subject(key)).await?;
        // A removal is stored as an empty value; no read model is empty.
        Ok(found.filter(|(_, value)| !value.is_empty()))
    }

    /// Takes a key's value off the disk, and leaves word that it is gone.
    pub async fn erase(&self, key: &str) -> Result<(), Error> {
        if let Some((revision, _)) = self.read(key).await? {
            let stream = self.bus.jetstream.get_stream_no_info(self.stream()).await.during("erase a key")?;
            stream.delete_message(revision).await.during("erase a key")?;
        }
        self.delete(key).await?.await?;
        Ok(())
    }

    /// Whether nothing was ever kept here, or all of it is gone.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        let stream = self.bus.jetstream.get_stream(self.stream()).await.during("read a bucket's state")?;
        Ok(stream.cached_info().state.messages == 0)
    }

    /// The bucket's last sequence: a watcher that has seen it has seen everything before.
    pub async fn last_revision(&self) -> Result<u64, Error> {
        let stream = self.bus.jetstream.get_stream(self.stream()).await.during("read a bucket's state")?;
        Ok(stream.cached_info().state.last_sequence)
    }

    /// The values under `filter` (`acme.>`, `>`), oldest change first, and then every change, for ever. When the
    /// connection was lost, every value comes again.
    pub fn watch(&self, filter: &str) -> impl Stream<Item = Change> + Send + use<> {
        let watcher =
            Watcher { bucket: self.clone(), filter: self.subject(filter), after: 0, messages: None, connects: 0 };
        futures::stream::unfold(watcher, |mut watcher| async move { Some((watcher.next().await, watcher)) })
    }

    fn subject(&self, key: &str) -> String {
        format!("$KV.{}.{key}", self.name)
    }

    fn stream(&self) -> String {
        format!("KV_{}", self.name)
    }
}

struct Watcher {
    bucket: Bucket,
    filter: String,
    after: u64,
    messages: Option<Ordered>,
    /// The connection that the messages come over.
    connects: u64,
}

impl Watcher {
    async fn next(&mut self) -> Change {
        loop {
            match self.try_next().await {
                Ok(Some(change)) => return change,
                Ok(None) => self.messages = None,
                Err(error) => {
                    warn!("watching {} again after {}: {error}", self.filter, self.after);
                    self.messages = None;
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn try_next(&mut self) -> Result<Option<Change>, Error> {
        let messages = match &mut self.messages {
            Some(messages) => messages,
            None => {
                self.connects = self.bucket.bus.connects();
                let opened = open(&self.bucket.bus, &self.bucket.stream(), &self.filter, self.after).await?;
                self.messages.insert(opened)
            }
        };
        let message = tokio::select! {
            biased;
            message = messages.next() => message,
            () = self.bucket.bus.made_anew(self.connects) => {
                // A bucket that lost its tail counts on from there: its sequences do not tell what is new.
                self.after = 0;
                None
            }
        };
        let Some(message) = message else { return Ok(None) };
        let message = message.during("watch a bucket")?;
        let info = message.info().during("watch a bucket")?;
        let (revision, pending) = (info.stream_sequence, info.pending);
        self.after = revision;
        let prefix = self.bucket.subject("");
        let key = message.subject.strip_prefix(&prefix).unwrap_or_default().to_owned();
        let gone = message.headers.as_ref().is_some_and(|headers| headers.get(OPERATION).is_some());
        let value = (!gone && !message.payload.is_empty()).then_some(message.message.payload);
        Ok(Some(Change { key, value, revision, pending }))
    }
}
