//! Address and service objects, and lists that are referred to.

use schemas::id::{AddressId, AddressListId, RuleId, ServiceId};

use super::*;

fn address(name: &str, entries: Value) -> Command {
    create(Kind::Address, json!({"name": name, "entries": entries}))
}

fn service(name: &str, entries: Value) -> Command {
    create(Kind::Service, json!({"name": name, "entries": entries}))
}

#[test]
fn an_address_does_not_contain_itself() {
    let [a, b, c] = [1, 2, 3].map(at::<AddressId>);
    let chain = [
        address("a", json!(["10.0.0.1", "10.0.0.0/8", "10.0.0.1-10.0.0.9", "www.example.com"])),
        address("b", json!([a])),
        address("c", json!([b, a])),
    ];
    check(chain.clone(), Ok(&["address.created"]));
    let cycle = || Err(Refusal::Cycle { field: "entries" });
    check(then(&chain, patch(a, json!({"entries": [a]}))), cycle());
    check(then(&chain, patch(a, json!({"entries": ["10.0.0.1", c]}))), cycle());
    check(then(&chain, replace(b, json!({"name": "b", "entries": [c]}))), cycle());
    check(then(&chain, patch(c, json!({"entries": [a]}))), Ok(&["address.updated"]));
    let unknown = Refusal::ReferenceUnknown { field: "entries", id: at::<AddressId>(9).into() };
    check([address("a", json!([at::<AddressId>(9)]))], Err(unknown));
    let length = Refusal::ListTooLong { field: "entries", length: 1_001, max: 1_000 };
    check([address("a", json!(vec!["10.0.0.1"; 1_001]))], Err(length));
}

#[test]
fn a_service_does_not_contain_itself() {
    let [a, b] = [1, 2].map(at::<ServiceId>);
    let chain = [service("a", json!(["tcp/80", "udp/53-54", "icmp", "47"])), service("b", json!([a, "tcp/1"]))];
    check(chain.clone(), Ok(&["service.created"]));
    check(then(&chain, patch(a, json!({"entries": [b]}))), Err(Refusal::Cycle { field: "entries" }));
    check(then(&chain, delete(a)), {
        let users = vec![b.to_string()];
        Err(Refusal::InUse { kind: Kind::Service, name: "a".to_owned(), users })
    });
    let unknown = Refusal::ReferenceUnknown { field: "entries", id: at::<ServiceId>(9).into() };
    check([service("a", json!([at::<ServiceId>(9)]))], Err(unknown));
}

#[test]
fn what_is_referred_to_stays() {
    let list = create(Kind::AddressList, json!({"name": "bad"}));
    let id: AddressListId = at(1);
    let sources = create(Kind::Rule, with(rule("r"), json!({"sources": [id]})));
    let users = vec![at::<RuleId>(2).to_string()];
    let in_use = Refusal::InUse { kind: Kind::AddressList, name: "bad".to_owned(), users };
    check([list.clone(), sources.clone(), delete(id)], Err(in_use.clone()));
    assert_eq!(in_use.details(), Some(json!({"used_by": [at::<RuleId>(2)]})));
    check([list.clone(), sources, delete(at::<RuleId>(2)), delete(id)], Ok(&["address_list.deleted"]));
    let firewall = create(Kind::Firewall, json!({"name": "f", "deny_lists": [id]}));
    check([list, firewall, delete(id)], {
        let users = vec![at::<schemas::id::FirewallId>(2).to_string()];
        Err(Refusal::InUse { kind: Kind::AddressList, name: "bad".to_owned(), users })
    });
}

#[test]
fn an_empty_object_is_one_that_matches_nothing() {
    check([address("nobody", json!([]))], Ok(&["address.created"]));
    check([service("nothing", json!([]))], Ok(&["service.created"]));
}
