//! Submissions: a command on its way to its org, with who sent it and how.

use std::net::IpAddr;
use std::sync::Arc;

use schemas::access::{Role, Scope};
use schemas::command::Command;
use schemas::id::{GroupId, OperationId, UserId};
use schemas::reason::Reason;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::answer::Answer;
use crate::refusal::Refusal;

/// A command and all that is to be recorded with it.
#[derive(Debug)]
pub struct Submission {
    pub command: Command,
    pub origin: Origin,
    pub options: Options,
    pub reply: oneshot::Sender<Result<Accepted, Failure>>,
}

/// Who sent a command.
#[derive(Debug, Clone)]
pub struct Origin {
    pub actor: String,
    pub credential: String,
    pub source_ip: Option<IpAddr>,
    pub role: Role,
    pub user_id: Option<UserId>,
    /// The groups whose devices the caller may change; absent means all.
    pub device_groups: Option<Vec<GroupId>>,
    /// What the caller's token is bound to; absent means to nothing.
    pub scopes: Option<Arc<[Scope]>>,
    pub operation: OperationId,
    pub traceparent: Option<String>,
}

impl Origin {
    /// Somebody who is no user, is bound to nothing, and comes from nowhere in particular.
    pub fn of(actor: impl Into<String>, credential: impl Into<String>, role: Role, operation: OperationId) -> Self {
        Self {
            actor: actor.into(),
            credential: credential.into(),
            source_ip: None,
            role,
            user_id: None,
            device_groups: None,
            scopes: None,
            operation,
            traceparent: None,
        }
    }
}

/// How a command is to be carried out.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub command_id: String,
    /// Set when the caller chose the command id: the same id with another hash is refused.
    pub command_hash: Option<String>,
    pub if_match: Option<u64>,
    pub dry_run: bool,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Accepted {
    Done(Answer),
    /// What would have been done; nothing was.
    Would {
        answer: Answer,
        events: Vec<String>,
        before: Value,
    },
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("too many commands are waiting for this org")]
    Overloaded,
    #[error("the event log cannot be written: {0}")]
    LogUnavailable(String),
    /// The stored events are not what was written: nothing is decided on top of them.
    #[error("the org's event log is damaged: {0}")]
    LogDamaged(String),
    #[error("the service is stopping")]
    Stopping,
}

impl Failure {
    pub fn reason(&self) -> Reason {
        match self {
            Self::Refused(refusal) => refusal.reason(),
            Self::Overloaded => Reason::Overloaded,
            Self::LogUnavailable(_) => Reason::LogUnavailable,
            Self::LogDamaged(_) => Reason::Internal,
            Self::Stopping => Reason::ShuttingDown,
        }
    }
}
