//! Laws and examples of lists.

use proptest::prelude::*;
use schemas::reason::Reason;
use schemas::view::DeviceView;
use serde_json::json;

use super::*;

fn fields() -> Fields {
    Fields::new(["id", "name", "size", "on", "tags", "at"])
}

fn ask(items: &[Value], query: &str) -> Result<List, Problem> {
    list(items, &fields(), &ListQuery::parse(&format!("/api/v1/things{query}").parse().unwrap())?)
}

fn names(list: &List) -> String {
    list.data.iter().map(|item| item["name"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
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
    assert_eq!((list.meta.total, list.meta.total_pages, list.data.len()), (2, 2, 1));
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
        ("?name=a&name=b", "name"),
    ] {
        let problem = ask(&[], query).unwrap_err();
        assert_eq!((problem.reason, problem.field.as_deref()), (Reason::QueryInvalid, Some(field)), "{query}");
    }
    let far = format!("?page={}", usize::MAX);
    assert_eq!(ask(&things(), &far).unwrap().data.len(), 0);
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
    fn no_query_makes_a_list_panic(
        page in prop_oneof![0_usize..5, Just(usize::MAX)], rest in "(&(sort|limit|before_id|page_size|name|%)=[-a-z0-9%_]{0,8}){0,3}",
    ) {
        if let Ok(list) = ask(&things(), &format!("?page={page}{rest}")) {
            prop_assert!(list.data.len() <= list.meta.total.min(PER_PAGE_MAX));
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
            seen.extend(page.data);
            let Some(next) = page.meta.next_page_uri else { break };
            query = next.strip_prefix("/api/v1/things").unwrap().to_owned();
        }
        if newest {
            seen.reverse();
        }
        prop_assert_eq!(seen, items);
    }
}
