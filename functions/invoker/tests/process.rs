//! The real program over real sockets: what only it can show. Endpoints are
//! overridden through `AWS_ENDPOINT_URL`, as a local cloud does.

use std::io::Write;
use std::net::Shutdown;
use std::sync::Barrier;

use serde_json::{Value, json};

use crate::support::backend::respond;
use crate::support::sockets::{Piece, Program};
use crate::support::{EXTERNAL_ID, NAMESPACE, PARENT, REQUEST_ID, event, event_with};

#[test]
fn s19_the_whole_way_on_one_connection_and_past_any_proxy() {
    let program = Program::start(|_, stream| respond(stream, 200, "text/csv", b"\0\xffsetosa\n"));
    for _ in 0..5 {
        let posted = program.ask(&event());
        assert_eq!(posted.head["lambda-runtime-function-response-mode"], "streaming");
        assert_eq!(posted.head["content-type"], "application/vnd.awslambda.http-integration-response");
        assert_eq!(posted.head["lambda-runtime-invocation-id"], "invocation-1");
        assert_eq!((&posted.prelude["statusCode"], &posted.prelude["cookies"]), (&json!(200), &json!([])));
        assert_eq!(posted.prelude["headers"]["content-type"], "text/csv");
        assert_eq!(posted.prelude["headers"]["x-amzn-requestid"], REQUEST_ID);
        assert_eq!(posted.body, b"\0\xffsetosa\n");
        assert!(posted.trailers.is_empty());
    }
    let (sts, sagemaker) = program.seen();
    assert_eq!((sts.len(), sagemaker.len()), (5, 5));
    assert_eq!(sagemaker[0].path, "/endpoints/iris/invocations");
    assert_eq!(sagemaker[0].body, b"5.1,3.5,1.4,0.2\n");
    assert_eq!(sagemaker[0].headers["x-amz-security-token"], "token-canary");
    assert!(String::from_utf8_lossy(&sts[0].body).contains("Action=AssumeRole"));
    assert_eq!(program.connections(), 1, "one pool for both services");
}

/// Lambda Managed Instances send several requests at once to one environment: here each
/// model call waits for the two others.
#[test]
fn requests_at_once_are_served_at_once() {
    let together = Barrier::new(3);
    let program = Program::start_set(&[("AWS_LAMBDA_MAX_CONCURRENCY", "3")], move |_, stream| {
        together.wait();
        respond(stream, 200, "text/csv", b"setosa")
    });
    for _ in 0..2 {
        (0..3).for_each(|_| program.send(&event()));
        let mut ended = 0;
        while ended < 3 {
            match program.piece() {
                Piece::End(trailers) => {
                    assert!(trailers.is_empty());
                    ended += 1;
                }
                Piece::Broken => panic!("an answer broke off"),
                Piece::Head(_) | Piece::Chunk(_) => {}
            }
        }
    }
    let (sts, sagemaker) = program.seen();
    assert_eq!((sts.len(), sagemaker.len()), (6, 6));
}

#[test]
fn an_answer_without_content_type_gets_none_from_the_runtime() {
    let program =
        Program::start(|_, stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx").is_ok());
    let posted = program.ask(&event());
    assert_eq!(posted.prelude["headers"].get("content-type"), None);
    assert_eq!(posted.body, b"x");
}

/// A cut answer is never a clean end: the Runtime API is told in trailers, no text
/// of ours is in the body, and the process serves the next request.
#[test]
fn an_answer_that_breaks_off_ends_with_error_trailers() {
    let mut program = Program::start(|call, stream| match call {
        0 => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\nonly this").unwrap();
            let _ = stream.shutdown(Shutdown::Both);
            false
        }
        1 => {
            let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n";
            stream.write_all(chunked).unwrap();
            let _ = stream.shutdown(Shutdown::Both);
            false
        }
        _ => respond(stream, 200, "text/plain", b"whole"),
    });
    for _ in 0..2 {
        let posted = program.ask(&event());
        assert_eq!(posted.prelude["statusCode"], 200);
        assert_eq!(posted.body, b"only this");
        assert_eq!(posted.trailers["lambda-runtime-function-error-type"], "Runtime.UpstreamCut");
        let said = base64_simd::STANDARD.decode_to_vec(&posted.trailers["lambda-runtime-function-error-body"]).unwrap();
        let said: Value = serde_json::from_slice(&said).unwrap();
        assert_eq!(said["errorMessage"], "the endpoint's answer broke off");
    }
    assert_eq!(program.ask(&event()).body, b"whole");
    assert!(program.is_running());
    assert_eq!(program.seen().1.len(), 3, "no cut call was made again");
}

#[test]
fn s19_a_redirect_is_not_followed() {
    let program = Program::start(|_, stream| {
        stream
            .write_all(b"HTTP/1.1 307 X\r\nLocation: /endpoints/evil/invocations\r\nContent-Length: 0\r\n\r\n")
            .is_ok()
    });
    let posted = program.ask(&event());
    assert_eq!(posted.prelude["statusCode"], 530);
    assert_eq!(posted.prelude["headers"].get("location"), None);
    assert_eq!(program.seen().1.len(), 1);
}

/// Broken grants do not hang the API: the start logs one readable line, and every
/// request is answered.
#[test]
fn broken_grants_are_logged_at_start_and_answered() {
    let grants = format!(r#"[{{"RoleArn":"arn:aws:iam::{PARENT}:role/R","ExternalId":"id-canary"}}]"#);
    let program = Program::start_with(&grants, |_, _| false);
    for _ in 0..2 {
        let posted = program.ask(&event());
        assert_eq!(posted.prelude["statusCode"], 500);
        let body: Value = serde_json::from_slice(&posted.body).unwrap();
        assert!(body["Message"].as_str().unwrap().contains("GRANTS"));
    }
    let (sts, sagemaker) = program.seen();
    assert!(sts.is_empty() && sagemaker.is_empty());
    let log = program.stop();
    let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!(first["reason"], "GRANTS: grant 1 names no endpoint: EndpointNames must hold at least one");
    assert_eq!(first["level"], "ERROR");
    assert!(!log.contains("canary"));
}

/// Even at TRACE, where the SDK and lambda_runtime write whole requests, the
/// program's log is our lines only and holds no secret.
#[test]
fn s15_the_programs_log_is_one_clean_line_a_request() {
    let program = Program::start(|call, stream| match call {
        0 => respond(stream, 200, "text/csv", b"body-canary"),
        1 => respond(stream, 500, "application/json", b"{\"__type\":\"InternalFailure\",\"Message\":\"body-canary\"}"),
        _ => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\nbody-canary").unwrap();
            let _ = stream.shutdown(Shutdown::Both);
            false
        }
    });
    let mut event = event_with("X-Amzn-SageMaker-Custom-Attributes", "attributes-canary");
    event["body"] = json!("body-canary");
    event["isBase64Encoded"] = json!(false);
    for _ in 0..3 {
        let _ = program.ask(&event);
    }
    let log = program.stop();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["request"; 3]);
    let ended = lines.iter().map(|line| line["ended"].as_str().unwrap());
    assert_eq!(ended.collect::<Vec<_>>(), ["whole", "whole", "cut"]);
    assert!(lines.iter().all(|line| line["request_id"] == REQUEST_ID));
    for secret in
        ["canary", EXTERNAL_ID, PARENT, "arn:", "own-secret", "own-token", "ASIA", "AKID", "SageMakerExternal"]
    {
        let log = log.replace(NAMESPACE, "");
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
