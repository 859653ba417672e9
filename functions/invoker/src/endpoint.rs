//! InvokeEndpoint: the only file that calls SageMaker Runtime.
//!
//! The SDK would read the whole answer into memory first. An interceptor takes a
//! successful answer away before that, so that it can be passed on as it comes;
//! the SDK then reads an empty one. Errors are left to the SDK to parse.

use std::collections::HashMap;
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
use aws_sdk_sagemakerruntime::error::SdkError;
use aws_sdk_sagemakerruntime::operation::invoke_endpoint::InvokeEndpointError;
use aws_sdk_sagemakerruntime::primitives::Blob;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::body::SdkBody;
use sagemaker_external::arn::Region;
use sagemaker_external::failure::{Failure, Kind};

use crate::deadline::Deadline;
use crate::request::InvokeEndpoint;

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
    /// The model's container answered with an error: ModelError, all its members.
    Model {
        status: u16,
        message: Option<String>,
        original: Box<Original>,
    },
    /// Any other error with a code, modelled or newer than the model (R02).
    Service {
        status: u16,
        message: Option<String>,
        retry_after: Option<u32>,
    },
    /// The role or the session policy does not allow the call.
    Denied,
    Throttled,
    /// SageMaker Runtime could not be reached.
    Unavailable,
    /// Our own deadline came first.
    Deadline,
    /// An answer that is not of this service, or no request at all.
    Fault,
}

/// ModelError's own members.
pub struct Original {
    pub status_code: Option<i32>,
    pub message: Option<String>,
    pub log_stream_arn: Option<String>,
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
        request: InvokeEndpoint,
        credentials: Credentials,
        deadline: Deadline,
    ) -> Result<Upstream, NotInvoked> {
        let not = |why: Why, code: &str| NotInvoked { why, code: code.to_owned(), request_id: None };
        let client = self.0.get(region).ok_or_else(|| not(Why::Fault, "NoClient"))?;
        if deadline.is_over() {
            return Err(not(Why::Deadline, "Deadline"));
        }
        let passage = Passage { untyped: request.content_type.is_none(), taken: Arc::default() };
        let taken = Arc::clone(&passage.taken);
        let config = Builder::default()
            .credentials_provider(credentials)
            // One request, one use: nothing to keep, and nobody else's to find.
            .identity_cache(IdentityCache::no_cache())
            .timeout_config(TimeoutConfig::builder().operation_timeout(deadline.left()).build());
        let sent = client
            .invoke_endpoint()
            .endpoint_name(request.endpoint.as_str())
            .set_content_type(request.content_type)
            .set_accept(request.accept)
            .set_custom_attributes(request.custom_attributes)
            .set_target_model(request.target_model)
            .set_target_variant(request.target_variant)
            .set_target_container_hostname(request.target_container_hostname)
            .set_inference_id(request.inference_id)
            .set_enable_explanations(request.enable_explanations)
            .set_inference_component_name(request.inference_component.map(|name| name.to_string()))
            .set_session_id(request.session_id)
            .body(Blob::new(request.body))
            .customize()
            .interceptor(passage)
            .config_override(config)
            .send()
            .await;
        match sent {
            Ok(_) => take(&taken).ok_or_else(|| not(Why::Fault, "NoAnswer")),
            Err(error) => Err(not_invoked(&error)),
        }
    }
}

/// Carries what the SDK has no member for.
#[derive(Debug)]
struct Passage {
    /// The caller gave no Content-Type: none is sent, not the SDK's default.
    untyped: bool,
    taken: Arc<Mutex<Option<Response>>>,
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
        if self.untyped {
            context.request_mut().headers_mut().remove("content-type");
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

fn not_invoked(error: &SdkError<InvokeEndpointError, Response>) -> NotInvoked {
    let failure = Failure::of(error);
    let why = match error {
        SdkError::ServiceError(service) => {
            let raw = service.raw();
            let retry_after = raw.headers().get("retry-after").and_then(|seconds| seconds.parse().ok());
            answered(service.err(), raw.status().as_u16(), retry_after, &failure)
        }
        SdkError::TimeoutError(_) => Why::Deadline,
        SdkError::DispatchFailure(_) => Why::Unavailable,
        _ => Why::Fault,
    };
    let id = error.raw_response().and_then(|raw| raw.headers().get("x-amzn-requestid"));
    NotInvoked { why, code: failure.code, request_id: id.map(str::to_owned) }
}

fn answered(error: &InvokeEndpointError, status: u16, retry_after: Option<u32>, failure: &Failure) -> Why {
    let message = error.meta().message().map(str::to_owned);
    let code = error.meta().code();
    match error {
        InvokeEndpointError::ModelError(model) => Why::Model {
            status,
            message,
            original: Box::new(Original {
                status_code: model.original_status_code(),
                message: model.original_message().map(str::to_owned),
                log_stream_arn: model.log_stream_arn().map(str::to_owned),
            }),
        },
        InvokeEndpointError::InternalDependencyException(_)
        | InvokeEndpointError::InternalFailure(_)
        | InvokeEndpointError::ModelNotReadyException(_)
        | InvokeEndpointError::ServiceUnavailable(_)
        | InvokeEndpointError::ValidationError(_) => Why::Service { status, message, retry_after },
        // Not modelled. Any 401 or 403 is about the assumed session, not the caller's own
        // credentials, which is how a client would read the service's code.
        _ if status == 401 || failure.kind == Kind::Denied => Why::Denied,
        _ if failure.kind == Kind::Throttled => Why::Throttled,
        _ if code.is_some() && status >= 400 => Why::Service { status, message, retry_after },
        // A page of the front end, before SageMaker itself.
        _ if (502..=504).contains(&status) => Why::Unavailable,
        _ => Why::Fault,
    }
}
