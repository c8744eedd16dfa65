//! A log: one stream with a subject for each org, appended to under a check and read in order.

use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use schemas::id::{CommitId, OrgId};
use schemas::subjects;
use tracing::warn;

use crate::connect::Bus;
use crate::error::{AppendError, During, Error};

/// The EVENTS or the FILES stream.
#[derive(Clone)]
pub struct Log {
    bus: Bus,
    stream: &'static str,
    prefix: &'static str,
}

/// One message of a log.
#[derive(Debug, Clone)]
pub struct LogMessage {
    pub org: OrgId,
    /// The stream sequence.
    pub position: u64,
    pub payload: Bytes,
}

/// How long to wait before a broken reader is set up again.
const RETRY: Duration = Duration::from_millis(200);

impl Bus {
    /// The event store.
    pub fn events(&self) -> Log {
        Log { bus: self.clone(), stream: subjects::EVENTS, prefix: "events" }
    }

    /// The file catalogue.
    pub fn files(&self) -> Log {
        Log { bus: self.clone(), stream: subjects::FILES, prefix: "files" }
    }
}

impl Log {
    /// Appends one message, if the org's last one is still at `expected` (0: there is none). Says its position.
    ///
    /// After [`AppendError::Conflict`] and [`AppendError::Unknown`] the caller reads [`Log::last`] and compares ids:
    /// one server checks the sequence before it looks for duplicates, a cluster after, so the answer alone does not
    /// tell whether an earlier attempt was stored.
    pub async fn append(&self, org: &OrgId, expected: u64, id: CommitId, payload: Bytes) -> Result<u64, AppendError> {
        let message = PublishMessage::build()
            .expected_last_subject_sequence(expected)
            .message_id(id.to_string())
            .payload(payload);
        let subject = format!("{}.{org}", self.prefix);
        let sent = self.bus.jetstream.send_publish(subject, message).await.map_err(append_error)?;
        sent.await.map(|ack| ack.sequence).map_err(append_error)
    }

    /// The org's last message.
    pub async fn last(&self, org: &OrgId) -> Result<Option<LogMessage>, Error> {
        let subject = format!("{}.{org}", self.prefix);
        last_message(&self.bus, self.stream, &subject)
            .await
            .map(|found| found.map(|(position, payload)| LogMessage { org: org.clone(), position, payload }))
    }

    /// The stream's last sequence, of whatever org.
    pub async fn last_position(&self) -> Result<u64, Error> {
        let stream = self.bus.jetstream.get_stream(self.stream).await.during("read the stream's state")?;
        Ok(stream.cached_info().state.last_sequence)
    }

    /// The org's messages after position `after` that are there at this moment, in order.
    ///
    /// By batched direct get (NATS ADR-31): a consumer for each read would outlive it by minutes, and a server has only so
    /// many.
    pub async fn replay(&self, org: &OrgId, after: u64) -> Result<Vec<LogMessage>, Error> {
        let mut messages: Vec<LogMessage> = Vec::new();
        loop {
            let from = messages.last().map_or(after, |last| last.position) + 1;
            if !self.read_batch(org, from, &mut messages).await? {
                return Ok(messages);
            }
        }
    }

    /// Reads some messages from a position on, and says whether there are more.
    async fn read_batch(&self, org: &OrgId, from: u64, messages: &mut Vec<LogMessage>) -> Result<bool, Error> {
        const DURING: &str = "read a log";
        let inbox = self.bus.client.new_inbox();
        let mut answers = self.bus.client.subscribe(inbox.clone()).await.during(DURING)?;
        let asked = serde_json::json!({
            "seq": from,
            "next_by_subj": format!("{}.{org}", self.prefix),
            "batch": MESSAGES_UNDER_WAY_MAX,
            "max_bytes": BATCH_BYTES_MAX,
        });
        let subject = format!("$JS.API.DIRECT.GET.{}", self.stream);
        let asked = Bytes::from(asked.to_string());
        self.bus.client.publish_with_reply(subject, inbox, asked).await.during(DURING)?;
        loop {
            let answer = tokio::time::timeout(BATCH_TIMEOUT, answers.next()).await.during(DURING)?;
            let Some(answer) = answer else { return Err(Error::Malformed(DURING, "the answer broke off".to_owned())) };
            let header = |name: &str| {
                let value = answer.headers.as_ref().and_then(|headers| headers.get(name));
                value.and_then(|value| value.as_str().parse::<u64>().ok())
            };
            match (answer.status.map(|status| status.as_u16()), header("Nats-Sequence")) {
                (None, Some(position)) => {
                    messages.push(LogMessage { org: org.clone(), position, payload: answer.payload });
                }
                // The end of the batch, with how many messages are left.
                (Some(204), _) => return Ok(header("Nats-Num-Pending").is_some_and(|left| left > 0)),
                (Some(404), _) => return Ok(false),
                (status, _) => return Err(Error::Malformed(DURING, format!("{status:?} {:?}", answer.description))),
            }
        }
    }

    /// The messages of one org, or of all, after position `after`, for ever. Sets itself up again when it breaks.
    pub fn follow(&self, org: Option<&OrgId>, after: u64) -> impl Stream<Item = LogMessage> + Send + use<> {
        let filter = org.map_or_else(|| format!("{}.*", self.prefix), |org| format!("{}.{org}", self.prefix));
        let reader = Reader { log: self.clone(), filter, after, messages: None, connects: 0 };
        futures::stream::unfold(reader, |mut reader| async move { Some((reader.next().await, reader)) })
    }
}

/// An ordered consumer that remembers where it is.
struct Reader {
    log: Log,
    filter: String,
    after: u64,
    messages: Option<Ordered>,
    /// The connection that the messages come over.
    connects: u64,
}

impl Reader {
    async fn next(&mut self) -> LogMessage {
        loop {
            match self.try_next().await {
                Ok(Some(message)) => return message,
                Ok(None) => self.messages = None,
                Err(error) => {
                    warn!("reading {} again after {}: {error}", self.filter, self.after);
                    self.messages = None;
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn try_next(&mut self) -> Result<Option<LogMessage>, Error> {
        let messages = match &mut self.messages {
            Some(messages) => messages,
            None => {
                self.connects = self.log.bus.connects();
                let opened = open(&self.log.bus, self.log.stream, &self.filter, self.after).await?;
                self.messages.insert(opened)
            }
        };
        let message = tokio::select! {
            biased;
            message = messages.next() => message,
            () = self.log.bus.made_anew(self.connects) => None,
        };
        let Some(message) = message else { return Ok(None) };
        let message = message.during("read a log")?;
        let position = message.info().during("read a log")?.stream_sequence;
        let org = subjects::org_of(&message.subject)
            .ok_or_else(|| Error::Malformed("a log subject", message.subject.to_string()))?;
        self.after = position;
        Ok(Some(LogMessage { org, position, payload: message.message.payload }))
    }
}

/// Messages that are asked for at once. The server hangs up on who has too many bytes waiting, and a commit may be large.
const MESSAGES_UNDER_WAY_MAX: i64 = 64;
/// What one batch of a replay may weigh.
const BATCH_BYTES_MAX: usize = 32 << 20;
/// How long the next message of a batch may take.
const BATCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens an ordered reader of a stream after a position. A bucket keeps one message a key, so that what is after a
/// position is also the last of each key that changed.
pub(crate) async fn open(bus: &Bus, stream: &str, filter: &str, after: u64) -> Result<Ordered, Error> {
    let deliver_policy = match after {
        0 => DeliverPolicy::All,
        after => DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
    };
    let config = OrderedConfig {
        filter_subject: filter.to_owned(),
        deliver_policy,
        max_batch: MESSAGES_UNDER_WAY_MAX,
        ..OrderedConfig::default()
    };
    let stream = bus.jetstream.get_stream_no_info(stream).await.during("open a log")?;
    let consumer = stream.create_consumer(config).await.during("open a log")?;
    consumer.messages().await.during("open a log")
}

/// The last message of a subject by direct get, with its sequence.
pub(crate) async fn last_message(bus: &Bus, stream: &str, subject: &str) -> Result<Option<(u64, Bytes)>, Error> {
    use async_nats::jetstream::stream::DirectGetErrorKind;
    let stream = bus.jetstream.get_stream_no_info(stream).await.during("read a last message")?;
    match stream.direct_get_last_for_subject(subject).await {
        Ok(message) => Ok(Some((message.sequence, message.payload))),
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::Failed { what: "read a last message", cause: error.to_string() }),
    }
}

fn append_error(error: async_nats::jetstream::context::PublishError) -> AppendError {
    match error.kind() {
        PublishErrorKind::WrongLastSequence => AppendError::Conflict,
        PublishErrorKind::MaxPayloadExceeded | PublishErrorKind::StreamNotFound => {
            AppendError::Refused(error.to_string())
        }
        PublishErrorKind::TimedOut
        | PublishErrorKind::BrokenPipe
        | PublishErrorKind::MaxAckPending
        | PublishErrorKind::WrongLastMessageId
        | PublishErrorKind::Other => AppendError::Unknown(error.to_string()),
    }
}
