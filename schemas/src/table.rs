//! A table: the resources of one kind in an org, by id and by name. Cloning it costs nothing.

use std::sync::Arc;

use imbl::OrdMap;

use crate::resource::Resource;

/// The resources of one kind.
#[derive(Debug, Clone)]
pub struct Table<T: Resource> {
    rows: OrdMap<T::Id, Arc<T>>,
    names: OrdMap<Arc<str>, T::Id>,
}

impl<T: Resource> Default for Table<T> {
    fn default() -> Self {
        Self { rows: OrdMap::new(), names: OrdMap::new() }
    }
}

impl<T: Resource> Table<T> {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn get(&self, id: &T::Id) -> Option<&Arc<T>> {
        self.rows.get(id)
    }

    pub fn contains_key(&self, id: &T::Id) -> bool {
        self.rows.contains_key(id)
    }

    pub fn keys(&self) -> impl Iterator<Item = &T::Id> {
        self.rows.keys()
    }

    /// The resources, oldest first.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Arc<T>> {
        self.rows.values()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&T::Id, &Arc<T>)> {
        self.rows.iter()
    }

    /// The resource of this name, where names are unique.
    pub fn named(&self, name: &str) -> Option<&Arc<T>> {
        self.rows.get(self.names.get(name)?)
    }

    /// Puts a resource in its place and returns the one that was there.
    pub fn put(&mut self, resource: Arc<T>) -> Option<Arc<T>> {
        let id = resource.id();
        let old = self.rows.insert(id, resource.clone());
        let (old_name, name) = (old.as_ref().and_then(|old| old.unique_name()), resource.unique_name());
        if old_name != name {
            self.unname(old_name.as_deref(), id);
            if let Some(name) = name {
                self.names.insert(name.as_ref().into(), id);
            }
        }
        drop(old_name);
        old
    }

    pub fn remove(&mut self, id: &T::Id) -> Option<Arc<T>> {
        let old = self.rows.remove(id)?;
        self.unname(old.unique_name().as_deref(), *id);
        Some(old)
    }

    /// Changes a resource where it stands; its name stays.
    pub fn change(&mut self, id: &T::Id, change: impl FnOnce(&mut T)) {
        if let Some(resource) = self.rows.get_mut(id) {
            change(Arc::make_mut(resource));
        }
    }

    /// Takes a name from a resource, unless another one has it by now.
    fn unname(&mut self, name: Option<&str>, id: T::Id) {
        if let Some(name) = name
            && self.names.get(name) == Some(&id)
        {
            self.names.remove(name);
        }
    }
}
