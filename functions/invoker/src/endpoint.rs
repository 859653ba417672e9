//! The three operations: the only file that calls SageMaker Runtime.
//!
//! Headers that are members, or will be, go out as the caller wrote them, since their
//! names and values are the same on both sides. A successful answer is passed on as it
//! comes; an error is read.

use std::collections::HashMap;

use aws_credential_types::Credentials;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use sagemaker_external::arn::Region;
use sagemaker_external::failure::{Kind, as_code};
use sagemaker_external::name::EndpointName;
use serde_json::{Map, Value};
use tokio::time::timeout_at;

use crate::aws::{Aws, Service};
use crate::deadline::Deadline;
use crate::headers::Headers;
use crate::operation::Operation;
use crate::payload::Payload;
use crate::transport::Lost;

/// SageMaker's answer as it came: any success status, all its headers, and the
/// body still to be read.
pub type Upstream = http::Response<SdkBody>;

/// Why there is no success.
pub struct NotInvoked {
    pub why: Why,
    /// What the service called it: for the log, and the type of a passed error.
    pub code: String,
    /// SageMaker's id of the call, if it answered.
    pub request_id: Option<String>,
}

pub enum Why {
    /// An error with a code, modelled or newer than the model, with all its members but
    /// the message, as they came (R02).
    Service {
        status: u16,
        message: Option<String>,
        members: Map<String, Value>,
        retry_after: Option<u32>,
    },
    /// The role or the session policy does not allow the call.
    Denied,
    /// The call was not accepted as one of the assumed session: a fault of ours.
    Unauthenticated,
    Throttled,
    /// SageMaker Runtime could not be reached: nothing of the request was sent.
    Unavailable,
    /// The request may have been sent, and no whole answer came: the model may have run.
    Broken,
    /// Our own deadline came first.
    Deadline,
    /// An answer that is not of this service, or no request at all.
    Fault,
}

/// The largest error that is read: a model's own message is cut by SageMaker long before.
const ERROR_MAX: usize = 1024 * 1024;

/// What is sent to an endpoint.
pub struct Call<'a> {
    pub operation: Operation,
    pub endpoint: &'a EndpointName,
    pub headers: &'a Headers,
    pub payload: Payload,
}

/// SageMaker Runtime in each region in which an endpoint is granted.
pub struct Runtimes {
    aws: Aws,
    services: HashMap<Region, Service>,
}

impl Runtimes {
    pub fn new<'a>(aws: &Aws, regions: impl Iterator<Item = &'a Region>) -> Self {
        let services = regions.filter_map(|region| Some((region.clone(), aws.runtime(region)?))).collect();
        Self { aws: aws.clone(), services }
    }

    /// Where their connections lead.
    pub fn uris(&self) -> impl Iterator<Item = &Uri> {
        self.services.values().map(Service::uri)
    }

    /// Calls the endpoint once: the model must never run twice for one request (R04).
    /// A model may think for a minute between two bytes; the deadline bounds it.
    ///
    /// # Errors
    /// [`NotInvoked`] for every answer that is not a success, and for none.
    pub async fn invoke(
        &self,
        region: &Region,
        call: Call<'_>,
        credentials: &Credentials,
        deadline: Deadline,
    ) -> Result<Upstream, NotInvoked> {
        if deadline.is_over() {
            return Err(NotInvoked::new(Why::Deadline, "Deadline"));
        }
        let service = self.services.get(region).ok_or_else(|| NotInvoked::new(Why::Fault, "NoEndpoint"))?;
        let Call { operation, endpoint, headers, payload } = call;
        let path = format!("/endpoints/{endpoint}{}", operation.path());
        let headers = headers.iter().map(|(name, value)| (name, value.as_str()));
        let request = service.post(&path, headers, payload, credentials, &self.aws.clock);
        let request = request.ok_or_else(|| NotInvoked::new(Why::Fault, "Request"))?;
        let answered = timeout_at(deadline.at(), async {
            match self.aws.http.send(request).await {
                Ok(response) if response.status().is_success() => Ok(response),
                Ok(response) => Err(refused(response).await),
                Err(lost) => Err(lost.into()),
            }
        });
        match answered.await {
            Ok(outcome) => outcome,
            Err(_) => Err(NotInvoked::new(Why::Deadline, "Timeout")),
        }
    }
}

impl NotInvoked {
    fn new(why: Why, code: &str) -> Self {
        Self { why, code: code.to_owned(), request_id: None }
    }
}

impl From<Lost> for NotInvoked {
    fn from(lost: Lost) -> Self {
        let why = match lost {
            Lost::Unsent(_) => Why::Unavailable,
            Lost::Broken => Why::Broken,
        };
        Self::new(why, lost.code())
    }
}

/// By code and status, whatever the operation.
async fn refused(response: http::Response<SdkBody>) -> NotInvoked {
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
    let code = refusal.code.clone().unwrap_or_else(|| "Unknown".to_owned());
    let retry_after = text("retry-after").and_then(|seconds| seconds.parse().ok());
    NotInvoked { why: refusal.why(parts.status, retry_after), code, request_id }
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

    fn why(self, status: StatusCode, retry_after: Option<u32>) -> Why {
        let Self { code, message, members } = self;
        let kind = Kind::of(code.as_deref().unwrap_or("Unknown"), status.as_u16());
        let status = status.as_u16();
        let service = || Why::Service { status, message, members, retry_after };
        match code.as_deref() {
            Some(code) if UNAUTHENTICATED.contains(&code) => Why::Unauthenticated,
            Some(
                "InternalDependencyException"
                | "InternalFailure"
                | "InternalStreamFailure"
                | "ModelError"
                | "ModelNotReadyException"
                | "ModelStreamError"
                | "ServiceUnavailable"
                | "ValidationError",
            ) => service(),
            // Not modelled. Any other 401 or 403 is about what the assumed session may do, not
            // the caller's own credentials, which is how a client would read the service's code.
            _ if status == 401 || kind == Kind::Denied => Why::Denied,
            _ if kind == Kind::Throttled => Why::Throttled,
            Some(_) if status >= 400 => service(),
            // A page of the front end, which had nobody to ask, or lost whom it asked.
            _ if status == 503 => Why::Unavailable,
            _ if [502, 504].contains(&status) => Why::Broken,
            _ => Why::Fault,
        }
    }
}

/// `namespace#Code:https://…` is the code alone.
fn plain_code(whole: &str) -> Option<String> {
    let code = whole.split(':').next().unwrap_or_default();
    as_code(code.rsplit('#').next().unwrap_or_default())
}

/// A signature, a clock or credentials that are wrong, in the words of AWS's several
/// front ends ("Common error types" of the API references).
const UNAUTHENTICATED: [&str; 14] = [
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
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];
