//! Limits, as callers meet them: headers on every answer, 429 with the time to come back.

use chrono::{NaiveDate, TimeDelta, Utc};
use gate::{GateConfig, OrgFacts};
use reqwest::header::HeaderMap;
use schemas::access::Role;
use schemas::plan::Plan;

use crate::rig::{RULE, Rig, refused};

fn limited(limits: &[&str]) -> GateConfig {
    GateConfig { limits: limits.iter().map(|limit| (*limit).to_owned()).collect(), ..GateConfig::default() }
}

async fn rig(plan: Plan, limits: &[&str]) -> (Rig, String) {
    let rig = Rig::configured(&limited(limits)).await;
    rig.org(OrgFacts { plan, ..OrgFacts::default() });
    let token = rig.token(Role::Operator, None);
    (rig, token)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).unwrap_or_else(|| panic!("{name} is missing: {headers:?}")).to_str().unwrap()
}

fn number(headers: &HeaderMap, name: &str) -> u64 {
    text(headers, name).parse().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "what the headers say depends on the time of the request")]
fn now() -> chrono::DateTime<Utc> {
    Utc::now()
}

#[tokio::test]
async fn every_answer_to_a_caller_says_where_they_stand() {
    let (rig, token) = rig(Plan::Enterprise, &[]).await;
    let mut left = 1_000;
    let calls = [
        ("GET", "/api/v1/whoami", 200),
        ("HEAD", "/api/v1/whoami", 200),
        ("GET", "/api/v1/forbidden", 403),
        ("POST", "/api/v1/things", 400),
        ("DELETE", &format!("/api/v1/things/{RULE}"), 200),
        ("DELETE", "/api/v1/things/nonsense", 400),
    ];
    for (method, path, status) in calls {
        let response = rig.request(method, path).bearer_auth(&token).send().await.unwrap();
        left -= 1;
        let headers = response.headers();
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(number(headers, "x-ratelimit-limit"), 1_000);
        assert_eq!(number(headers, "x-ratelimit-remaining"), left, "{method} {path}");
        let seconds = number(headers, "x-ratelimit-reset") - u64::try_from(now().timestamp()).unwrap();
        assert!((50..=66).contains(&seconds), "{seconds}");
        assert_eq!(text(headers, "ratelimit-policy"), "\"minute\";q=1000;w=60");
        assert!(text(headers, "ratelimit").starts_with(&format!("\"minute\";r={left};t=")));
    }
    for path in ["/api/v1/roles", "/api/v1/nothing"] {
        let response = rig.get(path).bearer_auth(&token).send().await.unwrap();
        assert!(response.headers().get("x-ratelimit-limit").is_none(), "{path} asks nobody who they are");
    }
}

#[tokio::test]
async fn who_sends_more_than_the_plan_allows_is_told_when_to_come_back() {
    let (rig, token) = rig(Plan::Free, &["free.per_minute=3"]).await;
    let who = || rig.get("/api/v1/whoami").bearer_auth(&token);
    for left in [2, 1, 0] {
        assert_eq!(number(who().send().await.unwrap().headers(), "x-ratelimit-remaining"), left);
    }
    // No program is let through for its name.
    let response = who().header("User-Agent", "NGFW-Console/1.0 Mozilla/5.0").send().await.unwrap();
    assert_eq!(response.status(), 429);
    let wait = number(response.headers(), "retry-after");
    assert!((50..=66).contains(&wait), "{wait}");
    assert_eq!(number(response.headers(), "x-ratelimit-remaining"), 0);
    let error = refused(who()).await;
    assert_eq!((error["code"].as_str(), error["reason"].as_str()), (Some("RATE_LIMIT"), Some("RATE_LIMITED")));
    assert_eq!(error["details"]["limit"], 3);
    // What reads traffic has a count of its own.
    let traffic = rig.get("/v1/traffic/logs").bearer_auth(&token).send().await.unwrap();
    assert_eq!((traffic.status().as_u16(), number(traffic.headers(), "x-ratelimit-limit")), (200, 60));
    assert_eq!(text(traffic.headers(), "ratelimit-policy"), "\"traffic\";q=60;w=60");
    // Another plan is felt at once.
    rig.org(OrgFacts { plan: Plan::Team, ..OrgFacts::default() });
    assert_eq!(who().send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn traffic_is_limited_under_every_base() {
    let (rig, token) = rig(Plan::Enterprise, &["enterprise.traffic_per_minute=2"]).await;
    let logs = |base: &str| rig.get(&format!("{base}/traffic/logs")).bearer_auth(&token);
    assert_eq!(logs("/api/v1").send().await.unwrap().status(), 200);
    assert_eq!(logs("/api").send().await.unwrap().status(), 200);
    assert_eq!(refused(logs("/v1")).await["reason"], "RATE_LIMITED");
}

#[tokio::test]
async fn a_day_is_shared_with_what_the_store_knows() {
    let (rig, token) = rig(Plan::Team, &["team.per_day=10"]).await;
    let who = || rig.get("/api/v1/whoami").bearer_auth(&token);
    let response = who().send().await.unwrap();
    assert_eq!(number(response.headers(), "x-ratelimit-limit"), 10, "the day is tighter than the minute");
    assert_eq!(text(response.headers(), "ratelimit-policy"), "\"minute\";q=300;w=60, \"day\";q=10;w=86400");
    let told = rig.gate.limits().drain();
    let [(org, day, 1)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(org.as_str(), "acme");
    // Another replica let eight in.
    rig.gate.limits().learn(org, *day, 9);
    assert_eq!(rig.gate.limits().usage(org).requests_today, 9);
    assert_eq!(who().send().await.unwrap().status(), 200);
    let response = who().send().await.unwrap();
    assert_eq!(response.status(), 429);
    let midnight = (now() + TimeDelta::days(1)).date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc();
    assert_eq!(number(response.headers(), "x-ratelimit-reset"), u64::try_from(midnight.timestamp()).unwrap());
    assert!(number(response.headers(), "retry-after") <= 86_400);
    assert_eq!(refused(who()).await["reason"], "DAILY_QUOTA_EXHAUSTED");
    // Refused requests do not count.
    assert_eq!(rig.gate.limits().drain(), [(org.clone(), *day, 1)]);
    assert_ne!(*day, NaiveDate::default());
}

#[tokio::test]
async fn guesses_are_limited_but_good_credentials_are_not_shut_out() {
    let rig = Rig::configured(&GateConfig::default()).await;
    let token = rig.token(Role::Owner, None);
    let guess = |n: u32| rig.get("/api/v1/whoami").bearer_auth(format!("nk_guess_{n}"));
    for n in 0..10 {
        assert_eq!(refused(guess(n)).await["reason"], "TOKEN_UNKNOWN");
    }
    let response = guess(10).send().await.unwrap();
    assert!((50..=66).contains(&number(response.headers(), "retry-after")));
    assert_eq!(refused(guess(11)).await["reason"], "TOO_MANY_FAILED_ATTEMPTS");
    assert_eq!(refused(rig.get("/api/v1/whoami").bearer_auth("a.b.c")).await["reason"], "TOO_MANY_FAILED_ATTEMPTS");
    // Behind the same address are others.
    assert_eq!(rig.get("/api/v1/whoami").bearer_auth(&token).send().await.unwrap().status(), 200);
    // Who shows no credentials guesses none.
    assert_eq!(refused(rig.get("/api/v1/whoami")).await["reason"], "CREDENTIALS_MISSING");
}
