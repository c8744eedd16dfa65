//! Hostile queries: each is refused with its own reason, and none changes or reads what it may not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use query_svc::sql::{Engine, FlowFiles, Limits, Query, Source};
use schemas::reason::Reason;
use tempfile::TempDir;

use crate::flows::limits;

fn refused(limits: Limits, query: &str) -> Result<usize, Reason> {
    let store = TempDir::new().unwrap();
    let engine = Engine::new(limits, store.path()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let answer = runtime.block_on(engine.run(Source::of_flows(Arc::new(FlowFiles::default())), &Query::new(query)));
    answer.map(|answer| answer.stats.rows).map_err(|error| error.reason)
}

#[test]
fn only_reading_is_allowed() {
    for query in [
        "CREATE TABLE t AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE VIEW v AS SELECT 1",
        "INSERT INTO flows SELECT * FROM flows",
        "UPDATE flows SET src = '1'",
        "DELETE FROM flows",
        "TRUNCATE TABLE flows",
        "DROP TABLE flows",
        "COPY flows TO '/tmp/stolen.csv'",
        "COPY (SELECT * FROM flows) TO '/tmp/stolen.parquet'",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "EXPLAIN INSERT INTO flows SELECT * FROM flows",
        "EXPLAIN ANALYZE DELETE FROM flows",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "CREATE FUNCTION f() RETURNS INT RETURN 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE flows",
        "BEGIN",
        "SHOW TABLES",
    ] {
        assert_eq!(refused(limits(), query), Err(Reason::SqlForbidden), "{query}");
    }
}

#[test]
fn there_is_nothing_but_the_tables_of_the_org() {
    for query in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM '/etc/passwd.csv'",
        "SELECT * FROM 'file:///etc/passwd.parquet'",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.df_settings",
        "SELECT * FROM pg_catalog.pg_class",
        "SELECT * FROM other.public.flows",
        "SELECT * FROM nothing",
        "SELECT nothing FROM flows",
        "SELECT address_text(X'00')",
        "SELECT repeat('x', 1000000000)",
        "SELECT lpad('x', 1000000000)",
        "SELECT array_repeat(1, 1000000000)",
        "SELECT generate_series(1, 1000000000)",
        "SELECT replace(replace(arrow_cast('aaaa', 'LargeUtf8'), 'a', 'aaaa'), 'a', 'aaaa')",
        "SELECT regexp_replace('aaaa', 'a', 'aaaa', 'g')",
        "SELECT concat_ws('aaaa', '', '', '')",
        "SELECT encode('aaaa', 'hex')",
        "SELECT array_to_string(['', '', ''], 'aaaa')",
        "SELECT list_join(['', '', ''], 'aaaa')",
        "SELECT array_replace_all(['a', 'a'], 'a', 'aaaa')",
        "SELECT string_to_array('aaaa', NULL)",
        "SELECT CAST([CAST('aaaa' AS BYTEA)] AS TEXT)",
        "SELECT [bytea 'aaaa']::text",
        "SELECT [coalesce(X'00', 'aaaa')]::text",
        "SELECT [arrow_cast('aaaa', 'Binary')]::text",
        "SELECT [decode('aaaa', 'base64')]::text",
        "SELECT [sha256('aaaa')]::text",
        "WITH x AS (INSERT INTO flows SELECT * FROM flows) SELECT 1",
        "SELEC 1",
        "",
        "SELECT $1",
        "SELECT cidr_contains('nonsense', src) FROM flows",
        "SELECT 1 FROM flows WHERE cidr_contains('10.0.0.0/33', '10.0.0.1')",
        "SELECT cidr_contains(1, 2)",
    ] {
        assert_eq!(refused(limits(), query), Err(Reason::SqlInvalid), "{query}");
    }
    let deep = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(refused(limits(), &deep), Err(Reason::SqlInvalid));
    let long = format!("SELECT '{}'", "x".repeat(70_000));
    assert_eq!(refused(limits(), &long), Err(Reason::SqlInvalid));
}

#[test]
fn reading_and_explaining_is_allowed() {
    for query in [
        "SELECT 1",
        "WITH x AS (SELECT 1 AS a) SELECT a FROM x",
        "EXPLAIN SELECT * FROM flows",
        "EXPLAIN ANALYZE SELECT count(*) FROM flows",
        "DESCRIBE flows",
        "SELECT * FROM FLOWS",
        "SELECT count(*) FROM flows UNION ALL SELECT 1",
        "SELECT cidr_contains('10.0.0.0/8', '10.1.2.3'), ip_prefix('10.1.2.3', 8), ip_family('::1')",
        "SELECT date_bin('1 minute', time), sum(bytes_sent) FROM flows GROUP BY 1",
    ] {
        assert!(refused(limits(), query).is_ok(), "{query}: {:?}", refused(limits(), query));
    }
}

#[test]
fn a_query_that_fails_on_its_way_says_so() {
    for query in [
        "SELECT 1 / (value - value) FROM generate_series(1, 2)",
        "SELECT CAST('x' || value AS BIGINT) FROM generate_series(1, 2) WHERE value > 0",
    ] {
        let reason = refused(limits(), query);
        assert!(matches!(reason, Err(Reason::SqlFailed | Reason::SqlInvalid)), "{query}: {reason:?}");
    }
}

#[test]
fn time_rows_and_memory_have_bounds() {
    let slow = Limits { timeout: Duration::from_millis(300), ..limits() };
    for query in [
        "SELECT count(*) FROM generate_series(1, 1000000000000)",
        "SELECT sum(a.value * b.value) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
    ] {
        let began = Instant::now();
        assert_eq!(refused(slow.clone(), query), Err(Reason::SqlTimeout), "{query}");
        assert!(began.elapsed() < Duration::from_secs(10), "{query}");
    }
    let rows = "SELECT * FROM generate_series(1, 1000000000000)";
    assert_eq!(refused(limits(), rows), Err(Reason::SqlRows));
    assert_eq!(refused(limits(), "SELECT * FROM generate_series(1, 10000)"), Ok(10_000));
    assert_eq!(refused(limits(), "SELECT * FROM generate_series(1, 10001)"), Err(Reason::SqlRows));
    let small = Limits { query_memory_bytes_max: 1 << 20, spill_bytes_max: 1 << 20, ..limits() };
    let hungry =
        "SELECT count(*) FROM (SELECT array_agg(value) FROM generate_series(1, 10000000) GROUP BY value % 1000)";
    assert_eq!(refused(small, hungry), Err(Reason::SqlMemory));
}

/// As deep as the bound on operators lets a query be, and far beyond: an overflow would end the whole process.
#[test]
fn long_queries_do_not_exhaust_the_stack() {
    let many = |part: &str, joint: &str, times: usize| vec![part; times].join(joint);
    let queries = |times: usize| {
        [
            format!("SELECT {}", many("1", "+", times)),
            format!("SELECT {} FROM flows", many("src_port", "+", times)),
            format!("SELECT * FROM flows WHERE {}", many("dst_port = 1", " OR ", times / 2)),
            format!("SELECT * FROM flows WHERE {}", many("src = '10.0.0.1'", " AND ", times / 2)),
            many("SELECT 1", " UNION ALL ", times / 3),
            format!("SELECT {} true", many("NOT", " ", times)),
            format!("SELECT {}1", many("-", " ", times)),
            format!("SELECT {}1{}", "abs(".repeat(times / 2), ")".repeat(times / 2)),
            format!("SELECT CASE {} END", many("WHEN 1 = 2 THEN 3", " ", times / 3)),
            format!("SELECT 1{}", "::int".repeat(times / 2)),
            format!("SELECT {} FROM flows", many("domain", "||", times)),
            format!("SELECT ARRAY[1]{}", "[1]".repeat(times)),
            format!("SELECT {}1{}", "(SELECT ".repeat(times / 2), ")".repeat(times / 2)),
        ]
    };
    let short = Limits { timeout: Duration::from_secs(2), ..limits() };
    for times in [1_900, 10_000] {
        for query in queries(times) {
            let outcome = refused(short.clone(), &query);
            let fine = matches!(outcome, Ok(_) | Err(Reason::SqlInvalid | Reason::SqlTimeout | Reason::SqlFailed));
            assert!(fine, "{}: {outcome:?}", &query[..40]);
            assert!(times < 10_000 || outcome == Err(Reason::SqlInvalid), "{}: {outcome:?}", &query[..40]);
        }
    }
    let flat = format!("SELECT * FROM flows WHERE src IN ({})", many("'10.0.0.1'", ",", 5_000));
    assert_eq!(refused(limits(), &flat), Ok(0), "a long list is not deep");
}

/// Planning cannot be interrupted, so these are refused before it.
#[test]
fn a_query_that_is_larger_than_it_looks_is_refused_at_once() {
    let chain = |first: &str, next: &dyn Fn(usize) -> String, levels: usize| {
        let ctes: Vec<String> = (1..=levels).map(|n| format!("a{n} AS ({})", next(n - 1))).collect();
        format!("WITH a0 AS ({first}), {} SELECT * FROM a{levels}", ctes.join(", "))
    };
    let joined = |n| format!("SELECT l.x FROM a{n} l CROSS JOIN a{n} r");
    let added = |n| format!("SELECT x + x AS x FROM a{n}");
    let nested = (0..40).fold("SELECT 1".to_owned(), |below, n| format!("WITH w{n} AS ({below}) SELECT * FROM w{n}"));
    for query in [
        chain("SELECT 1 x", &joined, 40),
        format!("{} WHERE x = 1", chain("SELECT src_port x FROM flows", &added, 40)),
        nested,
    ] {
        let began = Instant::now();
        let outcome = refused(limits(), &query);
        assert!(matches!(outcome, Err(Reason::SqlForbidden | Reason::SqlInvalid)), "{query}: {outcome:?}");
        assert!(began.elapsed() < Duration::from_secs(2), "{query}: {:?}", began.elapsed());
    }
    // The largest that are let through are planned in time.
    for query in [
        chain("SELECT 1 x", &joined, 8),
        format!("{} WHERE x = 1", chain("SELECT src_port x FROM flows", &added, 12)),
        chain("SELECT src_port x FROM flows", &|n| format!("SELECT x FROM a{n}"), 300),
    ] {
        let began = Instant::now();
        let outcome = refused(limits(), &query);
        assert!(outcome.is_ok(), "{query}: {outcome:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "{query}: {:?}", began.elapsed());
    }
}
