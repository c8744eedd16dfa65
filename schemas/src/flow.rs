//! Flows: who talked to whom through a device, in windows, as Arrow columns.
//!
//! Integers are signed and times are microseconds in UTC, because the open table formats know no others. Addresses
//! are 16 bytes: IPv6 as it is, IPv4 mapped (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2), so that one column, one
//! order and one pair of minimum and maximum serve both families.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

/// Where a flow's verdict was learnt.
pub const VERDICT_FROM_KERNEL: &str = "kernel";
/// Worked out by `policy::evaluate` with the ruleset in force.
pub const VERDICT_EVALUATED: &str = "evaluated";

pub const ADDRESS_BYTES: i32 = 16;

/// The largest flow batch that is sent, in rows.
pub const BATCH_ROWS_MAX: usize = 16_384;

/// The columns of a batch as a device sends it. The device itself is not among them: the subject it may publish on says it.
pub fn batch_schema() -> SchemaRef {
    Arc::new(Schema::new(batch_fields()))
}

/// The columns of the flow table: a batch's, with `device` after `time`.
pub fn table_schema() -> SchemaRef {
    let mut fields = batch_fields();
    fields.insert(1, label("device", false));
    Arc::new(Schema::new(fields))
}

fn batch_fields() -> Vec<Field> {
    let int = |name, width| Field::new(name, width, false);
    vec![
        // The first packet of this row.
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        // From the first to the last packet of this row.
        int("duration_ms", DataType::Int32),
        // forward | in | out: through the device, to it, or from it.
        label("direction", false),
        label("zone_from", true),
        label("zone_to", true),
        // Where the first packet came in (or went out, for what the device sends).
        label("interface", false),
        Field::new("vlan", DataType::Int32, true),
        // The side that sent the first packet.
        Field::new("src", DataType::FixedSizeBinary(ADDRESS_BYTES), false),
        Field::new("dst", DataType::FixedSizeBinary(ADDRESS_BYTES), false),
        // 0 where the protocol has no ports.
        int("src_port", DataType::Int32),
        int("dst_port", DataType::Int32),
        // IANA protocol number.
        int("protocol", DataType::Int16),
        // All TCP flags of the row, or-ed; 0 for other protocols.
        int("tcp_flags", DataType::Int16),
        Field::new("icmp_type", DataType::Int16, true),
        // From the IP header on, without the link layer; sent is from src to dst.
        int("bytes_sent", DataType::Int64),
        int("bytes_received", DataType::Int64),
        int("packets_sent", DataType::Int64),
        int("packets_received", DataType::Int64),
        // Whether the connection began, or ended, in this row.
        Field::new("started", DataType::Boolean, false),
        Field::new("ended", DataType::Boolean, false),
        // accept | drop | reject.
        label("verdict", false),
        // kernel | evaluated.
        label("verdict_source", false),
        // The rule that decided; absent where the default did.
        label("rule", true),
        // The org revision of the ruleset in force.
        int("revision", DataType::Int64),
        // The DNS name asked for, the TLS server name or the HTTP host.
        Field::new("domain", DataType::Utf8, true),
    ]
}

/// A text column of few values.
fn label(name: &str, nullable: bool) -> Field {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Field::new(name, dictionary, nullable)
}

/// An address as the table keeps it.
pub fn address_bytes(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// An address from how the table keeps it.
pub fn address_of(bytes: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(bytes).to_canonical()
}

/// A batch as the bytes of an Arrow IPC stream, compressed with zstd.
pub fn encode(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), batch.schema_ref(), options)?;
    writer.write(batch)?;
    writer.into_inner()
}

/// The batches in the bytes of an Arrow IPC stream, if they have the columns of [`batch_schema`].
pub fn decode(bytes: &[u8]) -> Result<Vec<RecordBatch>, ArrowError> {
    let reader = StreamReader::try_new(bytes, None)?;
    if reader.schema().fields() != batch_schema().fields() {
        return Err(ArrowError::SchemaError("the columns are not those of a flow batch".to_owned()));
    }
    reader.collect()
}
