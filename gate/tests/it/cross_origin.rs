//! Web pages of other origins: who may call, what they may send and read.

use gate::GateConfig;
use reqwest::Response;
use schemas::access::Role;

use crate::rig::Rig;

const CONSOLE: &str = "https://console.example";

async fn rig(origins: &[&str]) -> Rig {
    let cors_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    Rig::configured(&GateConfig { cors_origins, ..GateConfig::default() }).await
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

async fn preflight(rig: &Rig, origin: &str) -> Response {
    let request = rig.request("OPTIONS", "/api/v1/things").header("Origin", origin);
    let request = request.header("Access-Control-Request-Method", "PATCH");
    request.header("Access-Control-Request-Headers", "authorization,if-match").send().await.unwrap()
}

#[tokio::test]
async fn a_page_that_is_named_may_call() {
    let rig = rig(&[CONSOLE, "http://localhost:5173"]).await;
    let response = preflight(&rig, CONSOLE).await;
    assert_eq!(response.status(), 204);
    assert_eq!(header(&response, "access-control-allow-origin"), Some(CONSOLE));
    assert_eq!(header(&response, "access-control-max-age"), Some("600"));
    assert_eq!(header(&response, "access-control-allow-credentials"), None);
    assert!(header(&response, "access-control-allow-methods").unwrap().contains("PATCH"));
    let sent = header(&response, "access-control-allow-headers").unwrap();
    for name in ["authorization", "content-type", "if-match", "idempotency-key", "netkeep-version"] {
        assert!(sent.contains(name), "{name} is missing from {sent}");
    }
    assert!(header(&response, "netkeep-operation-id").is_some());
    let token = rig.token(Role::Viewer, None);
    // Refusals too can be read by the page.
    for (path, status) in
        [("/api/v1/whoami", 200), ("/api/v1/forbidden", 403), ("/api/v1/nothing", 404), ("/api/v1/panics", 500)]
    {
        let response = rig.get(path).header("Origin", CONSOLE).bearer_auth(&token).send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(header(&response, "access-control-allow-origin"), Some(CONSOLE), "{path}");
        let read = header(&response, "access-control-expose-headers").unwrap();
        for name in
            ["etag", "netkeep-position", "netkeep-operation-id", "x-ratelimit-remaining", "ratelimit", "retry-after"]
        {
            assert!(read.contains(name), "{name} is missing from {read}");
        }
        assert!(response.headers().get_all("vary").iter().any(|value| value.to_str().unwrap().contains("origin")));
    }
}

#[tokio::test]
async fn a_page_that_is_not_named_may_not() {
    let rig = rig(&[CONSOLE]).await;
    for origin in ["https://evil.example", "http://console.example", "https://console.example.evil.example", "null"] {
        assert_eq!(header(&preflight(&rig, origin).await, "access-control-allow-origin"), None, "{origin}");
        let response = rig.get("/api/v1/roles").header("Origin", origin).send().await.unwrap();
        assert_eq!(header(&response, "access-control-allow-origin"), None, "{origin}");
    }
    // What is no page is not concerned.
    let response = rig.get("/api/v1/roles").send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "access-control-allow-origin")), (200, None));
}

#[tokio::test]
async fn all_pages_may_call_if_the_configuration_says_so() {
    let rig = rig(&["*"]).await;
    let response = preflight(&rig, "https://any.example").await;
    assert_eq!(header(&response, "access-control-allow-origin"), Some("*"));
    assert_eq!(header(&response, "access-control-allow-credentials"), None);
}

#[tokio::test]
async fn options_that_is_no_preflight_is_answered_by_the_path() {
    let rig = rig(&[CONSOLE]).await;
    let response = rig.request("OPTIONS", "/api/v1/things").header("Origin", CONSOLE).send().await.unwrap();
    assert_eq!(response.status(), 204);
    assert!(header(&response, "allow").unwrap().contains("POST"));
    assert_eq!(header(&response, "access-control-allow-origin"), Some(CONSOLE));
}
