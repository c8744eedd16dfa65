//! What is decided alike for every kind of resource: names, references, limits, and which events a change is.

use gate::from_value;
use schemas::access::{Verb, groups_within};
use schemas::event::Event;
use schemas::id::{GroupId, Ulid};
use schemas::kind::Kind;
use schemas::resource::{AnyResource, Reference, Resource, ResourceId, Stamp};
use schemas::state::{InOrg, OrgState};
use serde_json::{Map, Value};

use super::{Context, changed_fields};
use crate::refusal::Refusal;
use crate::secrets::SecretKind;

/// What is special about deciding over one kind of resource.
pub(super) trait Decided: InOrg {
    /// The secret that is given out with a new one.
    const SECRET: Option<SecretKind> = None;

    /// Sets what callers do not write. `before` is absent for a new one.
    fn complete(
        &mut self,
        _given: &Self::New,
        _before: Option<&Self>,
        _org: &OrgState,
        _ctx: &Context,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    /// What holds for every one of this kind, beside unique names and existing references.
    fn check(&self, _before: Option<&Self>, _org: &OrgState, _ctx: &Context) -> Result<(), Refusal> {
        Ok(())
    }

    /// Whether the caller may see it at all.
    fn is_there(&self, _ctx: &Context) -> bool {
        true
    }

    /// Whether it concerns devices of these groups and no others: who is bound to groups changes nothing else.
    fn is_within(&self, _groups: &[GroupId], _org: &OrgState) -> bool {
        false
    }

    /// Whether it may go, beside that nothing refers to it.
    fn check_deletion(&self, _org: &OrgState, _ctx: &Context) -> Result<(), Refusal> {
        Ok(())
    }

    /// Other resources that change with it; `given` is absent where it is deleted.
    fn also(&self, _given: Option<&Self::New>, _org: &OrgState) -> Result<Vec<Also>, Refusal> {
        Ok(Vec::new())
    }

    /// Whether this user of it goes or changes with it, and so does not keep it.
    fn lets_go(_user: ResourceId) -> bool {
        false
    }
}

/// A resource that changes together with another.
pub(super) enum Also {
    Updated(AnyResource, &'static str),
    Deleted(ResourceId),
}

pub(super) fn create<T: Decided>(org: &OrgState, new: &T::New, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    let max = ctx.resources_max(org, T::KIND);
    if org.count(T::KIND) >= max {
        return Err(Refusal::LimitReached { kind: T::KIND, max });
    }
    let id = T::Id::from(ctx.id(0));
    let stamp = Stamp { revision: org.revision + 1, at: ctx.now };
    let mut created = T::create(id, new.clone(), stamp);
    created.complete(new, None, org, ctx)?;
    check(org, &created, None, ctx)?;
    check_bounds(org, &created, Verb::Create, ctx)?;
    let also = created.also(Some(new), org)?;
    let secret_hash = T::SECRET.map(|kind| ctx.secret(kind, id).hash);
    let event = Event::Created { resource: created.into(), secret_hash };
    Ok(with(event, also, org, ctx))
}

/// Replaces all that the caller of `create` could have said.
pub(super) fn replace<T: Decided>(
    org: &OrgState,
    id: T::Id,
    new: &T::New,
    ctx: &Context,
) -> Result<Vec<Event>, Refusal> {
    let before = find::<T>(org, id, ctx)?;
    let mut after = before.replace(new.clone(), Stamp { revision: org.revision + 1, at: ctx.now });
    after.complete(new, Some(before), org, ctx)?;
    check(org, &after, Some(before), ctx)?;
    check_bounds(org, before, Verb::Update, ctx)?;
    check_bounds(org, &after, Verb::Update, ctx)?;
    let also = after.also(Some(new), org)?;
    let mut changed = changed_fields(before, &after);
    changed.extend(also.first().and_then(|also| match also {
        Also::Updated(..) if changed.is_empty() => Some("members".to_owned()),
        Also::Updated(..) | Also::Deleted(_) => None,
    }));
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    Ok(with(Event::Updated { resource: after.into(), changed }, also, org, ctx))
}

/// Changes what a JSON merge patch (RFC 7396) names.
pub(super) fn patch<T: Decided>(
    org: &OrgState,
    id: T::Id,
    patch: &Map<String, Value>,
    ctx: &Context,
) -> Result<Vec<Event>, Refusal> {
    let before = find::<T>(org, id, ctx)?;
    let mut written = serde_json::to_value(before.written()).unwrap_or_default();
    merge(&mut written, &Value::Object(canonical::<T>(patch)?));
    let new: T::New = from_value(written)
        .map_err(|problem| Refusal::PatchInvalid { field: problem.field, cause: problem.message })?;
    replace::<T>(org, id, &new, ctx)
}

pub(super) fn delete<T: Decided>(org: &OrgState, id: T::Id, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    let before = find::<T>(org, id, ctx)?;
    check_bounds(org, before, Verb::Delete, ctx)?;
    before.check_deletion(org, ctx)?;
    let named = [Some(Reference::from(id)), before.alias()];
    let users = named.iter().flatten().flat_map(|reference| org.users_of(reference));
    let users: Vec<String> = users.filter(|user| !T::lets_go(*user)).map(|user| user.to_string()).take(100).collect();
    if !users.is_empty() {
        let name = before.unique_name().map_or_else(|| id.to_string(), |name| name.into_owned());
        return Err(Refusal::InUse { kind: T::KIND, name, users });
    }
    let also = before.also(None, org)?;
    // What lets go does so before: at no revision is there a reference to nothing.
    let mut events = Vec::new();
    for also in also {
        events.push(event(also, org.revision + 1 + u64::try_from(events.len()).unwrap_or(0), ctx, org));
    }
    events.push(deleted(org, id.into()));
    Ok(events)
}

/// The event of a deletion, with what the resource opened.
fn deleted(org: &OrgState, id: ResourceId) -> Event {
    let public_key = match org.find(id) {
        Some(AnyResource::Device(device)) => Some(device.public_key.clone()),
        Some(_) | None => None,
    };
    Event::Deleted { id, secret_hash: org.secret_hash(id).cloned(), public_key }
}

fn with(first: Event, also: Vec<Also>, org: &OrgState, ctx: &Context) -> Vec<Event> {
    let rest = (org.revision + 2..).zip(also).map(|(revision, also)| event(also, revision, ctx, org));
    std::iter::once(first).chain(rest).collect()
}

fn event(also: Also, revision: u64, ctx: &Context, org: &OrgState) -> Event {
    match also {
        Also::Updated(mut resource, field) => {
            resource.stamp(Stamp { revision, at: ctx.now });
            Event::Updated { resource, changed: vec![field.to_owned()] }
        }
        Also::Deleted(id) => deleted(org, id),
    }
}

fn check<T: Decided>(org: &OrgState, resource: &T, before: Option<&T>, ctx: &Context) -> Result<(), Refusal> {
    if let Some(name) = resource.unique_name()
        && T::table(org).named(&name).is_some_and(|holder| holder.id() != resource.id())
    {
        return Err(Refusal::NameTaken { kind: T::KIND, name: name.into_owned() });
    }
    let mut unknown = None;
    resource.references(&mut |field, reference| {
        if unknown.is_none() && !org.has(&reference) {
            unknown = Some((field, reference));
        }
    });
    match unknown {
        Some((field, Reference::Zone(zone))) => return Err(Refusal::ZoneUnknown { field, zone: zone.to_string() }),
        Some((field, Reference::Resource(id))) => return Err(Refusal::ReferenceUnknown { field, id }),
        None => {}
    }
    resource.check(before, org, ctx)
}

/// Whether the groups that the caller's token is bound to allow this.
fn check_bounds<T: Decided>(org: &OrgState, resource: &T, verb: Verb, ctx: &Context) -> Result<(), Refusal> {
    let groups = ctx.scopes.as_ref().and_then(|scopes| groups_within(scopes, verb, T::KIND));
    match groups {
        Some(groups) if !resource.is_within(&groups, org) => Err(Refusal::OutOfScope { field: "group_ids" }),
        Some(_) | None => Ok(()),
    }
}

/// Refuses what concerns all devices to who is bound to those of some groups.
pub(super) fn check_unbound(kind: Kind, ctx: &Context) -> Result<(), Refusal> {
    let bound = ctx.scopes.as_ref().and_then(|scopes| groups_within(scopes, Verb::Update, kind));
    if bound.is_some() { Err(Refusal::OutOfScope { field: "id" }) } else { Ok(()) }
}

/// Whether these are groups of `all`, and not none.
pub(super) fn only_of(groups: &[GroupId], all: &[GroupId]) -> bool {
    !groups.is_empty() && groups.iter().all(|id| all.contains(id))
}

/// What the caller may not see does not exist for them.
pub(super) fn find<'a, T: Decided>(org: &'a OrgState, id: T::Id, ctx: &Context) -> Result<&'a T, Refusal> {
    let found = T::table(org).get(&id).map(|found| &**found).filter(|found| found.is_there(ctx));
    found.ok_or_else(|| Refusal::NotFound { kind: T::KIND, id: id.to_string() })
}

/// The patch with each field under the name that is stored; a field under two of its names is refused.
pub(super) fn canonical<T: Resource>(patch: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    let stored = |name: &str| T::aliases().iter().find(|(alias, _)| *alias == name).map(|(_, field)| *field);
    let mut fields = Map::new();
    for (name, value) in patch {
        let field = stored(name).unwrap_or(name);
        if fields.insert(field.to_owned(), value.clone()).is_some() {
            let cause = format!("it is given twice, by that name and by another: {field}");
            return Err(Refusal::PatchInvalid { field: Some(field.to_owned()), cause });
        }
    }
    Ok(fields)
}

/// RFC 7396, section 2.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (name, value) in patch {
            if value.is_null() {
                target.remove(name);
            } else {
                merge(target.entry(name).or_insert(Value::Null), value);
            }
        }
    }
}

impl Context {
    /// The id of the `n`th resource that a command creates.
    pub(super) fn id(&self, n: u8) -> Ulid {
        Ulid::from(u128::from(self.ulid).wrapping_add(u128::from(n)))
    }

    /// How many of a kind the org's plan allows.
    fn resources_max(&self, org: &OrgState, kind: Kind) -> usize {
        org.org.as_ref().map_or(0, |org| org.plan.resources_max(kind))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn patches_merge_as_the_standard_says() {
        // RFC 7396, appendix A.
        let cases = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"foo"}), json!(null), json!(null)),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ];
        for (mut target, patch, result) in cases {
            merge(&mut target, &patch);
            assert_eq!(target, result, "{patch}");
        }
    }

    proptest! {
        #[test]
        fn merging_twice_is_merging_once(keys in prop::collection::vec(("[a-c]", prop::option::of(0..9)), 0..6)) {
            let patch: Map<String, Value> = keys.into_iter().map(|(key, value)| (key, json!(value))).collect();
            let patch = Value::Object(patch);
            let mut once = json!({"a": 1, "b": {"c": 2}});
            merge(&mut once, &patch);
            let mut twice = once.clone();
            merge(&mut twice, &patch);
            prop_assert_eq!(once, twice);
        }
    }
}
