//! The answer itself: exactly one, in time, whole, and without secrets.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use provisioner::callback::{self, Answer, Outcome};
use provisioner::code::Code;
use provisioner::handler::{Invocation, Provisioner, Settings};
use provisioner::request::{Envelope, Home};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::iam::{Fault, Iam};
use crate::stage::{ACCOUNT, Bucket, FUNCTION, ROLE_ARN, Stage, create, delete, group, role, update, with};

const INTERRUPTED: &str = "SageMakerExternal::CreateInterrupted";

/// C26: a panic in the middle is answered, with an id that a Delete can use.
#[tokio::test(start_paused = true)]
async fn c26_a_panic_is_answered() {
    let stage = Stage::new();
    stage.iam.fault("CreatePolicy", Fault::Panics);
    let (reason, id) = stage.fail(&create(&role())).await;
    assert_eq!(reason, "an internal error; the function's log has its place");
    assert_eq!(id, ROLE_ARN);
    stage.succeed(&delete(&id, &role())).await;
    stage.iam.fault("GetRole", Fault::Panics);
    assert_eq!(stage.fail(&create(&role())).await.1, INTERRUPTED, "an earlier delivery may have made it");
}

/// C27, C45: a call that never ends: one answer, well before Lambda's own end, that
/// says which step it was.
#[tokio::test(start_paused = true)]
async fn c27_c45_a_timeout_is_answered_once_and_in_time() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    for (fault, event, step, kept) in [
        ("DeleteRole", delete(&id, &role()), "DeleteRole SageMakerExternal", id.as_str()),
        ("GetRole", update(&id, &role(), &role()), "reading IAM", id.as_str()),
        ("GetRole", create(&role()), "reading IAM", INTERRUPTED),
    ] {
        stage.iam.fault(fault, Fault::Hangs);
        let start = Instant::now();
        let (reason, answered) = stage.fail(&event).await;
        assert_eq!(reason, format!("timed out during {step}"));
        assert_eq!(answered, kept);
        let left = Duration::from_secs(120) - start.elapsed();
        assert!(left >= Duration::from_secs(3), "{left:?} were left");
    }
    let stage = Stage::new();
    stage.iam.fault("CreateRole", Fault::Hangs);
    assert_eq!(stage.fail(&create(&role())).await.1, ROLE_ARN, "it may have taken effect");
}

/// C06, C10: whatever fails, and however, there is a reason, and an id that is not empty.
#[tokio::test(start_paused = true)]
async fn c06_c10_every_failure_has_a_reason_and_an_id() {
    for (action, fault) in [
        ("GetRole", Fault::Refused(403, "AccessDenied", "")),
        ("GetRole", Fault::Refused(500, "ServiceFailure", "")),
        ("CreateRole", Fault::Refused(400, "ValidationError", "")),
        ("CreateRole", Fault::Hangs),
        ("CreateRole", Fault::Panics),
        ("CreatePolicy", Fault::Refused(409, "LimitExceeded", "")),
    ] {
        let stage = Stage::new();
        stage.iam.fault_for_ever(action, fault);
        let (reason, id) = stage.fail(&create(&role())).await;
        assert!(reason.len() > 10, "{action}: {reason}");
        assert!([ROLE_ARN, INTERRUPTED, "SageMakerExternal::CreateFailed"].contains(&id.as_str()), "{action}: {id}");
    }
    let (reason, id) = Stage::new()
        .fail(&with(create(&role()), json!({"StackId": "arn:aws:cloudformation:us-east-1:999999999999:stack/x/1"})))
        .await;
    assert!(reason.starts_with("StackId") && !id.is_empty(), "{reason}");
}

/// C41: the id says side, account, path and name, and is the same each time.
#[tokio::test(start_paused = true)]
async fn c41_ids_are_derived_and_tell_the_sides_apart() {
    let stage = Stage::new();
    let named = |properties: Value, key: &str| with(properties, json!({"Path": "/sagemaker-external/p/", key: "Same"}));
    for (properties, key, wanted) in [
        (role(), "RoleName", "arn:aws:iam::111122223333:role/sagemaker-external/p/Same"),
        (group(), "GroupName", "arn:aws:iam::111122223333:group/sagemaker-external/p/Same"),
    ] {
        for _ in 0..2 {
            assert_eq!(stage.created(&create(&named(properties.clone(), key))).await, wanted);
        }
    }
}

/// C28, C29, C30: other statuses than 2xx are tried again, a bounded number of times,
/// and redirects are not followed.
#[tokio::test(start_paused = true)]
async fn c28_c29_c30_the_put_is_tried_again_within_bounds() {
    for (statuses, puts) in [(vec![503, 500], 3), (vec![307, 301], 3), (vec![403; 20], 6)] {
        let stage = Stage::new();
        *stage.bucket.statuses.lock().unwrap() = statuses.clone();
        stage.raw(&create(&role())).await;
        let taken = stage.bucket.taken.lock().unwrap();
        assert_eq!(taken.len(), puts, "{statuses:?}");
        assert!(taken.iter().all(|request| request.uri() == crate::stage::URL), "C30: always the signed URL");
        assert_eq!(stage.iam.world().roles.len(), 1, "C29: what was done is not undone");
    }
}

/// C25: when nobody takes the answer, the event still ends as handled, and is not run
/// again: `handle` has no error to return.
#[tokio::test(start_paused = true)]
async fn c25_an_answer_that_nobody_takes_is_the_end() {
    let stage = Stage::new();
    *stage.bucket.statuses.lock().unwrap() = vec![500; 20];
    let (): () = stage.raw(&create(&role())).await;
    let calls = stage.iam.take_calls();
    assert_eq!(calls.iter().filter(|call| call.starts_with("CreateRole")).count(), 1);
}

/// C36: an unknown request is answered; C43 and S13: one without a usable URL is not,
/// and neither makes a call.
#[tokio::test(start_paused = true)]
async fn c36_unknown_requests_make_no_call() {
    let stage = Stage::new();
    for change in
        [json!({"RequestType": "Refresh"}), json!({"RequestType": null}), json!({"ResourceType": "Custom::X"})]
    {
        let (reason, id) = stage.fail(&with(create(&role()), change)).await;
        assert!(reason.contains("must be"), "{reason}");
        assert_eq!(id, "SageMakerExternal::CreateFailed");
    }
    stage.bucket.taken.lock().unwrap().clear();
    for change in [
        json!({"ResponseURL": null}),
        json!({"ResponseURL": "https://evil.example/?X-Amz-Signature=url-canary"}),
        json!({"Records": []}),
    ] {
        stage.raw(&with(create(&role()), change)).await;
    }
    stage.raw(&json!("text")).await;
    assert_eq!(stage.answers(), [Value::Null; 0]);
    assert_eq!(stage.iam.take_calls(), [""; 0]);
}

/// C35 with a broken function: settings that cannot be read are told, and block no Delete.
#[tokio::test(start_paused = true)]
async fn c35_broken_settings_are_told_and_block_no_delete() {
    let stage = Stage::with(Settings::read(|name| (name == "IAM_PATH").then(|| "no-slashes".to_owned())));
    let (reason, _) = stage.fail(&create(&role())).await;
    assert!(reason.starts_with("the function's variable IAM_PATH: \"no-slashes\""), "{reason}");
    stage.succeed(&delete(ROLE_ARN, &role())).await;
    let climbing = |name: &str| (name == "IAM_PATH").then(|| "/sagemaker-external/../x/".to_owned());
    let (reason, _) = Stage::with(Settings::read(climbing)).fail(&create(&role())).await;
    assert!(reason.starts_with("the function's variable IAM_PATH: \"/sagemaker-external/../x/\" has"), "{reason}");
    let stage = Stage::with(Settings::read(|_| None));
    let (reason, _) = stage.fail(&create(&role())).await;
    assert!(reason.starts_with("PermissionsBoundary: set it"), "{reason}");
}

/// C02, C03, C04 on the wire: what leaves the real HTTP stack, byte for byte.
#[tokio::test]
async fn c02_c03_c04_the_put_on_the_wire() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let received = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        let mut buffer = [0; 8192];
        loop {
            let read = socket.read(&mut buffer).await.unwrap();
            bytes.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && body.ends_with('}')
            {
                socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                return (head.to_owned(), body.to_owned());
            }
            assert_ne!(read, 0, "the connection was closed early: {text}");
        }
    });
    let settings = Settings { response_origin: Some(origin.clone()), ..crate::stage::settings(&[]) };
    let iam = Iam::new(ACCOUNT);
    let connector = sagemaker_external::transport::connector();
    let provisioner = Provisioner::new(provisioner::iam::Iam::new(iam.client()), connector, settings);
    let path = "/arn%3Aaws%3Acloudformation%7CRole?X-Amz-Signature=a%2Fb&X-Amz-Expires=7200";
    let bad =
        with(create(&role()), json!({"ResponseURL": format!("{origin}{path}#frag"), "LogicalResourceId": "Röle…"}));
    let invocation =
        Invocation { function_arn: FUNCTION.to_owned(), deadline: Instant::now() + Duration::from_secs(60) };
    provisioner.handle(&bad, &invocation).await;
    let (head, body) = received.await.unwrap();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some(format!("PUT {path} HTTP/1.1").as_str()), "C04");
    let headers: Vec<String> = lines.map(str::to_lowercase).collect();
    let content_types: Vec<&String> = headers.iter().filter(|line| line.starts_with("content-type")).collect();
    assert_eq!(content_types.len(), 1, "{headers:?}");
    assert_eq!(content_types[0].trim_end(), "content-type:", "C02");
    assert!(headers.contains(&format!("content-length: {}", body.len())), "C03: bytes, not characters: {headers:?}");
    assert!(!headers.iter().any(|line| line.starts_with("transfer-encoding")), "C02");
    assert!(body.contains("Röle…"), "C03");
}

/// C31, C32, S15: at the most talkative level, no secret is in the log: not the URL's
/// signature, not the ExternalId, not a panic's message.
#[tokio::test(start_paused = true)]
async fn c31_c32_no_secret_is_logged() {
    captured::start();
    let stage = Stage::new();
    let secret = with(role(), json!({"ExternalId": "external-canary"}));
    let id = stage.created(&create(&secret)).await;
    stage.fail(&update(&id, &secret, &with(secret.clone(), json!({"ExternalId": "external canary"})))).await;
    // A failed update whose new role cannot be taken away again, in IAM's own words.
    let renamed = with(secret.clone(), json!({"RoleName": "Renamed", "PolicyName": "Renamed"}));
    stage.iam.fault("AttachRolePolicy", Fault::Refused(400, "ValidationError", "bad: external-canary"));
    for call in ["DeleteRole", "DetachRolePolicy", "DeletePolicy"] {
        stage.iam.fault(call, Fault::Refused(400, "ValidationError", "bad: external-canary"));
    }
    stage.fail(&update(&id, &secret, &renamed)).await;
    *stage.bucket.statuses.lock().unwrap() = vec![403; 20];
    stage.raw(&delete(&id, &secret)).await;
    stage.raw(&with(create(&secret), json!({"ResponseURL": "https://evil.example/?X-Amz-Signature=url-canary"}))).await;
    stage.bucket.statuses.lock().unwrap().clear();
    stage.iam.fault("GetRole", Fault::Panics);
    stage.fail(&create(&secret)).await;
    let log = captured::text();
    for line in ["gave up answering", "panicked", "could not remove what a failed update made"] {
        assert!(log.contains(line), "{line} was captured: {log}");
    }
    for canary in ["url-canary", "external-canary", "external canary", "secret-canary", "X-Amz-Signature"] {
        assert!(!log.contains(canary), "{canary} is in the log");
    }
}

/// C05, C07: an oversized Reason is cut on a character; control characters go.
#[test]
fn c05_c07_reasons_fit() {
    let home = Home::of(FUNCTION).unwrap();
    let envelope = Envelope::read(&create(&role()), &home, None).unwrap();
    let failed = |reason: String| {
        let outcome = Outcome::Failed { code: Code::StepFailed, reason };
        callback::body(&envelope, &Answer { physical_id: "id".to_owned(), outcome })
    };
    let overhead = failed("x".to_owned()).len() - 1;
    for length in [4096 - overhead, 4097 - overhead, 20_000] {
        let body = failed("x".repeat(length));
        assert_eq!(body.len(), 4096.min(overhead + length), "4096 itself is still taken");
    }
    for text in ["é".repeat(5000), "\u{1f980}".repeat(3000), "\"\\".repeat(4000)] {
        let body: Value = serde_json::from_str(&failed(text.clone())).unwrap();
        let reason = body["Reason"].as_str().unwrap();
        let reason = reason.strip_suffix(" [StepFailed]").expect("the code, whole");
        assert!(body.to_string().len() <= 4096 && text.starts_with(reason) && reason.len() > 1000);
    }
    let body: Value = serde_json::from_str(&failed("a\u{1b}[31mb\nc".to_owned())).unwrap();
    assert_eq!(body["Reason"], "a [31mb c [StepFailed]");
}

/// C05: Data that does not fit loses what is dispensable, and fails when that is not enough.
#[test]
fn c05_data_fits_or_fails() {
    let home = Home::of(FUNCTION).unwrap();
    let envelope = Envelope::read(&create(&role()), &home, None).unwrap();
    let success = |data: &[(&'static str, usize)]| -> Value {
        let data = data.iter().map(|(key, length)| (*key, "x".repeat(*length))).collect();
        let outcome = Outcome::Success { data, note: None };
        let body = callback::body(&envelope, &Answer { physical_id: "id".to_owned(), outcome });
        assert!(body.len() <= 4096);
        serde_json::from_str(&body).unwrap()
    };
    let body = success(&[("RoleArn", 100), ("EndpointArns", 4000)]);
    assert_eq!((body["Status"].as_str(), body["Data"].get("EndpointArns")), (Some("SUCCESS"), None));
    assert_eq!(body["Data"]["RoleArn"].as_str().map(str::len), Some(100));
    let body = success(&[("RoleArn", 4000)]);
    assert_eq!((body["Status"].as_str(), body["PhysicalResourceId"].as_str()), (Some("FAILED"), Some("id")));
    assert!(body["Reason"].as_str().unwrap().contains("4096"));
}

/// The bucket is asked through a connector of its own, so that its type is not the SDK's.
#[tokio::test(start_paused = true)]
async fn c28_a_first_success_is_the_only_put() {
    let bucket = Bucket::default();
    let connector = SharedHttpConnector::new(bucket.clone());
    let envelope = Envelope::read(&create(&role()), &Home::of(FUNCTION).unwrap(), None).unwrap();
    let answer = Answer {
        physical_id: "id".to_owned(),
        outcome: Outcome::Failed { code: Code::StepFailed, reason: "r".to_owned() },
    };
    assert!(callback::put(&connector, &envelope, &answer, Instant::now() + Duration::from_secs(9)).await);
    assert_eq!(bucket.taken.lock().unwrap().len(), 1);
}
