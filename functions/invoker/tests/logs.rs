//! One line a request, and nothing secret in any line (S15).

use invoker::operation::Operation;
use serde_json::{Value, json};

use crate::support::cloud::{Cloud, Reply, SESSION_KEY, answered, message, prediction, sagemaker_error, sts_error};
use crate::support::{
    EXTERNAL_ID, NAMESPACE, PARENT, REQUEST_ID, ask, event, event_for, event_of, event_with, invoker, invoker_with,
    with,
};

#[tokio::test]
async fn a_request_is_one_line_that_says_what_happened() {
    captured::start();
    assert_eq!(ask(&invoker(&Cloud::willing()), &event()).await.status, 200);
    let line = captured::json().pop().unwrap();
    assert_eq!(captured::json().len(), 1);
    assert_eq!(line["request_id"], REQUEST_ID);
    assert_eq!(line["api_request_id"], "c6af9ac6-7b61-11e6-9a41-93e8deadbeef");
    assert_eq!(line["route"], "InvokeEndpoint");
    assert_eq!(line["endpoint"], "iris");
    assert_eq!(line["session"], format!("alice@{REQUEST_ID}"));
    assert_eq!((&line["status"], &line["level"]), (&json!(200), &json!("INFO")));
    assert!(line["assume_ms"].is_f64() && line["invoke_ms"].is_f64());
    assert_eq!((line.get("error_type"), line.get("cause")), (None, None));
}

#[tokio::test]
async fn a_refusals_line_has_the_services_code() {
    captured::start();
    let cloud = Cloud::new(|_| sts_error(403, "AccessDenied"), |_| prediction());
    let _ = ask(&invoker(&cloud), &event()).await;
    let cloud = Cloud::granting(|_| sagemaker_error(500, "InternalFailure", &message("x")));
    let _ = ask(&invoker(&cloud), &event()).await;
    let [denied, failed] = &captured::json()[..] else { panic!("two lines: {}", captured::text()) };
    assert_eq!((&denied["status"], &denied["cause"]), (&json!(403), &json!("AccessDenied")));
    assert_eq!((&denied["error_type"], &denied["level"]), (&json!("AccessDeniedException"), &json!("ERROR")));
    assert_eq!((&failed["status"], &failed["level"]), (&json!(500), &json!("ERROR")));
}

/// Everything that must never be in a log, planted wherever it can be.
#[tokio::test]
async fn s15_no_secret_is_logged_whatever_happens() {
    captured::start();
    let mut good = event_with("X-Amzn-SageMaker-Custom-Attributes", "attributes-canary");
    good["body"] = json!(base64_simd::STANDARD.encode_to_string("body-canary"));
    good["headers"]["Authorization"] = json!("authorization-canary");
    let mut garbled = good.clone();
    garbled["body"] = json!("body-canary!");
    let mut split = good.clone();
    split["headers"]["X-Amzn-SageMaker-Custom-Attributes"] = json!("attributes-canary\r\nX: y");
    split["multiValueHeaders"] = Value::Null;
    let mut chosen = good.clone();
    chosen["requestContext"]["requestId"] = json!("id-canary \"\n");
    let answer = || {
        let response =
            http::Response::builder().status(200).header("X-Amzn-SageMaker-Custom-Attributes", "attributes-canary");
        answered(response, "body-canary")
    };
    let model = json!({ "Message": "body-canary", "OriginalMessage": "body-canary", "LogStreamArn": "arn:canary" });
    let clouds = [
        Cloud::granting(move |_| answer()),
        Cloud::new(|_| sts_error(403, "AccessDenied"), |_| prediction()),
        Cloud::new(|_| sts_error(400, "MalformedPolicyDocument"), |_| prediction()),
        Cloud::granting(move |_| sagemaker_error(424, "ModelError", &model)),
        Cloud::granting(|_| sagemaker_error(403, "AccessDeniedException", &message("arn:canary"))),
        Cloud::granting(|_| Reply::Panic),
    ];
    let other = |operation| {
        let event = with(event_of(operation), "X-Amzn-SageMaker-Custom-Attributes", "attributes-canary");
        with(event, "X-Amzn-SageMaker-Newer", "newer-canary")
    };
    let others = [other(Operation::InvokeEndpointWithResponseStream), other(Operation::InvokeEndpointAsync)];
    for cloud in clouds {
        let invoker = invoker(&cloud);
        for event in [&good, &garbled, &split, &chosen, &event_for("canary%2F"), &others[0], &others[1]] {
            let _ = ask(&invoker, event).await;
        }
    }
    let broken = format!(r#"[{{"RoleArn":"arn:aws:iam::{PARENT}:role/R","ExternalId":"{EXTERNAL_ID} canary"}}]"#);
    let _ = ask(&invoker_with(&Cloud::untouched(), Some(&broken)), &good).await;

    let text = captured::text().replace(NAMESPACE, "");
    let lines = captured::json();
    let (panics, lines): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["message"] == "panicked");
    assert!(!panics.is_empty());
    assert_eq!(
        lines.len(),
        6 * 7 + 2,
        "one line a request, that of a stream that ended too early among them, and one for the broken grants"
    );
    for secret in
        ["canary", EXTERNAL_ID, PARENT, "arn:", SESSION_KEY, "own-secret", "own-token", "SageMakerExternal", "AKIDOWN"]
    {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
