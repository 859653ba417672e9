//! Why an event was not carried out, as the one sentence that CloudFormation shows.

use std::fmt;

use sagemaker_external::failure::{Failure, Kind};

use crate::code::Code;
use crate::step::Step;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The wish, or what stands in its way; nothing was changed for it.
    Refused(Code, String),
    /// What IAM shows contradicts itself, for longer than is waited for.
    Unsettled(String),
    /// IAM could not be read.
    Read(Failure),
    /// A step that IAM did not carry out.
    Step { step: Box<Step>, failure: Failure },
}

impl Error {
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(code, _) => *code,
            Self::Unsettled(_) => Code::IamUnsettled,
            Self::Read(failure) => Code::of_read(failure),
            Self::Step { failure, .. } => Code::of_step(failure),
        }
    }
}

/// What to do first after a denial.
const AGAIN: &str = "if the provisioner's stack changed a moment ago, deploy again";

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(_, sentence) | Self::Unsettled(sentence) => f.write_str(sentence),
            Self::Read(failure) if failure.kind == Kind::Denied => {
                write!(f, "IAM could not be read: {}; {AGAIN}; else what is named lies outside its path", said(failure))
            }
            Self::Read(failure) => write!(f, "IAM could not be read: {}", said(failure)),
            Self::Step { step, failure } => write!(f, "{step} failed: {}{}", said(failure), remedy(failure.kind)),
        }
    }
}

fn said(failure: &Failure) -> String {
    format!("{} ({})", failure.message, failure.code)
}

fn remedy(kind: Kind) -> String {
    match kind {
        Kind::Denied => {
            format!("; {AGAIN}; else: it may only touch its own path, and make roles only with the stack's boundary")
        }
        Kind::Exists => "; names are unique in the account, whatever their path and case: take over what has the name, if it was made by hand (OnExisting: Adopt, AdoptArns of the provisioner's stack), or choose another one".to_owned(),
        _ => String::new(),
    }
}
