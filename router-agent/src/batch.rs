//! Rows become Arrow batches: the columns of [`schemas::flow::batch_schema`], bounded in rows and bytes.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, FixedSizeBinaryBuilder, Int16Builder, Int32Builder, Int64Builder, RecordBatch,
    StringBuilder, StringDictionaryBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use schemas::flow::{ADDRESS_BYTES, BATCH_ROWS_MAX, address_bytes, batch_schema, encode};
use schemas::zone::ZoneName;

use crate::flow_table::{Endpoint, Flow, Window};
use crate::verdict::Verdict;

/// What fits a bus message (1 MiB) with its headers.
pub const BATCH_BYTES_MAX: usize = 900_000;

/// A flow in one window.
#[derive(Debug, Clone)]
pub struct Row {
    pub protocol: u8,
    pub initiator: Endpoint,
    pub responder: Endpoint,
    pub interface: Arc<str>,
    pub vlan: Option<u16>,
    pub icmp_type: Option<u8>,
    pub window: Window,
    pub verdict: Verdict,
}

/// A batch as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    pub rows: usize,
    pub bytes: Vec<u8>,
}

impl Row {
    pub fn new(flow: &Flow, window: Window, verdict: Verdict) -> Self {
        Self {
            protocol: flow.protocol,
            initiator: flow.initiator,
            responder: flow.responder,
            interface: Arc::clone(&flow.interface),
            vlan: flow.vlan,
            icmp_type: flow.icmp_type,
            window,
            verdict,
        }
    }
}

/// The rows as batches that may be sent, in order of time.
pub fn batches(mut rows: Vec<Row>) -> Result<Vec<Encoded>, ArrowError> {
    rows.sort_by_key(|row| row.window.first_us);
    let mut encoded = Vec::new();
    for chunk in rows.chunks(BATCH_ROWS_MAX) {
        add(chunk, &mut encoded)?;
    }
    Ok(encoded)
}

/// Encodes rows, in halves if they are too large for a message.
fn add(rows: &[Row], encoded: &mut Vec<Encoded>) -> Result<(), ArrowError> {
    let bytes = encode(&record_batch(rows)?)?;
    if bytes.len() <= BATCH_BYTES_MAX || rows.len() <= 1 {
        encoded.push(Encoded { rows: rows.len(), bytes });
        return Ok(());
    }
    let (early, late) = rows.split_at(rows.len() / 2);
    add(early, encoded)?;
    add(late, encoded)
}

/// The rows as columns.
pub fn record_batch(rows: &[Row]) -> Result<RecordBatch, ArrowError> {
    let mut columns = times(rows);
    columns.extend(places(rows));
    columns.extend(ends(rows)?);
    columns.extend(counts(rows));
    columns.extend(outcomes(rows));
    RecordBatch::try_new(batch_schema(), columns)
}

fn times(rows: &[Row]) -> Vec<ArrayRef> {
    let mut time = TimestampMicrosecondBuilder::with_capacity(rows.len()).with_timezone("UTC");
    let mut duration = Int32Builder::with_capacity(rows.len());
    for Row { window, .. } in rows {
        time.append_value(window.first_us);
        let ms = window.last_us.saturating_sub(window.first_us) / 1_000;
        duration.append_value(i32::try_from(ms).unwrap_or(i32::MAX));
    }
    vec![Arc::new(time.finish()), Arc::new(duration.finish())]
}

fn places(rows: &[Row]) -> Vec<ArrayRef> {
    let zone = |zone: &Option<Arc<ZoneName>>| zone.as_ref().map(|zone| zone.to_string());
    let mut vlan = Int32Builder::with_capacity(rows.len());
    rows.iter().for_each(|row| vlan.append_option(row.vlan.map(i32::from)));
    vec![
        labels(rows, |row| Some(row.verdict.direction.to_owned())),
        labels(rows, |row| zone(&row.verdict.zone_from)),
        labels(rows, |row| zone(&row.verdict.zone_to)),
        labels(rows, |row| Some(row.interface.to_string())),
        Arc::new(vlan.finish()),
    ]
}

fn ends(rows: &[Row]) -> Result<Vec<ArrayRef>, ArrowError> {
    let mut addresses = [(); 2].map(|()| FixedSizeBinaryBuilder::with_capacity(rows.len(), ADDRESS_BYTES));
    let mut ports = [(); 2].map(|()| Int32Builder::with_capacity(rows.len()));
    let mut protocol = Int16Builder::with_capacity(rows.len());
    for row in rows {
        for (side, end) in [row.initiator, row.responder].into_iter().enumerate() {
            addresses[side].append_value(address_bytes(end.ip))?;
            ports[side].append_value(i32::from(end.port));
        }
        protocol.append_value(i16::from(row.protocol));
    }
    let [mut source, mut destination] = addresses;
    let [mut source_port, mut destination_port] = ports;
    Ok(vec![
        Arc::new(source.finish()),
        Arc::new(destination.finish()),
        Arc::new(source_port.finish()),
        Arc::new(destination_port.finish()),
        Arc::new(protocol.finish()),
    ])
}

fn counts(rows: &[Row]) -> Vec<ArrayRef> {
    let mut flags = Int16Builder::with_capacity(rows.len());
    let mut icmp_type = Int16Builder::with_capacity(rows.len());
    let mut sums = [(); 4].map(|()| Int64Builder::with_capacity(rows.len()));
    let mut states = [(); 2].map(|()| BooleanBuilder::with_capacity(rows.len()));
    for Row { window, icmp_type: kind, .. } in rows {
        flags.append_value(i16::from(window.tcp_flags));
        icmp_type.append_option(kind.map(i16::from));
        let [sent, received] = window.bytes;
        let [packets_sent, packets_received] = window.packets;
        for (builder, count) in sums.iter_mut().zip([sent, received, packets_sent, packets_received]) {
            builder.append_value(i64::try_from(count).unwrap_or(i64::MAX));
        }
        for (builder, state) in states.iter_mut().zip([window.started, window.ended]) {
            builder.append_value(state);
        }
    }
    let mut columns: Vec<ArrayRef> = vec![Arc::new(flags.finish()), Arc::new(icmp_type.finish())];
    columns.extend(sums.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
    columns.extend(states.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
    columns
}

fn outcomes(rows: &[Row]) -> Vec<ArrayRef> {
    let mut revision = Int64Builder::with_capacity(rows.len());
    let mut domain = StringBuilder::new();
    for row in rows {
        revision.append_value(i64::try_from(row.verdict.revision).unwrap_or(i64::MAX));
        domain.append_option(row.window.domain.as_deref());
    }
    vec![
        labels(rows, |row| Some(row.verdict.action.as_str().to_owned())),
        labels(rows, |row| Some(row.verdict.source.to_owned())),
        labels(rows, |row| row.verdict.rule.map(|rule| rule.to_string())),
        Arc::new(revision.finish()),
        Arc::new(domain.finish()),
    ]
}

/// A text column of few values.
fn labels(rows: &[Row], label: impl Fn(&Row) -> Option<String>) -> ArrayRef {
    let mut builder = StringDictionaryBuilder::<Int32Type>::new();
    rows.iter().for_each(|row| builder.append_option(label(row)));
    Arc::new(builder.finish())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use schemas::flow::decode;
    use schemas::rule::Action;

    use super::*;

    fn row(number: u32, domain: Option<String>) -> Row {
        let end = |port| Endpoint { ip: IpAddr::from(number.to_be_bytes()), port };
        Row {
            protocol: 6,
            initiator: end(1_000),
            responder: end(443),
            interface: Arc::from("lan0"),
            vlan: None,
            icmp_type: None,
            window: Window {
                first_us: i64::from(number),
                last_us: i64::from(number) + 7_000,
                bytes: [10, 20],
                packets: [1, 2],
                tcp_flags: 0x12,
                started: true,
                ended: false,
                domain,
            },
            verdict: Verdict {
                direction: "forward",
                zone_from: Some(Arc::new("LAN".parse().expect("a zone"))),
                zone_to: None,
                action: Action::Accept,
                source: "kernel",
                rule: None,
                revision: 1,
            },
        }
    }

    #[test]
    fn rows_read_back_as_the_schema_says() {
        let encoded = batches(vec![row(2, None), row(1, Some("a.example".to_owned()))]).expect("encodes");
        let decoded = decode(&encoded[0].bytes).expect("decodes");
        let json = |batch: &RecordBatch| {
            let mut writer = arrow::json::ArrayWriter::new(Vec::new());
            writer.write(batch).expect("writes");
            writer.finish().expect("finishes");
            String::from_utf8(writer.into_inner()).expect("text")
        };
        // The JSON writer knows no time zones by name.
        let rest = decoded[0].project(&(1..decoded[0].num_columns()).collect::<Vec<_>>()).expect("projects");
        insta::assert_snapshot!(json(&rest).replace("},{", "},\n{"), @r#"
        [{"duration_ms":7,"direction":"forward","zone_from":"LAN","interface":"lan0","src":"00000000000000000000ffff00000001","dst":"00000000000000000000ffff00000001","src_port":1000,"dst_port":443,"protocol":6,"tcp_flags":18,"bytes_sent":10,"bytes_received":20,"packets_sent":1,"packets_received":2,"started":true,"ended":false,"verdict":"accept","verdict_source":"kernel","revision":1,"domain":"a.example"},
        {"duration_ms":7,"direction":"forward","zone_from":"LAN","interface":"lan0","src":"00000000000000000000ffff00000002","dst":"00000000000000000000ffff00000002","src_port":1000,"dst_port":443,"protocol":6,"tcp_flags":18,"bytes_sent":10,"bytes_received":20,"packets_sent":1,"packets_received":2,"started":true,"ended":false,"verdict":"accept","verdict_source":"kernel","revision":1}]
        "#);
    }

    #[test]
    fn nothing_gives_no_batch_and_much_gives_several() {
        assert!(batches(Vec::new()).expect("encodes").is_empty());
        let count = u32::try_from(BATCH_ROWS_MAX).expect("fits") + 1;
        let encoded = batches((0..count).map(|number| row(number, None)).collect()).expect("encodes");
        assert_eq!(encoded.iter().map(|batch| batch.rows).collect::<Vec<_>>(), [BATCH_ROWS_MAX, 1]);
    }

    #[test]
    fn what_is_too_large_for_a_message_is_halved() {
        let name = |number: u32| {
            let mut state = u64::from(number) + 1;
            let mut letter = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                char::from(b'a' + u8::try_from((state >> 33) % 26).expect("a letter"))
            };
            (0..240).map(|_| letter()).collect::<String>()
        };
        let rows: Vec<Row> = (0..10_000).map(|number| row(number, Some(name(number)))).collect();
        let encoded = batches(rows).expect("encodes");
        assert!(encoded.len() > 1);
        assert!(encoded.iter().all(|batch| batch.bytes.len() <= BATCH_BYTES_MAX));
        assert_eq!(encoded.iter().map(|batch| batch.rows).sum::<usize>(), 10_000);
    }
}
