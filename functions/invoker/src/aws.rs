//! Where AWS's services are, who the function is there, and signed requests.
//!
//! The SDK's own endpoint rules say where a service is, and its signer signs. Its
//! clients are left out: what they do anew for each call (type by type serialization,
//! plugins, identity and endpoint resolution) took more time than all else that the
//! invoker does; the figures are in docs/performance.md.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aws_credential_types::Credentials;
use aws_sdk_sagemakerruntime::config::endpoint::{self as runtime, ResolveEndpoint as _};
use aws_sdk_sts::config::endpoint::{self as sts, ResolveEndpoint as _};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::uri::Scheme;
use http::{Request, Uri};
use sagemaker_external::arn::Region;
use sagemaker_external::release::APP_NAME;

use crate::payload::Payload;
use crate::transport::Http;

/// What the calls of all services share.
#[derive(Clone)]
pub struct Aws {
    pub http: Arc<dyn Http>,
    /// Signatures hold the time, and credentials end.
    pub clock: SharedTimeSource,
    /// The function's own, which Lambda puts into its environment.
    pub own: Option<Credentials>,
    region: Option<String>,
    is_fips: bool,
    is_dual_stack: bool,
    sts_url: Option<String>,
    runtime_url: Option<String>,
}

impl Aws {
    /// From the SDKs' variables that Lambda sets or a function's owner may set:
    /// `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`,
    /// `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME`,
    /// `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT` (AWS SDKs and Tools
    /// Reference Guide). `variable` looks one up. No profile files, no instance
    /// metadata: there is nothing else to look for.
    pub fn of(variable: impl Fn(&str) -> Option<String>, http: Arc<dyn Http>) -> Self {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let is_on = |name: &str| given(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let url = |name: &str| given(name).or_else(|| given("AWS_ENDPOINT_URL"));
        let key = given("AWS_ACCESS_KEY_ID").zip(given("AWS_SECRET_ACCESS_KEY"));
        Self {
            http,
            clock: SharedTimeSource::new(SystemTimeSource::new()),
            own: key.map(|(id, secret)| Credentials::new(id, secret, given("AWS_SESSION_TOKEN"), None, "Lambda")),
            region: given("AWS_REGION"),
            is_fips: is_on("AWS_USE_FIPS_ENDPOINT"),
            is_dual_stack: is_on("AWS_USE_DUALSTACK_ENDPOINT"),
            sts_url: url("AWS_ENDPOINT_URL_STS"),
            runtime_url: url("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"),
        }
    }

    /// STS of the function's own region; nothing if the environment contradicts itself
    /// (FIPS where there is none, say).
    pub fn sts(&self) -> Option<Service> {
        let parameters = sts::Params::builder()
            .set_region(self.region.clone())
            .use_fips(self.is_fips)
            .use_dual_stack(self.is_dual_stack)
            .set_endpoint(self.sts_url.clone())
            .build()
            .ok()?;
        let endpoint = at_once(sts::DefaultResolver::new().resolve_endpoint(&parameters))?.ok()?;
        Service::new("sts", endpoint.url(), self.region.clone()?)
    }

    /// SageMaker Runtime of a region, as [`Aws::sts`].
    pub fn runtime(&self, region: &Region) -> Option<Service> {
        let parameters = runtime::Params::builder()
            .region(region.as_str())
            .use_fips(self.is_fips)
            .use_dual_stack(self.is_dual_stack)
            .set_endpoint(self.runtime_url.clone())
            .build()
            .ok()?;
        let endpoint = at_once(runtime::DefaultResolver::new().resolve_endpoint(&parameters))?.ok()?;
        Service::new("sagemaker", endpoint.url(), region.to_string())
    }
}

/// What a future that waits for nothing comes to: the rules are pure, their trait is
/// not.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

/// A service in a region, as signatures name it.
pub struct Service {
    name: &'static str,
    region: String,
    /// Scheme, host and perhaps a port and a path, without a slash at the end.
    url: String,
    uri: Uri,
    host: HeaderValue,
    agent: HeaderValue,
}

/// The header, as the signer reads it from a URL too: with a port unless it is the
/// scheme's own. Nothing for a URL that holds a user.
fn host(uri: &Uri) -> Option<String> {
    let (authority, host) = (uri.authority()?, uri.host()?);
    if authority.as_str().contains('@') {
        return None;
    }
    let own = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    Some(match uri.port_u16() {
        Some(port) if port != own => format!("{host}:{port}"),
        _ => host.to_owned(),
    })
}

/// What calls carry as User-Agent, and the parent's CloudTrail shows: as an SDK would name
/// the application.
fn agent() -> HeaderValue {
    HeaderValue::try_from(format!("app/{APP_NAME}")).unwrap_or(HeaderValue::from_static("app"))
}

impl Service {
    fn new(name: &'static str, url: &str, region: String) -> Option<Self> {
        let url = url.trim_end_matches('/').to_owned();
        let uri: Uri = url.parse().ok()?;
        let host = HeaderValue::from_str(&host(&uri)?).ok()?;
        Some(Self { name, region, url, uri, host, agent: agent() })
    }

    /// Where its connections lead.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// A POST of `path`, signed with Signature Version 4. Nothing if something of it is
    /// no HTTP.
    pub fn post<'h>(
        &self,
        path: &str,
        headers: impl Iterator<Item = (&'h HeaderName, &'h str)> + Clone,
        payload: Payload,
        credentials: &Credentials,
        clock: &SharedTimeSource,
    ) -> Option<Request<Bytes>> {
        let url = format!("{}{path}", self.url);
        let identity = credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.name)
            .time(clock.now())
            .settings(SigningSettings::default())
            .build()
            .ok()?
            .into();
        let length = payload.bytes.len().to_string();
        // Also of nothing: some front ends refuse a POST that does not say so.
        let ours = [(CONTENT_LENGTH.as_str(), length.as_str()), (HOST.as_str(), self.host.to_str().ok()?)];
        let signed = headers.clone().map(|(name, value)| (name.as_str(), value)).chain(ours);
        let body = SignableBody::Precomputed(payload.sha256);
        let signable = SignableRequest::new("POST", url.as_str(), signed, body).ok()?;
        let (signature, _) = sign(signable, &parameters).ok()?.into_parts();

        let mut request = Request::post(url).body(payload.bytes).ok()?;
        let all = request.headers_mut();
        for (name, value) in headers {
            all.append(name, HeaderValue::from_str(value).ok()?);
        }
        all.insert(CONTENT_LENGTH, HeaderValue::from_str(&length).ok()?);
        all.insert(HOST, self.host.clone());
        all.insert(USER_AGENT, self.agent.clone());
        signature.apply_to_request_http1x(&mut request);
        Some(request)
    }
}

#[cfg(test)]
#[path = "aws_tests.rs"]
mod tests;
