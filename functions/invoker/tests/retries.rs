//! The model runs once or not at all, nothing outlives the deadline, and a panic
//! is an answer.

use std::time::Duration;

use aws_smithy_types::body::SdkBody;
use invoker::operation::Operation;

use crate::support::cloud::{Cloud, Reply, answered, credentials, message, prediction, sagemaker_error};
use crate::support::{ask, ask_within, event, event_of, invoker};

#[tokio::test(start_paused = true)]
async fn r04_the_model_is_called_once_whatever_it_answers() {
    type Make = fn() -> Reply;
    let replies: [(&str, Make); 8] = [
        ("500", || sagemaker_error(500, "InternalFailure", &message("x"))),
        ("503", || sagemaker_error(503, "ServiceUnavailable", &message("x"))),
        ("429", || sagemaker_error(429, "ModelNotReadyException", &message("x"))),
        ("throttled", || sagemaker_error(400, "ThrottlingException", &message("x"))),
        ("skewed", || sagemaker_error(403, "RequestTimeTooSkewed", &message("x"))),
        ("bad gateway", || answered(http::Response::builder().status(502), SdkBody::empty())),
        ("broken", || Reply::Broken),
        ("silent", || Reply::Silence),
    ];
    for operation in Operation::ALL {
        for (name, reply) in replies {
            let cloud = Cloud::granting(move |_| reply());
            let answer = ask(&invoker(&cloud), &event_of(operation)).await;
            assert!(answer.status >= 400, "{name}");
            assert_eq!(cloud.counts(), (1, 1), "{operation:?} {name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r04_r13_a_silent_model_is_a_530_before_lambdas_deadline() {
    for (operation, advice) in [
        (Operation::InvokeEndpoint, "make the model faster, or call it asynchronously"),
        (Operation::InvokeEndpointWithResponseStream, "make the model begin its answer sooner"),
        (Operation::InvokeEndpointAsync, "look for its output"),
    ] {
        let cloud = Cloud::granting(|_| Reply::Silence);
        let began = tokio::time::Instant::now();
        let answer = ask_within(&invoker(&cloud), &event_of(operation), Duration::from_secs(60)).await;
        let took = began.elapsed();
        assert!(Duration::from_secs(59) < took && took < Duration::from_millis(59_600), "{took:?}");
        assert_eq!(answer.kind(), (530, Some("InternalDependencyException")));
        assert_eq!(answer.header("x-sagemaker-external-error-code"), Some("EndpointDeadlineExceeded"));
        let message = answer.message();
        assert!(
            message.contains("\"iris\"") && message.contains("it may have") && message.contains(advice),
            "{message}"
        );
        assert!(!message.contains("Timeout"), "the limits are constants: {message}");
        assert_eq!(cloud.counts(), (1, 1), "a timeout is not retried");
    }
}

/// A function may have the time of a stream: the other operations answer before the
/// front end's limit all the same.
#[tokio::test(start_paused = true)]
async fn r13_each_operation_waits_as_long_as_sagemaker_would() {
    for (operation, longest) in [
        (Operation::InvokeEndpoint, 90),
        (Operation::InvokeEndpointWithResponseStream, 290),
        (Operation::InvokeEndpointAsync, 90),
    ] {
        let cloud = Cloud::granting(|_| Reply::Silence);
        let began = tokio::time::Instant::now();
        let answer = ask_within(&invoker(&cloud), &event_of(operation), Duration::from_secs(900)).await;
        assert_eq!((answer.status, began.elapsed().as_secs()), (530, longest), "{operation:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn r13_a_silent_sts_is_a_504_and_no_call_of_the_model() {
    // Three attempts of 5 s fit into a minute; then STS counts as out of reach.
    let cloud = Cloud::new(|_| Reply::Silence, |_| prediction());
    let answer = ask_within(&invoker(&cloud), &event(), Duration::from_secs(60)).await;
    assert_eq!((answer.kind(), cloud.counts()), ((503, Some("ServiceUnavailable")), (3, 0)));
    // They do not fit into eight seconds.
    let cloud = Cloud::new(|_| Reply::Silence, |_| prediction());
    let began = tokio::time::Instant::now();
    let answer = ask_within(&invoker(&cloud), &event(), Duration::from_secs(8)).await;
    assert!(began.elapsed() < Duration::from_secs(8));
    assert_eq!(answer.kind(), (504, Some("GatewayTimeoutException")));
    assert_eq!(cloud.counts(), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn r13_past_the_deadline_nothing_is_called() {
    for left in [Duration::ZERO, Duration::from_millis(400)] {
        let cloud = Cloud::untouched();
        let answer = ask_within(&invoker(&cloud), &event(), left).await;
        assert_eq!((answer.kind(), cloud.counts()), ((504, Some("GatewayTimeoutException")), (0, 0)));
    }
}

/// Credentials that come after the deadline are too late for a call: nothing was sent.
#[tokio::test(start_paused = true)]
async fn r13_a_deadline_before_the_call_is_a_504() {
    let late = || match credentials() {
        Reply::Answer(response) => Reply::Late(Duration::from_millis(3_500), response),
        other => other,
    };
    let cloud = Cloud::new(move |_| late(), |_| prediction());
    let answer = ask_within(&invoker(&cloud), &event(), Duration::from_secs(4)).await;
    assert_eq!((answer.kind(), cloud.counts()), ((504, Some("GatewayTimeoutException")), (1, 0)));
    assert_eq!(answer.header("x-sagemaker-external-error-code"), Some("DeadlineExceeded"));
}

#[tokio::test]
async fn r04_a_panic_is_an_answer_without_its_message() {
    for (cloud, kind) in [
        (Cloud::new(|_| Reply::Panic, |_| prediction()), (500, Some("InternalFailure"))),
        // The model may have run.
        (Cloud::new(|_| credentials(), |_| Reply::Panic), (530, Some("InternalDependencyException"))),
    ] {
        let invoker = invoker(&cloud);
        let answer = ask(&invoker, &event()).await;
        assert_eq!(answer.kind(), kind);
        assert_eq!(answer.header("x-sagemaker-external-error-code"), Some("InternalError"));
        assert!(!answer.message().contains("canary"));
        assert_eq!(ask(&invoker, &event()).await.status, kind.0, "the next request is served as well");
    }
}
