//! The OpenAPI document, the pages around it, the reasons and the roles.

use schemas::reason::Reason;
use serde_json::{Value, json};

use crate::rig::Rig;

#[tokio::test]
async fn the_document_names_each_route_once() {
    let rig = Rig::start().await;
    let document: Value = rig.get("/openapi.json").send().await.unwrap().json().await.unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert!(paths.iter().all(|path| path.starts_with("/api/v1/")), "{paths:?}");
    assert!(
        paths.iter().any(|path| *path == "/api/v1/things/{id}") && paths.iter().any(|path| *path == "/api/v1/roles")
    );
    let again: Value = rig.get("/api/v1/api-docs").send().await.unwrap().json().await.unwrap();
    assert_eq!(document, again);
}

#[tokio::test]
async fn the_document_declares_credentials_and_refusals() {
    let rig = Rig::start().await;
    let document: Value = rig.get("/openapi.json").send().await.unwrap().json().await.unwrap();
    assert_eq!(document["security"], json!([{"bearer": []}]));
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    for path in document["paths"].as_object().unwrap().values() {
        for operation in path.as_object().unwrap().values() {
            let schema = &operation["responses"]["default"]["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Error");
        }
    }
    let create = &document["paths"]["/api/v1/things"]["post"];
    let names: Vec<&str> =
        create["parameters"].as_array().unwrap().iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Idempotency-Key", "If-Match", "dry_run"]);
}

#[tokio::test]
async fn no_reference_in_the_document_leads_nowhere() {
    let rig = Rig::start().await;
    let document: Value = rig.get("/openapi.json").send().await.unwrap().json().await.unwrap();
    let mut missing = Vec::new();
    visit(&document, &mut |reference| {
        if document.pointer(reference.trim_start_matches('#')).is_none() {
            missing.push(reference.to_owned());
        }
    });
    assert_eq!(missing, Vec::<String>::new());
}

fn visit(value: &Value, found: &mut impl FnMut(&str)) {
    if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
        found(reference);
    }
    match value {
        Value::Object(fields) => fields.values().for_each(|value| visit(value, found)),
        Value::Array(entries) => entries.iter().for_each(|value| visit(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn the_documentation_pages_need_nothing_from_elsewhere() {
    let rig = Rig::start().await;
    let page = rig.get("/api-docs").send().await.unwrap().text().await.unwrap();
    assert!(page.contains("swagger-ui") && !page.contains("https://"), "{page}");
    for asset in ["swagger-ui.css", "swagger-ui-bundle.js"] {
        assert_eq!(rig.get(&format!("/api-docs/{asset}")).send().await.unwrap().status(), 200, "{asset}");
    }
    let start = rig.get("/api-docs/swagger-initializer.js").send().await.unwrap().text().await.unwrap();
    assert!(start.contains("/openapi.json"), "{start}");
}

#[tokio::test]
async fn every_reason_is_listed_for_programs_and_for_people() {
    let rig = Rig::start().await;
    for path in ["/errors", "/api/v1/errors"] {
        let list: Value = rig.get(path).send().await.unwrap().json().await.unwrap();
        assert_eq!(list["data"].as_array().unwrap().len(), Reason::ALL.len());
        let page = rig.get(path).header("Accept", "text/html").send().await.unwrap().text().await.unwrap();
        assert!(Reason::ALL.iter().all(|reason| page.contains(&format!("id=\"{}\"", reason.name()))));
    }
}

#[tokio::test]
async fn the_roles_say_what_they_may() {
    let rig = Rig::start().await;
    let roles: Value = rig.get("/api/v1/roles").send().await.unwrap().json().await.unwrap();
    let may = |role: &str| {
        let entries = roles["data"].as_array().unwrap();
        entries.iter().find(|entry| entry["role"] == role).unwrap()["may"].clone()
    };
    assert_eq!(may("viewer")["rule"], json!(["read"]));
    assert_eq!(may("operator")["rule"], json!(["read", "create", "update", "delete"]));
    assert_eq!(may("viewer").get("event"), None);
}
