//! Reasons: every condition under which the API says no, each with its class and status.
//!
//! A reason is never renamed and never used for anything else; `docs/errors.md` has a heading for each.

use serde::Serialize;

/// The class of an error: what a program branches on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    Unauthorized,
    Forbidden,
    NotFound,
    InvalidConfig,
    Conflict,
    PreconditionFailed,
    DeviceOffline,
    PlanLimit,
    RateLimit,
    Internal,
}

macro_rules! reasons {
    ($($name:ident = $code:ident $status:literal, $title:literal;)*) => {
        /// Why the API said no.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub enum Reason {
            $(#[doc = $title] $name,)*
        }

        impl Reason {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The class that this reason belongs to.
            pub fn code(self) -> Code {
                match self { $(Self::$name => Code::$code,)* }
            }

            /// The HTTP status of an answer with this reason.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// One sentence about the condition.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

reasons! {
    CredentialsMissing = Unauthorized 401, "The request carries no credentials.";
    TokenUnknown = Unauthorized 401, "The API token does not exist or was deleted.";
    TokenExpired = Unauthorized 401, "The API token or JWT has expired.";
    TokenRevoked = Unauthorized 401, "The API token was revoked.";
    JwtInvalid = Unauthorized 401, "The JWT does not verify: its signature, issuer, audience, algorithm or claims are wrong.";
    JwtNotAccepted = Unauthorized 401, "No issuer of JWTs is configured.";
    TooManyFailedAttempts = RateLimit 429, "Too many requests with credentials that do not hold came from this address.";
    SetupKeyUnknown = Unauthorized 401, "The setup key does not exist or was deleted.";
    SetupKeyRevoked = Forbidden 403, "The setup key was revoked.";
    SetupKeyExpired = Forbidden 403, "The setup key has expired.";
    SetupKeyOverused = Forbidden 403, "The setup key has enrolled as many devices as it may.";
    RoleForbids = Forbidden 403, "The caller's role does not allow this.";
    ScopeForbids = Forbidden 403, "The token's scopes do not cover this.";
    SourceIpForbidden = Forbidden 403, "The org takes no calls from this address.";
    UserBlocked = Forbidden 403, "The user is blocked.";
    UserUnknown = Forbidden 403, "The person is no user of the org, and signing in makes none.";
    ServiceTokenNeedsScopes = InvalidConfig 400, "A token of a service user names what it is good for.";
    RoleAboveOwn = Forbidden 403, "A token may do no more than the one who creates it.";
    RouteUnknown = NotFound 404, "There is nothing at this path.";
    MethodNotAllowed = NotFound 405, "The path exists, but not with this method.";
    ResourceNotFound = NotFound 404, "There is no such resource in this org.";
    BodyInvalid = InvalidConfig 400, "The body is not what this call reads; field names the place.";
    BodyTooLarge = InvalidConfig 413, "The body is larger than this call reads.";
    ContentTypeUnsupported = InvalidConfig 415, "The body's content type is not one that this call reads.";
    EncodingUnsupported = InvalidConfig 415, "The body's encoding is not one that is read here.";
    QueryInvalid = InvalidConfig 400, "A query parameter is unknown or malformed; field names it.";
    FilterInvalid = InvalidConfig 400, "The filter expression does not parse or does not fit the fields; details says where.";
    PathInvalid = InvalidConfig 400, "The id in the path is malformed.";
    HeaderInvalid = InvalidConfig 400, "A header is malformed; field names it.";
    VersionUnknown = InvalidConfig 400, "Netkeep-Version names no version of the API; details lists those there are.";
    AcceptUnsupported = InvalidConfig 406, "None of the formats that the caller accepts is offered.";
    NameTaken = Conflict 409, "Another resource of this kind has this name.";
    ZoneUnknown = InvalidConfig 400, "A zone that is referred to does not exist.";
    ZoneReserved = InvalidConfig 400, "The zone LOCAL is the device itself and cannot be created or given interfaces.";
    ZonePredefined = Conflict 409, "A predefined zone cannot be deleted.";
    ResourceInUse = Conflict 409, "Other resources refer to this one; details names them.";
    ListEmpty = InvalidConfig 400, "An empty list would match nothing; leave the field out to match everything.";
    ListTooLong = InvalidConfig 400, "The list has more entries than allowed.";
    PortsWithoutProtocol = InvalidConfig 400, "Ports need protocol tcp, udp or sctp.";
    FamiliesDisjoint = InvalidConfig 400, "Sources and destinations are of different address families: nothing could match.";
    OrderIncomplete = InvalidConfig 400, "The order must name every rule of the org exactly once; details names the difference.";
    ExpiryInPast = InvalidConfig 400, "The expiry lies in the past.";
    ExpiryTwice = InvalidConfig 400, "Give expires_at or expires_in, not both.";
    UsageLimitInvalid = InvalidConfig 400, "A one-off setup key is used once; only a reusable one has a usage limit.";
    RevocationFinal = Conflict 409, "A revoked setup key stays revoked.";
    DeviceKeyInvalid = InvalidConfig 400, "The public key is not a NATS public user key.";
    DeviceKeyTaken = Conflict 409, "A device with this public key is enrolled already.";
    ReportInvalid = InvalidConfig 400, "A device's report names no revision of its org or no SHA-256.";
    InterfaceTwice = InvalidConfig 400, "An interface is listed twice.";
    OrgExists = Conflict 409, "The org exists already.";
    OrgMissing = NotFound 404, "The org does not exist.";
    RuleLimit = PlanLimit 403, "The org has as many rules as its plan allows.";
    ResourceLimit = PlanLimit 403, "The org has as many resources of this kind as its plan allows.";
    ReferenceUnknown = InvalidConfig 400, "A resource that is referred to does not exist; field and details name it.";
    ReferenceCycle = InvalidConfig 400, "An object would contain itself.";
    ValueInvalid = InvalidConfig 400, "A value does not fit the others; the message says why.";
    PredefinedFixed = Conflict 409, "This cannot be created, replaced or deleted by a call.";
    LastOwner = Conflict 409, "An org keeps an owner who can sign in.";
    SourceLockout = Conflict 409, "The change would shut out the address that it comes from.";
    BatchTooLarge = InvalidConfig 413, "The batch is larger than one commit; send several.";
    CommandReused = Conflict 422, "The Idempotency-Key was used with another request in the last 24 hours.";
    RevisionMismatch = PreconditionFailed 412, "The resource is not at the revision that If-Match names; details says what changed.";
    PositionTimeout = Conflict 409, "The read side did not reach Netkeep-Min-Position in time.";
    SqlInvalid = InvalidConfig 400, "The SQL does not parse or plan.";
    SqlForbidden = Forbidden 403, "Only SELECT, WITH and EXPLAIN over the org's own tables are allowed.";
    SqlTimeout = Conflict 408, "The query ran longer than allowed.";
    SqlMemory = PlanLimit 422, "The query needs more memory than allowed.";
    SqlRows = PlanLimit 422, "The result has more rows than allowed; add a LIMIT or aggregate.";
    SqlBusy = RateLimit 429, "The org has as many queries running as it may.";
    SqlFailed = InvalidConfig 400, "The query failed while it ran: a division by zero, an overflow, a bad cast.";
    DeviceUnreachable = DeviceOffline 503, "The device is not connected.";
    Overloaded = RateLimit 429, "Too many commands are waiting for this org.";
    RateLimited = RateLimit 429, "The org sent more requests within a minute than its plan allows.";
    DailyQuotaExhausted = RateLimit 429, "The org sent as many requests today as its plan allows.";
    TooManyStreams = RateLimit 429, "The org has as many streams open as its plan allows.";
    LogUnavailable = Internal 503, "The event log cannot be reached; nothing was written, or the outcome is unknown and the same Idempotency-Key will tell.";
    BusUnavailable = Internal 503, "The bus cannot be reached.";
    StoreUnavailable = Internal 503, "The object store cannot be reached.";
    ShuttingDown = Internal 503, "The service is stopping.";
    IssuerUnavailable = Internal 503, "The keys of the JWT issuer cannot be fetched.";
    RequestTimeout = Internal 503, "The request took longer than allowed; of a write, the same Idempotency-Key tells the outcome.";
    BodyTimeout = Conflict 408, "The body did not arrive in time.";
    Internal = Internal 500, "Something failed that should not; the operation id finds it in the log.";
}

impl Reason {
    /// The reason's name as it stands in answers: `NAME_TAKEN`.
    pub fn name(self) -> String {
        let mut text = String::new();
        for (index, letter) in format!("{self:?}").chars().enumerate() {
            if letter.is_ascii_uppercase() && index > 0 {
                text.push('_');
            }
            text.push(letter.to_ascii_uppercase());
        }
        text
    }

    /// Whether the same request may succeed later without a change.
    pub fn is_retryable(self) -> bool {
        matches!(self.status(), 408 | 429 | 503)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_named_as_it_is_serialized() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).ok(), Some(reason.name().into()));
        }
    }
}
