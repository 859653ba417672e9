//! The URL that answers go to.

use provisioner::response_url::ResponseUrl;
use sagemaker_external::arn::Region;

use crate::{is_sentence, text};

const BUCKET: &str = "https://cloudformation-custom-resource-response-useast1.s3";
/// The local cloud's, which no template sets.
const EXTRA: &str = "http://127.0.0.1:4566";

pub(crate) fn url(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let region: Region = "us-east-1".parse().expect("a region");
    match ResponseUrl::parse(text, &region, None) {
        Ok(url) => {
            assert!(is_buckets(text), "S13: {text:?}");
            kept(&url, text);
        }
        Err(sentence) => silent(&sentence, text),
    }
    match ResponseUrl::parse(text, &region, Some(EXTRA)) {
        Ok(url) => {
            let after = text.get(..EXTRA.len()).filter(|start| start.eq_ignore_ascii_case(EXTRA));
            let extra = after.is_some() && text[EXTRA.len()..].chars().next().is_none_or(|c| "/?#".contains(c));
            assert!(extra || is_buckets(text), "S13: {text:?}");
            kept(&url, text);
        }
        Err(sentence) => silent(&sentence, text),
    }
}

/// By a rule written a second time: one of S3's four host names of the region, and nothing
/// but a path or a query behind it.
fn is_buckets(text: &str) -> bool {
    let Some(scheme) = text.get(..8) else { return false };
    let rest = &text[8..];
    let host = rest.find(['/', '?', '#']).map_or(rest, |end| &rest[..end]);
    let known = ["", ".us-east-1", "-us-east-1", ".dualstack.us-east-1"];
    scheme.eq_ignore_ascii_case("https://")
        && known.iter().any(|name| format!("{}{name}.amazonaws.com", &BUCKET[8..]) == host)
}

/// C04: path and query as they came, without a fragment.
fn kept(url: &ResponseUrl, text: &str) {
    let whole = text.split('#').next().unwrap_or_default();
    let start = whole.match_indices(['/', '?']).map(|(at, _)| at).find(|at| *at >= 8).unwrap_or(whole.len());
    let sent = url.expose().path_and_query().map(ToString::to_string).unwrap_or_default();
    match &whole[start..] {
        "" => assert_eq!(sent, "/"),
        query if query.starts_with('?') => assert_eq!(sent, format!("/{query}")),
        rest => assert_eq!(sent, rest),
    }
    // C31: only the host is ever shown.
    assert_eq!(format!("{url:?}"), format!("ResponseUrl({})", url.expose().host().unwrap_or_default()));
}

/// C31: one of three sentences, and so nothing of the URL.
fn silent(sentence: &str, text: &str) {
    let all = [
        "ResponseURL is not a URL",
        "ResponseURL is not an absolute URL",
        "ResponseURL is not an https URL of this region's CloudFormation bucket",
    ];
    assert!(all.contains(&sentence) && is_sentence(sentence), "{text:?}");
}
