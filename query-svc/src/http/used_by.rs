//! `…/{id}/used-by`: what refers to a resource, and so keeps it from being deleted.

use std::borrow::Cow;
use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use gate::openapi::Described;
use gate::{Caller, ListQuery, Min, Path, Problem, list};
use schemas::access::Verb;
use schemas::kind::Kind;
use schemas::resource::{AnyResource, Reference, Resource, ResourceId};
use serde::{Serialize, Serializer};
use utoipa_axum::router::UtoipaMethodRouter;

use super::App;
use super::past::{answered, at_parameter};
use super::resources::{Names, ROWS_INLINE_MAX};
use crate::shown::{self, Shown};

/// What refers to a resource.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct UsedBy {
    id: ResourceId,
    kind: Kind,
    /// Absent where resources of its kind have no unique name.
    name: Option<String>,
    /// The fields that refer to it.
    fields: BTreeSet<String>,
}

pub(super) fn route<T: Shown>(names: &Names) -> UtoipaMethodRouter<App> {
    let path = format!("{}/{{id}}/used-by", names.path);
    let summary = "Lists the resources that refer to this one.".to_owned();
    Described::get(&path, &format!("{}_used_by", names.singular), &names.tag, &summary)
        .of::<T::Id>()
        .takes::<ListQuery>()
        .takes::<Min>()
        .takes_one(at_parameter())
        .lists::<UsedBy>()
        .to(get(used_by::<T>))
}

async fn used_by<T: Shown>(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    Path(id): Path<T::Id>,
    mut query: ListQuery,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, T::KIND)?;
    let org = app.see_at(&caller, min, query.take("at")).await?;
    let seen = app.seen(caller, org.clone());
    let found = T::find(id, &seen).ok_or_else(|| Problem::not_found(T::KIND, id))?;
    let targets: Vec<Reference> = [Some(Reference::from(id)), found.alias()].into_iter().flatten().collect();
    let users: Vec<ResourceId> = targets.iter().flat_map(|target| org.models.state.users_of(target)).collect();
    let fields = app.fields.used_by.clone();
    let page = app.paged(users.len() <= ROWS_INLINE_MAX, move || {
        let kinds: BTreeSet<Kind> = Kind::ALL.iter().copied().filter(|kind| seen.may_read(*kind)).collect();
        let users = users.into_iter().filter(|user| kinds.contains(&user.kind()));
        let users = users.filter_map(|user| shown::find(user, &seen));
        list(users.map(|user| Use { user, targets: &targets }), &fields, &query)
    });
    Ok(answered(page.await?, &org))
}

/// What refers to one of the targets. It is looked into only if it is on the page.
struct Use<'a> {
    user: AnyResource,
    targets: &'a [Reference],
}

impl Serialize for Use<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        any_use(&self.user, self.targets).serialize(serializer)
    }
}

macro_rules! any_use {
    ($($name:ident $table:ident $id:ident $new:ident $module:ident,)*) => {
        fn any_use(user: &AnyResource, targets: &[Reference]) -> UsedBy {
            match user { $(AnyResource::$name(user) => use_of(user.as_ref(), targets),)* }
        }
    };
}

schemas::for_each_resource!(any_use);

fn use_of<T: Resource>(user: &T, targets: &[Reference]) -> UsedBy {
    let mut fields = BTreeSet::new();
    user.references(&mut |field, reference| {
        if targets.contains(&reference) {
            fields.insert(field.to_owned());
        }
    });
    UsedBy { id: user.id().into(), kind: T::KIND, name: user.unique_name().map(Cow::into_owned), fields }
}
