//! Where an answer goes, and where it must not go.

use std::fmt;

use http::Uri;
use http::uri::Scheme;
use sagemaker_external::arn::Region;

/// The pre-signed URL of CloudFormation's bucket: the stack's answer goes there.
///
/// Only `https://cloudformation-custom-resource-response-REGION` behind one of S3's host
/// names of this region, without user, port or literal address (S13), or a URL of the
/// one origin that the environment adds. Its query is a signature: `Debug` shows
/// the host alone, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseUrl(Uri);

impl ResponseUrl {
    /// `extra_origin` is an exact `scheme://host[:port]` to accept besides.
    pub fn parse(text: &str, region: &Region, extra_origin: Option<&str>) -> Result<Self, String> {
        // What comes back says nothing of the URL: its query is a credential.
        let uri: Uri = text.parse().map_err(|_| "ResponseURL is not a URL".to_owned())?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err("ResponseURL is not an absolute URL".to_owned());
        };
        let extra = extra_origin.is_some_and(|origin| origin == format!("{scheme}://{authority}"));
        let ours =
            *scheme == Scheme::HTTPS && authority.as_str() == authority.host() && is_bucket(authority.host(), region);
        if extra || ours {
            Ok(Self(uri))
        } else {
            Err("ResponseURL is not an https URL of this region's CloudFormation bucket".to_owned())
        }
    }

    /// The whole URL, for the request itself.
    pub fn expose(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseUrl({})", self.0.host().unwrap_or_default())
    }
}

/// What the names of AWS's own hosts end in, by how a partition's regions begin. Names of
/// buckets are unique in a partition only: elsewhere this one may be a stranger's.
const SUFFIXES: [(&str, &str); 7] = [
    ("cn-", ".amazonaws.com.cn"),
    ("eusc-", ".amazonaws.eu"),
    ("us-iso-", ".c2s.ic.gov"),
    ("us-isob-", ".sc2s.sgov.gov"),
    ("us-isof-", ".csp.hci.ic.gov"),
    ("eu-isoe-", ".cloud.adc-e.uk"),
    ("", ".amazonaws.com"),
];

fn suffix(region: &Region) -> &'static str {
    let of = SUFFIXES.iter().find(|(prefix, _)| region.as_str().starts_with(prefix));
    of.map(|(_, suffix)| *suffix).unwrap_or_default()
}

/// The bucket behind one of S3's own host names: `s3`, `s3.REGION`, `s3-REGION` or
/// `s3.dualstack.REGION`. An enumeration and not a pattern: `….s3-evil.s3.amazonaws.com` is
/// a bucket of whoever took that name.
fn is_bucket(host: &str, region: &Region) -> bool {
    let compact: String = region.as_str().split('-').collect();
    let service = host
        .strip_prefix("cloudformation-custom-resource-response-")
        .and_then(|rest| rest.strip_prefix(compact.as_str()))
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.strip_suffix(suffix(region)));
    let hosts = ["s3".to_owned(), format!("s3.{region}"), format!("s3-{region}"), format!("s3.dualstack.{region}")];
    service.is_some_and(|service| hosts.iter().any(|host| host == service))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/arn%3Aaws%3A/x%7Cy?X-Amz-Signature=abc%2B/=";

    fn here() -> Region {
        "us-east-1".parse().unwrap()
    }

    fn accepted(url: &str, region: &str) -> bool {
        ResponseUrl::parse(url, &region.parse().unwrap(), None).is_ok()
    }

    /// S13: only CloudFormation's own bucket of this region is answered.
    #[test]
    fn s13_response_url_hosts() {
        let bucket = "cloudformation-custom-resource-response-";
        for (host, region) in [
            ("useast1.s3.amazonaws.com", "us-east-1"),
            ("useast1.s3.us-east-1.amazonaws.com", "us-east-1"),
            ("uswest2.s3-us-west-2.amazonaws.com", "us-west-2"),
            ("euwest1.s3.dualstack.eu-west-1.amazonaws.com", "eu-west-1"),
            ("cnnorth1.s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ] {
            assert!(accepted(&format!("https://{bucket}{host}/k?s=1"), region), "{host} was refused");
        }
        for url in [
            format!("http://{bucket}useast1.s3.amazonaws.com/k"),
            format!("https://{bucket}useast1.s3.amazonaws.com:8443/k"),
            format!("https://user@{bucket}useast1.s3.amazonaws.com/k"),
            format!("https://{bucket}useast1.s3.amazonaws.com@evil.example/k"),
            format!("https://{bucket}euwest1.s3.amazonaws.com/k"),
            format!("https://{bucket}useast1.s3.amazonaws.com.evil.example/k"),
            format!("https://{bucket}useast1.evil.amazonaws.com/k"),
            format!("https://{bucket}useast1.s3.amazonaws.com.cn/k"),
            format!("https://{bucket}useast1.s3.amazonaws.eu/k"),
            format!("https://{bucket}useast1.s3..amazonaws.com/k"),
            // Buckets of somebody else whose names end in ours, and other services behind it.
            format!("https://{bucket}useast1.s3-evil.s3.amazonaws.com/k"),
            format!("https://{bucket}useast1.s3.evil.s3.amazonaws.com/k"),
            format!("https://{bucket}useast1.s3.attacker.execute-api.us-east-1.amazonaws.com/k"),
            format!("https://{bucket}useast1.s3-website-us-east-1.amazonaws.com/k"),
            format!("https://{bucket}useast1.s3-accesspoint.us-east-1.amazonaws.com/k"),
            format!("https://{bucket}useast1.s3.eu-west-1.amazonaws.com/k"),
            format!("https://{bucket}useast1.s3-eu-west-1.amazonaws.com/k"),
            format!("https://{bucket}useast1.s3.dualstack.eu-west-1.amazonaws.com/k"),
            format!("https://{bucket}useast1.s3.dualstack.amazonaws.com/k"),
            format!("https://{bucket}useast1.s3.us-east-1.vpce-1.amazonaws.com/k"),
            format!("https://evil-{bucket}useast1.s3.amazonaws.com/k"),
            "https://169.254.169.254/latest".to_owned(),
            "https://[::1]/k".to_owned(),
            "http://127.0.0.1:4566/k".to_owned(),
            "/k".to_owned(),
            "not a url".to_owned(),
        ] {
            assert!(!accepted(&url, "us-east-1"), "{url} was accepted");
        }
        // The bucket of this name in another partition may be anybody's.
        assert!(!accepted(&format!("https://{bucket}cnnorth1.s3.amazonaws.com/k"), "cn-north-1"));
    }

    #[test]
    fn s13_the_test_origin_is_exact() {
        let parse = |url| ResponseUrl::parse(url, &here(), Some("http://127.0.0.1:4566")).is_ok();
        assert!(parse("http://127.0.0.1:4566/k?x=1"));
        for bad in
            ["http://127.0.0.1:4567/k", "https://127.0.0.1:4566/k", "http://127.0.0.1:45661/k", "http://127.0.0.1/k"]
        {
            assert!(!parse(bad), "{bad} was accepted");
        }
    }

    /// C04: path and query stay byte for byte; a fragment is no part of either.
    #[test]
    fn c04_path_and_query_are_kept() {
        let kept = |url: &str| {
            let url = ResponseUrl::parse(url, &here(), None).unwrap();
            url.expose().path_and_query().unwrap().to_string()
        };
        assert_eq!(kept(URL), "/arn%3Aaws%3A/x%7Cy?X-Amz-Signature=abc%2B/=");
        assert_eq!(kept(&format!("{URL}#aaa")), "/arn%3Aaws%3A/x%7Cy?X-Amz-Signature=abc%2B/=");
        let odd = "/a//b/../c%2f%2F{}\"?q=1&&x=%20+|~'()*!;@:,$";
        assert_eq!(
            kept(&format!("https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com{odd}")),
            odd
        );
    }

    #[test]
    fn c31_the_signature_shows_in_no_message() {
        let url = ResponseUrl::parse(URL, &here(), None).unwrap();
        assert!(!format!("{url:?}").contains("X-Amz-Signature"));
        let error = ResponseUrl::parse("https://evil.example/?X-Amz-Signature=abc", &here(), None).unwrap_err();
        assert!(!error.contains("abc"));
    }
}
