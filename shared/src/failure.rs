//! What an SDK error means, by its code and status; never by its text, except
//! where a service gives only text.

use std::error::Error as StdError;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// What the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The service refused for want of permission.
    Denied,
    /// The entity is not there.
    NotFound,
    /// The entity is there already.
    Exists,
    /// Something else hangs on the entity, or changes it at this moment.
    Conflict,
    /// Too many calls; the same call may succeed later.
    Throttled,
    /// The call may or may not have taken effect; the same call may succeed.
    Transient,
    /// Anything else: the same call will fail again.
    Other,
}

impl Kind {
    /// By a service's code (as the SDKs' retries take them; a LimitExceeded is IAM's quota), or else by the status of its answer.
    pub fn of(code: &str, status: u16) -> Self {
        match code {
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => Self::Denied,
            "NoSuchEntity" | "NoSuchEntityException" => Self::NotFound,
            "EntityAlreadyExists" | "EntityAlreadyExistsException" => Self::Exists,
            "DeleteConflict" | "ConcurrentModification" | "EntityTemporarilyUnmodifiable" => Self::Conflict,
            "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "SlowDown"
            | "PriorRequestNotComplete"
            | "BandwidthLimitExceeded"
            | "ProvisionedThroughputExceededException" => Self::Throttled,
            "ServiceFailure"
            | "InternalFailure"
            | "InternalError"
            | "ServiceUnavailable"
            | "RequestTimeout"
            | "RequestTimeoutException" => Self::Transient,
            _ if status == 403 => Self::Denied,
            _ if status == 429 => Self::Throttled,
            _ if status >= 500 => Self::Transient,
            _ => Self::Other,
        }
    }
}

/// A service's code, if it looks like one: what does not is some text of the service's,
/// which may quote anything, and is neither logged nor passed on.
pub fn as_code(text: &str) -> Option<String> {
    let code = text.trim();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    ((1..=128).contains(&code.len()) && code.bytes().all(plain)).then(|| code.to_owned())
}

/// An SDK error, reduced to what may be decided on and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What can be done about it.
    pub kind: Kind,
    /// The service's code, or `Timeout`, `Connection`, `Response`, `Request`
    /// where none came from the service.
    pub code: String,
    /// The service's own text. It may hold ARNs: for the account's owner only,
    /// never for an API caller (case S16).
    pub message: String,
}

impl Failure {
    /// Reads code, status and text of an SDK's error.
    pub fn of<E>(error: &SdkError<E, Response>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        match error {
            SdkError::ServiceError(service) => {
                let code = service.err().code().unwrap_or("Unknown");
                let message = service.err().message().unwrap_or("no message");
                let kind = Kind::of(code, service.raw().status().as_u16());
                Self { kind, code: code.to_owned(), message: message.to_owned() }
            }
            SdkError::TimeoutError(_) => Self::local("Timeout", "the service did not answer in time"),
            SdkError::DispatchFailure(_) => Self::local("Connection", "the service could not be reached"),
            SdkError::ResponseError(_) => Self::local("Response", "the service's answer could not be read"),
            _ => Self {
                kind: Kind::Other,
                ..Self::local("Request", "the request could not be built (are there credentials and a region?)")
            },
        }
    }

    fn local(code: &str, message: &str) -> Self {
        Self { kind: Kind::Transient, code: code.to_owned(), message: message.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_decide_before_status() {
        let cases = [
            ("AccessDenied", 403, Kind::Denied),
            ("NoSuchEntity", 404, Kind::NotFound),
            ("EntityAlreadyExists", 409, Kind::Exists),
            ("DeleteConflict", 409, Kind::Conflict),
            ("Throttling", 400, Kind::Throttled),
            ("RequestLimitExceeded", 503, Kind::Throttled),
            ("SlowDown", 503, Kind::Throttled),
            ("RequestThrottledException", 400, Kind::Throttled),
            ("RequestTimeoutException", 400, Kind::Transient),
            ("ServiceFailure", 500, Kind::Transient),
            ("LimitExceeded", 409, Kind::Other),
            ("Unknown", 502, Kind::Transient),
            ("RegionDisabledException", 403, Kind::Denied),
            ("MalformedPolicyDocument", 400, Kind::Other),
        ];
        for (code, status, wanted) in cases {
            assert_eq!(Kind::of(code, status), wanted, "{code} {status}");
        }
    }
}
