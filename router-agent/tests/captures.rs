//! Public captures give the flows on which independent tools agree.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use router_agent::replay::{ReplayedFlow, replay};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    proto: u8,
    a: IpAddr,
    ap: u16,
    b: IpAddr,
    bp: u16,
    pkts_ab: u64,
    pkts_ba: u64,
    l3_bytes: Vec<[u64; 2]>,
    first: Option<f64>,
    last: Option<f64>,
    strict: bool,
}

type Ends = (u8, (IpAddr, u16), (IpAddr, u16));

/// Packets, bytes and times as seen from `a`.
fn by_ends(flows: Vec<ReplayedFlow>) -> HashMap<Ends, ReplayedFlow> {
    let both = |flow: ReplayedFlow| {
        let mut mirrored = flow.clone();
        mirrored.window.bytes.reverse();
        mirrored.window.packets.reverse();
        [
            ((flow.protocol, flow.initiator, flow.responder), flow.clone()),
            ((flow.protocol, flow.responder, flow.initiator), mirrored),
        ]
    };
    flows.into_iter().flat_map(both).collect()
}

fn difference(expected: &Expected, flow: Option<&ReplayedFlow>) -> Option<String> {
    let Some(flow) = flow else { return Some("no such flow".to_owned()) };
    let window = &flow.window;
    // Two ends that are alike have no direction: everything is sent.
    let alike = (expected.a, expected.ap) == (expected.b, expected.bp);
    let turn = |pair: [u64; 2]| if alike { [pair[0] + pair[1], 0] } else { pair };
    if turn(window.packets) != [expected.pkts_ab, expected.pkts_ba] {
        return Some(format!("packets {:?}, not {:?}", window.packets, [expected.pkts_ab, expected.pkts_ba]));
    }
    if !expected.l3_bytes.contains(&turn(window.bytes)) {
        return Some(format!("bytes {:?}, not one of {:?}", window.bytes, expected.l3_bytes));
    }
    let far = |us: i64, seconds: Option<f64>| seconds.is_some_and(|seconds| (us as f64 / 1e6 - seconds).abs() > 0.005);
    if far(window.first_us, expected.first) || far(window.last_us, expected.last) {
        return Some(format!("from {} to {}", window.first_us, window.last_us));
    }
    None
}

fn check(capture: &Path, expected: &Path) -> (usize, Vec<String>) {
    let expected: Vec<Expected> = serde_json::from_slice(&std::fs::read(expected).unwrap()).unwrap();
    let flows = by_ends(replay(capture).unwrap());
    let mut wrong = Vec::new();
    let strict: Vec<&Expected> = expected.iter().filter(|row| row.strict).collect();
    for row in &strict {
        let found = flows.get(&(row.proto, (row.a, row.ap), (row.b, row.bp)));
        if let Some(what) = difference(row, found) {
            let ends = format!("{} {}:{} {}:{}", row.proto, row.a, row.ap, row.b, row.bp);
            wrong.push(format!("{}: {ends}: {what}", capture.file_name().unwrap().to_string_lossy()));
        }
    }
    (strict.len(), wrong)
}

#[test]
fn captures_give_the_flows_that_independent_tools_agree_on() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures");
    let Ok(entries) = std::fs::read_dir(folder.join("expected")) else {
        eprintln!("skipped: no captures beside the repository");
        return;
    };
    let (mut rows, mut wrong) = (0, Vec::new());
    for entry in entries {
        let expected = entry.unwrap().path();
        let capture = folder.join(expected.file_stem().unwrap());
        let (count, differences) = check(&capture, &expected);
        rows += count;
        wrong.extend(differences);
    }
    assert!(wrong.is_empty(), "{} of {rows} flows differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rows > 250, "only {rows} flows were compared");
}
