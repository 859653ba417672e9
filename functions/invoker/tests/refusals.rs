//! Requests that are refused before anything is called.

use std::time::Duration;

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use invoker::operation::Operation;
use serde_json::{Value, json};

use crate::support::cloud::{Cloud, answered};
use crate::support::{
    EXTERNAL_ID, REQUEST_ID, ROLE, ask, context, event, event_for, event_of, event_with, grants, invoker, invoker_with,
    read, with,
};

/// Asks, and sees that neither STS nor SageMaker was called.
async fn refused(event: &Value) -> (u16, String, String) {
    let cloud = Cloud::untouched();
    let answer = ask(&invoker(&cloud), event).await;
    assert_eq!(cloud.counts(), (0, 0), "something was called");
    let kind = answer.header("x-amzn-errortype").expect("a type").to_owned();
    assert_eq!(answer.header("x-amzn-requestid"), Some(REQUEST_ID));
    (answer.status, kind, answer.message())
}

async fn is_validation_error(event: &Value) -> String {
    let (status, kind, message) = refused(event).await;
    assert_eq!((status, kind.as_str()), (400, "ValidationError"), "{message}");
    message
}

const SYNC: Operation = Operation::InvokeEndpoint;
const STREAM: Operation = Operation::InvokeEndpointWithResponseStream;
const ASYNC: Operation = Operation::InvokeEndpointAsync;

/// Header, member, a value that its rule refuses.
const WRONG: [(Operation, &str, &str, &str); 34] = [
    (SYNC, "Content-Type", "ContentType", "text/\u{e9}"),
    (SYNC, "Accept", "Accept", "a\u{7f}"),
    (SYNC, "X-Amzn-SageMaker-Custom-Attributes", "CustomAttributes", "canary\r\nX-Evil: 1"),
    (SYNC, "X-Amzn-SageMaker-Target-Model", "TargetModel", " model"),
    (SYNC, "X-Amzn-SageMaker-Target-Model", "TargetModel", ""),
    (SYNC, "X-Amzn-SageMaker-Target-Variant", "TargetVariant", "a/../b"),
    (SYNC, "X-Amzn-SageMaker-Target-Container-Hostname", "TargetContainerHostname", "a.b"),
    (SYNC, "X-Amzn-SageMaker-Inference-Id", "InferenceId", "\t"),
    (SYNC, "X-Amzn-SageMaker-Enable-Explanations", "EnableExplanations", ""),
    (SYNC, "X-Amzn-SageMaker-Inference-Component", "InferenceComponentName", "*"),
    (SYNC, "X-Amzn-SageMaker-Session-Id", "SessionId", "new session"),
    (SYNC, "X-Amzn-SageMaker-Session-Id", "SessionId", ""),
    (SYNC, "X-Amzn-SageMaker-Prefix-Aware-Id", "PrefixAwareId", ""),
    (STREAM, "Content-Type", "ContentType", "text/\u{e9}"),
    (STREAM, "Accept", "the form of the stream", "a\u{7f}"),
    (STREAM, "X-Amzn-SageMaker-Accept", "Accept", "a\u{7f}"),
    (STREAM, "X-Amzn-SageMaker-Custom-Attributes", "CustomAttributes", "canary\0"),
    (STREAM, "X-Amzn-SageMaker-Target-Variant", "TargetVariant", "-a"),
    (STREAM, "X-Amzn-SageMaker-Target-Container-Hostname", "TargetContainerHostname", ""),
    (STREAM, "X-Amzn-SageMaker-Inference-Id", "InferenceId", " "),
    (STREAM, "X-Amzn-SageMaker-Inference-Component", "InferenceComponentName", "a:b"),
    // A stream opens no session.
    (STREAM, "X-Amzn-SageMaker-Session-Id", "SessionId", "NEW_SESSION"),
    (STREAM, "X-Amzn-SageMaker-Prefix-Aware-Id", "PrefixAwareId", ""),
    (ASYNC, "X-Amzn-SageMaker-Content-Type", "ContentType", "\u{e9}"),
    (ASYNC, "X-Amzn-SageMaker-Accept", "Accept", "a\nb"),
    (ASYNC, "X-Amzn-SageMaker-Custom-Attributes", "CustomAttributes", "canary\u{85}"),
    (ASYNC, "X-Amzn-SageMaker-Inference-Id", "InferenceId", ""),
    (ASYNC, "X-Amzn-SageMaker-InputLocation", "InputLocation", "file:///etc/passwd"),
    (ASYNC, "X-Amzn-SageMaker-InputLocation", "InputLocation", ""),
    (ASYNC, "X-Amzn-SageMaker-S3OutputPathExtension", "S3OutputPathExtension", "s3://elsewhere"),
    (ASYNC, "X-Amzn-SageMaker-Filename", "Filename", "../x"),
    (ASYNC, "X-Amzn-SageMaker-RequestTTLSeconds", "RequestTTLSeconds", "59"),
    (ASYNC, "X-Amzn-SageMaker-RequestTTLSeconds", "RequestTTLSeconds", "1e3"),
    (ASYNC, "X-Amzn-SageMaker-InvocationTimeoutSeconds", "InvocationTimeoutSeconds", "3601"),
];

#[tokio::test]
async fn s17_a_wrong_header_is_refused_by_name() {
    for (operation, header, member, value) in WRONG {
        let message = is_validation_error(&with(event_of(operation), header, value)).await;
        assert!(message.starts_with(&format!("header {header} ({member}) must be ")), "{message}");
        assert!(!message.contains("canary"), "{message}");
    }
    let known = |header: &str, operation: Operation| WRONG.iter().any(|row| row.0 == operation && row.1 == header);
    for operation in Operation::ALL {
        assert!(operation.members().iter().all(|member| known(member.header, operation)), "a member without a case");
    }
}

#[tokio::test]
async fn s17_a_value_may_be_as_long_as_its_rule_says() {
    for (operation, header, max) in [
        (SYNC, "Content-Type", 1024),
        (SYNC, "Accept", 1024),
        (SYNC, "X-Amzn-SageMaker-Custom-Attributes", 1024),
        (SYNC, "X-Amzn-SageMaker-Target-Model", 1024),
        (SYNC, "X-Amzn-SageMaker-Target-Variant", 63),
        (SYNC, "X-Amzn-SageMaker-Target-Container-Hostname", 63),
        (SYNC, "X-Amzn-SageMaker-Inference-Id", 64),
        (SYNC, "X-Amzn-SageMaker-Enable-Explanations", 64),
        (SYNC, "X-Amzn-SageMaker-Inference-Component", 63),
        (SYNC, "X-Amzn-SageMaker-Session-Id", 256),
        (SYNC, "X-Amzn-SageMaker-Prefix-Aware-Id", 64),
        (STREAM, "X-Amzn-SageMaker-Accept", 1024),
        (STREAM, "X-Amzn-SageMaker-Session-Id", 256),
        (ASYNC, "X-Amzn-SageMaker-Content-Type", 1024),
        (ASYNC, "X-Amzn-SageMaker-S3OutputPathExtension", 512),
        (ASYNC, "X-Amzn-SageMaker-Filename", 32),
        // Newer than this code.
        (ASYNC, "X-Amzn-SageMaker-Something-Newer", 1024),
    ] {
        let message = is_validation_error(&with(event_of(operation), header, &"a".repeat(max + 1))).await;
        assert!(message.to_ascii_lowercase().contains(&header.to_ascii_lowercase()), "{message}");
        assert!(message.contains(&max.to_string()), "{message}");
        let answer = ask(&invoker(&Cloud::willing()), &with(event_of(operation), header, &"a".repeat(max))).await;
        assert_eq!(answer.status, 200, "{header} of {max}");
    }
}

#[tokio::test]
async fn s17_nothing_splits_a_header() {
    let newer = Operation::ALL.map(|operation| (operation, "X-Amzn-SageMaker-Something-Newer"));
    for (operation, header) in WRONG.iter().map(|row| (row.0, row.1)).chain(newer) {
        for value in ["a\r\nX-Evil: 1", "a\nb", "a\r b", "a\0b", "caf\u{e9}", "\u{2028}"] {
            is_validation_error(&with(event_of(operation), header, value)).await;
        }
    }
}

#[tokio::test]
async fn s23_a_repeated_header_is_refused() {
    for (operation, header, member, _) in WRONG {
        let mut event = with(event_of(operation), header, "a");
        event["multiValueHeaders"][header] = json!(["a", "a"]);
        let message = is_validation_error(&event).await;
        assert_eq!(message, format!("header {header} ({member}) must be given at most once"));
    }
    let mut event = event();
    event["multiValueHeaders"]["content-TYPE"] = json!(["text/html"]);
    is_validation_error(&event).await;
    let mut event = with(event_of(STREAM), "X-Amzn-SageMaker-Newer", "a");
    event["multiValueHeaders"]["x-amzn-sagemaker-newer"] = json!(["b"]);
    assert_eq!(is_validation_error(&event).await, "header x-amzn-sagemaker-newer must be given at most once");
}

#[tokio::test]
async fn an_asynchronous_call_has_exactly_one_input() {
    let mut none = event_of(ASYNC);
    none["headers"] = json!({});
    none["multiValueHeaders"] = Value::Null;
    let mut both = event_of(ASYNC);
    both["body"] = json!("AAH/");
    for event in [none, both] {
        assert_eq!(
            is_validation_error(&event).await,
            "the input must be either in header X-Amzn-SageMaker-InputLocation (InputLocation) or in the body, and \
             not in both"
        );
    }
}

#[tokio::test]
async fn s22_encoded_and_widened_names_are_refused() {
    for (name, written) in [
        ("a/b", "a%2Fb"),
        ("..", "%2e%2e"),
        ("a%2Fb", "a%252Fb"),
        ("%2e%2e", "%252e%252e"),
        ("iris", "%69ris"),
        ("iris", "iris%00"),
        ("iris\0", "iris%00"),
        ("iris\n", "iris%0a"),
        ("*", "*"),
        ("ir*", "ir*"),
        ("", ""),
    ] {
        let mut event = event_for(written);
        event["pathParameters"]["name"] = json!(name);
        is_validation_error(&event).await;
    }
    let mut event = event();
    event["pathParameters"] = Value::Null;
    is_validation_error(&event).await;
}

#[tokio::test]
async fn r05_a_body_that_is_no_base64_is_refused() {
    let mut event = event();
    event["body"] = json!("canary!");
    assert_eq!(is_validation_error(&event).await, "the event's body must be base64");
}

#[tokio::test]
async fn s21_without_a_caller_nothing_is_done() {
    for context in [
        Value::Null,
        json!({ "identity": { "userArn": null, "apiKeyId": "key" } }),
        json!({ "authorizer": { "principalId": "x" } }),
    ] {
        let mut event = event_with("X-User-Arn", "arn:aws:iam::444455556666:user/alice");
        event["requestContext"] = context.clone();
        let (status, kind, _) = refused(&event).await;
        assert_eq!((status, kind.as_str()), (403, "AccessDeniedException"), "{context}");
        event["httpMethod"] = json!("GET");
        event["resource"] = json!("/endpoints");
        assert_eq!(refused(&event).await.0, 403, "the list needs a caller too");
    }
}

#[tokio::test]
async fn an_endpoint_without_a_grant_is_not_found() {
    for name in ["other", "Iris", "iri"] {
        let (status, kind, message) = refused(&event_for(name)).await;
        assert_eq!((status, kind.as_str()), (404, "ValidationError"));
        assert!(message.starts_with(&format!("endpoint \"{name}\" is not granted here: ask ")), "{message}");
    }
}

#[tokio::test]
async fn other_methods_and_paths_are_unknown_operations() {
    for (method, resource) in
        [("GET", "/endpoints/{name}/invocations"), ("DELETE", "/endpoints"), ("POST", "/"), ("POST", "/{proxy+}")]
    {
        let mut event = event();
        event["httpMethod"] = json!(method);
        event["resource"] = json!(resource);
        let (status, kind, _) = refused(&event).await;
        assert_eq!((status, kind.as_str()), (404, "UnknownOperationException"), "{method} {resource}");
    }
}

#[tokio::test]
async fn no_event_is_too_odd_for_an_answer() {
    for event in
        ["", "null", "7", "[]", "{", "\"x\"", "{\"httpMethod\":1}", "{\"headers\":[],\"body\":{}}", "\u{feff}{}"]
    {
        let cloud = Cloud::untouched();
        let event_bytes = Bytes::from(event.to_owned());
        let answer = read(invoker(&cloud).handle(event_bytes, &context(Duration::from_secs(9))).await).await;
        assert!((400..500).contains(&answer.status), "{event}: {}", answer.status);
        assert_eq!(cloud.counts(), (0, 0));
    }
    // Bytes that are no text either.
    let cloud = Cloud::untouched();
    let answer = invoker(&cloud).handle(Bytes::from_static(b"\xff\xfe"), &context(Duration::from_secs(9))).await;
    assert_eq!(read(answer).await.status, 400);
}

/// Broken or missing grants: an answer with a request id, not a hang, and no word
/// of what is in them.
#[tokio::test]
async fn broken_grants_answer_500() {
    for broken in [None, Some(""), Some("[]"), Some("{canary"), Some(r#"[{"RoleArn":"wrong-role"}]"#)] {
        let cloud = Cloud::untouched();
        let answer = ask(&invoker_with(&cloud, broken), &event()).await;
        assert_eq!(answer.kind(), (500, Some("InternalFailure")), "{broken:?}");
        assert_eq!(answer.header("x-amzn-requestid"), Some(REQUEST_ID));
        assert!(answer.message().contains("GRANTS"));
        assert!(!answer.message().contains("canary") && !answer.message().contains("wrong-role"));
        assert_eq!(cloud.counts(), (0, 0));
    }
}

/// A grant may bound where the endpoint's execution role is made to read.
#[tokio::test]
async fn an_input_outside_of_the_grants_prefixes_is_refused_before_any_call() {
    let grants = json!([{
        "RoleArn": ROLE, "ExternalId": EXTERNAL_ID, "EndpointNames": "iris",
        "InputLocationPrefixes": ["s3://bucket/team-a/", "https://bucket.s3.eu-west-1.amazonaws.com/team-a/"],
    }]);
    const INPUT: &str = "X-Amzn-SageMaker-InputLocation";
    let cloud = Cloud::willing();
    let invoker = invoker_with(&cloud, Some(&grants.to_string()));
    for operation in Operation::ALL {
        for location in ["s3://bucket/team-b/x", "s3://bucket-evil/team-a/x"] {
            let answer = ask(&invoker, &with(event_of(operation), INPUT, location)).await;
            assert_eq!(answer.kind(), (400, Some("ValidationError")), "{operation:?} {location}");
            assert_eq!(
                answer.message(),
                "header X-Amzn-SageMaker-InputLocation (InputLocation) must lie below one of the prefixes that this \
                 API's grant of endpoint \"iris\" allows: ask whoever runs this API which these are"
            );
        }
    }
    // Of one that can be read in two ways nobody knows where it lies.
    for location in ["s3://bucket/team-a/../team-b/x", "s3://bucket/team-a/a+b.csv"] {
        let answer = ask(&invoker, &with(event_of(Operation::InvokeEndpointAsync), INPUT, location)).await;
        assert_eq!(answer.kind(), (400, Some("ValidationError")), "{location}");
        assert_eq!(
            answer.message(),
            "header X-Amzn-SageMaker-InputLocation (InputLocation) must be s3://BUCKET/KEY or https://HOST/PATH in \
             printable ASCII characters, without any of %+?#\\ and without a part that is empty, . or ..: this API's \
             grant of endpoint \"iris\" bounds where inputs lie, and any other location can be read in two ways"
        );
    }
    assert_eq!(cloud.counts(), (0, 0));
    for location in ["s3://bucket/team-a/x.csv", "https://bucket.s3.eu-west-1.amazonaws.com/team-a/y"] {
        let answer = ask(&invoker, &with(event_of(Operation::InvokeEndpointAsync), INPUT, location)).await;
        assert_eq!(answer.status, 200, "{location}");
        assert_eq!(cloud.to_sagemaker().pop().unwrap().header(INPUT), Some(location));
    }
    // An input in the body is read from nowhere.
    let mut event = event_of(Operation::InvokeEndpointAsync);
    (event["body"], event["headers"], event["multiValueHeaders"]) = (json!("AAH/"), json!({}), Value::Null);
    assert_eq!(ask(&invoker, &event).await.status, 200);
}

/// S19: a redirect is an answer that is not understood, and nothing is followed.
#[tokio::test]
async fn s19_a_redirect_is_not_followed() {
    let cloud = Cloud::granting(|_| {
        let response = http::Response::builder().status(307).header("Location", "https://evil.example/");
        answered(response, SdkBody::empty())
    });
    let answer = ask(&invoker_with(&cloud, Some(&grants())), &event()).await;
    assert_eq!(answer.kind(), (530, Some("InternalDependencyException")));
    assert_eq!(answer.header("location"), None);
    assert_eq!(cloud.counts(), (1, 1));
}
