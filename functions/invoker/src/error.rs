//! Everything that ends a request other than SageMaker's own answer. What each
//! becomes on the wire stands in [`crate::response`].

use sagemaker_external::name::EndpointName;

use crate::assume::NotAssumed;
use crate::endpoint::NotInvoked;
use crate::operation::Operation;

/// The status of every error after which the model may have run: SageMaker's own for
/// InternalDependencyException. SDKs send it once, while they send 500, 502, 503 and 504 up
/// to five times.
pub(crate) const MAY_HAVE_RUN: u16 = 530;

pub enum Error {
    Invalid(Invalid),
    /// No operation has this method and path.
    UnknownOperation,
    /// The request context names no caller (S21).
    NoCaller,
    /// A setting, such as `GRANTS`, is missing or wrong; the log of the start says how.
    NotSetUp,
    /// No grant names this endpoint.
    NotGranted(EndpointName),
    /// AssumeRole gave no credentials.
    NotAssumed(EndpointName, NotAssumed),
    /// SageMaker's answer is an error, or there is none.
    NotInvoked(Operation, EndpointName, NotInvoked),
    /// SageMaker refused credentials that were kept from an earlier request, for what
    /// they are and not for what they may do. They are forgotten.
    Stale(NotInvoked),
    /// The handler panicked, perhaps after it had called the endpoint.
    Panicked {
        was_invoking: bool,
    },
}

impl Error {
    /// SageMaker's own id of a call that it answered with an error.
    pub fn upstream_request_id(&self) -> Option<&str> {
        match self {
            Self::NotInvoked(_, _, not) | Self::Stale(not) => not.request_id.as_deref(),
            _ => None,
        }
    }

    /// For the log only: what a service called its refusal.
    pub fn into_cause(self) -> Option<String> {
        match self {
            Self::NotAssumed(_, not) => Some(not.code),
            Self::NotInvoked(_, _, not) | Self::Stale(not) => Some(not.code),
            _ => None,
        }
    }
}

/// The request breaks a rule: one sentence that names the header (the member) and
/// the rule. It repeats no header's value and nothing of the body.
#[derive(Debug, PartialEq, Eq)]
pub struct Invalid(pub String);

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}
