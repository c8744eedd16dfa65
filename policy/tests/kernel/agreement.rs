//! Generated rulesets and packets: what the kernel lets through and counts is what `evaluate` says.

use std::collections::{BTreeMap, BTreeSet};

use policy::nft::{self, Options};
use policy::{Decider, Evaluator, also_matched, evaluate};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use schemas::config::Ruleset;
use schemas::device::Mode;
use schemas::rule::Action;

use crate::generated::{self, Generated};
use crate::namespace::eventually;
use crate::wire;
use crate::world::World;

/// What should be seen: the packets that arrive, those that pass, and how often each rule decided.
type Seen = (BTreeSet<u64>, BTreeSet<u64>, BTreeMap<u32, u64>);

fn expected(ruleset: &Ruleset, mode: Mode, packets: &[Generated]) -> Seen {
    let evaluator = Evaluator::new(ruleset);
    let (mut arrived, mut passed, mut counted) = Seen::default();
    for (number, generated) in (1..).zip(packets) {
        let packet = generated.packet();
        let decision = evaluator.decide(&packet);
        assert_eq!(decision, evaluate(ruleset, &packet));
        arrived.insert(number);
        if mode == Mode::Shadow || decision.verdict == Action::Accept {
            passed.insert(number);
        }
        let by_default = (decision.verdict != Action::Accept).then_some(nft::DEFAULT_NUMBER);
        let also = also_matched(ruleset, &packet).into_iter().map(|rule| rule.number);
        for number in also.chain(decision.by.map(Decider::number).or(by_default)) {
            *counted.entry(number).or_default() += 1;
        }
    }
    (arrived, passed, counted)
}

/// Without ports, a packet of the other direction is the answer to the first, not a connection of its own.
fn tells_directions_apart(packet: &Generated) -> bool {
    matches!(packet.protocol, 1 | 6 | 17 | 58 | 132) || packet.from.unwrap_or(4) < packet.to.unwrap_or(4)
}

#[test]
fn the_kernel_decides_as_evaluate_does() {
    let Some(world) = World::new() else { return };
    let modes = prop_oneof![3 => Just(Mode::Enforce), 1 => Just(Mode::Shadow)];
    let cases = (generated::rulesets(), modes, prop::collection::vec(generated::packets(), 400));
    let config = Config { cases: 24, max_shrink_iters: 10, failure_persistence: None, ..Config::default() };
    let run = |(ruleset, mode, mut packets): (Ruleset, Mode, Vec<Generated>)| {
        packets.retain(tells_directions_apart);
        let script = nft::script(&ruleset, mode, &Options { nflog_group: 5, ..Options::default() });
        world.router.nft(&format!("delete table inet witness\n{}\n{script}", wire::WITNESS));
        world.send(&packets);
        let expected = expected(&ruleset, mode, &packets);
        let look = || {
            let (arrived, passed) =
                (wire::witnessed(&world.router, "arrived"), wire::witnessed(&world.router, "passed"));
            let seen = (arrived, passed, world.counted());
            if seen == expected { Ok(()) } else { Err(seen) }
        };
        let differs = |seen: Seen| {
            let wrong = expected.1.symmetric_difference(&seen.1).next();
            let packet = wrong.and_then(|number| packets.get(usize::try_from(*number - 1).ok()?));
            let lost = expected.0.difference(&seen.0).count();
            format!("{lost} lost; counted {:?} expected {:?}; {wrong:?} {packet:?}\n{script}", seen.2, expected.2)
        };
        eventually(look).map_err(|seen| TestCaseError::fail(differs(seen)))
    };
    match TestRunner::new(config).run(&cases, run) {
        Ok(()) => {}
        Err(TestError::Fail(why, _) | TestError::Abort(why)) => panic!("{why}"),
    }
}
