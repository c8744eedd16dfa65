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
use schemas::text::{Description, Name};

const SYSTEM: &str = "system";

/// Founds the org if it is not there, gives it an owner, and gives the owner a token.
pub(crate) async fn found(orgs: &Orgs, secrets: &Secrets, org: &OrgId) -> anyhow::Result<String> {
    let name = Name::new(org.as_str())?;
    match submit(orgs, org, Command::CreateOrg { name }, None).await {
        Ok(_) | Err(Failure::Refused(Refusal::OrgExists(_))) => {}
        Err(failure) => return Err(failure.into()),
    }
    let owner = submit(orgs, org, Command::CreateUser(Role::Owner), None).await?;
    let Accepted::Done(owner) = owner else { bail!("the owner was not created") };
    let owner_id: UserId = owner.id.parse()?;

    let new = NewApiToken {
        name: Name::new(format!("owner {}", owner.revision))?,
        description: Description::new("given out at the start of netkeep")?,
        role: Some(Role::Owner),
        expires_at: None,
        expires_in: None,
    };
    let created = submit(orgs, org, Command::CreateApiToken(new), Some(owner_id)).await?;
    let Accepted::Done(created) = created else { bail!("the owner's token was not created") };
    Ok(secrets.derive(SecretKind::ApiToken, org, &created.id))
}

async fn submit(orgs: &Orgs, org: &OrgId, command: Command, user_id: Option<UserId>) -> Result<Accepted, Failure> {
    let origin = Origin {
        actor: SYSTEM.to_owned(),
        credential: SYSTEM.to_owned(),
        source_ip: None,
        role: Role::Owner,
        user_id,
        operation: OperationId::new(random_ulid()),
        traceparent: None,
    };
    let options = Options { command_id: random_command_id(), ..Options::default() };
    orgs.submit(org, command, origin, options).await
}
