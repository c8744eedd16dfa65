//! Users: an org keeps an owner, nobody makes another more than they are themselves, and a mail address is one user's.

use schemas::access::Role;
use schemas::event::Event;
use schemas::resource::ResourceId;
use schemas::state::OrgState;
use schemas::text::{Description, Metadata};
use schemas::user::{FirstSignIn, NewUser, SignedInPerson, User, UserKind};

use super::resource::{self, Also, Decided};
use super::{Context, changed_fields};
use crate::refusal::Refusal;

impl Decided for User {
    fn complete(&mut self, _: &NewUser, before: Option<&Self>, org: &OrgState, ctx: &Context) -> Result<(), Refusal> {
        let above = |role: Role| role > ctx.role;
        if above(self.role) || before.is_some_and(|before| above(before.role)) {
            return Err(Refusal::RoleAboveOwn);
        }
        if let Some(before) = before {
            if before.kind != self.kind {
                return Err(Refusal::Fixed("a user keeps its kind; create another one"));
            }
            // Who somebody signs in as is told by sign-ins alone.
            self.subject_hash.clone_from(&before.subject_hash);
            if is_owner(before) && !is_owner(self) {
                keeps_owner(org, self)?;
            }
        }
        let same_email = self.email_hash.as_deref().and_then(|hash| org.users.named(hash));
        if same_email.is_some_and(|other| other.id != self.id) {
            return Err(Refusal::EmailTaken);
        }
        Ok(())
    }

    fn check_deletion(&self, org: &OrgState, ctx: &Context) -> Result<(), Refusal> {
        if self.role > ctx.role {
            return Err(Refusal::RoleAboveOwn);
        }
        if is_owner(self) { keeps_owner(org, self) } else { Ok(()) }
    }

    /// A user's tokens go with the user.
    fn also(&self, given: Option<&NewUser>, org: &OrgState) -> Result<Vec<Also>, Refusal> {
        if given.is_some() {
            return Ok(Vec::new());
        }
        let own = org.api_tokens.values().filter(|token| token.owner_id == self.id);
        Ok(own.map(|token| Also::Deleted(ResourceId::ApiToken(token.id))).collect())
    }
}

/// The user of a person who comes with a JWT: the one they were before, the one they were invited as, or a new one.
pub(super) fn sign_in(org: &OrgState, told: &SignedInPerson, ctx: &Context) -> Result<Vec<Event>, Refusal> {
    if signed_in(org, told).is_some() {
        return Ok(Vec::new());
    }
    let same_email = told.email_hash.as_deref().and_then(|hash| org.users.named(hash));
    let invited = same_email.filter(|user| user.kind == UserKind::Human && user.subject_hash.is_none());
    match (invited, told.first) {
        (_, FirstSignIn::Off) | (None, FirstSignIn::Invited) => Err(Refusal::UserUnknown),
        (Some(before), FirstSignIn::Create | FirstSignIn::Invited) => {
            let mut after = User::clone(before);
            after.subject_hash = Some(told.subject_hash.clone());
            after.person = after.person.or_else(|| told.person.clone());
            let changed = changed_fields(&**before, &after);
            (after.revision, after.updated_at) = (org.revision + 1, ctx.now);
            Ok(vec![Event::Updated { resource: after.into(), changed }])
        }
        (None, FirstSignIn::Create) => {
            let new = NewUser {
                kind: UserKind::Human,
                role: told.role,
                blocked: false,
                description: Description::default(),
                metadata: Metadata::default(),
                person: told.person.clone(),
                // The address stays with the user who has it already.
                email_hash: told.email_hash.clone().filter(|_| same_email.is_none()),
                subject_hash: Some(told.subject_hash.clone()),
            };
            resource::create::<User>(org, &new, ctx)
        }
    }
}

/// The user that a person was at an earlier sign-in.
pub(super) fn signed_in<'a>(org: &'a OrgState, told: &SignedInPerson) -> Option<&'a User> {
    let is_same = |user: &&std::sync::Arc<User>| user.subject_hash.as_deref() == Some(&told.subject_hash);
    org.users.values().find(is_same).map(|user| &**user)
}

fn is_owner(user: &User) -> bool {
    user.role == Role::Owner && !user.blocked && user.kind == UserKind::Human
}

fn keeps_owner(org: &OrgState, without: &User) -> Result<(), Refusal> {
    let another = org.users.values().any(|user| user.id != without.id && is_owner(user));
    if another { Ok(()) } else { Err(Refusal::LastOwner) }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use schemas::command::Command;
    use schemas::id::{Ulid, UserId};
    use schemas::resource::AnyResource;
    use schemas::text::Name;

    use super::*;
    use crate::decide::decide;
    use crate::secrets::Secrets;

    struct Town {
        org: OrgState,
        ids: u64,
        role: Role,
    }

    fn at(second: u64) -> DateTime<Utc> {
        DateTime::from_timestamp(i64::try_from(second).unwrap(), 0).unwrap()
    }

    impl Town {
        fn founded() -> Self {
            let mut town = Self { org: OrgState::default(), ids: 0, role: Role::Owner };
            town.must(Command::CreateOrg { name: Name::new("Acme").unwrap() });
            town
        }

        fn submit(&mut self, command: Command) -> Result<Vec<Event>, Refusal> {
            self.ids += 1;
            let ctx = Context {
                org: "acme".parse().unwrap(),
                now: at(self.ids),
                ulid: Ulid::from_parts(self.ids, 1),
                role: self.role,
                user_id: None,
                credential: "jwt".to_owned(),
                source_ip: None,
                device_groups: None,
                scopes: None,
                secrets: Secrets::new([7; 32]),
            };
            let events = decide(&self.org, &command, &ctx)?;
            for event in &events {
                self.org.apply_event(event, self.org.revision + 1, ctx.now);
            }
            Ok(events)
        }

        fn must(&mut self, command: Command) -> Vec<Event> {
            self.submit(command).unwrap()
        }

        fn user(&mut self, new: NewUser) -> UserId {
            match self.must(Command::Create(new.into())).first() {
                Some(Event::Created { resource: AnyResource::User(user), .. }) => user.id,
                other => panic!("{other:?}"),
            }
        }

        fn comes(&mut self, subject: &str, email: Option<&str>, first: FirstSignIn) -> Result<User, Refusal> {
            let told = SignedInPerson {
                subject_hash: subject.to_owned(),
                email_hash: email.map(str::to_owned),
                person: None,
                role: Role::Auditor,
                first,
            };
            self.submit(Command::SignIn(told.clone()))?;
            Ok(signed_in(&self.org, &told).cloned().unwrap())
        }
    }

    fn new(role: Role, email: Option<&str>) -> NewUser {
        NewUser {
            kind: UserKind::Human,
            role,
            blocked: false,
            description: Description::default(),
            metadata: Metadata::default(),
            person: None,
            email_hash: email.map(str::to_owned),
            subject_hash: None,
        }
    }

    #[test]
    fn the_invited_one_is_found_by_the_address_and_then_by_the_subject() {
        let mut town = Town::founded();
        let ann = town.user(new(Role::Operator, Some("ann")));
        let came = town.comes("s1", Some("ann"), FirstSignIn::Invited).unwrap();
        assert_eq!((came.id, came.role), (ann, Role::Operator));
        let revision = town.org.revision;
        assert_eq!(town.comes("s1", None, FirstSignIn::Off).unwrap().id, ann);
        assert_eq!(town.org.revision, revision, "who is known changes nothing");
        // Another with the same address is somebody else, and does not get it.
        let other = town.comes("s2", Some("ann"), FirstSignIn::Create).unwrap();
        assert_eq!((other.id == ann, other.email_hash, other.role), (false, None, Role::Auditor));
    }

    #[test]
    fn nobody_unknown_comes_in_where_that_is_not_wanted() {
        let mut town = Town::founded();
        let service = NewUser { kind: UserKind::Service, ..new(Role::Operator, Some("robot")) };
        town.user(service);
        for first in [FirstSignIn::Invited, FirstSignIn::Off] {
            assert_eq!(town.comes("s1", Some("bob"), first), Err(Refusal::UserUnknown));
            assert_eq!(town.comes("s1", Some("robot"), first), Err(Refusal::UserUnknown), "nobody signs in as a robot");
        }
        town.user(new(Role::Viewer, Some("bob")));
        assert_eq!(town.comes("s1", Some("bob"), FirstSignIn::Off), Err(Refusal::UserUnknown));
    }

    #[test]
    fn a_caller_says_neither_as_whom_somebody_signs_in_nor_changes_it() {
        let mut town = Town::founded();
        let ann = town.comes("s1", Some("ann"), FirstSignIn::Create).unwrap();
        let stolen = NewUser { subject_hash: Some("s2".to_owned()), ..new(Role::Auditor, Some("ann")) };
        town.must(Command::Replace(ann.id.into(), stolen.into()));
        assert_eq!(town.org.users.get(&ann.id).unwrap().subject_hash.as_deref(), Some("s1"));
    }

    #[test]
    fn an_address_is_one_users_and_a_user_keeps_its_kind() {
        let mut town = Town::founded();
        let ann = town.user(new(Role::Viewer, Some("ann")));
        let again = town.submit(Command::Create(new(Role::Viewer, Some("ann")).into()));
        assert_eq!(again, Err(Refusal::EmailTaken));
        let bob = town.user(new(Role::Viewer, None));
        let moved = town.submit(Command::Replace(bob.into(), new(Role::Viewer, Some("ann")).into()));
        assert_eq!(moved, Err(Refusal::EmailTaken));
        assert!(town.must(Command::Replace(ann.into(), new(Role::Viewer, Some("ann")).into())).is_empty());
        let robot = NewUser { kind: UserKind::Service, ..new(Role::Viewer, Some("ann")) };
        assert!(matches!(town.submit(Command::Replace(ann.into(), robot.into())), Err(Refusal::Fixed(_))));
        town.must(Command::Delete(ann.into()));
        town.user(new(Role::Viewer, Some("ann")));
    }

    #[test]
    fn an_org_keeps_an_owner_and_nobody_makes_more_of_another_than_they_are() {
        let mut town = Town::founded();
        let owner = town.user(new(Role::Owner, None));
        assert_eq!(town.submit(Command::Delete(owner.into())), Err(Refusal::LastOwner));
        let blocked = NewUser { blocked: true, ..new(Role::Owner, None) };
        assert_eq!(town.submit(Command::Replace(owner.into(), blocked.into())), Err(Refusal::LastOwner));
        town.role = Role::Admin;
        assert_eq!(town.submit(Command::Create(new(Role::Owner, None).into())), Err(Refusal::RoleAboveOwn));
        assert_eq!(town.submit(Command::Delete(owner.into())), Err(Refusal::RoleAboveOwn));
        town.role = Role::Owner;
        town.user(new(Role::Owner, None));
        town.must(Command::Delete(owner.into()));
    }
}
