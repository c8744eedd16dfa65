//! Rules, in matching order.

use std::borrow::Cow;

use schemas::id::RuleId;
use schemas::rule::Rule;
use schemas::state::OrgState;

use super::{Seen, Shown};

impl Shown for Rule {
    type View = Self;

    const IS_STORED_FORM: bool = true;

    fn view(&self, _: &Seen) -> Cow<'_, Self> {
        Cow::Borrowed(self)
    }

    fn order(state: &OrgState) -> Box<dyn Iterator<Item = RuleId> + '_> {
        Box::new(state.ordered_rule_ids())
    }
}
