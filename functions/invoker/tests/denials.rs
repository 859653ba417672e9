//! STS refuses: what the caller sees, and that the model is then never called.

use crate::support::cloud::{Cloud, Reply, answered, credentials, prediction, sts_error};
use crate::support::{EXTERNAL_ID, PARENT, Read, ask, event, invoker};

/// S16: no ARN, no account, no ExternalId, nothing of the service's own text.
fn shows_no_owner(answer: &Read) {
    let shown = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
    for secret in ["arn:", PARENT, "444455556666", EXTERNAL_ID, "SageMakerExternal", "not authorized to perform"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

/// The answer when STS always replies so; how often it was asked.
async fn sts_says(reply: impl Fn() -> Reply + Send + Sync + 'static) -> (Read, usize) {
    let cloud = Cloud::new(move |_| reply(), |_| prediction());
    let answer = ask(&invoker(&cloud), &event()).await;
    let (sts, sagemaker) = cloud.counts();
    assert_eq!(sagemaker, 0, "the model was called without credentials");
    shows_no_owner(&answer);
    let timing = answer.header("server-timing").unwrap();
    assert!(timing.starts_with("assume;dur=") && timing.ends_with("invoke;dur=0.0"), "{timing}");
    (answer, sts)
}

#[tokio::test]
async fn r09_s16_a_refused_role_names_the_endpoint_and_no_owner() {
    let (answer, asked) = sts_says(|| sts_error(403, "AccessDenied")).await;
    assert_eq!(answer.kind(), (403, Some("AccessDeniedException")));
    assert_eq!(
        answer.message(),
        "the grant of endpoint \"iris\" is not accepted: the account that owns the endpoint must trust this API's \
         account with the grant's ExternalId, and this API's role must be allowed to assume the grant's role"
    );
    assert_eq!(asked, 1, "a refusal is final");
}

#[tokio::test]
async fn r09_a_region_without_sts_is_named_as_such() {
    let (answer, asked) = sts_says(|| sts_error(403, "RegionDisabledException")).await;
    assert_eq!((answer.kind(), asked), ((403, Some("AccessDeniedException")), 1));
    assert!(answer.message().contains("activate STS"));
}

#[tokio::test]
async fn r09_what_is_our_own_fault_is_an_internal_failure() {
    for (status, code) in [
        (400, "MalformedPolicyDocument"),
        (400, "ExpiredTokenException"),
        (400, "ValidationError"),
        (403, "InvalidClientTokenId"),
        (403, "SignatureDoesNotMatch"),
    ] {
        let (answer, _) = sts_says(move || sts_error(status, code)).await;
        assert_eq!(answer.kind(), (500, Some("InternalFailure")), "{code}");
    }
}

/// STS packs a session's policy and tags, and has a limit of its own for that.
#[tokio::test]
async fn r09_a_session_that_is_too_large_is_refused_and_not_tried_again() {
    let (answer, asked) = sts_says(|| sts_error(400, "PackedPolicyTooLarge")).await;
    assert_eq!((answer.kind(), asked), ((403, Some("AccessDeniedException")), 1));
    assert_eq!(answer.header("x-sagemaker-external-error-code"), Some("PackedPolicyTooLarge"));
    for side in ["whoever runs this API must set CallerAttribution", "the account that owns the endpoint must"] {
        assert!(answer.message().contains(side), "{}", answer.message());
    }
}

#[tokio::test(start_paused = true)]
async fn r09_throttling_says_when_to_come_back() {
    for (status, code) in [(400, "Throttling"), (400, "ThrottlingException"), (503, "RequestLimitExceeded")] {
        let (answer, asked) = sts_says(move || sts_error(status, code)).await;
        assert_eq!(answer.kind(), (429, Some("ThrottlingException")), "{code}");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(asked, 3, "retried first");
    }
}

#[tokio::test(start_paused = true)]
async fn r09_an_sts_that_fails_or_cannot_be_reached_is_unavailable() {
    let (answer, asked) = sts_says(|| sts_error(500, "InternalFailure")).await;
    assert_eq!((answer.kind(), asked), ((503, Some("ServiceUnavailable")), 3));
    let (answer, asked) = sts_says(|| Reply::Broken).await;
    assert_eq!((answer.kind(), asked), ((503, Some("ServiceUnavailable")), 3));
}

#[tokio::test(start_paused = true)]
async fn r09_sts_is_asked_again_and_then_the_model_once() {
    let cloud = Cloud::new(
        |call| match call {
            0 => sts_error(500, "InternalFailure"),
            1 => Reply::Silence,
            _ => credentials(),
        },
        |_| prediction(),
    );
    assert_eq!(ask(&invoker(&cloud), &event()).await.status, 200);
    assert_eq!(cloud.counts(), (3, 1));
}

/// An answer of STS without credentials is no reason to call with our own.
#[tokio::test]
async fn r09_no_credentials_in_the_answer_is_an_internal_failure() {
    let empty = "<AssumeRoleResponse><AssumeRoleResult></AssumeRoleResult></AssumeRoleResponse>";
    let (answer, _) = sts_says(move || answered(http::Response::builder(), empty)).await;
    assert_eq!(answer.kind(), (500, Some("InternalFailure")));
}
