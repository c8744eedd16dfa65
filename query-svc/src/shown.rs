//! How each kind of resource looks to who may see it. A kind without a file of its own is shown as it is stored.

mod api_token;
mod device;
mod firewall;
mod group;
mod rule;
mod setup_key;
mod user;
mod row;

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use gate::Caller;
use schemas::access::{Role, Verb};
use schemas::id::{OrgId, UserId};
use schemas::kind::Kind;
use schemas::state::{InOrg, OrgState};
use serde::Serialize;
use utoipa::ToSchema;

use crate::view::aside::Aside;
use crate::view::held::Snapshot;

pub(crate) use device::is_in_sync;
pub(crate) use row::{Row, rows};

/// A resource that the API shows.
pub(crate) trait Shown: InOrg {
    type View: Clone + Serialize + ToSchema + Send + Sync + 'static;

    /// Whether it is shown as it is stored, so that who has its revision has what is shown.
    const IS_STORED_FORM: bool = false;
    /// What is stored of it and never shown.
    const HIDDEN: &'static [&'static str] = &[];

    fn view(&self, seen: &Seen) -> Cow<'_, Self::View>;

    /// Whether the caller may see every one of this kind.
    fn sees_all(_seen: &Seen) -> bool {
        true
    }

    /// Whether the caller may see this one.
    fn is_visible(&self, seen: &Seen) -> bool {
        Self::sees_all(seen)
    }

    /// The ids of all in the order in which a list without `sort` shows them.
    fn order(state: &OrgState) -> Box<dyn Iterator<Item = Self::Id> + '_> {
        Box::new(Self::table(state).keys().copied())
    }

    /// The one of this id, if the caller may see it.
    fn find(id: Self::Id, seen: &Seen) -> Option<&Arc<Self>> {
        Self::table(&seen.org.models.state).get(&id).filter(|found| found.is_visible(seen))
    }
}

/// An org at one moment, as one caller sees it.
pub(crate) struct Seen {
    pub(crate) org: Arc<Snapshot>,
    /// Nobody in particular sees everything.
    pub(crate) caller: Option<Caller>,
    /// Without it, people have no names and nothing was ever used.
    pub(crate) aside: Option<Arc<Aside>>,
    pub(crate) now: DateTime<Utc>,
}

impl Seen {
    pub(crate) fn may_read(&self, kind: Kind) -> bool {
        self.caller.as_ref().is_none_or(|caller| caller.may(Verb::Read, kind).is_ok())
    }

    /// Asks for what is known beside the events of the org.
    fn beside<T>(&self, ask: impl FnOnce(&OrgId, &Aside) -> Option<T>) -> Option<T> {
        ask(&self.org.models.state.org.as_ref()?.id, self.aside.as_deref()?)
    }

    fn is_admin(&self) -> bool {
        self.caller.as_ref().is_none_or(|caller| caller.role >= Role::Admin)
    }

    fn is_user(&self, user: UserId) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.user_id == Some(user))
    }
}

/// The kinds with a file of their own come first.
macro_rules! shown {
    (ApiToken, $module:ident) => {};
    (Device, $module:ident) => {};
    (Firewall, $module:ident) => {};
    (Group, $module:ident) => {};
    (Rule, $module:ident) => {};
    (SetupKey, $module:ident) => {};
    (User, $module:ident) => {};
    ($name:ident, $module:ident) => {
        impl Shown for schemas::$module::$name {
            type View = Self;

            const IS_STORED_FORM: bool = true;

            fn view(&self, _: &Seen) -> Cow<'_, Self> {
                Cow::Borrowed(self)
            }
        }
    };
}

macro_rules! all_shown {
    ($($name:ident $table:ident $id:ident $new:ident $module:ident,)*) => {
        $(shown!($name, $module);)*

        /// Whether resources of this kind are shown as they are stored.
        pub(crate) fn is_stored_form(kind: Kind) -> bool {
            match kind {
                $(Kind::$name => <schemas::$module::$name as Shown>::IS_STORED_FORM,)*
                Kind::Org | Kind::Event | Kind::Flow => false,
            }
        }

        /// The one of this id, if the caller may see it.
        pub(crate) fn find(id: schemas::resource::ResourceId, seen: &Seen) -> Option<schemas::resource::AnyResource> {
            match id {
                $(schemas::resource::ResourceId::$name(id) => {
                    <schemas::$module::$name as Shown>::find(id, seen).cloned().map(Into::into)
                })*
            }
        }
    };
}

schemas::for_each_resource!(all_shown);
