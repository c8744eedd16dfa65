//! What the stub holds: one list of events, of which streams are parts.

#![expect(clippy::result_large_err, reason = "the size of tonic's own error")]

use std::collections::HashMap;

use tonic::Status;

use crate::esdb_proto::{
    AppendOptions, AppendResp, AppendSuccess, Empty, Expected, Position, ProposedMessage, ReadContent, ReadEvent,
    ReadFrom, ReadOptions, ReadReq, ReadResp, RecordedEvent, StreamIdentifier, StreamNotFound, Structured, Uuid,
    UuidValue, WrongExpectedVersion,
};

pub(super) struct Memory {
    events: Vec<Stored>,
    append_bytes_max: usize,
}

#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) stream: Vec<u8>,
    pub(crate) revision: u64,
    /// Where it is in `$all`, commit and prepare alike.
    pub(crate) position: u64,
    pub(crate) id: u128,
    pub(crate) metadata: HashMap<String, String>,
    pub(crate) custom_metadata: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

impl Memory {
    pub(super) fn new(append_bytes_max: usize) -> Self {
        Self { events: Vec::new(), append_bytes_max }
    }

    pub(super) fn stream<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a Stored> {
        self.events.iter().filter(move |event| event.stream == name.as_bytes())
    }

    pub(super) fn push(
        &mut self,
        stream: &[u8],
        id: u128,
        metadata: HashMap<String, String>,
        custom_metadata: Vec<u8>,
        data: Vec<u8>,
    ) {
        let revision = self.events.iter().filter(|event| event.stream == stream).count() as u64;
        // Positions are byte offsets in a real log: they grow, but not by one.
        let position = self.events.last().map_or(100, |last| last.position + 64 + last.data.len() as u64);
        let stream = stream.to_vec();
        self.events.push(Stored { stream, revision, position, id, metadata, custom_metadata, data });
    }

    pub(super) fn append(
        &mut self,
        options: AppendOptions,
        proposed: Vec<ProposedMessage>,
    ) -> Result<AppendResp, Status> {
        let name = options.stream.unwrap_or_default().stream_name;
        let expected = options.expected.ok_or_else(|| Status::invalid_argument("no expected revision"))?;
        let bytes: usize = proposed.iter().map(|event| event.data.len() + event.custom_metadata.len()).sum();
        if bytes > self.append_bytes_max {
            return Err(Status::invalid_argument("Maximum Append Size Exceeded."));
        }
        let ids: Vec<u128> = proposed.iter().map(|event| id(event.id.clone())).collect::<Result<_, _>>()?;
        let present: Vec<u128> =
            self.events.iter().filter(|event| event.stream == name).map(|event| event.id).collect();
        let count = present.len() as u64;
        let (holds, from) = match &expected {
            Expected::NoStream(_) => (count == 0, 0),
            Expected::Revision(revision) => (count == revision + 1, revision + 1),
            Expected::Any(_) => (true, count),
            Expected::StreamExists(_) => (count > 0, count),
        };
        if !holds {
            // The same events where they would have been written: this was done before.
            let repeated = usize::try_from(from).ok().and_then(|from| present.get(from..from + ids.len()));
            if repeated == Some(&ids[..]) {
                return Ok(self.success(&name, from + ids.len() as u64 - 1));
            }
            return Ok(wrong(&expected, count));
        }
        for (event, id) in proposed.into_iter().zip(ids) {
            self.push(&name, id, event.metadata, event.custom_metadata, event.data);
        }
        let last = self.events.iter().filter(|event| event.stream == name).count() as u64 - 1;
        Ok(self.success(&name, last))
    }

    fn success(&self, stream: &[u8], revision: u64) -> AppendResp {
        let written = self.events.iter().find(|event| event.stream == stream && event.revision == revision);
        let position = written.map(|event| Position { commit: event.position, prepare: event.position });
        let success = AppendSuccess { current_revision: Some(revision), position };
        AppendResp { success: Some(success), wrong_expected_version: None }
    }

    pub(super) fn read(&self, request: ReadReq) -> Result<Vec<ReadResp>, Status> {
        let options = request.options.unwrap_or_default();
        if options.filter.is_some() || options.count.is_none() {
            return Err(Status::unimplemented("filters and subscriptions"));
        }
        let backwards = options.direction == 1;
        let from = options.from.clone().ok_or_else(|| Status::invalid_argument("nothing to read"))?;
        let found: Vec<&Stored> = match &from {
            ReadFrom::Stream(stream) => {
                let name = stream.stream.clone().unwrap_or_default();
                let all: Vec<&Stored> = self.events.iter().filter(|event| event.stream == name.stream_name).collect();
                if all.is_empty() {
                    let content = ReadContent::StreamNotFound(StreamNotFound { stream: Some(name) });
                    return Ok(vec![ReadResp { content: Some(content) }]);
                }
                let edge = stream.revision;
                bounded(all, backwards, edge, stream.end.is_some(), |event| event.revision)
            }
            ReadFrom::All(all) => {
                let edge = all.position.map(|position| position.commit);
                let events = self.events.iter().collect();
                bounded(events, backwards, edge, all.end.is_some(), |event| event.position)
            }
        };
        let count = usize::try_from(options.count.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        Ok(found.into_iter().take(count).map(|event| recorded(event, &options)).collect())
    }
}

/// The events from an edge on, in the direction that is read. The end has nothing after it, the start nothing before.
fn bounded(
    mut events: Vec<&Stored>,
    backwards: bool,
    edge: Option<u64>,
    from_end: bool,
    place: impl Fn(&Stored) -> u64,
) -> Vec<&Stored> {
    if backwards {
        events.reverse();
        events.retain(|event| from_end || edge.is_some_and(|edge| place(event) <= edge));
    } else {
        events.retain(|event| !from_end && edge.is_none_or(|edge| place(event) >= edge));
    }
    events
}

fn wrong(expected: &Expected, count: u64) -> AppendResp {
    let mut wrong = WrongExpectedVersion::default();
    match count.checked_sub(1) {
        Some(last) => wrong.current_revision = Some(last),
        None => wrong.current_no_stream = Some(Empty {}),
    }
    match expected {
        Expected::Revision(revision) => wrong.expected_revision = Some(*revision),
        Expected::NoStream(_) => wrong.expected_no_stream = Some(Empty {}),
        Expected::Any(_) => wrong.expected_any = Some(Empty {}),
        Expected::StreamExists(_) => wrong.expected_stream_exists = Some(Empty {}),
    }
    AppendResp { success: None, wrong_expected_version: Some(wrong) }
}

fn recorded(event: &Stored, options: &ReadOptions) -> ReadResp {
    let as_text = options.uuid_option.as_ref().is_some_and(|option| option.text.is_some());
    let value = if as_text {
        UuidValue::Text(uuid::Uuid::from_u128(event.id).to_string())
    } else {
        let halves = uuid::Uuid::from_u128(event.id).as_u64_pair();
        UuidValue::Structured(Structured {
            most_significant_bits: halves.0.cast_signed(),
            least_significant_bits: halves.1.cast_signed(),
        })
    };
    let mut metadata = event.metadata.clone();
    // Ticks of 100 ns since 1970.
    metadata.insert("created".to_owned(), "17000000000000000".to_owned());
    let event = RecordedEvent {
        id: Some(Uuid { value: Some(value) }),
        stream: Some(StreamIdentifier { stream_name: event.stream.clone() }),
        revision: event.revision,
        prepare: event.position,
        commit: event.position,
        metadata,
        custom_metadata: event.custom_metadata.clone(),
        data: event.data.clone(),
    };
    let content = ReadEvent { commit_position: Some(event.commit), event: Some(event) };
    ReadResp { content: Some(ReadContent::Event(Box::new(content))) }
}

fn id(id: Option<Uuid>) -> Result<u128, Status> {
    let wrong = || Status::invalid_argument("no event id");
    match id.and_then(|id| id.value).ok_or_else(wrong)? {
        UuidValue::Text(text) => text.parse::<uuid::Uuid>().map(|id| id.as_u128()).map_err(|_| wrong()),
        UuidValue::Structured(halves) => Ok(uuid::Uuid::from_u64_pair(
            halves.most_significant_bits.cast_unsigned(),
            halves.least_significant_bits.cast_unsigned(),
        )
        .as_u128()),
    }
}
