//! What the flow table promises.

use proptest::prelude::*;
use schemas::rule::Action;

use super::*;
use crate::packet::{ACK, FIN, ICMP, RST, SYN, TCP, UDP};

const SECOND: i64 = 1_000_000;

fn packet(from: u8, to: u8, protocol: u8, ports: (u16, u16), tcp_flags: u8) -> Packet<'static> {
    Packet {
        source: IpAddr::from([10, 0, 0, from]),
        destination: IpAddr::from([10, 0, 0, to]),
        protocol,
        source_port: ports.0,
        destination_port: ports.1,
        tcp_flags,
        icmp_type: None,
        bytes: 100,
        vlan: None,
        fragment: Fragment::Whole,
        payload: &[],
    }
}

fn rows(table: &mut FlowTable, now_us: i64) -> Vec<(Endpoint, Window, Option<Heard>)> {
    let mut rows = Vec::new();
    table.close_window(now_us, true, &mut |flow, window| rows.push((flow.initiator, window, flow.heard)));
    rows
}

#[test]
fn a_connection_is_one_row_with_both_directions() {
    let (mut table, eth0) = (FlowTable::new(10), Arc::from("eth0"));
    table.observe(&packet(1, 2, TCP, (1000, 80), SYN), &eth0, 0);
    table.observe(&packet(2, 1, TCP, (80, 1000), SYN | ACK), &eth0, 5);
    table.observe(&packet(1, 2, TCP, (1000, 80), ACK), &eth0, 9);
    let rows = rows(&mut table, 10);
    assert_eq!(rows.len(), 1);
    let window = &rows[0].1;
    assert_eq!((window.packets, window.bytes, window.tcp_flags), ([2, 1], [200, 100], SYN | ACK));
    assert_eq!((window.first_us, window.last_us, window.started, window.ended), (0, 9, true, false));
}

#[test]
fn a_first_packet_that_answers_names_the_other_side() {
    let (mut table, eth0) = (FlowTable::new(10), Arc::from("eth0"));
    table.observe(&packet(2, 1, TCP, (80, 1000), SYN | ACK), &eth0, 0);
    table.observe(&Packet { icmp_type: Some(0), ..packet(4, 3, ICMP, (0, 0), 0) }, &eth0, 0);
    let mut initiators: Vec<String> = rows(&mut table, 10).iter().map(|row| row.0.ip.to_string()).collect();
    initiators.sort();
    assert_eq!(initiators, ["10.0.0.1", "10.0.0.3"]);
}

#[test]
fn each_window_counts_only_itself() {
    let (mut table, eth0) = (FlowTable::new(10), Arc::from("eth0"));
    table.observe(&packet(1, 2, UDP, (1000, 53), 0), &eth0, 0);
    assert!(rows(&mut table, SECOND)[0].1.started);
    assert!(rows(&mut table, 2 * SECOND).is_empty());
    table.observe(&packet(1, 2, UDP, (1000, 53), 0), &eth0, 3 * SECOND);
    let third = rows(&mut table, 4 * SECOND);
    assert_eq!((third[0].1.packets, third[0].1.started), ([1, 0], false));
    assert!(rows(&mut table, 300 * SECOND).is_empty());
    assert!(table.is_empty(), "idle for minutes");
}

#[test]
fn a_connection_ends_by_reset_or_by_both_sides_and_ports_can_be_used_again() {
    let (mut table, eth0) = (FlowTable::new(10), Arc::from("eth0"));
    table.observe(&packet(1, 2, TCP, (1000, 80), SYN), &eth0, 0);
    table.observe(&packet(1, 2, TCP, (1000, 80), FIN | ACK), &eth0, 1);
    assert!(!rows(&mut table, 2)[0].1.ended);
    table.observe(&packet(2, 1, TCP, (80, 1000), FIN | ACK), &eth0, 3);
    table.observe(&packet(1, 2, TCP, (1000, 80), ACK), &eth0, 4);
    table.observe(&packet(1, 2, TCP, (1000, 80), SYN), &eth0, 5);
    table.observe(&packet(2, 1, TCP, (80, 1000), RST | ACK), &eth0, 6);
    let ends: Vec<(bool, bool, [u64; 2])> =
        rows(&mut table, 7).into_iter().map(|row| (row.1.started, row.1.ended, row.1.packets)).collect();
    assert_eq!(ends, [(false, true, [1, 1]), (true, true, [1, 1])]);
}

#[test]
fn the_kernels_word_finds_its_flow_whichever_comes_first() {
    let (mut table, eth0) = (FlowTable::new(10), Arc::from("eth0"));
    let heard = Heard { action: Action::Drop, rule: None };
    let (early, late) = (packet(1, 2, TCP, (1, 23), SYN), packet(1, 2, TCP, (2, 23), SYN));
    table.hear(&early, heard, 0);
    table.observe(&early, &eth0, 1);
    table.observe(&late, &eth0, 2);
    table.hear(&late, heard, 3);
    assert!(rows(&mut table, 4).iter().all(|row| row.2 == Some(heard)));
}

#[test]
fn a_denial_holds_for_its_window_and_an_acceptance_for_the_connection() {
    for (action, kept) in [(Action::Accept, true), (Action::Drop, false)] {
        let (mut table, eth0) = (FlowTable::new(10), Arc::from("eth0"));
        let packet = packet(1, 2, UDP, (1, 53), 0);
        table.observe(&packet, &eth0, 0);
        table.hear(&packet, Heard { action, rule: None }, 1);
        assert!(rows(&mut table, 2)[0].2.is_some());
        table.observe(&packet, &eth0, 3);
        assert_eq!(rows(&mut table, 4)[0].2.is_some(), kept);
    }
}

#[test]
fn a_young_flow_waits_for_its_verdict() {
    let (mut table, eth0) = (FlowTable::new(10), Arc::from("eth0"));
    table.observe(&packet(1, 2, UDP, (1, 53), 0), &eth0, SECOND);
    let mut count = 0;
    table.close_window(SECOND + 1, false, &mut |_, _| count += 1);
    assert_eq!(count, 0);
    table.close_window(2 * SECOND, false, &mut |_, _| count += 1);
    assert_eq!(count, 1);
}

#[test]
fn later_fragments_belong_to_the_flow_of_their_first() {
    let (mut table, eth0) = (FlowTable::new(10), Arc::from("eth0"));
    table.observe(&Packet { fragment: Fragment::First(7), ..packet(1, 2, UDP, (9, 53), 0) }, &eth0, 0);
    table.observe(&Packet { fragment: Fragment::Later(7), ..packet(1, 2, UDP, (0, 0), 0) }, &eth0, 1);
    let rows = rows(&mut table, 2);
    assert_eq!((rows.len(), rows[0].1.packets), (1, [2, 0]));
}

proptest! {
    #[test]
    fn no_packet_is_lost_or_counted_twice_and_the_table_stays_bounded(
        packets in proptest::collection::vec((0u8..6, 0u8..6, 0u16..4, 0u8..32, 0i64..2 * SECOND), 1..300),
        flows_max in 16usize..40,
    ) {
        let (mut table, eth0) = (FlowTable::new(flows_max), Arc::from("eth0"));
        let (mut now, mut seen) = (0, 0u64);
        for (index, (from, to, port, flags, step)) in packets.iter().enumerate() {
            now += step;
            table.observe(&packet(*from, *to, TCP, (*port, 80), *flags), &eth0, now);
            prop_assert!(table.len() <= flows_max);
            if index % 10 == 0 {
                seen += rows(&mut table, now).iter().map(|row| row.1.packets[0] + row.1.packets[1]).sum::<u64>();
            }
        }
        seen += rows(&mut table, now).iter().map(|row| row.1.packets[0] + row.1.packets[1]).sum::<u64>();
        prop_assert_eq!(seen, packets.len() as u64);
    }
}
