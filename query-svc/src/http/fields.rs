//! The fields that each kind of list may be filtered and sorted by.

use std::collections::BTreeMap;

use gate::Fields;
use schemas::address_list::ListEntry;
use schemas::kind::Kind;
use schemas::org::Org;

use super::history::HistoryEntry;
use super::used_by::UsedBy;
use crate::shown::Shown;

/// Worked out once from the schemas.
#[derive(Debug)]
pub(crate) struct ListFields {
    kinds: BTreeMap<Kind, Fields>,
    none: Fields,
    pub(super) entries: Fields,
    pub(super) history: Fields,
    pub(super) used_by: Fields,
}

macro_rules! all_fields {
    ($($name:ident $table:ident $id:ident $new:ident $module:ident,)*) => {
        fn all_fields() -> BTreeMap<Kind, Fields> {
            BTreeMap::from([
                (Kind::Org, Fields::of::<Org>()),
                $((Kind::$name, Fields::of::<<schemas::$module::$name as Shown>::View>()),)*
            ])
        }
    };
}

schemas::for_each_resource!(all_fields);

impl ListFields {
    pub(crate) fn new() -> Self {
        Self {
            kinds: all_fields(),
            none: Fields::new(Vec::<String>::new()),
            entries: Fields::of::<ListEntry>(),
            history: Fields::of::<HistoryEntry>(),
            used_by: Fields::of::<UsedBy>(),
        }
    }

    pub(super) fn of(&self, kind: Kind) -> Fields {
        self.kinds.get(&kind).unwrap_or(&self.none).clone()
    }
}
