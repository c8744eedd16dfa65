//! The first start: an org, its owner, and the owner's token, which is shown this once.

use anyhow::bail;
use command_svc::clock::{random_command_id, random_ulid};
use command_svc::orgs::Orgs;
use command_svc::refusal::Refusal;
use command_svc::secrets::{SecretKind, Secrets};
use command_svc::submission::{Accepted, Failure, Options, Origin};
use schemas::access::Role;
use schemas::api_token::NewApiToken;
use schemas::command::Command;
use schemas::id::{OperationId, OrgId, UserId};
use schemas::org::OrgPatch;
use schemas::plan::Plan;
use schemas::text::{Description, Metadata, Name};
use schemas::user::{NewUser, UserKind};

const SYSTEM: &str = "system";

/// Founds the org if it is not there, gives it an owner, and gives the owner a token.
pub(crate) async fn found(orgs: &Orgs, secrets: &Secrets, org: &OrgId) -> anyhow::Result<String> {
    let name = Name::new(org.as_str())?;
    match submit(orgs, org, Command::CreateOrg { name }, None).await {
        Ok(_) | Err(Failure::Refused(Refusal::OrgExists(_))) => {}
        Err(failure) => return Err(failure.into()),
    }
    let owner = NewUser {
        kind: UserKind::Human,
        role: Role::Owner,
        blocked: false,
        description: Description::new("founded the org")?,
        metadata: Metadata::default(),
        person: None,
        email_hash: None,
        subject_hash: None,
    };
    let owner = submit(orgs, org, Command::Create(owner.into()), None).await?;
    let Accepted::Done(owner) = owner else { bail!("the owner was not created") };
    let owner_id: UserId = owner.id.parse()?;

    let new = NewApiToken {
        name: Name::new(format!("owner {}", owner.revision))?,
        description: Description::new("given out at the start of netkeep")?,
        metadata: Metadata::default(),
        expires_at: None,
        scopes: Vec::new(),
        revoked: false,
        role: Some(Role::Owner),
        user_id: None,
        expires_in: None,
    };
    let created = submit(orgs, org, Command::Create(new.into()), Some(owner_id)).await?;
    let Accepted::Done(created) = created else { bail!("the owner's token was not created") };
    Ok(secrets.derive(SecretKind::ApiToken, org, &created.id))
}

/// Gives the org a plan.
pub(crate) async fn set_plan(orgs: &Orgs, org: &OrgId, plan: Plan) -> anyhow::Result<()> {
    let patch = OrgPatch { plan: Some(plan), ..OrgPatch::default() };
    submit(orgs, org, Command::UpdateOrg(patch), None).await?;
    Ok(())
}

async fn submit(orgs: &Orgs, org: &OrgId, command: Command, user_id: Option<UserId>) -> Result<Accepted, Failure> {
    let origin = Origin { user_id, ..Origin::of(SYSTEM, SYSTEM, Role::Owner, OperationId::new(random_ulid())) };
    let options = Options { command_id: random_command_id(), ..Options::default() };
    orgs.submit(org, command, origin, options).await
}
