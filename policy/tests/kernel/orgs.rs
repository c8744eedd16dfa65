//! Whatever an org may have, nft takes what it compiles to.

use policy::nft::{self, Options};
use policy::{at, compile};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use schemas::device::Mode;
use schemas::event::Event;
use schemas::state::OrgState;

use crate::generated_org::{apply, device_id, events};
use crate::namespace::Namespace;

#[test]
fn every_org_loads() {
    let Some(router) = Namespace::new("o") else { return };
    let config = Config { cases: 200, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let now = "2026-11-30T00:00:00Z".parse().expect("a time");
    let run = |events: Vec<Event>| {
        let state = events.iter().fold(OrgState::default(), |state, event| apply(&state, event));
        let compiled = (0..3).filter_map(|number| compile(&state, device_id(number)));
        for (_, ruleset) in compiled.filter(|(mode, _)| *mode != Mode::Observe) {
            let script = nft::script(&at(&ruleset, now), Mode::Enforce, &Options::default());
            let checked = router.run("nft", &["-c", "-f", "-"], &script);
            let refused = String::from_utf8_lossy(&checked.stderr);
            prop_assert!(checked.status.success(), "{}\n{}", refused, script);
        }
        Ok(())
    };
    match TestRunner::new(config).run(&prop::collection::vec(events(), 20..60), run) {
        Ok(()) => {}
        Err(TestError::Fail(why, _) | TestError::Abort(why)) => panic!("{why}"),
    }
}
