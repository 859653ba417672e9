//! Between the handler and Lambda's Runtime API.
//!
//! lambda_runtime asks for events and reads contexts; the answer is posted from
//! here. Its own way of posting writes an error in mid-stream into the body as
//! text and then ends the body well, so a client would take a cut answer for a
//! whole one. The Runtime API's documented way is kept instead: the error goes into
//! HTTP trailers, and Lambda cuts the answer (AWS Lambda developer guide,
//! "Building a custom runtime", response streaming).

use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use base64_simd::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRAILER, TRANSFER_ENCODING};
use http::{Method, Request};
use http_body::Frame;
use lambda_runtime::tower::layer::layer_fn;
use lambda_runtime::{BoxFuture, Diagnostic, Error, LambdaEvent, LambdaInvocation, Runtime, Service, service_fn};
use lambda_runtime_api_client::build_request;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::body::Cut;
use crate::deadline::Deadline;
use crate::handler::Invoker;
use crate::posting::{NotPosted, RuntimeApi};
use crate::response::Answer;
use crate::watched::Watched;

const MODE: HeaderName = HeaderName::from_static("lambda-runtime-function-response-mode");
const ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-runtime-function-error-type");
const ERROR_BODY: HeaderName = HeaderName::from_static("lambda-runtime-function-error-body");
const INVOCATION: HeaderName = HeaderName::from_static("lambda-runtime-invocation-id");
/// What parts the metadata from the body.
const SEPARATOR: [u8; 8] = [0; 8];

/// Serves requests until Lambda stops the process: one after the other, or on Lambda
/// Managed Instances as many at once as `AWS_LAMBDA_MAX_CONCURRENCY` says.
///
/// # Errors
/// When the Runtime API cannot be asked for the next event.
pub async fn run(invoker: Invoker) -> Result<(), Error> {
    let authority = std::env::var("AWS_LAMBDA_RUNTIME_API")?;
    let api = RuntimeApi::at(&authority).ok_or("AWS_LAMBDA_RUNTIME_API is no host and port")?;
    let serve = Serve { invoker: Arc::new(invoker), api: Arc::new(api) };
    // The innermost service is lambda_runtime's handler, which `serve` stands in for.
    let unused = service_fn(|_: LambdaEvent<IgnoredAny>| ready(Ok::<(), Diagnostic>(())));
    Runtime::new(unused).layer(layer_fn(move |_| serve.clone())).run_concurrent().await
}

#[derive(Clone)]
struct Serve {
    invoker: Arc<Invoker>,
    api: Arc<RuntimeApi<Posted>>,
}

impl Service<LambdaInvocation> for Serve {
    type Response = ();
    type Error = Error;
    type Future = BoxFuture<'static, Result<(), Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let Self { invoker, api } = self.clone();
        Box::pin(async move {
            let LambdaInvocation { parts, body, context, .. } = invocation;
            let answer = invoker.handle(body, &context).await;
            let until = Deadline::of_posting(&context).at();
            let request = post(&context.request_id, parts.headers.get(INVOCATION), answer)?;
            let request_id = &context.request_id;
            // A request that ended badly is no reason to end the process.
            match api.post(request, until).await {
                Ok(status) if status.is_success() => {}
                Ok(status) => {
                    let status = status.as_u16();
                    tracing::error!(target: "invoker", request_id, status, "answer not taken");
                }
                // Whoever reads the answer takes no more of it, or does not say so.
                Err(NotPosted::Late) => {
                    tracing::error!(target: "invoker", request_id, "answer not taken before the deadline");
                }
                Err(NotPosted::Broken) => tracing::error!(target: "invoker", request_id, "answer not sent"),
            }
            Ok(())
        })
    }
}

/// The answer as the Runtime API takes it: metadata as JSON, eight NUL bytes, the
/// body in chunks, and trailers if it was cut.
fn post(request_id: &str, invocation: Option<&HeaderValue>, answer: Answer) -> Result<Request<Posted>, Error> {
    let mut prelude = serde_json::to_vec(&answer.metadata_prelude)?;
    prelude.extend(SEPARATOR);
    let mut request = build_request()
        .method(Method::POST)
        .uri(format!("/2018-06-01/runtime/invocation/{request_id}/response"))
        .header(TRANSFER_ENCODING, "chunked")
        .header(MODE, "streaming")
        .header(CONTENT_TYPE, "application/vnd.awslambda.http-integration-response")
        .header(TRAILER, ERROR_TYPE)
        .header(TRAILER, ERROR_BODY)
        .body(Posted { prelude: prelude.into(), body: answer.stream })?;
    if let Some(invocation) = invocation {
        request.headers_mut().insert(INVOCATION, invocation.clone());
    }
    Ok(request)
}

struct Posted {
    prelude: Bytes,
    body: Watched,
}

impl http_body::Body for Posted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if !this.prelude.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.prelude)))));
        }
        let frame = std::task::ready!(Pin::new(&mut this.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| Ok(frame.unwrap_or_else(|cut| Frame::trailers(trailers(cut))))))
    }
}

fn trailers(cut: Cut) -> HeaderMap {
    let kind = match cut {
        Cut::Upstream | Cut::Garbled => "Runtime.UpstreamCut",
        Cut::Silence => "Runtime.SilenceCut",
        Cut::Deadline => "Runtime.DeadlineCut",
    };
    let body = json!({ "errorType": kind, "errorMessage": cut.to_string() }).to_string();
    let body = HeaderValue::try_from(STANDARD.encode_to_string(body));
    let mut trailers = HeaderMap::from_iter([(ERROR_TYPE, HeaderValue::from_static(kind))]);
    trailers.extend(body.ok().map(|body| (ERROR_BODY, body)));
    trailers
}
