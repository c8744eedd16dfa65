//! Laws and examples of filters.

use proptest::prelude::*;
use schemas::rule::Rule;
use schemas::view::DeviceView;

use super::*;
use crate::list::pick_of;

const NAMES: [&str; 7] = ["name", "size", "on", "tags", "metadata", "obj", "time"];

fn now() -> DateTime<Utc> {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

fn fields() -> Fields {
    Fields::new(NAMES)
}

fn thing() -> Value {
    json!({
        "name": "web-1", "size": 10, "on": true, "tags": ["a", "b"], "obj": null, "time": "2026-06-15T11:00:00Z",
        "metadata": {"team": "red", "cost-center": "7", "address": "10.1.2.3", "since": "2026-06-01T00:00:00.5Z",
            "ports": [{"zone": "WAN"}, {"zone": "LAN"}]},
    })
}

fn holds(text: &str) -> bool {
    Filter::parse(text, &fields()).unwrap_or_else(|error| panic!("{text}: {error}")).matches(&thing(), now())
}

fn refused(text: &str, fields: &Fields) -> (FilterFault, usize, String) {
    let error = Filter::parse(text, fields).expect_err(text);
    (error.fault, error.column, error.expected)
}

#[test]
fn what_holds_is_let_through() {
    for text in [
        "on",
        "obj.on && !false",
        "obj.name == 'web-1'",
        "name != \"web-2\"",
        "size > 9 && size >= 10.0 && size < 1e3 && size <= 10",
        "-5 < size",
        "size in [1, 10]",
        "'a' in obj.tags && !('c' in tags)",
        "'team' in metadata",
        "size(tags) == 2 && tags.size() == 2 && size(name) == 5 && size(obj.obj) == 0",
        "name.startsWith('web') && name.endsWith('1') && name.contains('b-')",
        "tags.contains('b') && !tags.contains('bb')",
        "metadata.team == 'red' && obj.metadata[\"cost-center\"] == '7'",
        "obj.obj == null && metadata.nobody == null && name != null",
        "'LAN' in metadata.ports.zone",
        "obj.time < time.now && obj.time > time.now - duration('2h') && obj.time + duration('1h30m') > time.now",
        "obj.time == timestamp('2026-06-15T13:00:00+02:00')",
        "timestamp(metadata.since) > timestamp('2026-06-01T00:00:00Z')",
        "metadata.since > '2026-06-01T00:00:00Z'",
        "cidr_contains('10.0.0.0/8', metadata.address) && !cidr_contains('10.2.0.0/16', metadata.address)",
        "tags == ['a', 'b'] && tags != ['a']",
        "false || on && true",
        "!(on && size == 1) == true",
    ] {
        assert!(holds(text), "{text}");
    }
}

#[test]
fn values_of_different_kinds_are_neither_equal_nor_ordered() {
    for text in ["name == 1", "name < 1", "size > 'a'", "tags > 1", "metadata.nobody < 1", "metadata.nobody >= 'a'"] {
        assert!(!holds(text), "{text}");
    }
    assert!(holds("name != 1 && !(name < 1) && !(name >= 1)"));
    assert!(!holds("name") && holds("!name"), "what is neither true nor false is not true");
    assert!(!holds("timestamp(name) < time.now") && !holds("obj.name - duration('1h') < time.now"));
    assert!(!holds("cidr_contains('0.0.0.0/0', name)"));
}

#[test]
fn addresses_lie_in_a_network_as_a_whole() {
    let inside = |addresses: Value| {
        let filter = Filter::parse("cidr_contains('10.0.0.0/8', tags)", &fields()).unwrap();
        filter.matches(&json!({"tags": addresses}), now())
    };
    for yes in [json!("10.0.0.1"), json!("10.0.0.0/8"), json!("10.0.0.1-10.0.0.9"), json!(["1.1.1.1", "10.9.0.0/16"])] {
        assert!(inside(yes.clone()), "{yes}");
    }
    for no in [json!("any"), json!("0.0.0.0/0"), json!("9.0.0.1-10.0.0.1"), json!("2001:db8::1"), json!([]), json!(7)] {
        assert!(!inside(no.clone()), "{no}");
    }
}

#[test]
fn what_is_no_filter_is_refused_with_its_column() {
    use FilterFault::*;
    let deep = format!("{}on{}", "(".repeat(33), ")".repeat(33));
    let negated = format!("{}on", "!".repeat(33));
    for (text, fault, column) in [
        ("", Syntax, 1),
        ("name ==", Syntax, 8),
        ("name = 'a'", Syntax, 6),
        ("name == 'a", Syntax, 9),
        ("é", Syntax, 1),
        ("name == \"web\\u\"", Syntax, 13),
        ("'é' == name x", Syntax, 13),
        ("on && (size > 1", Syntax, 16),
        ("1 < size < 3", Syntax, 10),
        ("on on", Syntax, 4),
        ("size == 01", Syntax, 9),
        ("size == 12abc", Syntax, 9),
        ("size == 1e999", Syntax, 9),
        ("name.matches('a')", Syntax, 6),
        ("sum(name)", Syntax, 1),
        ("in == 1", Syntax, 1),
        ("obj", Syntax, 1),
        ("duration('1h') == 1", Syntax, 1),
        ("colour == 1", UnknownField, 1),
        ("on && obj.colour == 1", UnknownField, 7),
        ("'a' && on", Kind, 1),
        ("on && 1", Kind, 7),
        ("1 == 'a'", Kind, 6),
        ("'a' in 'abc'", Kind, 8),
        ("time.now == 'a'", Kind, 13),
        ("size(1) == 1", Kind, 6),
        ("1 + duration('1h') == time.now", Kind, 1),
        ("timestamp('yesterday') < time.now", Value, 11),
        ("time.now - duration('1 day') < time.now", Value, 21),
        ("cidr_contains('10.0.0.0/33', name)", Value, 15),
        (&deep, TooDeep, 34),
        (&negated, TooDeep, 34),
    ] {
        let (found, at, _) = refused(text, &fields());
        assert_eq!((found, at), (fault, column), "{text}");
    }
    assert_eq!(refused(&"on && ".repeat(1_000), &fields()), (TooLong, 1, "at most 4096 bytes".to_owned()));
    assert_eq!(refused(&"on && ".repeat(201), &fields()).1, 1_201);
    Filter::parse(&format!("size in [{}]", ["7"; 500].join(", ")), &fields()).unwrap();
}

#[test]
fn a_refusal_names_the_place_and_what_there_is() {
    let problem = Problem::from(Filter::parse("on && obj.colour == 'red'", &Fields::new(["id", "on"])).unwrap_err());
    assert_eq!((problem.reason, problem.field.as_deref()), (Reason::FilterInvalid, Some("filter")));
    let details = json!({"column": 7, "expected": "one of the fields id, on", "found": "obj.colour"});
    assert_eq!(problem.details, Some(details));
    assert_eq!(problem.message, "column 7: expected one of the fields id, on, found obj.colour");
}

#[test]
fn the_kinds_of_fields_come_from_the_schema() {
    use FilterFault::{Kind, UnknownField};
    let (rules, devices) = (Fields::of::<Rule>(), Fields::of::<DeviceView>());
    for good in [
        "obj.enabled && name.startsWith('a') && order < 7",
        "created_at > time.now - duration('7d') && created_at <= updated_at",
        "'10.0.0.1' in sources || cidr_contains('10.0.0.0/8', sources)",
        "metadata.team == 'red' && metadata[\"x-y\"] != null",
    ] {
        Filter::parse(good, &rules).unwrap_or_else(|error| panic!("{good}: {error}"));
    }
    for good in ["online", "last_seen == null || last_seen < time.now", "desired.revision > 3 && desired.hash != ''"] {
        Filter::parse(good, &devices).unwrap_or_else(|error| panic!("{good}: {error}"));
    }
    for (text, fault, column) in [
        ("order", Kind, 1),
        ("order == 'first'", Kind, 10),
        ("name > 3", Kind, 8),
        ("enabled < true", Kind, 1),
        ("sources == 'any'", Kind, 12),
        ("sources.contains(1)", Kind, 18),
        ("created_at > '2026-01-01T00:00:00Z'", Kind, 14),
        ("cidr_contains('10.0.0.0/8', order)", Kind, 29),
        ("metadata.team.lead == 'x'", UnknownField, 1),
        ("name.first == 'x'", UnknownField, 1),
    ] {
        let (found, at, expected) = refused(text, &rules);
        assert_eq!((found, at), (fault, column), "{text}: {expected}");
    }
    let (fault, column, expected) = refused("online && desired.nothing == 1", &devices);
    assert_eq!((fault, column, expected.as_str()), (UnknownField, 11, "one of the fields hash, revision"));
}

fn path() -> impl Strategy<Value = Expr> {
    let below = prop::collection::vec(prop_oneof!["[a-z_]{1,4}", "\\PC{1,4}", Just("in".to_owned())], 0..3);
    (prop::sample::select(&NAMES[..]), below).prop_map(|(first, below)| {
        let names = std::iter::once(first.to_owned()).chain(below).collect();
        Expr::Field(Path::new(names).unwrap())
    })
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (0_i64..20).prop_map(Value::from),
        any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
    ]
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof!["[ab]{0,2}", any::<String>().prop_map(|text| text.chars().take(5).collect())].prop_map(Value::from)
}

fn time() -> impl Strategy<Value = Expr> {
    let base = prop_oneof![
        Just(Expr::Now),
        (0_i64..4_000_000_000_000).prop_map(|millis| Expr::Instant(DateTime::from_timestamp_millis(millis).unwrap())),
        path().prop_map(|path| Expr::Timestamp(Box::new(path))),
        path(),
    ];
    let steps = prop::collection::vec(-i64::MAX..=i64::MAX, 1..3);
    (base, prop::option::of(steps)).prop_map(|(base, steps)| match steps {
        Some(steps) => Expr::Moved(Box::new(base), steps),
        None => base,
    })
}

fn comparison() -> impl Strategy<Value = Expr> {
    let boxed = |pair: (Expr, Expr)| (Box::new(pair.0), Box::new(pair.1));
    let numbers =
        (prop_oneof![path(), path().prop_map(|of| Expr::Size(Box::new(of)))], number().prop_map(Expr::Literal));
    let texts = (path(), text().prop_map(Expr::Literal));
    let ordered = prop_oneof![numbers.prop_map(boxed), texts.prop_map(boxed), (time(), time()).prop_map(boxed)];
    let entries = prop::collection::vec(
        prop_oneof![text(), number(), Just(Value::Null), any::<bool>().prop_map(Value::Bool)],
        0..4,
    );
    let listed = (path(), entries.prop_map(|entries| Expr::Literal(entries.into()))).prop_map(boxed);
    let signs = prop::sample::select(&Compare::ALL[..6]);
    prop_oneof![
        (signs, ordered).prop_map(|(sign, (one, other))| Expr::Compare(sign, one, other)),
        listed.prop_map(|(one, other)| Expr::Compare(Compare::In, one, other)),
        path().prop_map(|path| Expr::Compare(Compare::Equal, Box::new(path), Box::new(Expr::Literal(Value::Null)))),
        (prop::sample::select(&Test::ALL[..]), path(), text()).prop_map(|(test, on, with)| Expr::Test(
            test,
            Box::new(on),
            Box::new(Expr::Literal(with))
        )),
        path().prop_map(|of| Expr::Within("10.0.0.0/8".parse().unwrap(), Box::new(of))),
        path(),
        any::<bool>().prop_map(|on| Expr::Literal(Value::Bool(on))),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    let expr = comparison().prop_recursive(4, 24, 4, |part| {
        let parts = prop::collection::vec(part.clone(), 2..4);
        prop_oneof![
            part.prop_map(|of| Expr::Not(Box::new(of))),
            parts.clone().prop_map(Expr::And),
            parts.prop_map(Expr::Or),
        ]
    });
    expr.prop_map(|expr| Filter { expr })
}

fn item() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number(),
        text(),
        Just(Value::from("10.1.2.3")),
        Just(Value::from("2026-06-15T12:00:00Z")),
    ];
    let value = leaf.prop_recursive(3, 12, 3, |value| {
        prop_oneof![
            prop::collection::vec(value.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,4}", value, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    });
    prop::collection::vec(value, NAMES.len())
        .prop_map(|values| Value::Object(NAMES.iter().map(|name| (*name).to_owned()).zip(values).collect()))
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text: String) {
        let _ = Filter::parse(&text, &fields());
    }

    #[test]
    fn no_words_make_the_reader_or_the_evaluation_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "name", "obj.size", "tags", "metadata", ".", "team", "[", "]", "'a'", "\"b\"", "'10.0.0.0/8'", "'1h'", "7", "-", "+",
            "1.5e3", "&&", "||", "!", "==", "<", "in", "(", ")", ",", "size", "size(", "timestamp(", "time.now",
            " - duration('9223372036854775807ms')", "cidr_contains('10.0.0.0/8',", ".contains(", "true", "null", " ", "\\", "é",
        ]), 0..24),
        item in item(),
    ) {
        match Filter::parse(&words.concat(), &fields()) {
            Ok(filter) => { filter.matches(&item, now()); }
            Err(error) => prop_assert!(error.column >= 1 && error.column <= words.concat().chars().count() + 1),
        }
    }

    #[test]
    fn what_is_written_reads_as_the_same_filter(filter in filter()) {
        let text = filter.to_string();
        prop_assume!(text.len() <= FILTER_BYTES_MAX);
        prop_assert_eq!(Filter::parse(&text, &fields()), Ok(filter), "{}", text);
    }

    #[test]
    fn negation_turns_and_into_or(one in filter(), other in filter(), item in item()) {
        let not = |expr: &Expr| Expr::Not(Box::new(expr.clone()));
        let (one, other) = (one.expr, other.expr);
        let holds = |expr: &Expr| eval::holds(expr, &item, now());
        prop_assert_eq!(holds(&not(&not(&one))), holds(&one));
        let both = Expr::And(vec![one.clone(), other.clone()]);
        prop_assert_eq!(holds(&not(&both)), holds(&Expr::Or(vec![not(&one), not(&other)])));
        let either = Expr::Or(vec![one.clone(), other.clone()]);
        prop_assert_eq!(holds(&not(&either)), holds(&Expr::And(vec![not(&one), not(&other)])));
    }

    #[test]
    fn a_filter_needs_only_its_own_fields(filter in filter(), item in item()) {
        let picked = pick_of(&filter.paths(), &item);
        prop_assert_eq!(filter.matches(&picked, now()), filter.matches(&item, now()), "{} over {}", filter, picked);
    }
}
