//! Laws and examples of lists.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use futures::FutureExt;
use proptest::prelude::*;
use schemas::reason::Reason;
use schemas::view::DeviceView;
use serde_json::value::RawValue;
use serde_json::{Number, json};

use super::*;

fn fields() -> Fields {
    Fields::new(["id", "name", "size", "on", "tags", "at"])
}

fn ask(items: &[Value], query: &str) -> Result<List, Problem> {
    list(items, &fields(), &ListQuery::parse(&format!("/api/v1/things{query}").parse().unwrap())?)
}

fn data(list: &List) -> Vec<Value> {
    let body: Value = serde_json::from_slice(list.body()).unwrap();
    assert_eq!(body["meta"], serde_json::to_value(&list.meta).unwrap());
    let names: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    let repeated: &[&str] = match list.meta.page {
        Some(_) if names.len() == 2 => &[],
        Some(_) => &["page", "page_size", "total_records", "total_pages"],
        None => &["uri", "next_page_uri"],
    };
    assert_eq!(names, [&["data", "meta"], repeated].concat());
    body["data"].as_array().unwrap().clone()
}

fn names(list: &List) -> String {
    data(list).iter().map(|item| item["name"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

fn things() -> Vec<Value> {
    vec![
        json!({"id": "t_1", "name": "b", "size": 10, "on": true, "tags": ["x", "y"], "at": "2026-01-01T00:00:00Z"}),
        json!({"id": "t_2", "name": "a", "size": 9, "on": false, "tags": [], "at": "2026-01-01T00:00:00.5Z"}),
        json!({"id": "t_3", "name": "c d", "size": 100, "on": true, "tags": ["y"], "at": null}),
    ]
}

#[test]
fn filters_compare_text_and_look_into_lists() {
    let found = |query| names(&ask(&things(), query).unwrap());
    assert_eq!(found("?on=true"), "b c d");
    assert_eq!(found("?size=9"), "a");
    assert_eq!(found("?tags=y&on=true"), "b c d");
    assert_eq!(found("?tags=x"), "b");
    assert_eq!(found("?at=null"), "c d");
    assert_eq!(found("?name=c%20d"), "c d");
    assert_eq!(found("?name=c+d"), "c d");
    assert_eq!(found("?name=nobody"), "");
}

#[test]
fn the_total_obeys_the_filters() {
    let list = ask(&things(), "?on=true&per_page=1").unwrap();
    assert_eq!((list.meta.total, list.meta.total_pages, data(&list).len()), (2, 2, 1));
    assert_eq!(list.meta.next_page_uri.as_deref(), Some("/api/v1/things?on=true&per_page=1&page=2"));
    assert_eq!(
        ask(&[], "").unwrap().meta,
        ListMeta { total: 0, page: Some(1), per_page: 50, total_pages: 0, next_page_uri: None }
    );
}

#[test]
fn numbers_sort_by_size_and_times_by_time() {
    let sorted = |query| names(&ask(&things(), query).unwrap());
    assert_eq!(sorted("?sort=size"), "a b c d");
    assert_eq!(sorted("?sort=-size"), "c d b a");
    assert_eq!(sorted("?sort=at"), "b a c d");
    assert_eq!(sorted("?sort=name"), "a b c d");
}

#[test]
fn equals_keep_their_order_unless_another_key_tells_them_apart() {
    let sorted = |query| names(&ask(&things(), query).unwrap());
    assert_eq!(sorted("?sort=on"), "a b c d");
    assert_eq!(sorted("?sort=-on"), "b c d a");
    assert_eq!(sorted("?sort=-on,-size"), "c d b a");
    assert_eq!(sorted("?sort=-on,-size&per_page=1&page=2"), "b");
}

#[test]
fn expressions_filter_with_every_way_to_leaf() {
    let (paged, newest) = ("?filter=size+%3E+9+%26%26+%27y%27+in+obj.tags", "?filter=size%3E9&limit=1");
    let list = ask(&things(), paged).unwrap();
    assert_eq!((names(&list).as_str(), list.meta.total), ("b c d", 2));
    let list = ask(&things(), newest).unwrap();
    assert_eq!((names(&list).as_str(), list.meta.total), ("c d", 2));
    let next = list.meta.next_page_uri.unwrap();
    assert_eq!(next, "/api/v1/things?filter=size%3E9&limit=1&before_id=t_3");
    assert_eq!(names(&ask(&things(), next.strip_prefix("/api/v1/things").unwrap()).unwrap()), "b");
    assert_eq!(names(&ask(&things(), "?filter=on&on=true&sort=-size&per_page=1").unwrap()), "c d");
    let problem = ask(&things(), "?filter=size%3E%3E9").unwrap_err();
    assert_eq!((problem.reason, problem.field.as_deref()), (Reason::FilterInvalid, Some("filter")));
    assert_eq!(problem.details.unwrap()["column"], 6);
}

#[test]
fn only_the_selected_fields_come_back() {
    let list = ask(&things(), "?fields=at,id&sort=name&filter=on&per_page=1").unwrap();
    assert_eq!(data(&list), [json!({"id": "t_1", "at": "2026-01-01T00:00:00Z"})]);
    let next = "/api/v1/things?fields=at%2Cid&sort=name&filter=on&per_page=1&page=2";
    assert_eq!(list.meta.next_page_uri.as_deref(), Some(next));
    assert_eq!(data(&ask(&things(), "?fields=name&limit=1").unwrap()), [json!({"name": "c d"})]);
}

#[test]
fn nested_fields_are_selected_filtered_and_sorted_by() {
    let items: Vec<Value> = (0..3)
        .map(|n| json!({"id": n, "tags": {"team": format!("t{}", 2 - n), "more": 1}, "on": [{"a": n, "b": 0}, null]}))
        .collect();
    let list = ask(&items, "?sort=tags.team&fields=tags.team,on.a&per_page=1").unwrap();
    assert_eq!(data(&list), [json!({"tags": {"team": "t0"}, "on": [{"a": 2}, null]})]);
    assert_eq!(data(&ask(&items, "?tags.team=t1&fields=id").unwrap()), [json!({"id": 1})]);
    let whole = ask(&items, "?fields=tags.team,tags&per_page=1").unwrap();
    assert_eq!(data(&whole), [json!({"tags": {"team": "t2", "more": 1}})]);
}

#[test]
fn what_is_json_already_is_listed_like_what_is_not() {
    let raw: Vec<Arc<RawValue>> =
        things().iter().map(|item| RawValue::from_string(item.to_string()).unwrap().into()).collect();
    for query in ["", "?on=true", "?sort=-size", "?limit=2", "?fields=name,size", "?filter=size%3C50&fields=tags"] {
        let query = ListQuery::parse(&format!("/api/v1/things{query}").parse().unwrap()).unwrap();
        let plain = list(things(), &fields(), &query).unwrap();
        assert_eq!(list(&raw, &fields(), &query).unwrap(), plain);
        // Without a known length the items are counted.
        assert_eq!(list(things().into_iter().filter(|_| true), &fields(), &query).unwrap(), plain);
    }
}

#[test]
fn of_what_is_not_asked_for_nothing_is_read() {
    struct Unread;
    impl Serialize for Unread {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("this item is not shown")
        }
    }
    #[derive(Serialize)]
    struct Row {
        id: u32,
        unread: Unread,
    }
    let rows: Vec<Row> = (0..1_000).map(|id| Row { id, unread: Unread }).collect();
    let found = |query: &str| {
        let query = ListQuery::parse(&format!("/rows{query}").parse().unwrap()).unwrap();
        let list = list(&rows, &Fields::new(["id", "unread"]), &query).unwrap();
        (list.meta.total, data(&list).iter().map(|row| row["id"].as_u64().unwrap()).sum::<u64>())
    };
    assert_eq!(found("?fields=id&per_page=2&page=500"), (1_000, 998 + 999));
    assert_eq!(found("?fields=id&sort=-id&per_page=2"), (1_000, 998 + 999));
    assert_eq!(found("?fields=id&filter=id+in+[7,8]"), (2, 15));
    assert_eq!(found("?fields=id&id=7"), (1, 7));
    let pages = [Unread, Unread];
    let query = ListQuery::parse(&"/rows?page=2".parse().unwrap()).unwrap();
    assert_eq!(list(&pages, &fields(), &query).unwrap().meta.total, 2);
}

#[test]
fn ids_that_are_known_need_not_be_read() {
    let items: Vec<Value> = (0..30).map(|n| json!({"id": n.to_string(), "on": n % 2 == 0})).collect();
    let number = |item: &&Value| item["id"].as_str().unwrap().parse::<u32>().unwrap();
    let shown = |query: &str| {
        let query = ListQuery::parse(&format!("/rows{query}").parse().unwrap())?;
        list_with_id(&items, number, &fields(), &query)
    };
    let ids =
        |list: &List| data(list).iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ");
    let first = shown("?limit=2&on=true").unwrap();
    assert_eq!((ids(&first).as_str(), first.meta.total), ("28 26", 15));
    assert_eq!(first.meta.next_page_uri.as_deref(), Some("/rows?limit=2&on=true&before_id=26"));
    let last = shown("?limit=2&before_id=2").unwrap();
    assert_eq!((ids(&last).as_str(), last.meta.total, last.meta.next_page_uri), ("1 0", 30, None));
    assert_eq!(ids(&shown("?per_page=2&page=2").unwrap()), "2 3");
    assert_eq!(shown("?before_id=x").unwrap_err().field.as_deref(), Some("before_id"));
}

#[test]
fn a_single_read_shows_the_selected_fields() {
    let query = |uri: &str| {
        let (mut parts, ()) = axum::http::Request::get(uri).body(()).unwrap().into_parts();
        FieldsQuery::from_request_parts(&mut parts, &()).now_or_never().unwrap()
    };
    let shown = |uri: &str| {
        let response = query(uri).unwrap().answer(&things()[0], &fields()).unwrap();
        let body = axum::body::to_bytes(response.into_body(), 10_000).now_or_never().unwrap().unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()
    };
    assert_eq!(shown("/things/t_1"), things()[0]);
    assert_eq!(shown("/things/t_1?"), things()[0]);
    assert_eq!(shown("/things/t_1?fields=name,%20id"), json!({"id": "t_1", "name": "b"}));
    assert_eq!(query("/things/t_1?field=name").unwrap_err().field.as_deref(), Some("field"));
    let problem = query("/things/t_1?fields=colour").unwrap().answer(&things()[0], &fields()).unwrap_err();
    assert_eq!((problem.reason, problem.field.as_deref()), (Reason::QueryInvalid, Some("fields")));
    assert!(problem.message.contains("at, id, name"), "{}", problem.message);
}

#[test]
fn structs_maps_and_raw_json_are_picked_alike() {
    #[derive(Serialize)]
    struct Inner {
        a: Option<u8>,
        b: [f32; 2],
    }
    #[derive(Serialize)]
    enum Choice {
        Bare,
        One(Inner),
        Two(u8, u8),
        Named { a: u8 },
    }
    #[derive(Serialize)]
    struct Outer {
        id: u64,
        #[serde(flatten)]
        inner: Inner,
        map: BTreeMap<u8, Inner>,
        list: (Inner, Inner),
        choices: Vec<Choice>,
        nothing: (),
    }
    let inner = || Inner { a: Some(1), b: [0.5, 1.0] };
    let outer = Outer {
        id: u64::MAX,
        inner: inner(),
        map: BTreeMap::from([(7, inner()), (8, Inner { a: None, b: [0.0, 0.0] })]),
        list: (inner(), inner()),
        choices: vec![Choice::Bare, Choice::One(inner()), Choice::Two(1, 2), Choice::Named { a: 1 }],
        nothing: (),
    };
    let value = serde_json::to_value(&outer).unwrap();
    let raw = RawValue::from_string(value.to_string()).unwrap();
    for paths in ["id", "a", "b,nothing", "map", "map.7.a,id", "map.8", "list.a", "choices", "choices.One.a", "nobody"]
    {
        let mut wanted = pick::Wanted::default();
        paths.split(',').for_each(|path| wanted.add(&Path::parse(path).unwrap()));
        let picked = wanted.of(&value).unwrap();
        assert_eq!(wanted.of(&raw).unwrap(), picked, "{paths}");
        if paths != "choices.One.a" {
            assert_eq!(wanted.of(&outer).unwrap(), picked, "{paths}");
        }
    }
}

#[test]
fn the_newest_come_first_and_lead_to_the_older() {
    let first = ask(&things(), "?limit=2").unwrap();
    assert_eq!(names(&first), "c d a");
    assert_eq!(first.meta.total, 3);
    let next = first.meta.next_page_uri.unwrap();
    assert_eq!(next, "/api/v1/things?limit=2&before_id=t_2");
    let last = ask(&things(), next.strip_prefix("/api/v1/things").unwrap()).unwrap();
    assert_eq!((names(&last).as_str(), last.meta.next_page_uri), ("b", None));
}

#[test]
fn what_makes_no_sense_is_refused_with_its_name() {
    for (query, field) in [
        ("?page=0", "page"),
        ("?page=x", "page"),
        ("?per_page=101", "per_page"),
        ("?page_size=0", "page_size"),
        ("?per_page=2&page_size=2", "page_size"),
        ("?limit=101", "limit"),
        ("?limit=2&page=2", "limit"),
        ("?before_id=t_1&sort=name", "sort"),
        ("?colour=red", "colour"),
        ("?sort=-colour", "sort"),
        ("?sort=", "sort"),
        ("?sort=name,,id", "sort"),
        ("?sort=name,-colour", "sort"),
        ("?fields=id,colour", "fields"),
        ("?fields=", "fields"),
        ("?fields=id,a..b", "fields"),
        ("?limit=1&fields=colour", "fields"),
        ("?id.x.y.z.a.b.c.d.e=1", "id.x.y.z.a.b.c.d.e"),
        ("?name=a&name=b", "name"),
    ] {
        let problem = ask(&[], query).unwrap_err();
        assert_eq!((problem.reason, problem.field.as_deref()), (Reason::QueryInvalid, Some(field)), "{query}");
    }
    let far = format!("?page={}", usize::MAX);
    assert_eq!(names(&ask(&things(), &far).unwrap()), "");
}

#[test]
fn a_handler_takes_its_own_parameters_out_of_the_filters() {
    let mut query = ListQuery::parse(&"/things?at=7&name=a".parse().unwrap()).unwrap();
    assert_eq!(query.take("at").as_deref(), Some("7"));
    assert_eq!(query.filters().len(), 1);
}

#[test]
fn fields_come_from_the_schema_flattened_ones_too() {
    let fields = Fields::of::<DeviceView>();
    for name in ["id", "name", "mode", "online", "desired"] {
        assert!(fields.contains(name), "{name} is missing from {fields:?}");
    }
    assert!(!fields.contains("device"));
}

proptest! {
    #[test]
    fn sorted_pages_are_cut_from_the_sorted_whole(
        rows in prop::collection::vec((0_i64..4, prop::option::of("[ab]{0,1}")), 0..40),
        page in 1_usize..6, per_page in 1_usize..9, turned: bool,
    ) {
        let items: Vec<Value> = rows.iter().enumerate()
            .map(|(n, (size, name))| json!({"id": format!("t_{n:03}"), "size": size, "name": name})).collect();
        let mut whole = items.clone();
        whole.sort_by(|one, other| {
            let by_size = one["size"].as_i64().cmp(&other["size"].as_i64());
            let absent_last = |item: &Value| (item["name"].is_null(), item["name"].as_str().map(str::to_owned));
            (if turned { by_size.reverse() } else { by_size }).then_with(|| absent_last(one).cmp(&absent_last(other)))
        });
        let list = ask(&items, &format!("?sort={}size,name&page={page}&per_page={per_page}", if turned { "-" } else { "" }));
        let expected: Vec<Value> = whole.into_iter().skip((page - 1) * per_page).take(per_page).collect();
        prop_assert_eq!(data(&list.unwrap()), expected);
    }

    #[test]
    fn numbers_have_a_total_order(mut numbers in prop::collection::vec(prop_oneof![
        any::<i64>().prop_map(Number::from), any::<u64>().prop_map(Number::from),
        any::<f64>().prop_filter_map("finite", Number::from_f64),
        (-3_i64..3, 0_i32..3).prop_map(|(n, half)| Number::from_f64((1_u64 << 53) as f64 + n as f64 + f64::from(half) / 2.0).unwrap()),
        (-3_i64..3).prop_map(|n| Number::from((1_i64 << 53) + n)),
    ], 3)) {
        numbers.sort_by(compare::numbers);
        for pair in [(0, 1), (1, 2), (0, 2)] {
            prop_assert!(compare::numbers(&numbers[pair.0], &numbers[pair.1]).is_le());
            prop_assert!(compare::numbers(&numbers[pair.1], &numbers[pair.0]).is_ge());
        }
    }

    #[test]
    fn no_query_makes_a_list_panic(
        page in prop_oneof![0_usize..5, Just(usize::MAX)], rest in "(&(sort|limit|before_id|page_size|name|%)=[-a-z0-9%_]{0,8}){0,3}",
    ) {
        if let Ok(list) = ask(&things(), &format!("?page={page}{rest}")) {
            prop_assert!(data(&list).len() <= list.meta.total.min(PER_PAGE_MAX));
        }
        let _ = ask(&things(), &format!("?{}", rest.trim_start_matches('&')));
    }

    #[test]
    fn following_the_next_page_visits_every_item_once(count in 0_usize..60, size in 1_usize..20, newest: bool) {
        let items: Vec<Value> = (0..count).map(|n| json!({"id": format!("t_{n:03}"), "name": "é&=?#"})).collect();
        let start = if newest { format!("?limit={size}") } else { format!("?per_page={size}") };
        let (mut query, mut seen) = (format!("{start}&name=%C3%A9%26%3D%3F%23"), Vec::new());
        loop {
            let page = ask(&items, &query).unwrap();
            prop_assert_eq!(page.meta.total, count);
            prop_assert_eq!(page.meta.total_pages, count.div_ceil(size));
            seen.extend(data(&page));
            let Some(next) = page.meta.next_page_uri else { break };
            query = next.strip_prefix("/api/v1/things").unwrap().to_owned();
        }
        if newest {
            seen.reverse();
        }
        prop_assert_eq!(seen, items);
    }
}

#[test]
fn who_asks_in_other_words_is_answered_in_them() {
    let answer = |query: &str| -> Value { serde_json::from_slice(ask(&things(), query).unwrap().body()).unwrap() };
    let sized = answer("?page=1&page_size=2");
    assert_eq!((&sized["page"], &sized["page_size"], &sized["total_pages"]), (&json!(1), &json!(2), &json!(2)));
    assert_eq!(sized["total_records"], sized["meta"]["total"]);
    let newest = answer("?limit=2");
    assert_eq!(newest["uri"], "/api/v1/things?limit=2");
    assert_eq!(newest["next_page_uri"], newest["meta"]["next_page_uri"]);
    assert_eq!(answer("?limit=100")["next_page_uri"], Value::Null);
}
