//! Made-up traffic that is as hard to store as real traffic: few addresses have most of the flows, sizes and times are
//! spread over magnitudes, a third has a name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeBinaryArray, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray,
    StringDictionaryBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use schemas::flow;

/// Numbers that look random and are the same in each run (xorshift64*, Vigna 2016).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.roll() >> 11) % end
    }

    /// Small numbers often, large ones seldom: about as often in each power of two.
    fn skewed(&mut self, bits: u64) -> u64 {
        let width = self.below(bits) + 1;
        self.below(1 << width)
    }
}

/// A second of traffic.
pub(crate) fn traffic(start_us: i64, rows: usize, seed: u64) -> RecordBatch {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut of = |make: &mut dyn FnMut(&mut Dice) -> i64| (0..rows).map(|_| make(&mut dice)).collect::<Vec<i64>>();
    let times = of(&mut |dice| start_us + dice.below(1_000_000) as i64);
    let durations = of(&mut |dice| dice.skewed(13) as i64);
    let sources = of(&mut |dice| dice.skewed(16) as i64);
    let destinations = of(&mut |dice| dice.skewed(15) as i64);
    let ephemeral = of(&mut |dice| 32_768 + dice.below(28_232) as i64);
    let services =
        of(&mut |dice| [443, 443, 443, 443, 53, 53, 80, 22, 123, 8_080, 5_432, 993][dice.below(12) as usize]);
    let sent = of(&mut |dice| 60 + dice.skewed(20) as i64);
    let received = of(&mut |dice| 60 + dice.skewed(24) as i64);
    let verdicts = of(&mut |dice| i64::from(dice.below(20) == 0));
    let rules = of(&mut |dice| dice.skewed(7) as i64);
    let names = of(&mut |dice| dice.skewed(14) as i64);
    let edges = of(&mut |dice| dice.below(4) as i64);

    let is_udp: Vec<bool> = services.iter().map(|port| matches!(port, 53 | 123)).collect();
    let int32 = |values: &[i64]| -> ArrayRef { Arc::new(values.iter().map(|it| *it as i32).collect::<Int32Array>()) };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        int32(&durations),
        labels(rows, |_| Some("forward".to_owned())),
        labels(rows, |_| Some("LAN".to_owned())),
        labels(rows, |row| Some(if destinations[row] % 8 == 0 { "DMZ" } else { "WAN" }.to_owned())),
        labels(rows, |_| Some("eth1".to_owned())),
        Arc::new(Int32Array::from(vec![None; rows])),
        addresses(&sources, [10, 20]),
        addresses(&destinations, [198, 18]),
        int32(&ephemeral),
        int32(&services),
        Arc::new(is_udp.iter().map(|udp| if *udp { 17 } else { 6 }).collect::<Int16Array>()),
        Arc::new(is_udp.iter().map(|udp| if *udp { 0 } else { 0x1b }).collect::<Int16Array>()),
        Arc::new(Int16Array::from(vec![None; rows])),
        Arc::new(Int64Array::from(sent.clone())),
        Arc::new(Int64Array::from(received.clone())),
        Arc::new(sent.iter().map(|bytes| 1 + bytes / 700).collect::<Int64Array>()),
        Arc::new(received.iter().map(|bytes| 1 + bytes / 1_200).collect::<Int64Array>()),
        Arc::new(edges.iter().map(|edge| Some(*edge > 0)).collect::<BooleanArray>()),
        Arc::new(edges.iter().map(|edge| Some(*edge > 1)).collect::<BooleanArray>()),
        labels(rows, |row| Some(if verdicts[row] == 1 { "drop" } else { "accept" }.to_owned())),
        labels(rows, |_| Some("kernel".to_owned())),
        labels(rows, |row| Some(format!("rule_01m80cnhck7ap9he9na35jn{:03}", rules[row]))),
        Arc::new(Int64Array::from(vec![42; rows])),
        Arc::new(
            names.iter().map(|it| (it % 3 == 0).then(|| format!("host-{it}.example.org"))).collect::<StringArray>(),
        ),
    ];
    RecordBatch::try_new(flow::batch_schema(), columns).unwrap()
}

fn labels(rows: usize, label: impl Fn(usize) -> Option<String>) -> ArrayRef {
    let mut labels = StringDictionaryBuilder::<Int32Type>::new();
    (0..rows).for_each(|row| labels.append_option(label(row)));
    Arc::new(labels.finish())
}

/// Hosts of one block; every tenth is of IPv6.
fn addresses(hosts: &[i64], [a, b]: [u8; 2]) -> ArrayRef {
    let bytes = hosts.iter().map(|host| {
        let [_, _, c, d] = (*host as u32).to_be_bytes();
        let v4 = Ipv4Addr::new(a, b, c, d);
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, u16::from(a), u16::from(b), 0, 0, u16::from(c), u16::from(d));
        flow::address_bytes(if host % 10 == 0 { IpAddr::V6(v6) } else { IpAddr::V4(v4) })
    });
    Arc::new(FixedSizeBinaryArray::try_from_iter(bytes).unwrap())
}
