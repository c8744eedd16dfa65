//! The messages of EventStoreDB's public protocol that the stub understands, by their published field numbers.

use std::collections::HashMap;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Empty {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Uuid {
    #[prost(oneof = "UuidValue", tags = "1, 2")]
    pub(crate) value: Option<UuidValue>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum UuidValue {
    #[prost(message, tag = "1")]
    Structured(Structured),
    #[prost(string, tag = "2")]
    Text(String),
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Structured {
    #[prost(int64, tag = "1")]
    pub(crate) most_significant_bits: i64,
    #[prost(int64, tag = "2")]
    pub(crate) least_significant_bits: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StreamIdentifier {
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) stream_name: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SupportedMethods {
    #[prost(message, repeated, tag = "1")]
    pub(crate) methods: Vec<SupportedMethod>,
    #[prost(string, tag = "2")]
    pub(crate) event_store_server_version: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SupportedMethod {
    #[prost(string, tag = "1")]
    pub(crate) method_name: String,
    #[prost(string, tag = "2")]
    pub(crate) service_name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ReadReq {
    #[prost(message, optional, tag = "1")]
    pub(crate) options: Option<ReadOptions>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ReadOptions {
    #[prost(oneof = "ReadFrom", tags = "1, 2")]
    pub(crate) from: Option<ReadFrom>,
    /// 1 is backwards.
    #[prost(int32, tag = "3")]
    pub(crate) direction: i32,
    #[prost(uint64, optional, tag = "5")]
    pub(crate) count: Option<u64>,
    #[prost(message, optional, tag = "7")]
    pub(crate) filter: Option<Empty>,
    #[prost(message, optional, tag = "9")]
    pub(crate) uuid_option: Option<UuidOption>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct UuidOption {
    #[prost(message, optional, tag = "1")]
    pub(crate) structured: Option<Empty>,
    #[prost(message, optional, tag = "2")]
    pub(crate) text: Option<Empty>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum ReadFrom {
    #[prost(message, tag = "1")]
    Stream(StreamOptions),
    #[prost(message, tag = "2")]
    All(AllOptions),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StreamOptions {
    #[prost(message, optional, tag = "1")]
    pub(crate) stream: Option<StreamIdentifier>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) revision: Option<u64>,
    #[prost(message, optional, tag = "3")]
    pub(crate) start: Option<Empty>,
    #[prost(message, optional, tag = "4")]
    pub(crate) end: Option<Empty>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AllOptions {
    #[prost(message, optional, tag = "1")]
    pub(crate) position: Option<Position>,
    #[prost(message, optional, tag = "2")]
    pub(crate) start: Option<Empty>,
    #[prost(message, optional, tag = "3")]
    pub(crate) end: Option<Empty>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Position {
    #[prost(uint64, tag = "1")]
    pub(crate) commit: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) prepare: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ReadResp {
    #[prost(oneof = "ReadContent", tags = "1, 4")]
    pub(crate) content: Option<ReadContent>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum ReadContent {
    #[prost(message, tag = "1")]
    Event(Box<ReadEvent>),
    #[prost(message, tag = "4")]
    StreamNotFound(StreamNotFound),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StreamNotFound {
    #[prost(message, optional, tag = "1")]
    pub(crate) stream: Option<StreamIdentifier>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ReadEvent {
    #[prost(message, optional, tag = "1")]
    pub(crate) event: Option<RecordedEvent>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) commit_position: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RecordedEvent {
    #[prost(message, optional, tag = "1")]
    pub(crate) id: Option<Uuid>,
    #[prost(message, optional, tag = "2")]
    pub(crate) stream: Option<StreamIdentifier>,
    #[prost(uint64, tag = "3")]
    pub(crate) revision: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) prepare: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) commit: u64,
    #[prost(map = "string, string", tag = "6")]
    pub(crate) metadata: HashMap<String, String>,
    #[prost(bytes = "vec", tag = "7")]
    pub(crate) custom_metadata: Vec<u8>,
    #[prost(bytes = "vec", tag = "8")]
    pub(crate) data: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AppendReq {
    #[prost(message, optional, tag = "1")]
    pub(crate) options: Option<AppendOptions>,
    #[prost(message, optional, tag = "2")]
    pub(crate) message: Option<ProposedMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AppendOptions {
    #[prost(message, optional, tag = "1")]
    pub(crate) stream: Option<StreamIdentifier>,
    #[prost(oneof = "Expected", tags = "2, 3, 4, 5")]
    pub(crate) expected: Option<Expected>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Expected {
    #[prost(uint64, tag = "2")]
    Revision(u64),
    #[prost(message, tag = "3")]
    NoStream(Empty),
    #[prost(message, tag = "4")]
    Any(Empty),
    #[prost(message, tag = "5")]
    StreamExists(Empty),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ProposedMessage {
    #[prost(message, optional, tag = "1")]
    pub(crate) id: Option<Uuid>,
    #[prost(map = "string, string", tag = "2")]
    pub(crate) metadata: HashMap<String, String>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) custom_metadata: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) data: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AppendResp {
    #[prost(message, optional, tag = "1")]
    pub(crate) success: Option<AppendSuccess>,
    #[prost(message, optional, tag = "2")]
    pub(crate) wrong_expected_version: Option<WrongExpectedVersion>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AppendSuccess {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) current_revision: Option<u64>,
    #[prost(message, optional, tag = "3")]
    pub(crate) position: Option<Position>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WrongExpectedVersion {
    #[prost(uint64, optional, tag = "6")]
    pub(crate) current_revision: Option<u64>,
    #[prost(message, optional, tag = "7")]
    pub(crate) current_no_stream: Option<Empty>,
    #[prost(uint64, optional, tag = "8")]
    pub(crate) expected_revision: Option<u64>,
    #[prost(message, optional, tag = "9")]
    pub(crate) expected_any: Option<Empty>,
    #[prost(message, optional, tag = "10")]
    pub(crate) expected_stream_exists: Option<Empty>,
    #[prost(message, optional, tag = "11")]
    pub(crate) expected_no_stream: Option<Empty>,
}
