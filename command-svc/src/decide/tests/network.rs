//! Firewalls, address translation, routes and DNS.

use schemas::id::{AddressListId, DeviceId, DnsRecordId, FirewallId, GroupId, RouteId, RuleId};

use super::*;

#[test]
fn a_firewall_keeps_what_belongs_to_it() {
    let firewall = create(Kind::Firewall, json!({"name": "f"}));
    let id: FirewallId = at(1);
    let rule = create(Kind::Rule, with(rule("r"), json!({"firewall_id": id})));
    let users = vec![at::<RuleId>(2).to_string()];
    let in_use = Refusal::InUse { kind: Kind::Firewall, name: "f".to_owned(), users };
    check([firewall.clone(), rule, delete(id)], Err(in_use));
    check([firewall.clone(), patch(id, json!({"status": "paused"}))], Ok(&["firewall.updated"]));
    let (list, group) = (at::<AddressListId>(9), at::<GroupId>(9));
    for (field, more, unknown) in [
        ("allow_lists", json!({"allow_lists": [list]}), ResourceId::from(list)),
        ("deny_lists", json!({"deny_lists": [list]}), list.into()),
        ("group_ids", json!({"group_ids": [group]}), group.into()),
    ] {
        let unknown = Refusal::ReferenceUnknown { field, id: unknown };
        check([create(Kind::Firewall, with(json!({"name": "g"}), more.clone()))], Err(unknown.clone()));
        check([firewall.clone(), patch(id, more)], Err(unknown));
    }
    let long = Name::new("n".repeat(101));
    assert!(long.is_err());
}

fn nat(json: Value) -> Command {
    create(Kind::NatRule, with(json!({"name": "n"}), json))
}

#[test]
fn a_translation_says_what_becomes_of_what() {
    let created: Result<&[&str], Refusal> = Ok(&["nat_rule.created"]);
    let forward = json!({"type": "dnat", "zone": "WAN", "protocol": "tcp", "destination_port": 443,
        "translate_to": "10.0.0.5", "translate_port": 8443});
    check([nat(forward.clone())], created.clone());
    check([nat(json!({"type": "masquerade", "zone": "WAN", "source": "10.0.0.0/8"}))], created.clone());
    check([nat(json!({"type": "snat", "translate_to": "192.0.2.1"}))], created.clone());
    let block = json!({"type": "1:1", "destination": "192.0.2.0/28", "translate_to": "10.0.0.0/28"});
    check([nat(block.clone())], created.clone());
    let field = "translate_to";
    check([nat(json!({"type": "dnat"}))], Err(invalid(field, "say which address it is translated to")));
    check(
        [nat(json!({"type": "masquerade", "translate_to": "10.0.0.1"}))],
        Err(invalid(field, "a masquerade takes the address of the interface")),
    );
    let sizes = || Err(invalid(field, "1:1 needs a destination and a translation of the same size"));
    check([nat(with(block.clone(), json!({"translate_to": "10.0.0.0/24"})))], sizes());
    check([nat(with(block.clone(), json!({"translate_to": "2001:db8::/124"})))], sizes());
    check([nat(with(block, json!({"destination": "any"})))], sizes());
    let ports = "only a dnat of tcp, udp or sctp translates ports";
    check(
        [nat(json!({"type": "dnat", "translate_to": "10.0.0.5", "translate_port": 80}))],
        Err(invalid("translate_ports", ports)),
    );
    let some = with(forward.clone(), json!({"destination_port": "8000-8009", "translate_port": "9000-9009"}));
    check([nat(some.clone())], created);
    let fewer = with(some, json!({"translate_port": "9000-9004"}));
    check([nat(fewer)], Err(invalid("translate_ports", "give one port, or as many as destination_ports")));
    check([nat(with(forward, json!({"protocol": "all", "translate_port": null})))], Err(Refusal::PortsWithoutProtocol));
    let group: GroupId = at(9);
    let unknown = Refusal::ReferenceUnknown { field: "group_ids", id: group.into() };
    check([nat(json!({"type": "masquerade", "group_ids": [group]}))], Err(unknown));
    // The type is written under the name that it is shown with.
    let moved = patch(at::<schemas::id::NatRuleId>(1), json!({"type": "masquerade", "translate_to": null}));
    check([nat(json!({"type": "snat", "translate_to": "192.0.2.1"})), moved], Ok(&["nat_rule.updated"]));
}

fn route(json: Value) -> Command {
    create(Kind::Route, with(json!({"name": "r", "network": "10.9.0.0/16", "gateway": "10.0.0.1"}), json))
}

#[test]
fn a_route_leads_somewhere_from_somewhere() {
    let group = create(Kind::Group, json!({"name": "g"}));
    let groups = json!({"group_ids": [at::<GroupId>(1)]});
    let with_group = |json: Value| [group.clone(), route(with(groups.clone(), json))];
    check(with_group(json!({})), Ok(&["route.created"]));
    check(with_group(json!({"gateway": null, "interface": "eth1"})), Ok(&["route.created"]));
    let one_of = "give device_id or group_ids, one of them";
    check([route(json!({}))], Err(invalid("device_id", one_of)));
    let field = "metric";
    check(with_group(json!({"metric": 0})), Err(invalid(field, "a metric is 1 to 9999")));
    check(with_group(json!({"metric": 10_000})), Err(invalid(field, "a metric is 1 to 9999")));
    check(
        with_group(json!({"network": "10.0.0.1-10.0.0.9"})),
        Err(invalid("network", "a route leads to one CIDR block")),
    );
    check(with_group(json!({"gateway": null})), Err(invalid("gateway", "give a gateway, an interface, or both")));
    let family = "gateway and network are of different address families";
    check(with_group(json!({"gateway": "2001:db8::1"})), Err(invalid("gateway", family)));
    let device: DeviceId = at(9);
    check(
        [route(json!({"device_id": device}))],
        Err(Refusal::ReferenceUnknown { field: "device_id", id: device.into() }),
    );
    let start = [setup_key(json!({})), enrol("e", "U1"), route(json!({"peer": at::<DeviceId>(2)}))];
    check(start.clone(), Ok(&["route.created"]));
    let users = vec![at::<RouteId>(3).to_string()];
    let in_use = Refusal::InUse { kind: Kind::Device, name: "e".to_owned(), users };
    check(then(&start, delete(at::<DeviceId>(2))), Err(in_use));
}

#[test]
fn name_servers_are_asked_for_something() {
    let servers = |json: Value| {
        let plain = json!({"name": "n", "nameservers": [{"ip": "9.9.9.9"}], "primary": true});
        create(Kind::NameserverGroup, with(plain, json))
    };
    check([servers(json!({}))], Ok(&["nameserver_group.created"]));
    check([servers(json!({"primary": false, "domains": ["example.com"]}))], Ok(&["nameserver_group.created"]));
    check([servers(json!({"nameservers": []}))], Err(Refusal::ListEmpty("nameservers")));
    let many = json!(vec![json!({"ip": "9.9.9.9"}); 4]);
    let too_long = Refusal::ListTooLong { field: "nameservers", length: 4, max: 3 };
    check([servers(json!({"nameservers": many}))], Err(too_long));
    let port = json!({"nameservers": [{"ip": "9.9.9.9", "port": 0}]});
    check([servers(port)], Err(invalid("nameservers", "a port is 1 to 65535")));
    let both = "a primary group is asked for every domain, it has none of its own";
    check([servers(json!({"domains": ["example.com"]}))], Err(invalid("domains", both)));
    let neither = "name the domains that it is asked for, or make it primary";
    check([servers(json!({"primary": false}))], Err(invalid("domains", neither)));
    let group: GroupId = at(9);
    check(
        [servers(json!({"groups": [group]}))],
        Err(Refusal::ReferenceUnknown { field: "group_ids", id: group.into() }),
    );
}

#[test]
fn a_record_holds_what_its_type_says() {
    let record = |kind: &str, content: &str| {
        create(Kind::DnsRecord, json!({"name": "nas.example.com", "type": kind, "content": content}))
    };
    for (kind, content) in [("A", "10.0.0.1"), ("AAAA", "::1"), ("CNAME", "files.example.com")] {
        check([record(kind, content)], Ok(&["dns_record.created"]));
    }
    for (kind, content) in [("A", "::1"), ("A", "x"), ("AAAA", "10.0.0.1"), ("CNAME", "10.0.0.1"), ("CNAME", "*.a.b")] {
        check([record(kind, content)], Err(invalid("content", "not what a record of this type holds")));
    }
    check([record("A", "10.0.0.1"), record("A", "10.0.0.2")], Ok(&["dns_record.created"]));
    let name = "nas.example.com A 10.0.0.1".to_owned();
    let taken = Refusal::NameTaken { kind: Kind::DnsRecord, name };
    check([record("A", "10.0.0.1"), record("A", "10.0.0.1")], Err(taken));
    let ttl = patch(at::<DnsRecordId>(1), json!({"ttl": 0}));
    check([record("A", "10.0.0.1"), ttl], Err(invalid("ttl", "a record lives 1 to 604800 seconds")));
}

#[test]
fn a_list_of_domains_is_bounded() {
    let list =
        |domains: Vec<String>| create(Kind::DnsList, json!({"name": "l", "action": "block", "domains": domains}));
    check([list(vec!["ads.example.com".to_owned()])], Ok(&["dns_list.created"]));
    let many = (0..10_001).map(|n| format!("d{n}.example.com")).collect();
    check([list(many)], Err(Refusal::ListTooLong { field: "domains", length: 10_001, max: 10_000 }));
}
