//! The contract of the API, held against every operation of the live OpenAPI document: what holds for all of them,
//! that no answer crosses orgs, and what schemathesis finds with a token of each role.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::clients::{document, root, run, tools};
use crate::device::try_enrol;
use crate::rig::{Answer, Rig, send, wait_for};

/// In every description of the other org, so that no answer may contain it.
const MARK: &str = "of-the-other-org";

/// One of everything: the path, the name under which what follows refers to it (as `$name`), the body.
const FLEET: &[(&str, &str, &str)] = &[
    ("/groups", "group", r#"{"name": "ops"}"#),
    ("/zones", "zone", r#"{"name": "LAB"}"#),
    ("/firewall/policies", "zone_policy", r#"{"zone_from": "LAB", "zone_to": "any", "action": "drop"}"#),
    ("/addresses", "address", r#"{"name": "web", "entries": ["192.0.2.7"]}"#),
    ("/services", "service", r#"{"name": "https", "entries": ["tcp/443"]}"#),
    ("/address-lists", "list", r#"{"name": "bad guys"}"#),
    ("/firewalls", "firewall", r#"{"name": "edge", "group_ids": ["$group"], "deny_lists": ["$list"]}"#),
    (
        "/firewall/rules",
        "rule",
        r#"{"name": "in", "zone_from": "WAN", "zone_to": "LAN", "action": "drop", "sources": ["$address"],
            "service_ids": ["$service"], "firewall_id": "$firewall"}"#,
    ),
    ("/nat/rules", "nat", r#"{"name": "out", "type": "masquerade", "zone": "WAN", "group_ids": ["$group"]}"#),
    (
        "/routes",
        "route",
        r#"{"name": "office", "network": "10.64.0.0/24", "gateway": "10.0.0.1", "group_ids": ["$group"]}"#,
    ),
    (
        "/dns/nameservers",
        "nameservers",
        r#"{"name": "dns", "nameservers": [{"ip": "9.9.9.9"}], "primary": true, "group_ids": ["$group"]}"#,
    ),
    ("/dns/records", "record", r#"{"name": "a.example.com", "type": "A", "content": "192.0.2.1"}"#),
    ("/dns/lists", "domains", r#"{"name": "ads", "action": "block", "domains": ["ads.example.com"]}"#),
    (
        "/policies",
        "policy",
        r#"{"name": "p", "rules": [{"name": "r", "sources": ["$group"], "destinations": ["$group"]}]}"#,
    ),
    ("/config-templates", "template", r#"{"name": "t", "config": {"location": "here"}}"#),
    ("/setup-keys", "key", r#"{"name": "fleet", "type": "reusable", "auto_group_ids": ["$group"]}"#),
    ("/users", "user", r#"{"name": "Ann", "email": "ann@example.com", "role": "viewer"}"#),
    ("/service-users", "service_user", r#"{"name": "robot", "role": "operator"}"#),
    ("/api-tokens", "token", r#"{"name": "t", "user_id": "$service_user", "scopes": [{"verbs": ["read"]}]}"#),
];

/// An org with one of everything in it.
struct Fleet {
    token: String,
    /// The ids by the names that [`FLEET`] gives them; `device` is there, too.
    ids: BTreeMap<String, String>,
}

impl Fleet {
    async fn found(rig: &Rig, token: String, description: &str) -> Self {
        let mut fleet = Self { token, ids: BTreeMap::new() };
        let mut setup_key = String::new();
        for (path, name, _) in FLEET {
            let mut body = fleet.body(path);
            body["description"] = description.into();
            let created = fleet.call(rig, Method::POST, path, Some(body)).await;
            assert_eq!(created.status, 201, "{path}: {}", created.json);
            fleet.ids.insert((*name).to_owned(), created.id().to_owned());
            if let Some(secret) = created.json["key"].as_str() {
                setup_key = secret.to_owned();
            }
        }
        let pair = nkeys::KeyPair::new_user();
        let enrolled = try_enrol(rig, &setup_key, "gateway", &pair.public_key()).await;
        let device = enrolled.json["device"]["id"].as_str().unwrap().to_owned();
        let entries = format!("/address-lists/{}/entries", fleet.ids["list"]);
        let comment = json!({"add": [{"address": "203.0.113.9", "comment": description}]});
        let changed = fleet.call(rig, Method::PATCH, &entries, Some(comment)).await;
        assert_eq!(changed.status, 200, "{}", changed.json);
        let patch = json!({"description": description});
        let changed = fleet.call(rig, Method::PATCH, &format!("/devices/{device}"), Some(patch)).await;
        assert_eq!(changed.status, 200, "{}", changed.json);
        fleet.ids.insert("device".to_owned(), device);
        let position = changed.header("netkeep-position");
        let seen = fleet.request(rig, Method::GET, "/devices").header("Netkeep-Min-Position", position);
        wait_for("the org to be readable", async || send(seen.try_clone().unwrap()).await.status == 200).await;
        fleet
    }

    /// The body with which one is created, with ids in the places of names.
    fn body(&self, path: &str) -> Value {
        let found = FLEET.iter().find(|(at, _, _)| *at == path);
        let text = found.map_or_else(|| r#"{"name": "x"}"#.to_owned(), |(_, _, body)| (*body).to_owned());
        let filled =
            self.ids.iter().fold(text, |text, (name, id)| text.replace(&format!("\"${name}\""), &format!("\"{id}\"")));
        serde_json::from_str(&filled).unwrap()
    }

    fn request(&self, rig: &Rig, method: Method, path: &str) -> RequestBuilder {
        rig.http.request(method, rig.url(&format!("/api/v1{path}"))).bearer_auth(&self.token)
    }

    async fn call(&self, rig: &Rig, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.request(rig, method, path);
        send(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    /// The path of an operation with this org's ids in it.
    fn path(&self, operation: &Operation) -> String {
        let by_prefix = |prefix: &str| self.ids.values().find(|id| id.starts_with(&format!("{prefix}_")));
        operation.parameters.iter().fold(operation.path.clone(), |path, (name, prefix)| {
            let id = by_prefix(prefix).map_or("other", String::as_str);
            path.replace(&format!("{{{name}}}"), id)
        })
    }
}

/// Founds a second org on the same installation.
async fn other_org(rig: &Rig) -> String {
    let token = rig.found(&["other".to_owned()]).await.remove(0);
    let me = || rig.http.get(rig.url("/api/v1/system/status")).bearer_auth(&token);
    wait_for("the other org", async || send(me()).await.status == 200).await;
    token
}

/// An operation of the document. Paths are without their base.
struct Operation {
    method: Method,
    path: String,
    /// The parameters in the path, with the prefix of the ids that they take.
    parameters: Vec<(String, String)>,
    /// Whether it needs no credentials.
    is_public: bool,
    reads_body: bool,
}

async fn operations(rig: &Rig) -> Vec<Operation> {
    let document = send(rig.http.get(rig.url("/openapi.json"))).await.json;
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path");
            all.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: path.strip_prefix("/api/v1").expect("all paths have the base").to_owned(),
                parameters: in_path
                    .map(|it| (it["name"].as_str().unwrap().to_owned(), prefix(&document, it)))
                    .collect(),
                is_public: operation.get("security").is_some(),
                reads_body: operation.get("requestBody").is_some(),
            });
        }
    }
    assert!(all.len() > 150, "{} operations", all.len());
    all
}

/// What the ids begin with that a parameter takes: `rule` of `^rule_…$`.
fn prefix(document: &Value, parameter: &Value) -> String {
    let mut schema = &parameter["schema"];
    if let Some(reference) = schema["$ref"].as_str() {
        schema = document.pointer(reference.trim_start_matches('#')).expect("references lead somewhere");
    }
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    pattern.trim_start_matches('^').split('_').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn every_operation_keeps_the_manners_of_http() {
    let rig = Rig::start().await;
    let fleet = Fleet::found(&rig, rig.token.clone(), "mine").await;
    let operations = operations(&rig).await;
    let mut methods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for operation in &operations {
        let allowed = methods.entry(fleet.path(operation)).or_insert_with(|| ["OPTIONS".to_owned()].into());
        allowed.insert(operation.method.to_string());
        if operation.method == Method::GET {
            allowed.insert("HEAD".to_owned());
        }
    }
    for (path, allowed) in &methods {
        let words = |answer: &Answer| answer.header("allow").split(", ").map(str::to_owned).collect::<BTreeSet<_>>();
        let asked = send(fleet.request(&rig, Method::OPTIONS, path)).await;
        assert_eq!((asked.status.as_u16(), &words(&asked)), (204, allowed), "OPTIONS {path}");
        let wrong = send(fleet.request(&rig, "PURGE".parse().unwrap(), path)).await;
        assert_eq!((wrong.status.as_u16(), &words(&wrong)), (405, allowed), "PURGE {path}");
        assert_eq!(wrong.reason(), "METHOD_NOT_ALLOWED", "{path}");
        names_itself(&asked);
        names_itself(&wrong);
    }
    for operation in &operations {
        let (path, method) = (fleet.path(operation), operation.method.clone());
        if operation.method == Method::GET {
            let got = send(fleet.request(&rig, method, &path)).await;
            assert!(got.status == 200 || path == "/orgs/other", "GET {path}: {}", got.json);
            tells_limits(&got, operation);
            let head = send(fleet.request(&rig, Method::HEAD, &path)).await;
            assert_eq!((head.status, &head.json), (got.status, &json!("")), "HEAD {path}");
            assert_eq!(
                (head.header("content-type"), head.header("etag")),
                (got.header("content-type"), got.header("etag"))
            );
            tells_limits(&head, operation);
        } else if operation.reads_body {
            let text = fleet.request(&rig, method.clone(), &path).header(CONTENT_TYPE, "text/plain").body("{}");
            let text = send(text).await;
            assert_eq!((text.status.as_u16(), text.reason()), (415, "CONTENT_TYPE_UNSUPPORTED"), "{method} {path}");
            tells_limits(&text, operation);
            let huge = fleet.request(&rig, method.clone(), &path).header(CONTENT_TYPE, "application/json");
            let huge = send(huge.header(CONTENT_ENCODING, "zstd").body(spaces(20 << 20))).await;
            assert_eq!((huge.status.as_u16(), huge.reason()), (413, "BODY_TOO_LARGE"), "{method} {path}");
            tells_limits(&huge, operation);
        }
    }
}

fn names_itself(answer: &Answer) {
    assert!(answer.header("netkeep-operation-id").starts_with("op_"), "{answer:?}");
    assert!(!answer.header("netkeep-version").is_empty(), "{answer:?}");
}

/// Every answer to a caller says where it stands with its limits.
fn tells_limits(answer: &Answer, operation: &Operation) {
    names_itself(answer);
    for name in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit", "ratelimit-policy"] {
        assert_eq!(answer.header(name).is_empty(), operation.is_public, "{}: {name}", operation.path);
    }
}

/// So many spaces as a zstd frame (RFC 8878): a window of 128 KiB, and blocks that repeat one byte.
fn spaces(bytes: u32) -> Vec<u8> {
    const BLOCK: u32 = 128 << 10;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    let blocks = bytes.div_ceil(BLOCK);
    for number in 1..=blocks {
        let header = BLOCK << 3 | 1 << 1 | u32::from(number == blocks);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(b' ');
    }
    frame
}

#[tokio::test]
async fn answers_are_compressed_for_who_takes_them_so() {
    let rig = Rig::start().await;
    for path in ["/openapi.json", "/api/v1/events", "/api/v1/errors", "/api/v1/roles"] {
        for (accept, coding) in [("gzip", "gzip"), ("zstd", "zstd"), ("gzip;q=0.5, zstd", "zstd"), ("identity", "")] {
            let answer = send(rig.request(Method::GET, path).header(ACCEPT_ENCODING, accept)).await;
            assert_eq!((answer.status.as_u16(), answer.header("content-encoding")), (200, coding), "{path}: {accept}");
        }
    }
}

#[tokio::test]
async fn no_operation_reaches_another_org() {
    let rig = Rig::start().await;
    let mine = Fleet::found(&rig, rig.token.clone(), "mine").await;
    let theirs = Fleet::found(&rig, other_org(&rig).await, MARK).await;
    let events = async || theirs.call(&rig, Method::GET, "/events", None).await.json["meta"]["total"].clone();
    let before = events().await;
    let is_theirs = |text: &str| text.contains(MARK) || theirs.ids.values().any(|id| text.contains(id.as_str()));
    for operation in operations(&rig).await {
        let (method, path) = (operation.method.clone(), theirs.path(&operation));
        let body = match method.as_str() {
            "PUT" | "POST" => Some(theirs.body(operation.path.split("/{id}").next().unwrap())),
            "PATCH" => Some(json!({"description": "taken"})),
            _ => None,
        };
        if !operation.parameters.is_empty() {
            let answer = mine.call(&rig, method.clone(), &path, body.clone()).await;
            let refused = matches!(answer.status.as_u16(), 400 | 404);
            assert!(refused, "{method} {path}: {} {}", answer.status, answer.json);
            assert!(!answer.json.to_string().contains(MARK), "{method} {path}: {}", answer.json);
            let own = operation.parameters.iter().all(|(_, prefix)| !prefix.is_empty());
            let seen = theirs.call(&rig, Method::GET, &path, None).await;
            assert!(!own || method != Method::GET || seen.status == 200, "GET {path}: {}", seen.json);
        } else if method == Method::GET && !operation.is_public {
            let answer = mine.call(&rig, method, &path, None).await;
            assert!(!is_theirs(&answer.json.to_string()), "{path}: {}", answer.json);
        }
    }
    // What is theirs is not referred to either, be it written by itself or in a batch.
    for (path, _, template) in FLEET.iter().filter(|(_, _, template)| template.contains("\"$")) {
        let mut body = theirs.body(path);
        body["name"] = "borrowed".into();
        let refused = mine.call(&rig, Method::POST, path, Some(body)).await;
        assert_eq!((refused.status.as_u16(), refused.reason()), (400, "REFERENCE_UNKNOWN"), "{path} {template}");
    }
    for id in theirs.ids.values() {
        let batch = json!({"commands": [{"op": "delete", "id": id}]});
        let refused = mine.call(&rig, Method::POST, "/batch", Some(batch)).await;
        assert_eq!(refused.status, 404, "{id}: {}", refused.json);
    }
    for kind in schemas::kind::Kind::ALL {
        let query = json!({"query": format!("SELECT * FROM {}", kind.plural())});
        let answer = mine.call(&rig, Method::POST, "/sql", Some(query)).await;
        assert!(!is_theirs(&answer.json.to_string()), "{kind}: {}", answer.json);
    }
    assert_eq!(events().await, before, "nothing happened there");
}

#[tokio::test]
async fn the_document_is_valid() {
    let Some(tools) = tools() else { return };
    let (rig, folder) = (Rig::start().await, TempDir::new().unwrap());
    let document = document(&rig, folder.path()).await;
    let python = tools.join("python/bin/python");
    let said = run(Command::new(python).args(["-m", "openapi_spec_validator"]).arg(document)).await;
    assert!(said.trim().ends_with(": OK"), "{said}");
}

/// What schemathesis holds every answer against, beside `stays_in_the_org` of contract_hooks.py.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
    response_schema_conformance,stays_in_the_org";

/// Calls every operation with a token of each role. `NETKEEP_CONTRACT_EXAMPLES` is how many made-up calls each operation
/// gets, for longer runs.
#[tokio::test]
async fn schemathesis_finds_nothing_with_a_token_of_any_role() {
    let Some(tools) = tools() else { return };
    let rig = Rig::start_with(&["--limit", "auth.per_minute=1000000"]).await;
    let folder = TempDir::new().unwrap();
    let mine = Fleet::found(&rig, rig.token.clone(), "mine").await;
    let theirs = Fleet::found(&rig, other_org(&rig).await, MARK).await;
    let document = document(&rig, folder.path()).await;
    let mut known: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for id in mine.ids.values().chain(theirs.ids.values()) {
        known.entry(id.split('_').next().unwrap()).or_default().push(id);
    }
    let foreign: Vec<&str> = theirs.ids.values().map(String::as_str).chain([MARK]).collect();
    let examples = std::env::var("NETKEEP_CONTRACT_EXAMPLES").unwrap_or_else(|_| "6".to_owned());
    let schemathesis = |token: &str, phases: &str| {
        let mut command = Command::new(tools.join("python/bin/schemathesis"));
        command
            .current_dir(folder.path())
            .env("SCHEMATHESIS_HOOKS", root().join("tests/clients/contract_hooks.py"))
            .env("NETKEEP_KNOWN", json!(known).to_string())
            .env("NETKEEP_FOREIGN", json!(foreign).to_string())
            .arg("run")
            .arg(&document)
            .args(["--url", &rig.url(""), "--header", &format!("Authorization: Bearer {token}")])
            .args(["--checks", CHECKS, "--phases", phases, "--max-examples", &examples, "--seed", "2026"])
            .args(["--no-shrink", "--continue-on-failure", "--warnings", "off", "--generation-database", "none"])
            .args(["--suppress-health-check", "all"]);
        command
    };
    let made_up = "examples,fuzzing";
    let mut runs = Vec::new();
    for role in ["viewer", "auditor", "operator", "admin"] {
        runs.push((role_token(&mine, &rig, json!({"name": role, "role": role})).await, made_up));
    }
    let scopes = json!([{"verbs": ["read"], "kinds": ["rule", "zone", "device", "group"]},
        {"verbs": ["create"], "kinds": ["rule"]}]);
    let body = json!({"name": "scoped", "user_id": mine.ids["service_user"], "scopes": scopes});
    runs.push((role_token(&mine, &rig, body).await, made_up));
    // The owner last: it could take from the others what they call with.
    runs.push((mine.token.clone(), "examples,coverage,fuzzing,stateful"));
    for pair in runs.chunks(2) {
        let found = pair.iter().map(|(token, phases)| async { found_nothing(schemathesis(token, phases)).await });
        futures::future::join_all(found).await;
    }
}

async fn role_token(fleet: &Fleet, rig: &Rig, body: Value) -> String {
    let created = fleet.call(rig, Method::POST, "/api-tokens", Some(body)).await;
    assert_eq!(created.status, 201, "{}", created.json);
    created.json["token"].as_str().unwrap().to_owned()
}

/// Runs schemathesis, which calls something and then says that all is well.
async fn found_nothing(mut schemathesis: Command) {
    let said = run(&mut schemathesis).await;
    let generated = said.lines().find_map(|line| line.split_once(" generated")?.0.trim().parse::<u32>().ok());
    assert!(said.contains("No issues found in") && generated.is_some_and(|cases| cases > 300), "{said}");
}
