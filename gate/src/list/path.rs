//! Paths of fields: `name`, `metadata.team`, `interfaces.zone`.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

/// How many names deep a path goes at most.
pub(crate) const SEGMENTS_MAX: usize = 8;

/// The names that lead to a field, from the outside in; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path(Vec<String>);

impl Path {
    /// A path of these names, unless they are none or too many.
    pub(crate) fn new(names: Vec<String>) -> Option<Self> {
        let fits = !names.is_empty() && names.len() <= SEGMENTS_MAX && names.iter().all(|name| !name.is_empty());
        fits.then_some(Self(names))
    }

    /// Reads names with dots between them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::new(text.split('.').take(SEGMENTS_MAX + 1).map(str::to_owned).collect())
    }

    /// The field that newer items have a greater value of.
    pub(crate) fn id() -> Self {
        Self(vec!["id".to_owned()])
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }

    /// What stands at the path. Through a list, it is the list of what its entries have there.
    pub(crate) fn of<'a>(&self, item: &'a Value) -> Option<Cow<'a, Value>> {
        follow(&self.0, item)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

fn follow<'a>(names: &[String], value: &'a Value) -> Option<Cow<'a, Value>> {
    let Some((name, rest)) = names.split_first() else { return Some(Cow::Borrowed(value)) };
    match value {
        Value::Object(fields) => follow(rest, fields.get(name)?),
        Value::Array(entries) => {
            let found = entries.iter().filter_map(|entry| follow(names, entry)).map(Cow::into_owned);
            Some(Cow::Owned(Value::Array(found.collect())))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let item = json!({"metadata": {"team": "a"}, "ports": [{"zone": "WAN"}, {"zone": null}, {}], "name": "x"});
        let at = |path| Path::parse(path).unwrap().of(&item).map(Cow::into_owned);
        assert_eq!(at("metadata.team"), Some(json!("a")));
        assert_eq!(at("ports.zone"), Some(json!(["WAN", null])));
        assert_eq!(at("metadata.nobody"), None);
        assert_eq!(at("name.first"), None);
        for bad in ["", ".", "a.", ".a", "a..b", "a.b.c.d.e.f.g.h.i"] {
            assert_eq!(Path::parse(bad), None, "{bad}");
        }
    }
}
