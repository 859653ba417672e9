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
use http::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
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

/// What calls carry as User-Agent, and the parent's CloudTrail shows: as an SDK would name
/// the application.
fn agent() -> HeaderValue {
    HeaderValue::try_from(format!("app/{APP_NAME}")).unwrap_or(HeaderValue::from_static("app"))
}

impl Service {
    fn new(name: &'static str, url: &str, region: String) -> Option<Self> {
        let url = url.trim_end_matches('/').to_owned();
        let uri: Uri = url.parse().ok()?;
        let host = HeaderValue::from_str(uri.authority()?.as_str()).ok()?;
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
        let signed = headers.clone().map(|(name, value)| (name.as_str(), value));
        let body = SignableBody::Precomputed(payload.sha256);
        let signable = SignableRequest::new("POST", url.as_str(), signed, body).ok()?;
        let (signature, _) = sign(signable, &parameters).ok()?.into_parts();

        let mut request = Request::post(url).body(payload.bytes).ok()?;
        let all = request.headers_mut();
        for (name, value) in headers {
            all.append(name, HeaderValue::from_str(value).ok()?);
        }
        all.insert(HOST, self.host.clone());
        all.insert(USER_AGENT, self.agent.clone());
        signature.apply_to_request_http1x(&mut request);
        Some(request)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use super::*;
    use crate::transport::Answered;

    struct Nothing;

    impl Http for Nothing {
        fn send(&self, _: Request<Bytes>) -> Pin<Box<dyn Future<Output = Answered> + Send + '_>> {
            unreachable!("nothing is sent here")
        }

        fn prepare<'a>(&'a self, _: &'a Uri) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
            unreachable!("nothing is connected here")
        }
    }

    fn aws(set: &[(&str, &str)]) -> Aws {
        let found = |name: &str| set.iter().find(|(key, _)| *key == name);
        Aws::of(|name| found(name).map(|(_, value)| (*value).to_owned()), Arc::new(Nothing))
    }

    /// Of STS, and of SageMaker Runtime in the same region.
    fn urls(set: &[(&str, &str)]) -> [Option<String>; 2] {
        let aws = aws(set);
        let region = aws.region.as_deref().and_then(|region| region.parse().ok());
        [aws.sts(), region.and_then(|region| aws.runtime(&region))].map(|service| service.map(|service| service.url))
    }

    #[test]
    fn u38_services_are_found_in_every_partition() {
        for (region, suffix) in [
            ("us-east-1", "amazonaws.com"),
            ("eu-central-2", "amazonaws.com"),
            ("cn-north-1", "amazonaws.com.cn"),
            ("us-gov-west-1", "amazonaws.com"),
            ("us-iso-east-1", "c2s.ic.gov"),
        ] {
            let wanted =
                [format!("https://sts.{region}.{suffix}"), format!("https://runtime.sagemaker.{region}.{suffix}")];
            assert_eq!(urls(&[("AWS_REGION", region)]), wanted.map(Some));
        }
        assert_eq!(urls(&[]), [None, None]);
    }

    #[test]
    fn the_sdks_variables_choose_other_endpoints() {
        let region = ("AWS_REGION", "us-east-1");
        let some = |urls: [&str; 2]| urls.map(|url| Some(url.to_owned()));
        for (set, wanted) in [
            (
                ("AWS_USE_FIPS_ENDPOINT", "TRUE"),
                ["https://sts-fips.us-east-1.amazonaws.com", "https://runtime-fips.sagemaker.us-east-1.amazonaws.com"],
            ),
            (
                ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
                ["https://sts.us-east-1.api.aws", "https://runtime.sagemaker.us-east-1.api.aws"],
            ),
            (("AWS_ENDPOINT_URL", "http://127.0.0.1:1/"), ["http://127.0.0.1:1", "http://127.0.0.1:1"]),
            (
                ("AWS_ENDPOINT_URL_STS", "https://vpce.example/base/"),
                ["https://vpce.example/base", "https://runtime.sagemaker.us-east-1.amazonaws.com"],
            ),
            (
                ("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "https://vpce.example"),
                ["https://sts.us-east-1.amazonaws.com", "https://vpce.example"],
            ),
        ] {
            assert_eq!(urls(&[region, set]), some(wanted), "{set:?}");
        }
        let both = [region, ("AWS_USE_FIPS_ENDPOINT", "true"), ("AWS_ENDPOINT_URL", "https://vpce.example")];
        assert_eq!(urls(&both), [None, None], "FIPS of an own endpoint cannot be known");
    }

    /// What is signed; the signature itself is the signer's.
    #[test]
    fn a_request_is_signed_whole() {
        let own = [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "secret")];
        let aws = aws(&[&own[..], &[("AWS_SESSION_TOKEN", "token")]].concat());
        let headers = [(HeaderName::from_static("x-amzn-sagemaker-target-model"), "m")];
        let headers = headers.iter().map(|(name, value)| (name, *value));
        let service = aws.runtime(&"eu-west-1".parse().expect("a region")).expect("a service");
        let payload = Payload::from(Bytes::from_static(b"body"));
        let own = aws.own.clone().expect("credentials");
        let request = service.post("/endpoints/iris/invocations", headers, payload, &own, &aws.clock).expect("HTTP");
        assert_eq!(request.uri(), "https://runtime.sagemaker.eu-west-1.amazonaws.com/endpoints/iris/invocations");
        let header = |name: &str| request.headers().get(name).expect(name).to_str().expect("text");
        let authorization = header("authorization");
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"), "{authorization}");
        assert!(authorization.contains("/eu-west-1/sagemaker/aws4_request"), "{authorization}");
        let signed = "SignedHeaders=host;x-amz-date;x-amz-security-token;x-amzn-sagemaker-target-model";
        assert!(authorization.contains(signed), "{authorization}");
        assert_eq!((header("x-amz-security-token"), header("x-amzn-sagemaker-target-model")), ("token", "m"));
        assert_eq!(header("user-agent"), concat!("app/sagemaker-external-", env!("CARGO_PKG_VERSION")));
        assert_eq!(request.body().as_ref(), b"body");
    }
}
