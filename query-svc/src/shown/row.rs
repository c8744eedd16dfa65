//! Rows of lists: looked up and written only if they are on the page.

use schemas::resource::ResourceId;
use serde::{Serialize, Serializer};

use super::{Seen, Shown};

/// A resource in a list.
pub(crate) struct Row<'a, T: Shown> {
    id: T::Id,
    seen: &'a Seen,
    is_whole: bool,
}

/// The resources that the caller may see, in order. `is_whole` says that rows are written with all their fields and
/// never looked into: the bytes that are stored do for that.
pub(crate) fn rows<T: Shown>(seen: &Seen, is_whole: bool) -> Box<dyn Iterator<Item = Row<'_, T>> + '_> {
    let row = move |id| Row { id, seen, is_whole };
    let ids = T::order(&seen.org.models.state);
    if T::sees_all(seen) {
        return Box::new(ids.map(row));
    }
    Box::new(ids.filter(move |id| T::find(*id, seen).is_some()).map(row))
}

impl<T: Shown> Serialize for Row<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let models = &self.seen.org.models;
        let id: ResourceId = self.id.into();
        if let Some(stored) = models.stored(id).filter(|_| self.is_whole) {
            return stored.serialize(serializer);
        }
        T::table(&models.state).get(&self.id).map(|found| found.view(self.seen)).serialize(serializer)
    }
}
