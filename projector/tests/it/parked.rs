//! What is parked is there to be looked at, and never fills the bus.

use bytes::Bytes;
use schemas::subjects;

use crate::nats::Nats;

#[tokio::test]
async fn a_full_bucket_of_parked_things_makes_room_for_new_ones() {
    let (nats, bus) = Nats::start().await;
    let bucket = bus.bucket(subjects::PARKED_BUCKET);
    for n in 0..70 {
        bucket.put(&format!("flows.{n}"), Bytes::from(vec![b'x'; 1_000_000])).await.unwrap().await.unwrap();
    }
    assert!(bucket.read("flows.0").await.unwrap().is_none(), "the oldest made room");
    assert!(bucket.read("flows.69").await.unwrap().is_some());
    let mut stream = nats.raw().await.get_stream(format!("KV_{}", subjects::PARKED_BUCKET)).await.unwrap();
    let info = stream.info().await.unwrap();
    assert!(info.state.bytes <= 64 << 20, "{}", info.state.bytes);
    assert_eq!(info.config.max_age.as_secs(), 30 * 24 * 60 * 60);
}
