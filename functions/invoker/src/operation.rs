//! SageMaker Runtime's three operations, as their wire tables say: path, header
//! members, IAM actions and limits.
//!
//! From the service's model (botocore 1.43.108). Header names differ by operation:
//! the model's content type and accept are HTTP's own of InvokeEndpoint, and of the
//! other two they have names of SageMaker's.

use std::time::Duration;

use crate::headers::Member;
use crate::rule::Rule;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    InvokeEndpoint,
    InvokeEndpointWithResponseStream,
    InvokeEndpointAsync,
}

impl Operation {
    pub const ALL: [Self; 3] =
        [Self::InvokeEndpoint, Self::InvokeEndpointWithResponseStream, Self::InvokeEndpointAsync];

    pub fn name(self) -> &'static str {
        match self {
            Self::InvokeEndpoint => "InvokeEndpoint",
            Self::InvokeEndpointWithResponseStream => "InvokeEndpointWithResponseStream",
            Self::InvokeEndpointAsync => "InvokeEndpointAsync",
        }
    }

    /// What stands behind `/endpoints/{name}` in the path.
    pub fn path(self) -> &'static str {
        match self {
            Self::InvokeEndpoint => "/invocations",
            Self::InvokeEndpointWithResponseStream => "/invocations-response-stream",
            Self::InvokeEndpointAsync => "/async-invocations",
        }
    }

    /// The members of the input that travel in headers.
    pub fn members(self) -> &'static [Member] {
        match self {
            Self::InvokeEndpoint => INVOKE_ENDPOINT,
            Self::InvokeEndpointWithResponseStream => INVOKE_ENDPOINT_WITH_RESPONSE_STREAM,
            Self::InvokeEndpointAsync => INVOKE_ENDPOINT_ASYNC,
        }
    }

    /// How long an answer may take to begin: SageMaker gives a model 60 s; half a minute
    /// more is for credentials and the way. A stream's may take longer, but not the five
    /// minutes after which API Gateway ends a silent one. An answer that has begun may
    /// take as long as the function.
    pub fn longest(self) -> Duration {
        match self {
            Self::InvokeEndpoint | Self::InvokeEndpointAsync => Duration::from_secs(90),
            Self::InvokeEndpointWithResponseStream => Duration::from_secs(290),
        }
    }

    /// The IAM actions that a call needs. Of the stream the API's own documentation
    /// names the first and the service authorization reference the second (R12).
    pub fn actions(self) -> &'static [&'static str] {
        match self {
            Self::InvokeEndpoint => &["sagemaker:InvokeEndpoint"],
            Self::InvokeEndpointWithResponseStream => {
                &["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"]
            }
            Self::InvokeEndpointAsync => &["sagemaker:InvokeEndpointAsync"],
        }
    }
}

const CONTENT_TYPE: Member = Member::new("Content-Type", "ContentType", Rule::Text { max: 1024 });
const ACCEPT: Member = Member::new("Accept", "Accept", Rule::Text { max: 1024 });
const MODEL_CONTENT_TYPE: Member =
    Member::new("X-Amzn-SageMaker-Content-Type", "ContentType", Rule::Text { max: 1024 });
pub(crate) const MODEL_ACCEPT: Member = Member::new("X-Amzn-SageMaker-Accept", "Accept", Rule::Text { max: 1024 });
const CUSTOM_ATTRIBUTES: Member =
    Member::new("X-Amzn-SageMaker-Custom-Attributes", "CustomAttributes", Rule::Text { max: 1024 });
const TARGET_MODEL: Member = Member::new("X-Amzn-SageMaker-Target-Model", "TargetModel", Rule::Token { max: 1024 });
const TARGET_VARIANT: Member = Member::new("X-Amzn-SageMaker-Target-Variant", "TargetVariant", Rule::Name);
const TARGET_CONTAINER_HOSTNAME: Member =
    Member::new("X-Amzn-SageMaker-Target-Container-Hostname", "TargetContainerHostname", Rule::Name);
const INFERENCE_ID: Member = Member::new("X-Amzn-SageMaker-Inference-Id", "InferenceId", Rule::Token { max: 64 });
const ENABLE_EXPLANATIONS: Member =
    Member::new("X-Amzn-SageMaker-Enable-Explanations", "EnableExplanations", Rule::SomeText { max: 64 });
pub(crate) const INFERENCE_COMPONENT: Member =
    Member::new("X-Amzn-SageMaker-Inference-Component", "InferenceComponentName", Rule::Name);
const NEW_OR_OLD_SESSION: Member =
    Member::new("X-Amzn-SageMaker-Session-Id", "SessionId", Rule::Session { may_be_new: true });
const SESSION: Member = Member::new("X-Amzn-SageMaker-Session-Id", "SessionId", Rule::Session { may_be_new: false });
const PREFIX_AWARE_ID: Member =
    Member::new("X-Amzn-SageMaker-Prefix-Aware-Id", "PrefixAwareId", Rule::Token { max: 64 });
pub(crate) const INPUT_LOCATION: Member =
    Member::new("X-Amzn-SageMaker-InputLocation", "InputLocation", Rule::Location { max: 1024 });
const OUTPUT_PATH_EXTENSION: Member =
    Member::new("X-Amzn-SageMaker-S3OutputPathExtension", "S3OutputPathExtension", Rule::PathExtension { max: 512 });
const FILENAME: Member = Member::new("X-Amzn-SageMaker-Filename", "Filename", Rule::Filename { max: 32 });
const REQUEST_TTL_SECONDS: Member =
    Member::new("X-Amzn-SageMaker-RequestTTLSeconds", "RequestTTLSeconds", Rule::Integer { min: 60, max: 21_600 });
const INVOCATION_TIMEOUT_SECONDS: Member = Member::new(
    "X-Amzn-SageMaker-InvocationTimeoutSeconds",
    "InvocationTimeoutSeconds",
    Rule::Integer { min: 1, max: 3_600 },
);

const INVOKE_ENDPOINT: &[Member] = &[
    CONTENT_TYPE,
    ACCEPT,
    CUSTOM_ATTRIBUTES,
    TARGET_MODEL,
    TARGET_VARIANT,
    TARGET_CONTAINER_HOSTNAME,
    INFERENCE_ID,
    ENABLE_EXPLANATIONS,
    INFERENCE_COMPONENT,
    NEW_OR_OLD_SESSION,
    PREFIX_AWARE_ID,
];
const INVOKE_ENDPOINT_WITH_RESPONSE_STREAM: &[Member] = &[
    CONTENT_TYPE,
    MODEL_ACCEPT,
    CUSTOM_ATTRIBUTES,
    TARGET_VARIANT,
    TARGET_CONTAINER_HOSTNAME,
    INFERENCE_ID,
    INFERENCE_COMPONENT,
    SESSION,
    PREFIX_AWARE_ID,
];
const INVOKE_ENDPOINT_ASYNC: &[Member] = &[
    MODEL_CONTENT_TYPE,
    MODEL_ACCEPT,
    CUSTOM_ATTRIBUTES,
    INFERENCE_ID,
    INPUT_LOCATION,
    OUTPUT_PATH_EXTENSION,
    FILENAME,
    REQUEST_TTL_SECONDS,
    INVOCATION_TIMEOUT_SECONDS,
];
