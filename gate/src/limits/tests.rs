//! What the limits promise, org by org and minute by minute.

use super::*;
use crate::keyring::OrgFacts;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + seconds, 0).unwrap()
}

fn org(name: &str) -> OrgId {
    name.parse().unwrap()
}

fn limits(plan: Plan) -> Limits {
    let keyring = Keyring::default();
    keyring.set_org(&org("acme"), OrgFacts { plan, ..OrgFacts::default() });
    Limits::new(keyring, Figures::default())
}

fn passes(limits: &Limits, class: Class, at: DateTime<Utc>, requests: u32) -> u32 {
    (0..requests).map(|_| u32::from(limits.count(&org("acme"), class, at).refused.is_none())).sum()
}

#[test]
fn paths_are_classed_under_every_base() {
    for path in ["/api/v1/traffic/logs", "/api/traffic/logs", "/v1/sql", "/sql", "/traffic", "/api/v1/sql/"] {
        assert_eq!(Class::of(path), Class::Traffic, "{path}");
    }
    for path in ["/api/v1/rules", "/", "", "/api", "/api/v1", "/apiary/sql", "/api/v1/rules/traffic", "/sqlite"] {
        assert_eq!(Class::of(path), Class::Other, "{path}");
    }
}

#[test]
fn each_plan_passes_what_it_allows() {
    for (plan, other, traffic) in [(Plan::Free, 60, 60), (Plan::Team, 300, 60), (Plan::Enterprise, 1_000, 60)] {
        let limits = limits(plan);
        assert_eq!(passes(&limits, Class::Other, at(0), 1_100), other, "{plan:?}");
        assert_eq!(passes(&limits, Class::Traffic, at(0), 100), traffic, "{plan:?}");
        assert_eq!(passes(&limits, Class::Other, at(65), 1_100), other, "{plan:?}");
    }
    let unmetered = limits(Plan::Unmetered);
    assert_eq!(passes(&unmetered, Class::Other, at(0), 20_000), 20_000);
    assert_eq!(passes(&unmetered, Class::Traffic, at(0), 20_000), 20_000);
    assert_eq!(unmetered.drain_at(at(0)), []);
}

#[test]
fn one_org_does_not_use_up_what_another_has() {
    let limits = limits(Plan::Free);
    limits.0.keyring.set_org(&org("other"), OrgFacts { plan: Plan::Free, ..OrgFacts::default() });
    assert_eq!(passes(&limits, Class::Other, at(0), 100), 60);
    assert_eq!(limits.count(&org("other"), Class::Other, at(0)).minute.remaining, 59);
}

#[test]
fn a_day_ends_at_midnight_and_not_before() {
    let limits = limits(Plan::Free);
    let morning = "2026-11-22T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
    let mut passed = 0;
    for minute in 0..100 {
        passed += passes(&limits, Class::Other, morning + TimeDelta::seconds(65 * minute), 20);
    }
    assert_eq!(passed, 1_000);
    let evening = "2026-11-22T23:59:00Z".parse().unwrap();
    let standing = limits.count(&org("acme"), Class::Other, evening);
    assert_eq!((standing.refused, standing.minute.remaining), (Some(Reason::DailyQuotaExhausted), 60));
    assert_eq!(standing.refusal().unwrap().retry_after_s, Some(60));
    // Traffic is not counted by the day.
    assert_eq!(passes(&limits, Class::Traffic, evening, 10), 10);
    assert_eq!(passes(&limits, Class::Other, "2026-11-23T00:00:00Z".parse().unwrap(), 10), 10);
    // Yesterday is not lost to the store, and stays until the store has it.
    let (yesterday, today) = (morning.date_naive(), morning.date_naive().succ_opt().unwrap());
    for _ in 0..2 {
        let told = limits.drain_at("2026-11-23T00:00:01Z".parse().unwrap());
        assert_eq!(told, [(org("acme"), yesterday, 1_000), (org("acme"), today, 10)]);
    }
    limits.learn(&org("acme"), yesterday, 1_000);
    limits.learn(&org("acme"), today, 10);
    assert_eq!(limits.drain_at("2026-11-23T00:00:02Z".parse().unwrap()), []);
}

#[tokio::test]
async fn an_org_that_is_new_here_is_asked_for() {
    let limits = limits(Plan::Free);
    assert_eq!(passes(&limits, Class::Other, at(0), 1), 1);
    limits.first_sight().await;
    let told = limits.drain_at(at(0));
    assert_eq!(told, [(org("acme"), at(0).date_naive(), 1)]);
    // Another replica has used up the day.
    limits.learn(&org("acme"), at(0).date_naive(), 1_001);
    assert_eq!(passes(&limits, Class::Other, at(0), 1), 0);
}

#[test]
fn streams_are_held_and_given_back() {
    let limits = limits(Plan::Free);
    let mut held: Vec<StreamSlot> = (0..5).map(|_| limits.stream(&org("acme")).unwrap()).collect();
    let refused = limits.stream(&org("acme")).unwrap_err();
    assert_eq!((refused.reason, refused.retry_after_s), (Reason::TooManyStreams, Some(5)));
    // What is held is not forgotten.
    limits.drain_at(at(100_000_000));
    assert!(limits.stream(&org("acme")).is_err());
    held.pop();
    assert!(limits.stream(&org("acme")).is_ok());
}

#[test]
fn guessing_is_slowed_down_by_address() {
    let limits = limits(Plan::Free);
    let from = |source: &str| limits.failed_attempt_at(source.parse().unwrap(), at(0)).is_ok();
    assert_eq!((0..20).filter(|_| from("192.0.2.1")).count(), 10);
    assert!(from("192.0.2.2"));
    // One network of IPv6 is one address.
    assert_eq!((0..20).filter(|n| from(&format!("2001:db8::{n}"))).count(), 10);
    assert!(from("2001:db8:0:1::1"));
    let refused = limits.failed_attempt_at("192.0.2.1".parse().unwrap(), at(10)).unwrap_err();
    assert_eq!((refused.reason, refused.retry_after_s), (Reason::TooManyFailedAttempts, Some(55)));
    assert!(limits.failed_attempt_at("192.0.2.1".parse().unwrap(), at(65)).is_ok());
}

#[test]
fn what_is_idle_is_forgotten() {
    let limits = limits(Plan::Enterprise);
    for n in 0..1_000 {
        limits.count(&org(&format!("org-{n}")), Class::Other, at(0));
        let _ = limits.failed_attempt_at(IpAddr::from([10, 0, (n / 256) as u8, (n % 256) as u8]), at(0));
    }
    assert_eq!((limits.0.orgs.len(), limits.0.failures.len()), (1_000, 1_000));
    limits.drain_at(at(66));
    assert_eq!((limits.0.orgs.len(), limits.0.failures.len()), (0, 0));
}

#[test]
fn counting_costs_little() {
    let limits = limits(Plan::Unmetered);
    let (acme, rounds) = (org("acme"), 200_000u32);
    let begun = std::time::Instant::now();
    for n in 0..rounds {
        std::hint::black_box(limits.count(&acme, Class::Other, at(i64::from(n / 10_000))));
    }
    let each = begun.elapsed() / rounds;
    // A debug build needs about one microsecond; this leaves room for a busy machine.
    assert!(each < std::time::Duration::from_micros(20), "{each:?}");
}
