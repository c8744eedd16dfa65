//! The flow table: what is pruned, and that pruning never changes an answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use query_svc::sql::{Answer, Engine, FlowFiles, Format, Limits, Query, Source, SqlError};
use schemas::files::{Catalogue, FilesCommit};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::table::{HOUR_US, Row, write};

pub(crate) fn limits() -> Limits {
    Limits {
        memory_bytes_max: 256 << 20,
        query_memory_bytes_max: 128 << 20,
        spill_bytes_max: 64 << 20,
        timeout: Duration::from_secs(20),
        rows_max: 10_000,
        threads: 2,
    }
}

struct Lake {
    engine: Engine,
    files: Arc<FlowFiles>,
    runtime: tokio::runtime::Runtime,
    store: TempDir,
}

impl Lake {
    fn new(files: &[Vec<Row>]) -> Self {
        Self::limited(files, limits())
    }

    fn limited(files: &[Vec<Row>], limits: Limits) -> Self {
        let store = TempDir::new().unwrap();
        let add = files.iter().enumerate().map(|(index, rows)| write(store.path(), "acme", &index.to_string(), rows));
        let commit = FilesCommit {
            org: "acme".parse().unwrap(),
            id: "cmt_01jcz3k9mv5x8q2w4e6r7t9y0a".parse().unwrap(),
            table: "flows".to_owned(),
            add: add.collect(),
            remove: Vec::new(),
            covers: None,
        };
        let mut catalogue = Catalogue::default();
        catalogue.apply(1, &commit);
        Self {
            engine: Engine::new(limits, store.path()).unwrap(),
            files: Arc::new(FlowFiles::of(&catalogue)),
            runtime: tokio::runtime::Runtime::new().unwrap(),
            store,
        }
    }

    fn try_ask(&self, query: &str, params: Vec<Value>) -> Result<Answer, SqlError> {
        let query = Query { query: query.to_owned(), params };
        self.runtime.block_on(self.engine.run(Source::of_flows(self.files.clone()), &query))
    }

    fn ask(&self, query: &str) -> Answer {
        self.try_ask(query, Vec::new()).unwrap()
    }

    fn rows(&self, query: &str) -> Value {
        rows(&self.ask(query))
    }

    fn explain(&self, query: &str) -> String {
        self.rows(&format!("EXPLAIN {query}")).to_string().replace("\\n", "\n")
    }
}

fn rows(answer: &Answer) -> Value {
    let mut body: Value = serde_json::from_slice(&Format::Json.write(answer).unwrap()).unwrap();
    body["data"].take()
}

const SECOND: i64 = 1_000_000;

/// Ten files of a hundred rows, each 100 seconds later and with sources of its own.
fn ten_files() -> Lake {
    let file = |file: u8| {
        (0..100_u8)
            .map(|row| Row {
                src: IpAddr::from([10, 0, file, row]),
                dst_port: i32::from(row),
                protocol: if row % 2 == 0 { 6 } else { 17 },
                device: format!("dev_01jcz3k9mv5x8q2w4e6r7t9y0{}", if file < 5 { 'a' } else { 'b' }),
                ..Row::at(HOUR_US + i64::from(file) * 100 * SECOND + i64::from(row) * SECOND)
            })
            .collect()
    };
    Lake::new(&(0..10).map(file).collect::<Vec<Vec<Row>>>())
}

#[test]
fn files_that_cannot_match_are_not_opened() {
    let lake = ten_files();
    let scanned = |query: &str| {
        let answer = lake.ask(query);
        assert_eq!(answer.stats.files_total, 10, "{query}");
        (answer.stats.files_scanned, answer.stats.rows)
    };
    assert_eq!(scanned("SELECT dst FROM flows"), (10, 1_000));
    assert_eq!(scanned("SELECT dst FROM flows WHERE src = '10.0.3.7'"), (1, 1));
    assert_eq!(scanned("SELECT dst FROM flows WHERE '10.0.3.7' = src"), (1, 1));
    assert_eq!(scanned("SELECT dst FROM flows WHERE src IN ('10.0.3.7', '10.0.5.1', 'nonsense')"), (2, 2));
    assert_eq!(scanned("SELECT dst FROM flows WHERE cidr_contains('10.0.4.0/22', src)"), (4, 400));
    assert_eq!(scanned("SELECT dst FROM flows WHERE ip_prefix(src, 24) = '10.0.9.0/24'"), (1, 100));
    assert_eq!(scanned("SELECT dst FROM flows WHERE ip_family(src) = 6"), (0, 0));
    assert_eq!(scanned("SELECT dst FROM flows WHERE time >= '2026-11-21T13:15:00Z'"), (1, 100));
    assert_eq!(lake.ask("SELECT dst FROM flows WHERE src = 'nonsense'").stats.files_scanned, 0);
    assert_eq!(scanned("SELECT dst FROM flows WHERE device = 'dev_01jcz3k9mv5x8q2w4e6r7t9y0b'"), (5, 500));
}

#[test]
fn the_newest_rows_are_found_without_reading_the_old_files() {
    let lake = ten_files();
    for query in [
        "SELECT * FROM flows ORDER BY time DESC LIMIT 5",
        "SELECT * FROM flows WHERE protocol = 'udp' ORDER BY time DESC LIMIT 5",
    ] {
        let answer = lake.ask(query);
        assert_eq!(answer.stats.rows, 5);
        assert!(answer.stats.files_scanned <= 3, "{query}: {:?}\n{}", answer.stats, lake.explain(query));
    }
}

#[test]
fn counts_and_bounds_come_from_the_catalogue() {
    let lake = ten_files();
    let answer = lake.ask("SELECT count(*), max(time) FROM flows");
    assert_eq!(rows(&answer), json!([[1000, "2026-11-21T13:16:39Z"]]));
    assert_eq!(answer.stats.bytes_scanned, 0);
}

#[test]
fn addresses_and_protocols_are_text() {
    let lake = Lake::new(&[vec![
        Row { src: "2001:db8::1".parse().unwrap(), protocol: 58, ..Row::at(HOUR_US) },
        Row { protocol: 89, ..Row::at(HOUR_US + 1) },
    ]]);
    assert_eq!(
        lake.rows("SELECT src, dst, protocol, ip_family(src), ip_prefix(src, 20) FROM flows ORDER BY time"),
        json!([
            ["2001:db8::1", "192.0.2.1", "icmpv6", 6, "2001::/20"],
            ["10.0.0.1", "192.0.2.1", "89", 4, "10.0.0.0/20"]
        ])
    );
    assert_eq!(lake.rows("SELECT count(*) FROM flows WHERE protocol = '89'"), json!([[1]]));
    assert_eq!(lake.rows("SELECT count(*) FROM flows WHERE protocol IN ('tcp', 'icmpv6')"), json!([[1]]));
    assert_eq!(lake.rows("SELECT count(*) FROM flows WHERE protocol = '006'"), json!([[0]]));
    assert_eq!(lake.rows("SELECT max(src) FROM flows WHERE cidr_contains('::/0', src)"), json!([["2001:db8::1"]]));
}

#[test]
fn parameters_prune_like_literals() {
    let lake = ten_files();
    let ask = |query: &str, params| lake.try_ask(query, params).unwrap().stats;
    let stats =
        ask("SELECT * FROM flows WHERE src = $1 AND time > $2", vec!["10.0.3.7".into(), "2026-11-21T13:00:00Z".into()]);
    assert_eq!((stats.files_scanned, stats.rows), (1, 1));
    let stats = ask("SELECT * FROM flows WHERE cidr_contains($1, src) LIMIT $2", vec!["10.0.3.0/24".into(), 7.into()]);
    assert_eq!((stats.files_scanned, stats.rows), (1, 7));
}

#[test]
fn columns_that_are_not_asked_for_are_not_read() {
    let lake = ten_files();
    let (one, all) = (lake.ask("SELECT dst_port FROM flows").stats, lake.ask("SELECT * FROM flows").stats);
    assert!(one.bytes_scanned * 3 < all.bytes_scanned, "{one:?} {all:?}");
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0u8..3, 0u8..3).prop_map(|(third, fourth)| IpAddr::from([10, 0, third, fourth])),
        (0u16..3).prop_map(|last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last])),
        Just(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    (0..50i64, address(), address(), prop_oneof![Just(6i16), Just(17), Just(89)], 0..5i32).prop_map(
        |(second, src, dst, protocol, dst_port)| Row {
            src,
            dst,
            protocol,
            dst_port,
            ..Row::at(HOUR_US + second * SECOND)
        },
    )
}

/// A question, and the same question of one row.
struct Asked {
    sql: String,
    of: Box<dyn Fn(&Row) -> bool>,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sql)
    }
}

fn asks(sql: impl Into<String>, of: impl Fn(&Row) -> bool + 'static) -> Asked {
    Asked { sql: sql.into(), of: Box::new(of) }
}

fn asked() -> impl Strategy<Value = Asked> {
    let side = any::<bool>();
    let of = |src: bool| move |row: &Row| if src { row.src } else { row.dst };
    let name = |src: bool| if src { "src" } else { "dst" };
    let text = || address().prop_map(|ip| ip.to_string());
    let equal = (side, text(), any::<bool>()).prop_map(move |(src, text, same)| {
        let sql = format!("{} {} '{text}'", name(src), if same { "=" } else { "<>" });
        asks(sql, move |row: &Row| (of(src)(row).to_string() == text) == same)
    });
    let list =
        (any::<bool>(), prop::collection::vec(text(), 1..5), any::<bool>()).prop_map(move |(src, texts, inside)| {
            let listed: Vec<String> = texts.iter().map(|text| format!("'{text}'")).collect();
            let sql = format!("{} {} ({}, 'no')", name(src), if inside { "IN" } else { "NOT IN" }, listed.join(", "));
            asks(sql, move |row: &Row| texts.contains(&of(src)(row).to_string()) == inside)
        });
    let cidr = (any::<bool>(), address(), 0u8..=128, any::<bool>()).prop_map(move |(src, base, bits, inside)| {
        let bits = if base.is_ipv4() { bits.min(32) } else { bits };
        let span = schemas::address::Span::block(base, bits).unwrap();
        let sql = format!("{}cidr_contains('{base}/{bits}', {})", if inside { "" } else { "NOT " }, name(src));
        asks(sql, move |row: &Row| span.contains(of(src)(row)) == inside)
    });
    let prefix = (any::<bool>(), address(), 0u8..=128).prop_map(move |(src, base, bits)| {
        let bits = if base.is_ipv4() { bits.min(32) } else { bits };
        let span = schemas::address::Span::block(base, bits).unwrap();
        let sql = format!("ip_prefix({}, {bits}) = '{}/{bits}'", name(src), span.first());
        asks(sql, move |row: &Row| span.contains(of(src)(row)))
    });
    let protocol = prop_oneof![Just("tcp"), Just("udp"), Just("89"), Just("icmp")].prop_map(|wanted| {
        let shown = |row: &Row| match row.protocol {
            6 => "tcp",
            17 => "udp",
            _ => "89",
        };
        asks(format!("protocol = '{wanted}'"), move |row: &Row| shown(row) == wanted)
    });
    let both = any::<bool>().prop_map(|same| {
        let sql = if same { "src = dst" } else { "src <> dst" };
        asks(sql.to_owned(), move |row: &Row| (row.src == row.dst) == same)
    });
    let after = (0..50i64).prop_map(|second| {
        let at = HOUR_US + second * SECOND;
        let sql = format!("time >= to_timestamp_micros({at})");
        asks(sql, move |row: &Row| row.time_us >= at)
    });
    prop_oneof![equal, list, cidr, prefix, protocol, both, after]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_filter_answers_as_if_every_row_were_looked_at(
        files in prop::collection::vec(prop::collection::vec(row(), 1..20), 1..5),
        questions in prop::collection::vec((asked(), asked(), any::<bool>()), 1..6),
    ) {
        let lake = Lake::new(&files);
        let all: Vec<&Row> = files.iter().flatten().collect();
        for (one, other, and) in &questions {
            let sql = format!("({one:?}) {} ({other:?})", if *and { "AND" } else { "OR" });
            let wanted = all.iter().filter(|row| if *and { (one.of)(row) && (other.of)(row) } else { (one.of)(row) || (other.of)(row) }).count();
            let found = lake.rows(&format!("SELECT count(*) FROM flows WHERE {sql}"));
            prop_assert_eq!(&found, &json!([[wanted]]), "{}", sql);
        }
    }
}

#[test]
fn a_sort_may_name_what_the_filter_fixes() {
    let lake = ten_files();
    for filter in ["dst = '192.0.2.1'", "protocol = 'tcp'", "src = '10.0.3.7'", "cidr_contains('192.0.2.1/32', dst)"] {
        let answer = lake.ask(&format!(
            "SELECT time, src AS source, dst, protocol FROM flows WHERE {filter} ORDER BY time DESC, src, dst, protocol LIMIT 5"
        ));
        assert!(answer.stats.files_scanned <= 3, "{filter}: {:?}", answer.stats);
    }
}

#[test]
fn a_file_that_is_gone_is_not_the_query_s_fault() {
    let lake = ten_files();
    std::fs::remove_dir_all(lake.store.path()).unwrap();
    let error = lake.try_ask("SELECT src FROM flows", Vec::new()).unwrap_err();
    assert_eq!(error.reason, schemas::reason::Reason::StoreUnavailable);
}

#[test]
fn every_type_is_valid_json() {
    let lake = ten_files();
    let found = lake.rows(
        "SELECT CAST('NaN' AS DOUBLE), CAST('inf' AS DOUBLE), 'b', DATE '2026-01-01', INTERVAL '1 day', 1.5, \
         CAST(1 AS DECIMAL(10,2)), TIMESTAMP '2026-01-01T00:00:00.5', named_struct('a', 1), NULL, 9223372036854775807, \
         CAST(18446744073709551615 AS BIGINT UNSIGNED), 'a\"b', make_array(1, NULL)",
    );
    assert_eq!(found[0][7], "2026-01-01T00:00:00.500Z");
    assert_eq!(found[0][8], json!({"a": 1}));
    assert_eq!(found[0][10].as_i64(), Some(i64::MAX));
}
