//! A device without a kernel: enrols over HTTP and speaks to the bus with its own key.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeBinaryArray, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray,
    StringDictionaryBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use bus::device::DeviceBus;
use nkeys::KeyPair;
use reqwest::Method;
use schemas::device::Enrolled;
use schemas::flow;
use serde_json::json;

use crate::rig::{Answer, Rig, send};

pub(crate) struct SimDevice {
    pub(crate) enrolled: Enrolled,
    pub(crate) seed: String,
}

impl SimDevice {
    pub(crate) async fn enrol(rig: &Rig, setup_key: &str, name: &str) -> Self {
        let pair = KeyPair::new_user();
        let answer = try_enrol(rig, setup_key, name, &pair.public_key()).await;
        assert_eq!(answer.status, 201, "{}", answer.json);
        Self { enrolled: serde_json::from_value(answer.json).unwrap(), seed: pair.seed().unwrap() }
    }

    pub(crate) async fn connect(&self) -> DeviceBus {
        let Enrolled { nats_urls, org, device, .. } = &self.enrolled;
        DeviceBus::connect(nats_urls, &self.seed, org.clone(), device.id).await.unwrap()
    }
}

pub(crate) async fn try_enrol(rig: &Rig, setup_key: &str, name: &str, public_key: &str) -> Answer {
    let body = json!({"setup_key": setup_key, "public_key": public_key, "name": name,
        "interfaces": [{"name": "eth0", "zone": "WAN"}, {"name": "eth1", "zone": "LAN"}]});
    send(rig.http.request(Method::POST, rig.url("/api/v1/devices/enroll")).json(&body)).await
}

/// A batch of accepted flows, one a microsecond from `start_us` on, from 10.0.0.0/16 to 192.0.2.1:443.
pub(crate) fn batch(start_us: i64, rows: usize) -> RecordBatch {
    let label = |value: Option<&str>| -> ArrayRef {
        let mut labels = StringDictionaryBuilder::<Int32Type>::new();
        (0..rows).for_each(|_| labels.append_option(value));
        Arc::new(labels.finish())
    };
    let int = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value; rows])) };
    let int32 = |value: i32| -> ArrayRef { Arc::new(Int32Array::from(vec![value; rows])) };
    let int16 = |value: i16| -> ArrayRef { Arc::new(Int16Array::from(vec![value; rows])) };
    let address = |of: &dyn Fn(usize) -> Ipv4Addr| -> ArrayRef {
        let bytes = (0..rows).map(|row| flow::address_bytes(IpAddr::V4(of(row))));
        Arc::new(FixedSizeBinaryArray::try_from_iter(bytes).unwrap())
    };
    let truth = |value: bool| -> ArrayRef { Arc::new(BooleanArray::from(vec![value; rows])) };
    let times: Vec<i64> = (0..rows as i64).map(|row| start_us + row).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        int32(5),
        label(Some("forward")),
        label(Some("WAN")),
        label(Some("LAN")),
        label(Some("eth0")),
        Arc::new(Int32Array::from(vec![None; rows])),
        address(&|row| Ipv4Addr::new(10, 0, (row / 256 % 256) as u8, (row % 256) as u8)),
        address(&|_| Ipv4Addr::new(192, 0, 2, 1)),
        int32(50_000),
        int32(443),
        int16(6),
        int16(0x1b),
        Arc::new(Int16Array::from(vec![None; rows])),
        int(1_200),
        int(3_400),
        int(9),
        int(8),
        truth(true),
        truth(true),
        label(Some("accept")),
        label(Some("kernel")),
        label(None),
        int(7),
        Arc::new(StringArray::from(vec![Some("example.org"); rows])),
    ];
    RecordBatch::try_new(flow::batch_schema(), columns).unwrap()
}
