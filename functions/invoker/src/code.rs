//! The codes that say why there is no good answer: one for each cause that asks for
//! another remedy, stable, and each explained in docs/errors.md.
//!
//! SDKs raise their exceptions by SageMaker's own error types, of which several causes
//! share one. So the code stands beside the type: in a header, in the answer's JSON, in
//! the log and as a metric's dimension.

use sagemaker_external::codes;

use crate::body::Cut;
use crate::error::Error;
use crate::{assume, endpoint};

codes! {
    /// In each group, the order of a request's way.
    pub enum Code {
        // Of this API, before anything is called.
        InvalidRequest,
        UnknownOperation,
        NoCaller,
        NotSetUp,
        EndpointNotGranted,
        // Of AssumeRole; the doctor calls them the same.
        AssumeRoleDenied,
        RegionDisabled,
        StsThrottled,
        StsUnavailable,
        DeadlineExceeded,
        PackedPolicyTooLarge,
        AssumeRoleFailed,
        // Of the call of the endpoint.
        CallNotSendable,
        InvokeDenied,
        CredentialsStale,
        SessionNotAccepted,
        EndpointThrottled,
        SageMakerUnavailable,
        ConnectionBroken,
        EndpointDeadlineExceeded,
        AnswerNotUnderstood,
        // Of an answer that had begun.
        AnswerBrokeOff,
        AnswerGarbled,
        AnswerSilent,
        AnswerOutOfTime,
        AnswerNotTaken,
        // Of a fault in this API's own code.
        InternalError,
        // SageMaker's own, passed on: the codes are its types.
        InternalDependencyException,
        InternalFailure,
        InternalStreamFailure,
        ModelError,
        ModelNotReadyException,
        ModelStreamError,
        ServiceUnavailable,
        ValidationError,
        /// A type that SageMaker Runtime's model does not have yet: the type tells it, and
        /// a name that a service may choose is no member of a closed set.
        OtherServiceError,
    }
}

impl Code {
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Invalid(_) => Self::InvalidRequest,
            Error::UnknownOperation => Self::UnknownOperation,
            Error::NoCaller => Self::NoCaller,
            Error::NotSetUp => Self::NotSetUp,
            Error::NotGranted(_) => Self::EndpointNotGranted,
            Error::NotAssumed(_, not) => match not.why {
                assume::Why::Denied => Self::AssumeRoleDenied,
                assume::Why::RegionDisabled => Self::RegionDisabled,
                assume::Why::Throttled => Self::StsThrottled,
                assume::Why::Unavailable => Self::StsUnavailable,
                assume::Why::Deadline => Self::DeadlineExceeded,
                assume::Why::TooLarge => Self::PackedPolicyTooLarge,
                assume::Why::Fault => Self::AssumeRoleFailed,
            },
            Error::NotInvoked(_, _, not) => match not.why {
                endpoint::Why::Service { .. } => Self::of_service(&not.code),
                endpoint::Why::Denied => Self::InvokeDenied,
                endpoint::Why::Unauthenticated => Self::SessionNotAccepted,
                endpoint::Why::Throttled => Self::EndpointThrottled,
                endpoint::Why::Unavailable => Self::SageMakerUnavailable,
                endpoint::Why::Broken => Self::ConnectionBroken,
                endpoint::Why::Late => Self::DeadlineExceeded,
                endpoint::Why::Deadline => Self::EndpointDeadlineExceeded,
                endpoint::Why::NotUnderstood => Self::AnswerNotUnderstood,
                endpoint::Why::NotSendable => Self::CallNotSendable,
            },
            Error::Stale(_) => Self::CredentialsStale,
            Error::Panicked { .. } => Self::InternalError,
        }
    }

    pub fn of_cut(cut: Cut) -> Self {
        match cut {
            Cut::Upstream => Self::AnswerBrokeOff,
            Cut::Garbled => Self::AnswerGarbled,
            Cut::Silence => Self::AnswerSilent,
            Cut::Deadline => Self::AnswerOutOfTime,
        }
    }

    /// The errors that SageMaker Runtime's model has.
    const MODELLED: [Self; 8] = [
        Self::InternalDependencyException,
        Self::InternalFailure,
        Self::InternalStreamFailure,
        Self::ModelError,
        Self::ModelNotReadyException,
        Self::ModelStreamError,
        Self::ServiceUnavailable,
        Self::ValidationError,
    ];

    fn of_service(kind: &str) -> Self {
        let own = Self::MODELLED.into_iter().find(|code| code.name() == kind);
        own.unwrap_or(Self::OtherServiceError)
    }

    /// Whether AssumeRole is what failed.
    pub fn is_of_sts(self) -> bool {
        matches!(
            self,
            Self::AssumeRoleDenied
                | Self::RegionDisabled
                | Self::StsThrottled
                | Self::StsUnavailable
                | Self::DeadlineExceeded
                | Self::PackedPolicyTooLarge
                | Self::AssumeRoleFailed
        )
    }

    /// Whether the caller has to mend the request. All else is a fault: the operators of
    /// either side, or AWS, have to mend something, or to wait.
    pub fn is_callers(self) -> bool {
        matches!(
            self,
            Self::InvalidRequest
                | Self::UnknownOperation
                | Self::NoCaller
                | Self::EndpointNotGranted
                | Self::ValidationError
        )
    }

    /// Whether the error is SageMaker's own answer.
    pub fn is_passed_on(self) -> bool {
        self == Self::OtherServiceError || Self::MODELLED.contains(&self)
    }

    /// Whether a quota turned the request away.
    pub fn is_throttle(self) -> bool {
        matches!(self, Self::StsThrottled | Self::EndpointThrottled)
    }
}

#[cfg(test)]
#[path = "code_tests.rs"]
mod tests;
