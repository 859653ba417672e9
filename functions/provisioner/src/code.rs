//! The codes of why an event failed: one for each cause that asks for another remedy,
//! stable, and each explained in docs/errors.md. CloudFormation shows one at the end of
//! its reason; the log and a metric's dimension have it as well.

use sagemaker_external::codes;
use sagemaker_external::failure::{Failure, Kind};

codes! {
    /// In the order of an event's way.
    pub enum Code {
        EventNotAnswerable,
        InvalidEvent,
        NotSetUp,
        InvalidProperties,
        // More than the operator of the provisioner's stack lets events ask for.
        NotPermitted,
        // What is there stands in the way; nothing was written for it.
        PlanRefused,
        DeletionRefused,
        AttributesTooLong,
        RemovedMeanwhile,
        IamUnsettled,
        // IAM did not do it.
        ReadDenied,
        ReadFailed,
        StepDenied,
        NameTaken,
        EntityMissing,
        EntityBusy,
        QuotaExceeded,
        StepFailed,
        IamThrottled,
        IamUnavailable,
        // The run itself.
        TimedOut,
        InternalError,
        AnswerNotTaken,
    }
}

impl Code {
    pub(crate) fn of_read(failure: &Failure) -> Self {
        match failure.kind {
            Kind::Denied => Self::ReadDenied,
            Kind::Throttled => Self::IamThrottled,
            Kind::Transient => Self::IamUnavailable,
            Kind::NotFound | Kind::Exists | Kind::Conflict | Kind::Other => Self::ReadFailed,
        }
    }

    pub(crate) fn of_step(failure: &Failure) -> Self {
        match failure.kind {
            Kind::Denied => Self::StepDenied,
            Kind::Exists => Self::NameTaken,
            Kind::NotFound => Self::EntityMissing,
            Kind::Conflict => Self::EntityBusy,
            Kind::Throttled => Self::IamThrottled,
            Kind::Transient => Self::IamUnavailable,
            // `LimitExceeded` or, as it is modelled, `LimitExceededException`.
            Kind::Other if failure.code.starts_with("LimitExceeded") => Self::QuotaExceeded,
            Kind::Other => Self::StepFailed,
        }
    }
}
