//! The feed: each event by itself, with CloudEvents headers (NATS protocol binding, binary mode).

use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use schemas::event::Recorded;
use schemas::subjects;

use crate::bucket::PendingPut;
use crate::connect::Bus;
use crate::error::{During, Error};

const POSITION: &str = "Netkeep-Position";
const REVISION: &str = "ce-revision";

/// Where the feed ends. A commit has several events: its position alone does not tell which of them are on the feed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeedEnd {
    pub position: u64,
    pub revision: u64,
}

impl Bus {
    /// Publishes one event of the commit at `position`. The server drops one that it has seen in the last minutes.
    pub async fn publish_feed(&self, recorded: &Recorded, stored: &str, position: u64) -> Result<PendingPut, Error> {
        let (meta, event) = (&recorded.meta, &recorded.event);
        let id = meta.id.to_string();
        let message = PublishMessage::build()
            .message_id(&id)
            .header("ce-specversion", "1.0")
            .header("ce-id", id.as_str())
            .header("ce-source", meta.source.as_str())
            .header("ce-type", format!("netkeep.{}.v1", event.name()))
            .header("ce-subject", meta.subject.as_str())
            .header("ce-time", meta.time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
            .header("ce-org", meta.org.as_str())
            .header(REVISION, meta.revision.to_string())
            .header(POSITION, position.to_string())
            .payload(Bytes::copy_from_slice(stored.as_bytes()));
        let subject = subjects::feed(&meta.org, event.kind(), &meta.subject, event.verb());
        let sent = self.jetstream.send_publish(subject, message).await.during("publish on the feed")?;
        Ok(Box::pin(async move { sent.await.map(|ack| ack.sequence).during("publish on the feed") }))
    }

    /// The last event on the feed: its position and its revision there, both 0 for an empty feed.
    pub async fn feed_end(&self) -> Result<FeedEnd, Error> {
        use async_nats::jetstream::stream::DirectGetErrorKind;
        let stream = self.jetstream.get_stream(subjects::FEED).await.during("read the feed's end")?;
        let last = stream.cached_info().state.last_sequence;
        match stream.direct_get(last).await {
            Ok(message) => {
                let number = |name: &str| message.headers.get(name).and_then(|number| number.as_str().parse().ok());
                let end = number(POSITION).zip(number(REVISION));
                let end = end.map(|(position, revision)| FeedEnd { position, revision });
                end.ok_or_else(|| Error::Malformed("the feed's last message", message.subject.to_string()))
            }
            Err(error) if last == 0 || error.kind() == DirectGetErrorKind::NotFound => Ok(FeedEnd::default()),
            Err(error) => Err(Error::Failed { what: "read the feed's end", cause: error.to_string() }),
        }
    }
}
