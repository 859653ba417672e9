//! What a good request becomes on its way to STS and SageMaker, and what of the
//! answer comes back.

use aws_smithy_types::body::SdkBody;
use invoker::operation::Operation;
use serde_json::{Value, json};

use crate::support::cloud::{Cloud, SESSION_KEY, answered, prediction};
use crate::support::{
    EXTERNAL_ID, REQUEST_ID, ROLE, ask, event, event_for, event_of, event_with, invoker, invoker_with, with,
};

/// The answer of an asynchronous call: 202, an id in the body, locations in headers.
#[tokio::test]
async fn r01_an_asynchronous_call_is_answered_with_id_and_locations() {
    let cloud = Cloud::granting(|_| {
        let response = http::Response::builder()
            .status(202)
            .header("Content-Type", "application/json")
            .header("X-Amzn-SageMaker-OutputLocation", "s3://bucket/out/1.out")
            .header("X-Amzn-SageMaker-FailureLocation", "s3://bucket/err/1.out");
        answered(response, "{\"InferenceId\":\"inference-1\"}")
    });
    let answer = ask(&invoker(&cloud), &event_of(Operation::InvokeEndpointAsync)).await;
    assert_eq!((answer.status, answer.json()), (202, json!({ "InferenceId": "inference-1" })));
    assert_eq!(answer.header("x-amzn-sagemaker-outputlocation"), Some("s3://bucket/out/1.out"));
    assert_eq!(answer.header("x-amzn-sagemaker-failurelocation"), Some("s3://bucket/err/1.out"));
}

/// The newest models admit the input itself in place of its location.
#[tokio::test]
async fn r05_an_asynchronous_calls_own_input_passes_byte_for_byte() {
    let cloud = Cloud::willing();
    let bytes: Vec<u8> = (0..=255).collect();
    let mut event = event_of(Operation::InvokeEndpoint);
    event["resource"] = json!("/endpoints/{name}/async-invocations");
    event["path"] = json!("/endpoints/iris/async-invocations");
    event["body"] = json!(base64_simd::STANDARD.encode_to_string(&bytes));
    assert_eq!(ask(&invoker(&cloud), &event).await.status, 200);
    let call = &cloud.to_sagemaker()[0];
    assert_eq!((call.body.as_slice(), call.header("x-amzn-sagemaker-inputlocation")), (&bytes[..], None));
}

#[tokio::test]
async fn r05_all_bytes_pass_in_both_directions() {
    let bytes: Vec<u8> = (0..=255).cycle().take(5 * 1024 * 1024).collect();
    let sent = bytes.clone();
    let cloud = Cloud::granting(move |_| answered(http::Response::builder().status(200), sent.clone()));
    let mut event = event();
    event["body"] = json!(base64_simd::STANDARD.encode_to_string(&bytes));
    let answer = ask(&invoker(&cloud), &event).await;
    assert!(answer.status == 200 && answer.cut.is_none());
    assert!(cloud.to_sagemaker()[0].body == bytes, "the request's body changed");
    assert!(answer.body == bytes, "the answer's body changed");
}

#[tokio::test]
async fn r05_an_empty_body_passes_in_both_directions() {
    let cloud = Cloud::granting(|_| answered(http::Response::builder().status(200), SdkBody::empty()));
    for body in [json!(""), Value::Null] {
        let mut event = event();
        event["body"] = body;
        let answer = ask(&invoker(&cloud), &event).await;
        assert_eq!((answer.status, answer.body.len(), answer.cut), (200, 0, None));
    }
    assert!(cloud.to_sagemaker().iter().all(|call| call.body.is_empty()));
}

#[tokio::test]
async fn r12_each_operation_asks_for_its_own_actions_only() {
    for operation in Operation::ALL {
        let cloud = Cloud::willing();
        let event = with(event_of(operation), "X-Amzn-SageMaker-Inference-Component", "c1");
        assert_eq!(ask(&invoker(&cloud), &event).await.status, 200);
        let policy: Value = serde_json::from_str(&cloud.to_sts()[0].parameter("Policy").unwrap()).unwrap();
        assert_eq!(policy["Statement"][0]["Action"], json!(operation.actions()));
        assert_eq!(policy["Statement"][0]["Resource"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn r10_assume_role_asks_for_this_call_only() {
    let cloud = Cloud::willing();
    let _ = ask(&invoker(&cloud), &event_with("X-Amzn-SageMaker-Inference-Component", "c1")).await;
    let call = &cloud.to_sts()[0];
    let parameter = |name: &str| call.parameter(name).unwrap_or_default();
    assert_eq!(call.host, "sts.us-east-1.amazonaws.com", "the region's own endpoint");
    assert_eq!(parameter("Action"), "AssumeRole");
    assert_eq!(parameter("RoleArn"), ROLE);
    assert_eq!(parameter("ExternalId"), EXTERNAL_ID);
    assert_eq!(parameter("RoleSessionName"), format!("alice@{REQUEST_ID}"));
    let policy: Value = serde_json::from_str(&parameter("Policy")).unwrap();
    assert_eq!(
        policy,
        json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Action": ["sagemaker:InvokeEndpoint"],
            "Resource": [
                "arn:aws:sagemaker:us-east-1:111122223333:endpoint/iris",
                "arn:aws:sagemaker:us-east-1:111122223333:inference-component/c1",
            ],
        }] })
    );
    assert!(parameter("Policy").chars().count() <= 2048);
}

/// A Lambda's role is itself a session, so STS would refuse more than 3600.
#[tokio::test]
async fn r07_the_shortest_session_is_asked_for() {
    let cloud = Cloud::willing();
    let _ = ask(&invoker(&cloud), &event()).await;
    assert_eq!(cloud.to_sts()[0].parameter("DurationSeconds").as_deref(), Some("900"));
}

#[tokio::test]
async fn the_model_is_called_with_the_assumed_credentials_only() {
    let cloud = Cloud::willing();
    let invoker = invoker(&cloud);
    for _ in 0..2 {
        let _ = ask(&invoker, &event()).await;
    }
    assert_eq!(cloud.counts(), (2, 2), "every request assumes the role");
    for call in cloud.to_sts() {
        assert!(call.header("authorization").unwrap().contains("AKIDOWN/"));
    }
    for call in cloud.to_sagemaker() {
        assert!(call.header("authorization").unwrap().contains(&format!("{SESSION_KEY}/")));
        assert!(call.header("authorization").unwrap().contains("/us-east-1/sagemaker/aws4_request"));
        assert_eq!(call.header("x-amz-security-token"), Some("token-canary"));
    }
}

/// S01: the ExternalId and the role are the grant's, whatever a caller sends.
#[tokio::test]
async fn s01_a_callers_external_id_and_role_are_ignored() {
    let cloud = Cloud::willing();
    let mut event = event_with("X-Amzn-SageMaker-External-Id", "evil");
    event["headers"]["ExternalId"] = json!("evil");
    event["headers"]["RoleArn"] = json!("arn:aws:iam::999999999999:role/evil");
    event["queryStringParameters"] = json!({ "ExternalId": "evil" });
    assert_eq!(ask(&invoker(&cloud), &event).await.status, 200);
    let call = &cloud.to_sts()[0];
    assert_eq!(call.parameter("ExternalId").as_deref(), Some(EXTERNAL_ID));
    assert_eq!(call.parameter("RoleArn").as_deref(), Some(ROLE));
    assert!(!String::from_utf8_lossy(&call.body).contains("evil"));
}

/// R08, S21: the session is named after the request context, not after headers.
#[tokio::test]
async fn s21_headers_do_not_name_the_session() {
    let cloud = Cloud::willing();
    let mut event = event_with("X-Amzn-RequestId", "chosen-by-the-client");
    event["requestContext"]["requestId"] = json!("chosen-by-the-client");
    event["headers"]["Authorization"] = json!("AWS4-HMAC-SHA256 Credential=mallory/…");
    let answer = ask(&invoker(&cloud), &event).await;
    assert_eq!(answer.status, 200);
    assert_eq!(cloud.to_sts()[0].parameter("RoleSessionName"), Some(format!("alice@{REQUEST_ID}")));
}

#[tokio::test]
async fn each_grant_is_called_in_its_own_region_with_its_own_id() {
    let cloud = Cloud::willing();
    let grants = json!([
        { "RoleArn": ROLE, "EndpointNames": "iris" },
        { "RoleArn": "arn:aws:iam::555566667777:role/R", "ExternalId": "other", "EndpointNames": ["far"], "Region": "eu-west-1" },
    ]);
    let invoker = invoker_with(&cloud, Some(&grants.to_string()));
    assert_eq!(ask(&invoker, &event_for("far")).await.status, 200);
    assert_eq!(ask(&invoker, &event()).await.status, 200);
    let ids: Vec<_> = cloud.to_sts().iter().map(|call| call.parameter("ExternalId").unwrap()).collect();
    assert_eq!(ids, ["other", "111122223333"]);
    let hosts: Vec<_> = cloud.to_sagemaker().into_iter().map(|call| call.host).collect();
    assert_eq!(hosts, ["runtime.sagemaker.eu-west-1.amazonaws.com", "runtime.sagemaker.us-east-1.amazonaws.com"]);
}

#[tokio::test]
async fn s18_of_the_answers_headers_only_the_promised_pass() {
    let cloud = Cloud::granting(|_| {
        let response = http::Response::builder()
            .status(200)
            .header("Content-Type", "text/html")
            .header("x-Amzn-Invoked-Production-Variant", "AllTraffic")
            .header("X-Amzn-SageMaker-Custom-Attributes", "from=model")
            .header("X-Amzn-SageMaker-New-Session-Id", "s1; Expires=2026-11-24T06:00:00Z")
            .header("X-Amzn-SageMaker-Closed-Session-Id", "s0")
            .header("X-Amzn-SageMaker-Something-Newer", "1")
            .header("X-Amzn-SageMaker-Garbled", http::HeaderValue::from_bytes(b"\xff\xfe").unwrap())
            .header("x-amzn-RequestId", "upstream-request")
            .header("Set-Cookie", "a=b")
            .header("Location", "https://evil.example")
            .header("Connection", "close")
            .header("Transfer-Encoding", "chunked")
            .header("Content-Length", "7")
            .header("x-amzn-Remapped-Content-Length", "7")
            .header("Access-Control-Allow-Origin", "*")
            .header("Strict-Transport-Security", "max-age=1")
            .header("Server", "model")
            .header("X-Content-Type-Options", "sniff")
            .header("Server-Timing", "evil;dur=1");
        answered(response, "<html>")
    });
    for operation in Operation::ALL {
        let answer = ask(&invoker(&cloud), &event_of(operation)).await;
        let mut names: Vec<_> = answer.headers.keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "content-type",
                "server-timing",
                "x-amzn-invoked-production-variant",
                "x-amzn-requestid",
                "x-amzn-sagemaker-closed-session-id",
                "x-amzn-sagemaker-custom-attributes",
                "x-amzn-sagemaker-new-session-id",
                "x-amzn-sagemaker-something-newer",
                "x-content-type-options",
            ]
        );
        assert_eq!(answer.header("content-type"), Some("text/html"));
        assert_eq!(answer.header("x-amzn-sagemaker-custom-attributes"), Some("from=model"));
        assert_eq!(answer.header("x-amzn-requestid"), Some("upstream-request"));
    }
}

/// A model may write a header that is no text: it is left out, the answer is not.
#[tokio::test]
async fn s18_an_unreadable_header_does_not_spoil_the_answer() {
    let cloud = Cloud::granting(|_| {
        let garbled = http::HeaderValue::from_bytes(b"caf\xe9").unwrap();
        let response = http::Response::builder().header("X-Amzn-SageMaker-Custom-Attributes", garbled);
        answered(response.header("Content-Type", "text/csv"), "setosa")
    });
    let answer = ask(&invoker(&cloud), &event()).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"setosa"[..]));
    assert_eq!(answer.header("x-amzn-sagemaker-custom-attributes"), None);
    assert_eq!(answer.header("content-type"), Some("text/csv"));
}

#[tokio::test]
async fn s18_an_answer_without_content_type_has_none() {
    let cloud = Cloud::granting(|_| answered(http::Response::builder().status(200), "x"));
    let answer = ask(&invoker(&cloud), &event()).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, None));
    assert_eq!(answer.header("x-amzn-requestid"), Some(REQUEST_ID), "our own id where SageMaker gave none");
}

#[tokio::test]
async fn server_timing_says_what_each_step_took() {
    let answer = ask(&invoker(&Cloud::granting(|_| prediction())), &event()).await;
    let timing = answer.header("server-timing").unwrap();
    let names: Vec<_> = timing.split(", ").map(|metric| metric.split_once(";dur=").unwrap()).collect();
    assert!(names.iter().all(|(_, value)| value.parse::<f64>().is_ok_and(|ms| ms >= 0.0)), "{timing}");
    assert_eq!(names.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["assume", "invoke"]);
}

#[tokio::test]
async fn the_list_shows_names_and_regions_only() {
    let cloud = Cloud::untouched();
    let mut event = event();
    event["httpMethod"] = json!("GET");
    event["resource"] = json!("/endpoints");
    event["path"] = json!("/endpoints");
    let answer = ask(&invoker(&cloud), &event).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({ "Endpoints": [
            { "EndpointName": "Wine", "Region": "us-east-1" },
            { "EndpointName": "iris", "Region": "us-east-1" },
        ] })
    );
    assert_eq!(cloud.counts(), (0, 0));
}
