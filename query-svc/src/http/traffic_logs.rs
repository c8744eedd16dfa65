//! `/traffic/logs`: the newest flows, without SQL.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::json::WriterBuilder;
use arrow::json::writer::JsonArray;
use axum::extract::{OriginalUri, State};
use axum::http::Uri;
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use gate::{Caller, Json, Min, Problem, RouteTimeout, positioned};
use schemas::access::Verb;
use schemas::address::Span;
use schemas::kind::Kind;
use schemas::reason::Reason;
use schemas::rule::Action;
use schemas::service::Protocol;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::events::invalid;
use super::next_page::next_page_uri;
use super::sql::SLACK;
use crate::sql::{Answer, Query};

pub(super) fn router(timeout: std::time::Duration) -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(all)).route_layer(RouteTimeout::of(timeout + SLACK))
}

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 500;
/// Flows of one microsecond that a page may begin behind.
const SKIP_MAX: usize = 10_000;

/// Which flows are shown.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogQuery {
    /// accept, drop or reject.
    #[serde(alias = "verdict")]
    action: Option<Action>,
    /// tcp, udp … or a protocol number.
    #[serde(alias = "proto")]
    protocol: Option<String>,
    /// An address, a CIDR block or a range.
    #[serde(alias = "source_ip")]
    src: Option<String>,
    /// An address, a CIDR block or a range.
    #[serde(alias = "destination_ip")]
    dst: Option<String>,
    /// An address, a CIDR block or a range, on either side.
    ip: Option<String>,
    /// The destination port.
    #[serde(alias = "destination_port", alias = "dst_port")]
    port: Option<u16>,
    #[serde(alias = "rule_id")]
    rule: Option<String>,
    #[serde(alias = "device_id")]
    device: Option<String>,
    /// A domain; `*.example.com` for those below it.
    domain: Option<String>,
    zone_from: Option<String>,
    zone_to: Option<String>,
    /// This time (RFC 3339) and later.
    since: Option<DateTime<Utc>>,
    /// Before this time (RFC 3339).
    until: Option<DateTime<Utc>>,
    /// How many, 1 to 500; 50 if absent.
    limit: Option<usize>,
    /// Up to and with this time: where the next page begins.
    before: Option<DateTime<Utc>>,
    /// How many flows of exactly that time are on earlier pages.
    skip: Option<usize>,
}

/// A page of flows.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LogPage {
    #[schema(value_type = Vec<LogEntry>)]
    data: Box<RawValue>,
    meta: LogMeta,
}

/// Where a page stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct LogMeta {
    limit: usize,
    /// Where older flows are; absent where there are none.
    next_page_uri: Option<String>,
}

/// A flow, as the document describes it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LogEntry {
    time: DateTime<Utc>,
    duration_ms: i32,
    action: Action,
    /// `kernel` or `evaluated`.
    verdict_source: String,
    protocol: String,
    source_ip: String,
    source_port: i32,
    destination_ip: String,
    destination_port: i32,
    rule_id: Option<String>,
    device_id: String,
    direction: String,
    interface: String,
    zone_from: Option<String>,
    zone_to: Option<String>,
    bytes_sent: i64,
    bytes_received: i64,
    packets_sent: i64,
    packets_received: i64,
    tcp_flags: i16,
    icmp_type: Option<i16>,
    vlan: Option<i32>,
    started: bool,
    ended: bool,
    revision: i64,
    domain: Option<String>,
}

const COLUMNS: &str = "time, duration_ms, verdict AS action, verdict_source, protocol, src AS source_ip, \
    src_port AS source_port, dst AS destination_ip, dst_port AS destination_port, rule AS rule_id, \
    device AS device_id, direction, interface, zone_from, zone_to, bytes_sent, bytes_received, packets_sent, \
    packets_received, tcp_flags, icmp_type, vlan, started, ended, revision, domain";

/// Flows of one microsecond have an order too, so that pages neither repeat nor miss any.
const ORDER: &str = "time DESC, src, dst, src_port, dst_port, protocol, device, interface";

/// Lists flows, newest first.
#[utoipa::path(get, path = "/traffic/logs", operation_id = "list_traffic_logs", tag = "traffic", params(LogQuery, Min), responses(
    (status = 200, body = LogPage)))]
async fn all(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    OriginalUri(uri): OriginalUri,
    gate::Query(wanted): gate::Query<LogQuery>,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, Kind::Flow)?;
    let limit = bounded("limit", wanted.limit.unwrap_or(LIMIT_DEFAULT), 1, LIMIT_MAX)?;
    let skip = bounded("skip", wanted.skip.unwrap_or(0), 0, SKIP_MAX)?;
    let query = wanted.to_sql(limit, skip)?;
    let answer = app.ask(&caller, min, &query).await?;
    let position = answer.stats.position;
    let page = page(&uri, answer, limit, wanted.before, skip)?;
    Ok(positioned(Json(page), position))
}

fn bounded(name: &str, given: usize, min: usize, max: usize) -> Result<usize, Problem> {
    match (min..=max).contains(&given) {
        true => Ok(given),
        false => Err(invalid(name, &format!("{name} is from {min} to {max}"))),
    }
}

/// Conditions with their values apart: nothing of a caller's becomes part of the query.
#[derive(Default)]
struct Conditions {
    all: Vec<String>,
    params: Vec<serde_json::Value>,
}

impl Conditions {
    fn value(&mut self, value: impl Into<serde_json::Value>) -> String {
        self.params.push(value.into());
        format!("${}", self.params.len())
    }

    fn equal(&mut self, column: &str, value: Option<impl Into<serde_json::Value>>) {
        if let Some(value) = value {
            let value = self.value(value);
            self.all.push(format!("{column} = {value}"));
        }
    }

    fn within(&mut self, name: &str, columns: &[&str], cidr: Option<&str>) -> Result<(), Problem> {
        let Some(cidr) = cidr else { return Ok(()) };
        let span: Span =
            cidr.parse().map_err(|error: schemas::address::BadAddress| invalid(name, &error.to_string()))?;
        let one = span.first() == span.last();
        let value = self.value(if one { span.first().to_canonical().to_string() } else { cidr.to_owned() });
        let each = columns.iter().map(|column| match one {
            true => format!("{column} = {value}"),
            false => format!("cidr_contains({value}, {column})"),
        });
        self.all.push(format!("({})", each.collect::<Vec<_>>().join(" OR ")));
        Ok(())
    }

    fn time(&mut self, compared: &str, time: Option<DateTime<Utc>>) {
        if let Some(time) = time {
            let value = self.value(time.to_rfc3339_opts(SecondsFormat::Micros, true));
            self.all.push(format!("time {compared} {value}"));
        }
    }
}

impl LogQuery {
    fn to_sql(&self, limit: usize, skip: usize) -> Result<Query, Problem> {
        let mut conditions = Conditions::default();
        conditions.equal("verdict", self.action.map(Action::as_str));
        if let Some(protocol) = &self.protocol {
            let protocol: Protocol = protocol
                .parse()
                .map_err(|error: schemas::service::BadProtocol| invalid("protocol", &error.to_string()))?;
            if protocol != Protocol::All {
                conditions.equal("protocol", Some(protocol.to_string()));
            }
        }
        conditions.within("src", &["src"], self.src.as_deref())?;
        conditions.within("dst", &["dst"], self.dst.as_deref())?;
        conditions.within("ip", &["src", "dst"], self.ip.as_deref())?;
        conditions.equal("dst_port", self.port);
        conditions.equal("rule", self.rule.as_deref());
        conditions.equal("device", self.device.as_deref());
        conditions.equal("zone_from", self.zone_from.as_deref());
        conditions.equal("zone_to", self.zone_to.as_deref());
        match self.domain.as_deref().map(|domain| (domain, domain.strip_prefix('*'))) {
            Some((_, Some(below))) => {
                let below = conditions.value(below);
                conditions.all.push(format!("ends_with(domain, {below})"));
            }
            Some((domain, None)) => conditions.equal("domain", Some(domain)),
            None => {}
        }
        conditions.time(">=", self.since);
        conditions.time("<", self.until);
        conditions.time("<=", self.before);
        let filter = match conditions.all.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.all.join(" AND ")),
        };
        // One more than is shown tells whether there is a next page.
        let query = format!("SELECT {COLUMNS} FROM flows{filter} ORDER BY {ORDER} LIMIT {} OFFSET {skip}", limit + 1);
        Ok(Query { query, params: conditions.params })
    }
}

fn page(
    uri: &Uri,
    answer: Answer,
    limit: usize,
    before: Option<DateTime<Utc>>,
    skip: usize,
) -> Result<LogPage, Problem> {
    let more = answer.stats.rows > limit;
    let mut shown: Vec<RecordBatch> = Vec::new();
    let mut left = limit;
    for batch in answer.batches {
        let rows = batch.num_rows().min(left);
        left -= rows;
        shown.push(batch.slice(0, rows));
    }
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(Vec::new());
    let written = writer.write_batches(&shown.iter().collect::<Vec<_>>()).and_then(|()| writer.finish());
    written.map_err(|error| Problem::new(Reason::SqlFailed, error.to_string()))?;
    let json = String::from_utf8(writer.into_inner()).map_err(Problem::internal)?;
    // Without a row the writer writes nothing at all.
    let data =
        RawValue::from_string(if json.is_empty() { "[]".to_owned() } else { json }).map_err(Problem::internal)?;
    let next_page_uri = match more {
        true => last_time(&shown).map(|(time, same)| {
            let before_skip = if before == Some(time) { skip } else { 0 };
            let time = time.to_rfc3339_opts(SecondsFormat::Micros, true);
            next_page_uri(uri, &[("before", time), ("skip", (before_skip + same).to_string())])
        }),
        false => None,
    };
    Ok(LogPage { data, meta: LogMeta { limit, next_page_uri } })
}

/// The time of the last row, and how many rows have it.
fn last_time(shown: &[RecordBatch]) -> Option<(DateTime<Utc>, usize)> {
    let times: Vec<i64> = shown
        .iter()
        .filter_map(|batch| batch.column_by_name("time")?.as_primitive_opt::<TimestampMicrosecondType>())
        .flat_map(|times| (0..times.len()).map(|row| times.value(row)))
        .collect();
    let last = *times.last()?;
    let same = times.iter().rev().take_while(|time| **time == last).count();
    Some((DateTime::from_timestamp_micros(last)?, same))
}
