//! Setup keys, with what they are good for at the time of the request.

use std::borrow::Cow;

use schemas::setup_key::SetupKey;
use schemas::view::SetupKeyView;

use super::{Seen, Shown};

impl Shown for SetupKey {
    type View = SetupKeyView;

    fn view(&self, seen: &Seen) -> Cow<'_, SetupKeyView> {
        Cow::Owned(SetupKeyView { state: self.state(seen.now), setup_key: self.clone() })
    }
}
