//! Streams: an org holds so many at one time.

use gate::OrgFacts;
use schemas::access::Role;
use schemas::plan::Plan;

use crate::rig::{Rig, refused};

#[tokio::test]
async fn a_sixth_stream_waits_until_one_ends() {
    let rig = Rig::start().await;
    rig.org(OrgFacts { plan: Plan::Enterprise, ..OrgFacts::default() });
    let token = rig.token(Role::Viewer, None);
    let open = || rig.get("/api/v1/stream").bearer_auth(&token);
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(tokio::spawn(open().send()));
        rig.entered.notified().await;
    }
    let error = refused(open()).await;
    assert_eq!((error["reason"].as_str(), error["details"]["limit"].as_u64()), (Some("TOO_MANY_STREAMS"), Some(5)));
    let org = "acme".parse().unwrap();
    assert_eq!(rig.gate.limits().usage(&org).streams, 5);
    rig.released.notify_one();
    let (ended, _, held) = futures::future::select_all(held).await;
    assert_eq!(ended.unwrap().unwrap().status(), 200);
    let sixth = tokio::spawn(open().send());
    rig.entered.notified().await;
    // A client that goes away gives its stream back.
    sixth.abort();
    for stream in held {
        stream.abort();
    }
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while rig.gate.limits().usage(&org).streams > 0 {
        assert!(tokio::time::Instant::now() < deadline, "the streams are still held");
        tokio::task::yield_now().await;
    }
}
