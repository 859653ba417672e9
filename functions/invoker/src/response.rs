//! From what a request came to, to status, headers and body: the one match over
//! results and errors.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{StatusCode, header};
use lambda_runtime::{MetadataPrelude, StreamResponse};
use serde_json::{Map, Value, json};

use crate::advice::{ran, sooner};
use crate::assume;
use crate::body::Body;
use crate::code::Code;
use crate::deadline::Deadline;
use crate::doctor::Report;
use crate::endpoint::{self, Upstream};
use crate::error::{Error, Invalid, MAY_HAVE_RUN};
use crate::form::Form;
use crate::grants::Grants;
use crate::owners::{hide_in_members, hide_owners};
use crate::record::{Record, Served};
use crate::watched::Watched;

/// Always streamed: a buffered answer comes back empty under a streaming
/// integration (awslabs/aws-lambda-rust-runtime issue 967).
pub type Answer = StreamResponse<Watched>;

/// An answer of whose request nothing is told yet.
pub type Reply = StreamResponse<Body>;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
/// Our own code beside SageMaker's type: docs/errors.md.
const ERROR_CODE: HeaderName = HeaderName::from_static("x-sagemaker-external-error-code");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const VARIANT: HeaderName = HeaderName::from_static("x-amzn-invoked-production-variant");
const MODEL_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-amzn-sagemaker-content-type");
const SAGEMAKER: &str = "x-amzn-sagemaker-";

/// A throttled call may succeed a second later: STS's rate is per second.
const THROTTLED_SECONDS: u32 = 1;
/// The next request gets new credentials at once.
const STALE_SECONDS: u32 = 1;
/// A cold model takes some seconds to load; SageMaker does not say how many.
const NOT_READY_SECONDS: u32 = 5;

/// SageMaker's success, passed on: its status, its body as it comes, and of its
/// headers those that the API promises (S18).
pub fn passed(upstream: Upstream, form: Form, record: &Record, deadline: Deadline) -> Reply {
    let (parts, body) = upstream.into_parts();
    let mut headers = HeaderMap::new();
    for (name, value) in &parts.headers {
        // The model writes some of these values: only readable ones, and one of each name.
        if is_passed_on(name) && value.to_str().is_ok() && !headers.contains_key(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
    if let Form::Plain(media) = form {
        // The model may have added a parameter, such as a charset.
        let same = headers.get(MODEL_CONTENT_TYPE).filter(|model| model.to_str().is_ok_and(|text| media.is(text)));
        let own = same.cloned().unwrap_or(HeaderValue::from_static(media.name()));
        headers.insert(CONTENT_TYPE, own);
    }
    answer(parts.status, headers, Body::passing(body, form, deadline), record)
}

/// What this API grants: endpoint names and regions, no role, no ExternalId.
pub fn listed(grants: &Grants, record: &Record) -> Reply {
    let endpoints = grants.endpoints().map(|(name, region)| json!({ "EndpointName": name, "Region": region.as_str() }));
    let body = json!({ "Endpoints": endpoints.collect::<Vec<_>>() });
    answer(StatusCode::OK, json_headers(), Body::Bytes(body.to_string().into()), record)
}

/// What the doctor found.
pub fn doctored(report: &Report, record: &Record) -> Reply {
    answer(StatusCode::OK, json_headers(), Body::Bytes(report.to_json().into()), record)
}

/// An error in SageMaker's shape: status, `x-amzn-ErrorType`, and JSON with
/// `Message` and the members of the type. Our own code is in a header and, where the
/// body is not SageMaker's own (R02), in a member that SDKs do not read.
pub fn refused(error: &Error, record: &Record) -> Reply {
    let Shape { status, code, message, mut members, retry_after } = shape(error);
    members.insert("Message".to_owned(), message.into());
    let own = Code::of(error);
    if !own.is_passed_on() {
        members.insert("ErrorCode".to_owned(), own.name().into());
    }
    let mut headers = json_headers();
    headers.insert(ERROR_CODE, HeaderValue::from_static(own.name()));
    // A code that is no header value can only be one that SageMaker does not have.
    let code = HeaderValue::from_str(&code).unwrap_or(HeaderValue::from_static("InternalFailure"));
    headers.insert(ERROR_TYPE, code);
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    let id = error.upstream_request_id().and_then(|id| HeaderValue::from_str(id).ok());
    headers.extend(id.map(|id| (REQUEST_ID, id)));
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer(status, headers, Body::Bytes(Bytes::from(Value::Object(members).to_string())), record)
}

/// What a request came to, and its one line as soon as the answer has ended.
pub fn answered(outcome: Result<Reply, Error>, record: Record) -> Answer {
    let (reply, code, cause) = match outcome {
        Ok(reply) => (reply, None, None),
        Err(error) => (refused(&error, &record), Some(Code::of(&error)), error.into_cause()),
    };
    let StreamResponse { metadata_prelude, stream } = reply;
    let error_type = metadata_prelude.headers.get(ERROR_TYPE).cloned();
    let served = Served::new(record, metadata_prelude.status_code, error_type, code, cause);
    StreamResponse { metadata_prelude, stream: Watched::new(stream, served) }
}

fn is_passed_on(name: &HeaderName) -> bool {
    [CONTENT_TYPE, VARIANT, REQUEST_ID].contains(name) || name.as_str().starts_with(SAGEMAKER)
}

fn json_headers() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

/// What every answer has.
fn answer(status: StatusCode, mut headers: HeaderMap, body: Body, record: &Record) -> Reply {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let text = |text: &str| HeaderValue::from_str(text).ok();
    headers.extend(text(&record.server_timing()).map(|timing| (SERVER_TIMING, timing)));
    if !headers.contains_key(REQUEST_ID) {
        headers.extend(text(&record.request_id).map(|id| (REQUEST_ID, id)));
    }
    let metadata_prelude = MetadataPrelude { status_code: status, headers, cookies: Vec::new() };
    StreamResponse { metadata_prelude, stream: body }
}

struct Shape<'a> {
    status: u16,
    code: Cow<'a, str>,
    message: Cow<'a, str>,
    members: Map<String, Value>,
    retry_after: Option<u32>,
}

impl<'a> Shape<'a> {
    fn new(status: u16, code: &'a str, message: impl Into<Cow<'a, str>>) -> Self {
        Self { status, code: code.into(), message: message.into(), members: Map::new(), retry_after: None }
    }

    fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }
}

fn shape(error: &Error) -> Shape<'_> {
    match error {
        Error::Invalid(Invalid(sentence)) => Shape::new(400, "ValidationError", sentence),
        Error::UnknownOperation => {
            Shape::new(404, "UnknownOperationException", "no operation of this API has this method and path")
        }
        Error::NoCaller => Shape::new(
            403,
            "AccessDeniedException",
            "the request names no caller: the API must authorize it with IAM or with a user pool",
        ),
        Error::NotSetUp => Shape::new(
            500,
            "InternalFailure",
            "this API is not set up: GRANTS or another of its settings is missing or wrong, and the log of its start \
             says how",
        ),
        Error::NotGranted(name) => Shape::new(
            404,
            "ValidationError",
            format!(
                "endpoint \"{name}\" is not granted here: ask the account that owns it for a grant of this endpoint, \
                 and whoever runs this API to add the grant; GET /endpoints lists what is granted"
            ),
        ),
        Error::NotAssumed(name, not) => match not.why {
            assume::Why::Denied => Shape::new(
                403,
                "AccessDeniedException",
                format!(
                    "the grant of endpoint \"{name}\" is not accepted: the account that owns the endpoint must trust \
                     this API's account with the grant's ExternalId, and this API's role must be allowed to assume \
                     the grant's role"
                ),
            ),
            assume::Why::RegionDisabled => Shape::new(
                403,
                "AccessDeniedException",
                format!(
                    "the grant of endpoint \"{name}\" cannot be used from this region: the account that owns the \
                     endpoint must activate STS here"
                ),
            ),
            assume::Why::Throttled => {
                Shape::new(429, "ThrottlingException", "too many requests for credentials, try again later")
                    .retry_after(THROTTLED_SECONDS)
            }
            assume::Why::Unavailable => {
                Shape::new(503, "ServiceUnavailable", "STS could not be reached, try again later")
            }
            assume::Why::Deadline => late("STS gave no credentials before this API's own deadline, try again"),
            // Not 500, which SDKs send again, for what cannot succeed.
            assume::Why::TooLarge => Shape::new(
                403,
                "AccessDeniedException",
                format!(
                    "the session for endpoint \"{name}\" is too large for STS: whoever runs this API must set \
                     CallerAttribution to false for its grant or give the caller a shorter name, or the account that \
                     owns the endpoint must give the endpoint and its inference components shorter names"
                ),
            ),
            assume::Why::Fault => {
                Shape::new(500, "InternalFailure", "the request for credentials failed, and this API's log says how")
            }
        },
        Error::NotInvoked(operation, name, not) => match &not.why {
            endpoint::Why::Service { status, message, members, retry_after } => {
                let message = message.as_deref().unwrap_or("the service gave no message");
                let cold = (not.code == "ModelNotReadyException").then_some(NOT_READY_SECONDS);
                let (message, members) = match not.code.as_str() {
                    // As modelled and unchanged: its log stream's ARN names the owner's account,
                    // and is meant to.
                    "ModelError" => (Cow::from(message), members.clone()),
                    _ => (hide_owners(message).into(), hide_in_members(members)),
                };
                Shape { members, retry_after: retry_after.or(cold), ..Shape::new(*status, &not.code, message) }
            }
            endpoint::Why::Denied => Shape::new(
                403,
                "AccessDeniedException",
                format!(
                    "the grant does not cover this call of endpoint \"{name}\": the account that owns the endpoint \
                     must allow {} on the endpoint, and on the inference component if one is named",
                    operation.actions().join(" and ")
                ),
            ),
            endpoint::Why::Unauthenticated => Shape::new(
                500,
                "InternalFailure",
                "this API's call of SageMaker Runtime was not accepted: its signature, clock or credentials are wrong, \
                 and its log holds the code",
            ),
            endpoint::Why::Throttled => {
                Shape::new(429, "ThrottlingException", "too many requests for this endpoint, try again later")
                    .retry_after(THROTTLED_SECONDS)
            }
            endpoint::Why::Unavailable => {
                Shape::new(503, "ServiceUnavailable", "SageMaker Runtime could not be reached, try again later")
            }
            endpoint::Why::Broken => may_have_run(format!(
                "the connection to endpoint \"{name}\" broke before the whole answer came: {}",
                ran(*operation)
            )),
            endpoint::Why::Late => late("this API's own deadline came before the endpoint was called, try again"),
            endpoint::Why::Deadline => may_have_run(format!(
                "endpoint \"{name}\" gave no answer before this API's own deadline, which is {} s at most: {}{}",
                operation.longest().as_secs(),
                ran(*operation),
                sooner(*operation)
            )),
            endpoint::Why::NotUnderstood => may_have_run(format!(
                "the call of endpoint \"{name}\" was answered with something that is not a SageMaker error, such as a \
                 proxy's HTML page: {}",
                ran(*operation)
            )),
            endpoint::Why::NotSendable => Shape::new(
                500,
                "InternalFailure",
                format!("no request could be made of the call of endpoint \"{name}\", and this API's log says why"),
            ),
        },
        Error::Stale(_) => Shape::new(
            503,
            "ServiceUnavailable",
            "the credentials kept for this endpoint are no longer accepted and are forgotten, try again",
        )
        .retry_after(STALE_SECONDS),
        Error::Panicked { was_invoking: false } => {
            Shape::new(500, "InternalFailure", "this API failed, and its log says where")
        }
        Error::Panicked { was_invoking: true } => {
            may_have_run("this API failed while it called the endpoint, and its log says where: the model may have run")
        }
    }
}

/// An error that no client sends again by itself (R04).
fn may_have_run<'a>(message: impl Into<Cow<'a, str>>) -> Shape<'a> {
    Shape::new(MAY_HAVE_RUN, "InternalDependencyException", message)
}

/// Our own deadline, before the endpoint was called (R13). SageMaker's model has no error
/// for it; clients see the status and this code.
fn late(message: &str) -> Shape<'_> {
    Shape::new(504, "GatewayTimeoutException", message)
}
