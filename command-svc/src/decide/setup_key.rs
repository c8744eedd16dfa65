//! Setup keys.

use schemas::setup_key::{NewSetupKey, SetupKey, SetupKeyType};
use schemas::state::OrgState;

use super::resource::Decided;
use super::{Context, bounded};
use crate::refusal::Refusal;
use crate::secrets::SecretKind;

const GROUPS_MAX: usize = 100;

impl Decided for SetupKey {
    const SECRET: Option<SecretKind> = Some(SecretKind::SetupKey);

    fn complete(
        &mut self,
        given: &NewSetupKey,
        before: Option<&Self>,
        _: &OrgState,
        ctx: &Context,
    ) -> Result<(), Refusal> {
        self.usage_limit = match (self.key_type, self.usage_limit) {
            (SetupKeyType::OneOff, 0 | 1) => 1,
            (SetupKeyType::OneOff, _) => return Err(Refusal::UsageLimitInvalid),
            (SetupKeyType::Reusable, limit) => limit,
        };
        let had = before.and_then(|before| before.expires_at);
        self.expires_at = match given.expires_in {
            None if before.is_some() => {
                ctx.check_expiry(self.expires_at, had)?;
                self.expires_at
            }
            // With what it had: who sends both a time and seconds means one of them.
            after => ctx.expiry(given.expires_at.filter(|at| Some(*at) != had), after)?,
        };
        if before.is_some_and(|before| before.revoked) && !self.revoked {
            return Err(Refusal::RevocationFinal);
        }
        if before.is_none() {
            self.prefix = ctx.secret(SecretKind::SetupKey, self.id).prefix;
        }
        Ok(())
    }

    fn check(&self, _: Option<&Self>, _: &OrgState, _: &Context) -> Result<(), Refusal> {
        bounded("auto_group_ids", self.auto_group_ids.len(), GROUPS_MAX)
    }
}
