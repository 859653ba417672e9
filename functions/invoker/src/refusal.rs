//! SageMaker Runtime's errors, read from its answers: by code and status, whatever the
//! operation.

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use sagemaker_external::failure::Kind;
use serde_json::{Map, Value};

use crate::endpoint::{ERROR_MAX, NotInvoked, Why};
use crate::error::MAY_HAVE_RUN;
use crate::owners::as_code_without_owners;

/// Reads an answer that is not a success.
pub(crate) async fn read_error(response: http::Response<SdkBody>) -> NotInvoked {
    let (parts, body) = response.into_parts();
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let request_id = text("x-amzn-requestid").map(str::to_owned);
    let kind = text("x-amzn-errortype");
    let body = match Limited::new(body, ERROR_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        // What it is stands in the headers.
        Err(_) if kind.is_some() => Bytes::new(),
        Err(_) => return NotInvoked { request_id, ..NotInvoked::new(Why::Broken, "Response") },
    };
    let refusal = Refusal::read(kind, &body);
    let code = refusal.code.clone().unwrap_or_else(|| format!("Http{}", parts.status.as_u16()));
    let retry_after = text("retry-after").and_then(|seconds| seconds.parse().ok());
    let is_of_aws = request_id.is_some();
    NotInvoked { why: refusal.why(parts.status, is_of_aws, retry_after), code, request_id }
}

/// An error in AWS's JSON protocols.
struct Refusal {
    code: Option<String>,
    message: Option<String>,
    /// Without what stands in the answer elsewhere.
    members: Map<String, Value>,
}

impl Refusal {
    /// `type_header` is the header `x-amzn-ErrorType`.
    fn read(type_header: Option<&str>, body: &Bytes) -> Self {
        let mut members: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        let mut take = |name: &str| match members.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let (message, other_message) = (take("message"), take("Message"));
        let (code, kind) = (take("code"), take("__type"));
        let code = type_header.map(str::to_owned).or(code).or(kind);
        Self { code: code.as_deref().and_then(plain_code), message: other_message.or(message), members }
    }

    /// `is_of_aws` is whether the answer has an id of AWS's.
    fn why(self, status: StatusCode, is_of_aws: bool, retry_after: Option<u32>) -> Why {
        let Self { code, message, members } = self;
        let kind = Kind::of(code.as_deref().unwrap_or("Unknown"), status.as_u16());
        let status = status.as_u16();
        // A wait is an invitation to send the request again.
        let may_have_run = status >= 500 && code.as_deref().is_none_or(|code| modelled(code) != Some(Some(status)));
        let (status_shown, retry_after) = if may_have_run { (MAY_HAVE_RUN, None) } else { (status, retry_after) };
        let service = || Why::Service { status: status_shown, message, members, retry_after };
        match code.as_deref() {
            Some(code) if UNAUTHENTICATED.contains(&code) => Why::Unauthenticated,
            Some(code) if status >= 400 && modelled(code).is_some() => service(),
            // A proxy's page: AWS has not said that it turned the request away, so the model
            // may have run. A 401 or 403 of it says nothing of the grant, and its 429 would be
            // sent again.
            None if !is_of_aws => Why::NotUnderstood,
            // Not modelled. Any other 401 or 403 is about what the assumed session may do, not
            // the caller's own credentials, which is how a client would read the service's code.
            _ if status == 401 || kind == Kind::Denied => Why::Denied,
            _ if kind == Kind::Throttled => Why::Throttled,
            Some(code) if RETRIED_BY_NAME.contains(&code) => Why::NotUnderstood,
            Some(_) if status >= 400 => service(),
            _ => Why::NotUnderstood,
        }
    }
}

/// `namespace#Code:https://…` is the code alone.
fn plain_code(whole: &str) -> Option<String> {
    let code = whole.split(':').next().unwrap_or_default();
    as_code_without_owners(code.rsplit('#').next().unwrap_or_default())
}

/// The status of an error of SageMaker Runtime's model, if it has one there, too. Two are
/// modelled as events of a stream only. SDKs would send most statuses from 500 on again: of
/// a modelled error they pass only as modelled.
fn modelled(code: &str) -> Option<Option<u16>> {
    Some(match code {
        "InternalDependencyException" => Some(530),
        "InternalFailure" => Some(500),
        "ModelError" => Some(424),
        "ModelNotReadyException" => Some(429),
        "ServiceUnavailable" => Some(503),
        "ValidationError" => Some(400),
        "InternalStreamFailure" | "ModelStreamError" => None,
        _ => return None,
    })
}

/// Types that SDKs send again whatever the status, though the model may have run. The SDKs'
/// other such types mean that a quota turned the request away.
const RETRIED_BY_NAME: [&str; 4] = ["InternalError", "RequestTimeout", "RequestTimeoutException", "TimeoutError"];

/// A signature, a clock or credentials that are wrong, in the words of AWS's several
/// front ends ("Common error types" of the API references).
const UNAUTHENTICATED: [&str; 15] = [
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];
