//! What became of a flow: between which zones it went, what was decided, by which rule, and who says so.

use std::net::IpAddr;
use std::sync::Arc;

use policy::Decider;
use schemas::flow::{VERDICT_EVALUATED, VERDICT_FROM_KERNEL};
use schemas::resource::ResourceId;
use schemas::rule::Action;
use schemas::service::Protocol;
use schemas::zone::ZoneName;

use crate::flow_table::{Flow, Judged, Window, is_for_many};
use crate::routes::Routes;
use crate::running::{Rules, Running};

/// The outcome for one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `forward`, `in` or `out`.
    pub direction: &'static str,
    pub zone_from: Option<Arc<ZoneName>>,
    pub zone_to: Option<Arc<ZoneName>>,
    pub action: Action,
    /// `kernel` or `evaluated`.
    pub source: &'static str,
    /// The rule, the policy, the firewall or the zone policy that decided.
    pub rule: Option<ResourceId>,
    pub revision: u64,
}

/// Which ruleset decides on a flow that the kernel said nothing about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Under {
    /// The one that was in force when it was seen: live packets, which the kernel let pass or not.
    ItsTime,
    /// The one in force, whenever it was seen: a replay.
    Present,
}

/// Decides on flows at the end of a window.
pub struct Judge<'a> {
    running: &'a Running,
    routes: &'a Routes,
    under: Under,
    local: Arc<ZoneName>,
}

impl<'a> Judge<'a> {
    pub fn new(running: &'a Running, routes: &'a Routes, under: Under) -> Self {
        Self { running, routes, under, local: Arc::new(ZoneName::local()) }
    }

    /// The outcome for a flow in a window.
    pub fn judge(&self, flow: &mut Flow, window: &Window) -> Verdict {
        let rules = match self.under {
            Under::ItsTime => self.running.rules_at(window.first_us),
            Under::Present => self.running.rules(),
        };
        let (direction, zone_from, zone_to) = self.zones(rules, flow);
        let (action, source, rule) = match flow.heard {
            Some(heard) => (heard.action, VERDICT_FROM_KERNEL, heard.rule),
            None => {
                let mut judged = evaluate(rules, flow, zone_from.as_deref(), zone_to.as_deref());
                if judged.action != Action::Accept && self.has_passed(rules, flow) {
                    judged = judged_by(rules, Action::Accept, None);
                    flow.judged = Some(judged);
                }
                (judged.action, VERDICT_EVALUATED, judged.rule)
            }
        };
        Verdict { direction, zone_from, zone_to, action, source, rule, revision: rules.revision }
    }

    /// Whether the flow got through, whatever the rules say of its first packet. The kernel tells of each packet that it
    /// denies, so an answered flow that it denied nothing of was let in: as a part of a connection that is older than the
    /// rules or the agent, whose first packet was perhaps of the other side.
    fn has_passed(&self, rules: &Rules, flow: &Flow) -> bool {
        self.under == Under::ItsTime && rules.are_enforced && flow.is_answered()
    }

    fn zones(&self, rules: &Rules, flow: &Flow) -> (&'static str, Option<Arc<ZoneName>>, Option<Arc<ZoneName>>) {
        let local = || Some(Arc::clone(&self.local));
        let [initiator_side, responder_side] = &flow.sides;
        if self.routes.is_own(flow.initiator.ip) {
            let out = responder_side.as_ref().or(initiator_side.as_ref());
            let to = self.zone_behind(rules, out, flow.responder.ip);
            return ("out", local(), if self.routes.is_own(flow.responder.ip) { local() } else { to });
        }
        let from = self.zone_behind(rules, initiator_side.as_ref(), flow.initiator.ip);
        if self.routes.is_own(flow.responder.ip) || is_for_many(flow.responder.ip) {
            return ("in", from, local());
        }
        ("forward", from, self.zone_behind(rules, responder_side.as_ref(), flow.responder.ip))
    }

    /// The zone of the interface where a side was seen, else of the one that leads to it.
    fn zone_behind(&self, rules: &Rules, interface: Option<&Arc<str>>, ip: IpAddr) -> Option<Arc<ZoneName>> {
        interface.or_else(|| self.routes.interface_to(ip)).and_then(|name| rules.zone_of(name))
    }
}

/// What a ruleset says. A connection that was let in stays so, like in the kernel.
fn evaluate(rules: &Rules, flow: &mut Flow, from: Option<&ZoneName>, to: Option<&ZoneName>) -> Judged {
    if let Some(judged) = flow.judged
        && (judged.action == Action::Accept || (judged.revision, judged.since_us) == (rules.revision, rules.since_us))
    {
        return judged;
    }
    let decision = rules.evaluator().map(|evaluator| {
        evaluator.decide(&policy::Packet {
            zone_from: from,
            zone_to: to,
            source: flow.initiator.ip,
            destination: flow.responder.ip,
            protocol: flow.protocol,
            port: Protocol::Number(flow.protocol).has_ports().then_some(flow.responder.port),
        })
    });
    let action = decision.map_or(Action::Accept, |decision| decision.verdict);
    let judged = judged_by(rules, action, decision.and_then(|decision| decision.by).map(Decider::id));
    flow.judged = Some(judged);
    judged
}

fn judged_by(rules: &Rules, action: Action, rule: Option<ResourceId>) -> Judged {
    Judged { action, rule, revision: rules.revision, since_us: rules.since_us }
}

#[cfg(test)]
mod tests {
    use nkeys::KeyPair;
    use schemas::config::RulesetRule;
    use schemas::id::{RuleId, Ulid};

    use super::*;
    use crate::flow_table::{FlowTable, Heard};
    use crate::packet::{self, Link};
    use crate::signed::tests::{block_telnet, config, membership};

    fn rule(number: u32) -> RulesetRule {
        block_telnet(RuleId::new(Ulid::from_parts(number.into(), 1)).into(), number)
    }

    fn running(revision: u64, rules: Vec<RulesetRule>) -> Running {
        let mut config = config(&membership(&KeyPair::new_account()), revision);
        config.ruleset.rules = rules;
        under(config, &Running::default(), 0)
    }

    fn under(config: schemas::config::DeviceConfig, before: &Running, now_us: i64) -> Running {
        let in_force = config.ruleset.clone();
        Running::under(Arc::new(config), in_force, String::new(), before, now_us)
    }

    fn routes() -> Routes {
        let mut routes = Routes::default();
        routes.add(IpAddr::from([10, 0, 0, 0]), 24, 0, "lan0");
        routes.add(IpAddr::from([0, 0, 0, 0]), 0, 0, "wan0");
        routes
    }

    const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 9], 1234);

    /// A TCP SYN to port 23.
    fn flows(table: &mut FlowTable, destination: [u8; 4], at_us: i64) {
        tcp(table, "lan0", CLIENT, (destination, 23), packet::SYN, at_us);
    }

    fn tcp(table: &mut FlowTable, interface: &str, from: ([u8; 4], u16), to: ([u8; 4], u16), flags: u8, at_us: i64) {
        let mut datagram = vec![0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0];
        datagram.extend([from.0, to.0].concat());
        datagram.extend([from.1.to_be_bytes(), to.1.to_be_bytes()].concat());
        datagram.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
        let packet = packet::parse(Link::Ip, &datagram).expect("a packet");
        table.observe(&packet, &Arc::from(interface), at_us);
    }

    fn verdicts(table: &mut FlowTable, judge: &Judge<'_>) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        table.close_window(1_000_000, true, &mut |flow, window| verdicts.push(judge.judge(flow, &window)));
        verdicts
    }

    #[test]
    fn zones_come_from_where_it_was_seen_and_where_it_leads() {
        let (running, routes) = (running(3, vec![rule(1)]), routes());
        let mut table = FlowTable::new(16);
        flows(&mut table, [9, 9, 9, 9], 0);
        let verdict = verdicts(&mut table, &Judge::new(&running, &routes, Under::Present)).remove(0);
        let names = [verdict.zone_from, verdict.zone_to].map(|zone| zone.map(|zone| zone.to_string()));
        assert_eq!(names, [Some("LAN".to_owned()), Some("WAN".to_owned())]);
        assert_eq!((verdict.direction, verdict.source, verdict.revision), ("forward", "evaluated", 3));
        assert_eq!((verdict.action, verdict.rule), (Action::Drop, Some(rule(1).id)));
    }

    #[test]
    fn the_kernels_word_counts_more_than_ours() {
        let (running, routes) = (running(3, vec![rule(1)]), routes());
        let mut table = FlowTable::new(16);
        flows(&mut table, [9, 9, 9, 9], 0);
        let judge = Judge::new(&running, &routes, Under::Present);
        let mut told = None;
        table.close_window(1_000_000, true, &mut |flow, window| {
            flow.heard = Some(Heard { action: Action::Reject, rule: None });
            told = Some(judge.judge(flow, &window));
        });
        let told = told.expect("a verdict");
        assert_eq!((told.action, told.source, told.rule), (Action::Reject, "kernel", None));
    }

    #[test]
    fn a_packet_is_judged_by_the_rules_of_its_time() {
        let (before, routes) = (running(1, Vec::new()), routes());
        let mut later = config(&membership(&KeyPair::new_account()), 2);
        later.ruleset.rules = vec![rule(1)];
        let running = under(later, &before, 500);
        let mut table = FlowTable::new(16);
        flows(&mut table, [9, 9, 9, 9], 400);
        flows(&mut table, [9, 9, 9, 8], 600);
        let mut verdicts = verdicts(&mut table, &Judge::new(&running, &routes, Under::ItsTime));
        verdicts.sort_by_key(|verdict| verdict.revision);
        let told: Vec<_> = verdicts.iter().map(|verdict| (verdict.revision, verdict.action)).collect();
        assert_eq!(told, [(1, Action::Accept), (2, Action::Drop)]);
    }

    #[test]
    fn what_is_for_many_is_for_the_device_too() {
        let (running, routes) = (running(3, vec![rule(1)]), routes());
        let mut table = FlowTable::new(16);
        flows(&mut table, [224, 0, 0, 1], 0);
        let verdict = verdicts(&mut table, &Judge::new(&running, &routes, Under::Present)).remove(0);
        assert_eq!(verdict.direction, "in");
        assert!(verdict.zone_to.is_some_and(|zone| zone.is_local()));
    }

    #[test]
    fn a_connection_that_was_let_in_stays_and_one_that_was_not_is_asked_again() {
        let routes = routes();
        let (open, closed) = (running(1, Vec::new()), running(2, vec![rule(1)]));
        let mut table = FlowTable::new(16);
        flows(&mut table, [9, 9, 9, 9], 0);
        assert_eq!(verdicts(&mut table, &Judge::new(&open, &routes, Under::Present)).remove(0).action, Action::Accept);
        flows(&mut table, [9, 9, 9, 9], 1);
        assert_eq!(
            verdicts(&mut table, &Judge::new(&closed, &routes, Under::Present)).remove(0).action,
            Action::Accept
        );
        flows(&mut table, [9, 9, 9, 8], 2);
        assert_eq!(verdicts(&mut table, &Judge::new(&closed, &routes, Under::Present)).remove(0).action, Action::Drop);
        flows(&mut table, [9, 9, 9, 8], 3);
        let opened = running(3, Vec::new());
        assert_eq!(
            verdicts(&mut table, &Judge::new(&opened, &routes, Under::Present)).remove(0).action,
            Action::Accept
        );
    }

    /// A connection that was there before the agent: one packet of each side, none of them a SYN.
    fn answered_from_its_middle(table: &mut FlowTable, at_us: i64) {
        tcp(table, "lan0", CLIENT, ([9, 9, 9, 9], 23), packet::ACK, at_us);
        tcp(table, "wan0", ([9, 9, 9, 9], 23), CLIENT, packet::ACK, at_us);
    }

    #[test]
    fn what_is_answered_and_not_denied_by_the_kernel_has_passed() {
        let (running, routes) = (running(3, vec![rule(1)]), routes());
        let live = Judge::new(&running, &routes, Under::ItsTime);
        let mut table = FlowTable::new(16);
        answered_from_its_middle(&mut table, 0);
        let verdict = verdicts(&mut table, &live).remove(0);
        assert_eq!((verdict.action, verdict.source, verdict.rule), (Action::Accept, "evaluated", None));
        tcp(&mut table, "lan0", CLIENT, ([9, 9, 9, 9], 23), packet::ACK, 1);
        assert_eq!(verdicts(&mut table, &live).remove(0).action, Action::Accept, "also in a window without an answer");

        flows(&mut table, [9, 9, 9, 8], 2);
        assert_eq!(verdicts(&mut table, &live).remove(0).action, Action::Drop, "nobody answers what is dropped");
    }

    #[test]
    fn an_answer_does_not_count_against_the_kernels_word_nor_in_a_replay_nor_in_shadow() {
        let (enforced, routes) = (running(3, vec![rule(1)]), routes());
        let mut shadow = config(&membership(&KeyPair::new_account()), 3);
        shadow.ruleset.rules = vec![rule(1)];
        shadow.mode = schemas::device::Mode::Shadow;
        let shadow = under(shadow, &Running::default(), 0);
        for (running, under, heard) in [
            (&enforced, Under::ItsTime, Some(Heard { action: Action::Drop, rule: None })),
            (&enforced, Under::Present, None),
            (&shadow, Under::ItsTime, None),
        ] {
            let (mut table, judge, mut told) = (FlowTable::new(16), Judge::new(running, &routes, under), None);
            answered_from_its_middle(&mut table, 0);
            table.close_window(1_000_000, true, &mut |flow, window| {
                flow.heard = heard;
                told = Some(judge.judge(flow, &window).action);
            });
            assert_eq!(told, Some(Action::Drop), "{under:?} {heard:?}");
        }
    }
}
