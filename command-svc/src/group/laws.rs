//! What holds of the answers to any commands: the same key gets the same answer, also from a log that is read again.

use proptest::prelude::*;
use schemas::command::Command;

use super::tests::{at, founded, ids_from, secrets, submission};
use super::*;
use crate::decide::tests::any::{Wish, any_wish};
use crate::decide::tests::{ctx, dump};
use crate::submission::Options;

/// A command that came with a key of its own, and its answer.
struct Told {
    number: u32,
    command: Command,
    answer: Answer,
}

fn keyed(number: u32, command: &Command, hash: &str) -> Submission {
    let mut it = submission(command.clone(), Options::default());
    it.options.command_id = format!("key{number}");
    it.options.command_hash = Some(hash.to_owned());
    it
}

/// Carries out what is wished, one commit each; returns the org, its log and what was told of what changed something.
fn live(wishes: &[Wish]) -> (Org, Vec<Bytes>, Vec<Told>) {
    let (id, mut org) = founded();
    let (mut log, mut told) = (Vec::new(), Vec::new());
    for (number, wish) in (0u32..).zip(wishes) {
        let Some(command) = wish.command(&org.state, &ctx(10)) else { continue };
        let group = [keyed(number, &command, "hash")];
        let decided =
            decide_group(&id, &org, &group, at(10 + number), &secrets(), ids_from(number + 2)).expect("decided");
        let Some((_, message)) = decided.commit else { continue };
        let Ok(Accepted::Done(answer)) = &decided.results[0] else { panic!("a commit of what was refused") };
        let position = 7 + log.len() as u64;
        told.push(Told { number, command, answer: Answer { position, ..answer.clone() } });
        log.push(message);
        org = decided.after;
        org.appended(position);
    }
    (org, log, told)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn one_key_has_one_answer(wishes in prop::collection::vec(any_wish(), 0..120)) {
        let (org, log, told) = live(&wishes);
        let (id, mut followed) = founded();
        for (position, message) in (7..).zip(&log) {
            followed.follow(position, message).expect("a true chain");
        }
        prop_assert_eq!(dump(&followed.state), dump(&org.state));
        prop_assert_eq!(&followed.chain, &org.chain);
        for org in [&org, &followed] {
            for Told { number, command, answer } in &told {
                let again = [keyed(*number, command, "hash"), keyed(*number, command, "another")];
                let decided = decide_group(&id, org, &again, at(3_600), &secrets(), ids_from(9_999)).expect("decided");
                let expected = Accepted::Done(Answer { replayed: true, ..answer.clone() });
                prop_assert_eq!(decided.results[0].as_ref(), Ok(&expected));
                prop_assert_eq!(decided.results[1].as_ref(), Err(&Failure::Refused(Refusal::CommandReused)));
                prop_assert!(decided.commit.is_none());
            }
        }
    }
}
