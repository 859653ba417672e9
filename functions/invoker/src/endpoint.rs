//! The three operations: the only file that calls SageMaker Runtime.
//!
//! The SDK signs and sends. Headers that are members, or will be, go out through an
//! interceptor as the caller wrote them, since their names and values are the same
//! on both sides. A successful answer is taken away by the same interceptor before
//! the SDK reads it, so that it can be passed on as it comes; the SDK then reads an
//! empty one. Errors are left to the SDK to parse.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex};

use aws_config::{Region as SdkRegion, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_sagemakerruntime::Client;
use aws_sdk_sagemakerruntime::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_sagemakerruntime::config::retry::RetryConfig;
use aws_sdk_sagemakerruntime::config::timeout::TimeoutConfig;
use aws_sdk_sagemakerruntime::config::{
    Builder, ConfigBag, IdentityCache, Intercept, RuntimeComponents, StalledStreamProtectionConfig,
};
use aws_sdk_sagemakerruntime::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sagemakerruntime::primitives::Blob;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::result::DispatchFailure;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::body::SdkBody;
use hyper_util::client::legacy::Error as HyperError;
use sagemaker_external::arn::Region;
use sagemaker_external::failure::{Failure, Kind};
use serde_json::{Map, Value};

use crate::deadline::Deadline;
use crate::headers::Headers;
use crate::operation::Operation;
use crate::request::Invocation;

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

/// One client for each region in which an endpoint is granted.
pub struct Runtimes(HashMap<Region, Client>);

impl Runtimes {
    /// The clients have no credentials of their own: a call without an assumed
    /// role's cannot be signed.
    pub fn new<'a>(config: &SdkConfig, regions: impl Iterator<Item = &'a Region>) -> Self {
        let mut bare = config.to_builder();
        bare.set_credentials_provider(None);
        let bare = bare.build();
        let client = |region: &Region| {
            let config = Builder::from(&bare)
                .region(SdkRegion::new(region.to_string()))
                // The model must never run twice for one request (R04).
                .retry_config(RetryConfig::disabled())
                // A model may think for a minute between two bytes; the deadline bounds it.
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
            Client::from_conf(config.build())
        };
        Self(regions.map(|region| (region.clone(), client(region))).collect())
    }

    /// Calls the endpoint once.
    ///
    /// # Errors
    /// [`NotInvoked`] for every answer that is not a success, and for none.
    pub async fn invoke(
        &self,
        region: &Region,
        invocation: Invocation,
        credentials: Credentials,
        deadline: Deadline,
    ) -> Result<Upstream, NotInvoked> {
        let not = |why: Why, code: &str| NotInvoked { why, code: code.to_owned(), request_id: None };
        let client = self.0.get(region).ok_or_else(|| not(Why::Fault, "NoClient"))?;
        if deadline.is_over() {
            return Err(not(Why::Deadline, "Deadline"));
        }
        // One look at the sockets: a kept connection that was closed meanwhile, as while
        // Lambda froze the process, leaves the pool before the request is written to it.
        tokio::task::yield_now().await;
        let Invocation { operation, endpoint, headers, body, .. } = invocation;
        let passage = Passage { headers, taken: Arc::default() };
        let taken = Arc::clone(&passage.taken);
        let config = Builder::default()
            .credentials_provider(credentials)
            // One request, one use: nothing to keep, and nobody else's to find.
            .identity_cache(IdentityCache::no_cache())
            .timeout_config(TimeoutConfig::builder().operation_timeout(deadline.left()).build());
        macro_rules! send {
            ($call:ident) => {
                client
                    .$call()
                    .endpoint_name(endpoint.as_str())
                    // Of an asynchronous call, an absent body and an empty one are the same.
                    .body(Blob::new(body))
                    .customize()
                    .interceptor(passage)
                    .config_override(config)
                    .send()
                    .await
                    .map(drop)
                    .map_err(|error| not_invoked(&error))
            };
        }
        match operation {
            Operation::InvokeEndpoint => send!(invoke_endpoint),
            Operation::InvokeEndpointWithResponseStream => send!(invoke_endpoint_with_response_stream),
            Operation::InvokeEndpointAsync => send!(invoke_endpoint_async),
        }?;
        take(&taken).ok_or_else(|| not(Why::Broken, "NoAnswer"))
    }
}

/// Carries the headers there and the answer back.
struct Passage {
    headers: Headers,
    taken: Arc<Mutex<Option<Response>>>,
}

/// The SDK asks for it; the headers are nothing to show.
impl fmt::Debug for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passage")
    }
}

#[dyn_dispatch_hint]
impl Intercept for Passage {
    fn name(&self) -> &'static str {
        "Passage"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        // The SDK's default; the caller's own follows, if there is one.
        headers.remove("content-type");
        for (name, value) in self.headers.iter() {
            headers.try_insert(name.clone(), value.clone())?;
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        if response.status().is_success() {
            // Its headers go as well: the SDK would refuse an answer for one it cannot read.
            let empty = Response::new(response.status(), SdkBody::empty());
            let whole = mem::replace(response, empty);
            *self.taken.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(whole);
        }
        Ok(())
    }
}

fn take(taken: &Mutex<Option<Response>>) -> Option<Upstream> {
    let response = taken.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()?;
    response.try_into_http1x().ok()
}

/// By code and status, whatever the operation: the SDK has a type of its own for the
/// errors of each.
fn not_invoked<E>(error: &SdkError<E, Response>) -> NotInvoked
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let failure = Failure::of(error);
    let why = match error {
        SdkError::ServiceError(service) => answered(service.err(), service.raw(), failure.kind),
        SdkError::TimeoutError(_) => Why::Deadline,
        SdkError::DispatchFailure(failure) if was_never_connected(failure) => Why::Unavailable,
        SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => Why::Broken,
        _ => Why::Fault,
    };
    let id = error.raw_response().and_then(|raw| raw.headers().get("x-amzn-requestid"));
    NotInvoked { why, code: failure.code, request_id: id.map(str::to_owned) }
}

/// Whether there was no connection (with TLS and its timeout) that could have carried
/// anything of the request. The HTTP client says so; the SDK does not pass it on.
fn was_never_connected(failure: &DispatchFailure) -> bool {
    let mut cause = failure.as_connector_error().map(|error| error as &(dyn StdError + 'static));
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<HyperError>() {
            return error.is_connect();
        }
        cause = error.source();
    }
    false
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

fn answered(error: &impl ProvideErrorMetadata, raw: &Response, kind: Kind) -> Why {
    let status = raw.status().as_u16();
    let service = || Why::Service {
        status,
        message: error.message().map(str::to_owned),
        members: members(raw),
        retry_after: raw.headers().get("retry-after").and_then(|seconds| seconds.parse().ok()),
    };
    match error.code() {
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
        // Not modelled. Any other 401 or 403 is about what the assumed session may do, not the
        // caller's own credentials, which is how a client would read the service's code.
        _ if status == 401 || kind == Kind::Denied => Why::Denied,
        _ if kind == Kind::Throttled => Why::Throttled,
        Some(_) if status >= 400 => service(),
        // A page of the front end, which had nobody to ask, or lost whom it asked.
        _ if status == 503 => Why::Unavailable,
        _ if [502, 504].contains(&status) => Why::Broken,
        _ => Why::Fault,
    }
}

/// The members of an error, without what stands in the answer elsewhere.
fn members(raw: &Response) -> Map<String, Value> {
    let body = raw.body().bytes().unwrap_or_default();
    let mut members: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    for elsewhere in ["Message", "message", "__type", "code"] {
        members.remove(elsewhere);
    }
    members
}
