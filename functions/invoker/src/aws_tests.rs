use std::pin::Pin;
use std::time::SystemTime;

use aws_smithy_async::time::StaticTimeSource;

use super::*;
use crate::transport::{Answered, Sending};

struct Nothing;

impl Http for Nothing {
    fn send<'a>(&'a self, _: Request<Bytes>, _: &'a Sending) -> Pin<Box<dyn Future<Output = Answered> + Send + 'a>> {
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
        let wanted = [format!("https://sts.{region}.{suffix}"), format!("https://runtime.sagemaker.{region}.{suffix}")];
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

/// The signature, made anew from what the service receives: from the header Host, not
/// from the URL that was connected to.
fn resigned(request: &Request<Bytes>, service: &str, region: &str, own: &Credentials, time: SystemTime) -> String {
    let header = |name: &str| request.headers().get(name).expect(name).to_str().expect("text");
    let (_, signed) = header("authorization").split_once("SignedHeaders=").expect("a list");
    let names = signed.split(',').next().expect("a list").split(';');
    // The signer adds these itself.
    let added = ["x-amz-date", "x-amz-security-token"];
    let headers: Vec<_> = names.filter(|name| !added.contains(name)).map(|name| (name, header(name))).collect();
    let url = format!("https://elsewhere{}", request.uri().path());
    let identity = own.clone().into();
    let settings = SigningSettings::default();
    let parameters = v4::SigningParams::builder().identity(&identity).region(region).name(service).time(time);
    let parameters = parameters.settings(settings).build().expect("parameters").into();
    let body = SignableBody::Bytes(request.body());
    let signable = SignableRequest::new("POST", url.as_str(), headers.into_iter(), body).expect("a request");
    let (instructions, _) = sign(signable, &parameters).expect("a signature").into_parts();
    let mut signed = Request::post(url).body(()).expect("a request");
    instructions.apply_to_request_http1x(&mut signed);
    signed.headers().get("authorization").expect("signed").to_str().expect("text").to_owned()
}

#[test]
fn what_is_received_is_what_was_signed() {
    let own = Credentials::new("AKID", "secret", Some("token".to_owned()), None, "test");
    let clock = SharedTimeSource::new(StaticTimeSource::from_secs(1_795_000_000));
    for (url, host) in [
        ("https://runtime.example", "runtime.example"),
        ("https://runtime.example:443", "runtime.example"),
        ("http://runtime.example:80/base", "runtime.example"),
        ("https://runtime.example:8443", "runtime.example:8443"),
        ("https://[::1]:8443", "[::1]:8443"),
    ] {
        let service = Service::new("sagemaker", url, "eu-west-1".to_owned()).expect("a service");
        for body in [&b""[..], b"5.1,3.5"] {
            let headers = [
                (HeaderName::from_static("accept"), "text/csv;  q=0.5, */*"),
                (HeaderName::from_static("x-amzn-sagemaker-target-model"), "m"),
            ];
            let headers = headers.iter().map(|(name, value)| (name, *value));
            let payload = Payload::from(Bytes::from_static(body));
            let request = service.post("/endpoints/iris/invocations", headers, payload, &own, &clock).expect("HTTP");
            let header = |name: &str| request.headers().get(name).expect(name).to_str().expect("text");
            assert_eq!(header("host"), host);
            assert_eq!(header("content-length"), body.len().to_string());
            assert_eq!((header("x-amz-security-token"), header("x-amzn-sagemaker-target-model")), ("token", "m"));
            assert_eq!(header("user-agent"), concat!("app/sagemaker-external-", env!("CARGO_PKG_VERSION")));
            let wanted = resigned(&request, "sagemaker", "eu-west-1", &own, clock.now());
            assert_eq!(header("authorization"), wanted, "{url}");
            let signed = "SignedHeaders=accept;content-length;host;x-amz-date;x-amz-security-token;\
                          x-amzn-sagemaker-target-model";
            assert!(wanted.contains(signed), "{wanted}");
        }
    }
    assert!(Service::new("sts", "https://user:word@runtime.example", "eu-west-1".to_owned()).is_none());
}

/// We sign with the service's own name for its own region; the rules could say
/// otherwise one day.
#[test]
fn the_rules_want_no_other_signature() {
    let region = "eu-west-1";
    let parameters = sts::Params::builder().region(region).build().expect("parameters");
    let of_sts = at_once(sts::DefaultResolver::new().resolve_endpoint(&parameters));
    let parameters = runtime::Params::builder().region(region).build().expect("parameters");
    let of_runtime = at_once(runtime::DefaultResolver::new().resolve_endpoint(&parameters));
    for endpoint in [of_sts, of_runtime] {
        let endpoint = endpoint.expect("at once").expect("an endpoint");
        assert!(!endpoint.properties().contains_key("authSchemes"), "{:?}", endpoint.properties());
    }
}
