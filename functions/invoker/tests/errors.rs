//! SageMaker's own errors: status, type and members pass; what names an owner
//! does not.

use std::pin::Pin;
use std::task::{Context, Poll};

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use invoker::operation::Operation;
use serde_json::{Value, json};

use crate::support::cloud::{Cloud, Reply, answered, message, sagemaker_error};
use crate::support::{PARENT, Read, ask, event_of, invoker};

/// The answer when SageMaker replies so; it is asked once, whatever it says.
async fn sagemaker_says(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Read {
    of_operation(Operation::InvokeEndpoint, reply).await
}

async fn of_operation(operation: Operation, reply: impl Fn() -> Reply + Send + Sync + 'static) -> Read {
    let cloud = Cloud::granting(move |_| reply());
    let answer = ask(&invoker(&cloud), &event_of(operation)).await;
    assert_eq!(cloud.counts(), (1, 1));
    assert!(answer.header("server-timing").unwrap().contains("invoke;dur="));
    answer
}

async fn sagemaker_fails(status: u16, code: &'static str, members: Value) -> Read {
    sagemaker_says(move || sagemaker_error(status, code, &members)).await
}

/// Those of any operation, from each: a newer model may add one where it was not.
#[tokio::test]
async fn r02_modelled_errors_pass_with_status_type_and_message() {
    for operation in Operation::ALL {
        for (status, code) in [
            (400, "ValidationError"),
            (429, "ModelNotReadyException"),
            (500, "InternalFailure"),
            (424, "InternalStreamFailure"),
            (503, "ServiceUnavailable"),
            (530, "InternalDependencyException"),
        ] {
            let reply = move || sagemaker_error(status, code, &message("what SageMaker says."));
            let answer = of_operation(operation, reply).await;
            assert_eq!(answer.kind(), (status, Some(code)));
            assert_eq!(answer.json(), json!({ "Message": "what SageMaker says." }), "{code}");
            assert_eq!(answer.header("retry-after").is_some(), code == "ModelNotReadyException");
            assert_eq!(answer.header("x-amzn-requestid"), Some("upstream-request"));
        }
    }
}

/// Before its first part a stream's errors are answers like any other's.
#[tokio::test]
async fn r02_the_models_own_errors_pass_with_all_members() {
    let model = json!({ "Message": "m", "OriginalStatusCode": 500, "OriginalMessage": "o", "LogStreamArn": "arn:l" });
    let stream = json!({ "Message": "m", "ErrorCode": "StreamBroken" });
    for operation in Operation::ALL {
        for (status, code, members) in [(424, "ModelError", &model), (424, "ModelStreamError", &stream)] {
            let reply = members.clone();
            let answer = of_operation(operation, move || sagemaker_error(status, code, &reply)).await;
            assert_eq!((answer.kind(), &answer.json()), ((status, Some(code)), members));
        }
    }
}

#[tokio::test]
async fn r02_a_newer_member_of_a_model_error_passes_and_an_odd_body_does_no_harm() {
    let newer = json!({ "Message": "m", "OriginalStatusCode": 400, "Newer": { "a": [1] } });
    assert_eq!(sagemaker_fails(424, "ModelError", newer.clone()).await.json(), newer);
    let odd = || {
        let response = http::Response::builder().status(424).header("x-amzn-ErrorType", "ModelError");
        answered(response, "[]")
    };
    let answer = sagemaker_says(odd).await;
    assert_eq!((answer.kind(), answer.message().as_str()), ((424, Some("ModelError")), "the service gave no message"));
}

#[tokio::test]
async fn r02_a_model_error_passes_with_all_its_members() {
    let members = json!({
        "Message": "Received client error (400) from primary with message \"bad row\". See https://… in account 111122223333",
        "OriginalStatusCode": 400,
        "OriginalMessage": "bad row",
        "LogStreamArn": "arn:aws:logs:us-east-1:111122223333:log-group:/aws/sagemaker/Endpoints/iris",
    });
    let answer = sagemaker_fails(424, "ModelError", members.clone()).await;
    assert_eq!(answer.kind(), (424, Some("ModelError")));
    assert_eq!(answer.json(), members, "as modelled, unchanged");
    let answer = sagemaker_fails(424, "ModelError", message("no more than this")).await;
    assert_eq!(answer.json(), message("no more than this"));
}

#[tokio::test]
async fn r02_a_type_in_the_body_or_with_a_uri_is_understood() {
    let answer = sagemaker_says(|| {
        let response = http::Response::builder().status(400).header("x-amzn-ErrorType", "ValidationError:http://x/y");
        answered(response, "{\"message\":\"lower case\"}")
    });
    let answer = answer.await;
    assert_eq!((answer.kind(), answer.message()), ((400, Some("ValidationError")), "lower case".to_owned()));
    let answer = sagemaker_says(|| {
        let body = "{\"__type\":\"com.amazonaws#ServiceUnavailable\"}";
        answered(http::Response::builder().status(503), body)
    });
    assert_eq!(answer.await.kind(), (503, Some("ServiceUnavailable")));
}

#[tokio::test]
async fn r02_a_newer_error_passes_as_it_is() {
    let answer = sagemaker_fails(409, "SomethingNewerException", message("for a new reason")).await;
    assert_eq!(answer.kind(), (409, Some("SomethingNewerException")));
    assert_eq!(answer.message(), "for a new reason");
}

/// Whatever SageMaker adds to an error, modelled or not, does not wait for this code.
#[tokio::test]
async fn r02_s16_the_members_of_any_error_pass_without_owners() {
    let members = json!({
        "Message": "m", "Reason": "CAPACITY", "RetryAfterSeconds": 3, "Retryable": null,
        "Resource": { "Arns": ["arn:aws:sagemaker:us-east-1:111122223333:endpoint/iris", "iris"], "Owner": PARENT },
    });
    let shown = json!({
        "Message": "m", "Reason": "CAPACITY", "RetryAfterSeconds": 3, "Retryable": null,
        "Resource": { "Arns": ["[hidden]", "iris"], "Owner": "[hidden]" },
    });
    for operation in Operation::ALL {
        for (status, code) in [
            (400, "ValidationError"),
            (429, "ModelNotReadyException"),
            (424, "ModelStreamError"),
            (500, "InternalFailure"),
            (503, "ServiceUnavailable"),
            (530, "InternalDependencyException"),
            (409, "SomethingNewerException"),
        ] {
            let reply = members.clone();
            let answer = of_operation(operation, move || sagemaker_error(status, code, &reply)).await;
            assert_eq!((answer.kind(), answer.json()), ((status, Some(code)), shown.clone()));
        }
    }
}

#[tokio::test]
async fn s16_sagemakers_text_passes_without_account_and_arn() {
    let text =
        "Endpoint iris of account 111122223333 not found (arn:aws:sagemaker:us-east-1:111122223333:endpoint/iris).";
    for code in ["ValidationError", "ServiceUnavailable", "SomethingNewerException"] {
        let answer = sagemaker_fails(400, code, message(text)).await;
        assert_eq!(answer.message(), "Endpoint iris of account [hidden] not found ([hidden]).");
    }
}

#[tokio::test]
async fn s16_a_denied_call_says_what_to_check_and_no_owner() {
    let text = "User: arn:aws:sts::111122223333:assumed-role/SageMakerExternal/alice is not authorized to perform: \
                sagemaker:InvokeEndpoint on resource: arn:aws:sagemaker:us-east-1:111122223333:endpoint/iris because \
                no session policy allows the sagemaker:InvokeEndpoint action";
    for (status, code) in [
        (403, "AccessDeniedException"),
        (400, "AccessDeniedException"),
        (403, "SomethingNewerException"),
        (401, "Whatever"),
    ] {
        let answer = sagemaker_fails(status, code, message(text)).await;
        assert_eq!(answer.kind(), (403, Some("AccessDeniedException")), "{code}");
        assert_eq!(
            answer.message(),
            "the grant does not cover this call of endpoint \"iris\": the account that owns the endpoint must allow \
             sagemaker:InvokeEndpoint on the endpoint, and on the inference component if one is named"
        );
        let shown = format!("{:?}{}", answer.headers, answer.message());
        assert!(!shown.contains(PARENT) && !shown.contains("arn:") && !shown.contains("policy"));
    }
}

/// The parent can do nothing about it, nor can the caller.
#[tokio::test]
async fn s16_a_signature_that_is_not_accepted_is_our_own_fault() {
    for code in [
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
        "ExpiredTokenException",
        "RequestExpired",
        "RequestInTheFuture",
        "RequestTimeTooSkewed",
        "MissingAuthenticationToken",
        "IncompleteSignature",
    ] {
        for status in [400, 401, 403] {
            captured::start();
            let answer = sagemaker_fails(status, code, message("canary: Signature expired: 20260101 of arn:x")).await;
            assert_eq!(answer.kind(), (500, Some("InternalFailure")), "{status} {code}");
            assert!(answer.message().contains("signature, clock or credentials"), "{}", answer.message());
            assert!(!answer.message().contains("canary"));
            let [line] = &captured::json()[..] else { panic!("one line: {}", captured::text()) };
            assert_eq!(line["cause"], code);
        }
    }
}

#[tokio::test]
async fn r02_throttling_says_when_to_come_back() {
    for (status, code) in [(400, "ThrottlingException"), (429, "TooManyRequests")] {
        let answer = sagemaker_fails(status, code, message("Rate exceeded")).await;
        assert_eq!(answer.kind(), (429, Some("ThrottlingException")));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

#[tokio::test]
async fn r02_sagemakers_own_retry_after_is_kept() {
    let answer = sagemaker_says(|| {
        let response = http::Response::builder()
            .status(429)
            .header("x-amzn-ErrorType", "ModelNotReadyException")
            .header("Retry-After", "17");
        answered(response, "{}")
    });
    assert_eq!(answer.await.header("retry-after"), Some("17"));
}

/// A page of a front end says nothing of whether the model ran, whatever its status.
#[tokio::test]
async fn r04_an_answer_without_an_error_of_sagemakers_is_530_with_its_status_in_the_log() {
    const PAGE: &str = "<html>bad gateway of 111122223333</html>";
    for operation in Operation::ALL {
        for (status, body) in [
            (500, PAGE),
            (502, PAGE),
            (503, PAGE),
            (504, PAGE),
            (500, "{"),
            (503, "{}"),
            (404, PAGE),
            (301, ""),
            (401, PAGE),
            (403, PAGE),
            (429, PAGE),
            (429, "{}"),
        ] {
            captured::start();
            let answer =
                of_operation(operation, move || answered(http::Response::builder().status(status), body)).await;
            assert_eq!(answer.kind(), (530, Some("InternalDependencyException")), "{status}");
            assert_eq!(answer.header("x-sagemaker-external-error-code"), Some("AnswerNotUnderstood"));
            assert_eq!(answer.header("retry-after"), None);
            let message = answer.message();
            assert!(message.contains("that is not a SageMaker error"), "{message}");
            assert!(message.contains("tried nothing again") && !message.contains("gateway"), "{message}");
            let [line] = &captured::json()[..] else { panic!("one line: {}", captured::text()) };
            assert_eq!(line["cause"], format!("Http{status}"));
        }
    }
}

/// SDKs send a status of 500, 502, 503 or 504 again, and some types: an error that is
/// not modelled keeps its type and is not sent again.
#[tokio::test]
async fn r04_an_unmodelled_error_that_may_have_run_has_a_status_that_is_not_sent_again() {
    for (status, code) in [(500, "SomethingNewerException"), (502, "BadGateway"), (504, "GatewayTimeout")] {
        let answer = sagemaker_fails(status, code, message("for a new reason")).await;
        assert_eq!((answer.kind(), answer.message().as_str()), ((530, Some(code)), "for a new reason"));
    }
    for (status, code) in [
        (500, "InternalError"),
        (408, "RequestTimeoutException"),
        (400, "RequestTimeout"),
        (400, "TimeoutError"),
        (301, "ValidationError"),
    ] {
        let answer = sagemaker_fails(status, code, message("canary")).await;
        assert_eq!(answer.kind(), (530, Some("InternalDependencyException")), "{code}");
        assert_eq!(answer.header("x-sagemaker-external-error-code"), Some("AnswerNotUnderstood"));
    }
}

/// A modelled error passes only with a status that is modelled for it, or that no SDK sends
/// again; and no wait invites to send again what may have run.
#[tokio::test]
async fn r04_a_modelled_error_with_a_server_status_that_is_not_its_own_is_not_sent_again() {
    for (status, code) in [
        (500, "ModelStreamError"),
        (503, "ModelStreamError"),
        (500, "InternalStreamFailure"),
        (500, "ModelError"),
        (503, "InternalFailure"),
        (500, "ServiceUnavailable"),
        (503, "SomethingNewerException"),
    ] {
        let answer = sagemaker_says(move || {
            let response = http::Response::builder().status(status).header("x-amzn-ErrorType", code);
            answered(response.header("Retry-After", "7"), "{\"Message\":\"m\"}")
        });
        let answer = answer.await;
        assert_eq!((answer.kind(), answer.header("retry-after")), ((530, Some(code)), None), "{status}");
        assert_eq!(answer.message(), "m");
    }
    let own = sagemaker_says(|| {
        let response = http::Response::builder().status(530).header("x-amzn-ErrorType", "InternalDependencyException");
        answered(response.header("Retry-After", "7"), "{}")
    });
    assert_eq!(own.await.header("retry-after"), Some("7"));
}

/// What AWS itself turned away has its id, also where it gives no code.
#[tokio::test]
async fn r02_a_refusal_without_a_code_is_awss_own_if_it_has_an_id_of_awss() {
    for (status, kind) in [(401, "AccessDeniedException"), (403, "AccessDeniedException"), (429, "ThrottlingException")]
    {
        let answer = sagemaker_says(move || {
            answered(http::Response::builder().status(status).header("x-amzn-RequestId", "upstream-request"), "")
        });
        assert_eq!(answer.await.kind(), (if status == 429 { 429 } else { 403 }, Some(kind)), "{status}");
    }
}

/// What names an account is no code, wherever it stands.
#[tokio::test]
async fn s16_a_type_that_names_an_owner_is_neither_passed_on_nor_logged() {
    captured::start();
    let answer = sagemaker_fails(400, "Foo-111122223333", message("m")).await;
    assert_eq!(answer.kind(), (530, Some("InternalDependencyException")));
    assert!(!captured::text().contains(PARENT), "{}", captured::text());
}

/// SDKs retry 500 and 502 to 504: what may have run is none of these.
#[tokio::test]
async fn r04_a_connection_that_broke_is_no_reason_to_retry() {
    for (operation, done) in [
        (Operation::InvokeEndpoint, "it may have run"),
        (Operation::InvokeEndpointWithResponseStream, "it may have run"),
        (Operation::InvokeEndpointAsync, "it may have queued the request"),
    ] {
        let broken_answer = || {
            let body = SdkBody::from_body_1_x(Broken);
            answered(http::Response::builder().status(400), body)
        };
        for answer in [of_operation(operation, || Reply::Broken).await, of_operation(operation, broken_answer).await] {
            assert_eq!(answer.kind(), (530, Some("InternalDependencyException")));
            assert!(answer.message().contains(done), "{}", answer.message());
            assert!(answer.message().contains("tried nothing again"), "{}", answer.message());
            assert_eq!(answer.header("retry-after"), None);
        }
    }
}

/// An answer that breaks off before its first byte.
struct Broken;

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())))
    }
}
