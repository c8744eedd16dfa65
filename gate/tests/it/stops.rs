//! Stopping: what runs may end, but not for ever.

use std::time::Duration;

use crate::rig::Rig;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_request_that_runs_is_answered_before_the_server_ends() {
    let rig = Rig::start().await;
    let request = tokio::spawn(rig.get("/api/v1/waits").send());
    rig.entered.notified().await;
    rig.stop.cancel();
    rig.released.notify_one();
    assert_eq!(request.await.unwrap().unwrap().text().await.unwrap(), "\"done\"");
    tokio::time::timeout(SOON, rig.server).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_does_not_end_does_not_hold_the_server() {
    let rig = Rig::with(None, Duration::from_millis(1)).await;
    let request = tokio::spawn(rig.get("/api/v1/waits").send());
    rig.entered.notified().await;
    rig.stop.cancel();
    tokio::time::timeout(SOON, rig.server).await.unwrap().unwrap().unwrap();
    request.abort();
}

#[tokio::test]
async fn a_server_that_stops_takes_no_new_requests() {
    let rig = Rig::start().await;
    rig.stop.cancel();
    let (url, server) = (rig.url.clone(), rig.server);
    tokio::time::timeout(SOON, server).await.unwrap().unwrap().unwrap();
    assert!(reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.is_err());
}
