//! A request's line is a document of the embedded metric format as well, whatever the
//! log level, and a traced request sends its two calls to X-Ray.

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::time::Duration;

use invoker::code::Code;
use serde_json::{Value, json};

use crate::support::backend::respond;
use crate::support::cloud::{Cloud, prediction, sagemaker_error, sts_error};
use crate::support::sockets::{PATIENCE, Program};
use crate::support::{EXTERNAL_ID, FUNCTION, ROLE, ask, context, event, event_for, invoker, invoker_set, invoker_with};

/// Which metrics are seen by which dimensions. Each that is named has a number beside
/// it, each dimension a text, and nothing else is claimed: the format's own rules.
fn views(line: &Value) -> BTreeMap<Vec<String>, BTreeSet<String>> {
    let millis = line["_aws"]["Timestamp"].as_u64().expect("a time");
    assert!(millis > 1_700_000_000_000, "milliseconds since 1970: {millis}");
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().expect("a list");
    let names = |list: &Value| -> Vec<String> {
        list.as_array().expect("a list").iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
    };
    let view = |directive: &Value| {
        assert_eq!(directive["Namespace"], "SageMakerExternal");
        let [by] = &directive["Dimensions"].as_array().expect("a list")[..] else { panic!("one set") };
        let by = names(by);
        for dimension in &by {
            assert!(line[dimension].as_str().is_some_and(|value| !value.is_empty()), "{dimension} in {line}");
        }
        let metrics = directive["Metrics"].as_array().expect("a list");
        for metric in metrics {
            let name = metric["Name"].as_str().expect("a name");
            assert!(line[name].is_number(), "{name} in {line}");
            assert!(["Count", "Milliseconds", "Bytes"].contains(&metric["Unit"].as_str().expect("a unit")));
        }
        (by, metrics.iter().map(|metric| metric["Name"].as_str().expect("a name").to_owned()).collect())
    };
    directives.iter().map(view).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn by(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn one_line() -> Value {
    let [line] = &captured::json()[..] else { panic!("one line: {}", captured::text()) };
    line.clone()
}

#[tokio::test]
async fn a_requests_line_holds_its_metrics() {
    captured::start();
    let answer = ask(&invoker(&Cloud::willing()), &event()).await;
    let line = one_line();
    let all = [
        "Requests",
        "Errors",
        "Faults",
        "Latency",
        "Duration",
        "OverheadTime",
        "BytesIn",
        "BytesOut",
        "AssumeTime",
        "InvokeTime",
    ];
    let wanted = BTreeMap::from([
        (by(&["FunctionName"]), set(&all)),
        (by(&["FunctionName", "EndpointName"]), set(&["Requests", "Faults", "InvokeTime"])),
    ]);
    assert_eq!(views(&line), wanted);
    assert_eq!((&line["FunctionName"], &line["EndpointName"]), (&json!(FUNCTION), &json!("iris")));
    assert_eq!((&line["Requests"], &line["Errors"], &line["Faults"]), (&json!(1), &json!(0), &json!(0)));
    assert_eq!((&line["BytesIn"], &line["BytesOut"]), (&json!(16), &json!(answer.body.len())));
    assert_eq!((&line["ended"], line.get("ErrorCode")), (&json!("whole"), None));
    let number = |name: &str| line[name].as_f64().expect("a number");
    assert!(number("Duration") >= number("Latency"));
    assert!((number("Latency") - number("AssumeTime") - number("InvokeTime") - number("OverheadTime")).abs() < 0.01);
}

/// What a caller makes up is no dimension: not an unknown name, and not one of the many
/// that a pattern matches.
#[tokio::test]
async fn dimensions_are_of_a_closed_set() {
    captured::start();
    let refused = ask(&invoker(&Cloud::untouched()), &event_for("made-up")).await;
    let line = one_line();
    assert_eq!((refused.status, &line["endpoint"]), (404, &json!("made-up")), "the log says what was asked for");
    assert_eq!(line.get("EndpointName"), None);
    assert_eq!(
        (&line["ErrorCode"], &line["Errors"], &line["Faults"]),
        (&json!("EndpointNotGranted"), &json!(1), &json!(0))
    );
    assert!(views(&line).keys().all(|by| !by.contains(&"EndpointName".to_owned())));

    let grants = json!([{ "RoleArn": ROLE, "ExternalId": EXTERNAL_ID, "EndpointNames": ["iris", "ir*", "iris-*"] }]);
    let invoker = invoker_with(&Cloud::willing(), Some(&grants.to_string()));
    for (asked, named) in [("iris-made-up", "ir*"), ("ir", "ir*"), ("iris", "iris")] {
        captured::start();
        assert_eq!(ask(&invoker, &event_for(asked)).await.status, 200);
        let line = one_line();
        assert_eq!((&line["endpoint"], &line["EndpointName"]), (&json!(asked), &json!(named)));
    }

    captured::start();
    let newer = Cloud::granting(|_| sagemaker_error(418, "NewerThanTheModel", &json!({ "Message": "x" })));
    let _ = ask(&crate::support::invoker(&newer), &event()).await;
    let line = one_line();
    assert_eq!((&line["error_type"], &line["ErrorCode"]), (&json!("NewerThanTheModel"), &json!("OtherServiceError")));
}

#[tokio::test]
async fn errors_are_counted_by_code_and_told_to_the_client() {
    let denied = Cloud::new(|_| sts_error(403, "AccessDenied"), |_| prediction());
    let wrong = Cloud::granting(|_| sagemaker_error(400, "ValidationError", &json!({ "Message": "x" })));
    let model = Cloud::granting(|_| sagemaker_error(424, "ModelError", &json!({ "Message": "x" })));
    for (cloud, code, fault, steps) in [
        (denied, "AssumeRoleDenied", 1, &["AssumeTime"][..]),
        (wrong, "ValidationError", 0, &["AssumeTime", "InvokeTime"]),
        (model, "ModelError", 1, &["AssumeTime", "InvokeTime"]),
    ] {
        captured::start();
        let answer = ask(&invoker(&cloud), &event()).await;
        assert_eq!(answer.header("x-sagemaker-external-error-code"), Some(code));
        // SageMaker's own bodies pass as they came (R02).
        let member = answer.json().get("ErrorCode").cloned();
        assert_eq!(member, (code == "AssumeRoleDenied").then(|| json!(code)));
        let line = one_line();
        assert_eq!(views(&line)[&by(&["FunctionName", "ErrorCode"])], set(&["Errors"]));
        assert_eq!((&line["ErrorCode"], &line["Errors"], &line["Faults"]), (&json!(code), &json!(1), &json!(fault)));
        let has = |name: &&str| line.get(*name).is_some();
        assert_eq!(["AssumeTime", "InvokeTime"].into_iter().filter(has).collect::<Vec<_>>(), steps);
    }
}

/// Kept credentials are hits, and no calls of STS.
#[tokio::test]
async fn the_count_of_assume_times_is_that_of_calls_to_sts() {
    let cloud = Cloud::willing();
    let invoker = invoker_set(&cloud, Some(&crate::support::grants()), &[("CREDENTIAL_REUSE_SECONDS", "300")]);
    captured::start();
    for _ in 0..3 {
        let _ = ask(&invoker, &event()).await;
    }
    let lines = captured::json();
    let of = |name: &str| lines.iter().map(|line| line.get(name).and_then(Value::as_u64)).collect::<Vec<_>>();
    assert_eq!(of("CredentialReuseHits"), [Some(0), Some(1), Some(1)]);
    assert_eq!(lines.iter().filter(|line| line.get("AssumeTime").is_some()).count(), cloud.counts().0);
    assert!(lines.iter().all(|line| line["assume_ms"].is_number()), "the log has it of all");
}

/// The line is that of the whole answer, and comes with its end.
#[tokio::test]
async fn a_body_that_nobody_takes_leaves_its_line() {
    let invoker = invoker(&Cloud::willing());
    captured::start();
    let answer = invoker.handle(event().to_string().into(), &context(Duration::from_secs(90))).await;
    assert!(captured::json().is_empty(), "not before the body's end");
    drop(answer);
    let line = one_line();
    assert_eq!((&line["ended"], &line["ErrorCode"]), (&json!("not taken"), &json!("AnswerNotTaken")));
    assert_eq!((&line["level"], &line["BytesOut"]), (&json!("ERROR"), &json!(0)));
}

/// A level that leaves requests out of the log does not silence metrics. Lambda itself
/// drops lines below the function's level, so they carry that level.
#[test]
fn metrics_are_written_whatever_the_log_level() {
    for level in ["WARN", "ERROR", "FATAL"] {
        let program = Program::start_set(&[("AWS_LAMBDA_LOG_LEVEL", level)], |call, stream| match call {
            0 => respond(stream, 200, "text/csv", b"x"),
            1 => respond(stream, 424, "application/json", b"{\"__type\":\"ModelError\",\"Message\":\"x\"}"),
            _ => respond(stream, 500, "application/json", b"{\"__type\":\"InternalFailure\",\"Message\":\"x\"}"),
        });
        (0..3).for_each(|_| drop(program.ask(&event())));
        let log = program.stop();
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let [good, models, bad] = &lines[..] else { panic!("three lines: {log}") };
        for line in [good, models, bad] {
            assert_eq!(views(line)[&by(&["FunctionName"])].len(), 10);
        }
        assert_eq!((&good["message"], &good["level"]), (&json!("metrics"), &json!(level)));
        for field in ["request_id", "session", "endpoint", "route", "status", "ended", "target"] {
            assert_eq!(good.get(field), None, "{field}");
        }
        // A fault is told whole, whatever its status.
        let shown = level != "FATAL";
        for (line, code) in [(models, "ModelError"), (bad, "InternalFailure")] {
            assert_eq!((line["message"] == "request", line.get("session").is_some()), (shown, shown), "{line}");
            assert_eq!(
                (&line["ErrorCode"], &line["level"]),
                (&json!(code), &json!(if shown { "ERROR" } else { level }))
            );
        }
    }
}

const ROOT: &str = "1-5759e988-bd862e3fe1be46a994272793";

fn traced(sampled: u8) -> Value {
    let mut event = event();
    event["traceHeader"] =
        json!(format!("Root={ROOT};Parent=53995c3f42cd8ad8;Sampled={sampled};Lineage=25:a87bd80c:1"));
    event
}

#[test]
fn a_sampled_request_sends_its_two_calls_to_x_ray() {
    let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
    daemon.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = daemon.local_addr().unwrap().to_string();
    let program = Program::start_set(&[("AWS_XRAY_DAEMON_ADDRESS", &address)], |call, stream| match call {
        0 | 1 => respond(stream, 200, "text/csv", b"body-canary"),
        _ => respond(stream, 400, "application/json", b"{\"__type\":\"ThrottlingException\",\"Message\":\"x\"}"),
    });
    let next = || {
        let mut datagram = [0; 4096];
        let length = daemon.recv(&mut datagram).expect("a datagram");
        let text = String::from_utf8(datagram[..length].to_vec()).unwrap();
        for secret in ["canary", EXTERNAL_ID, "arn:", "ASIA", "own-"] {
            assert!(!text.contains(secret), "{text}");
        }
        let (header, document) = text.split_once('\n').expect("two lines");
        assert_eq!(serde_json::from_str::<Value>(header).unwrap(), json!({ "format": "json", "version": 1 }));
        serde_json::from_str::<Value>(document).unwrap()
    };
    // The one that is not sampled comes first: what arrives is of the others.
    for event in [traced(0), traced(1), traced(1)] {
        let _ = program.ask(&event);
    }
    let subsegments = [next(), next(), next(), next()];
    let names = subsegments
        .each_ref()
        .map(|segment| (segment["name"].as_str().unwrap(), segment["aws"]["operation"].as_str().unwrap()));
    let (sts, sagemaker) = (("STS", "AssumeRole"), ("SageMaker Runtime", "InvokeEndpoint"));
    assert_eq!(names, [sts, sagemaker, sts, sagemaker]);
    let mut ids = BTreeSet::new();
    for segment in &subsegments {
        assert_eq!((&segment["type"], &segment["namespace"]), (&json!("subsegment"), &json!("aws")));
        assert_eq!((&segment["trace_id"], &segment["parent_id"]), (&json!(ROOT), &json!("53995c3f42cd8ad8")));
        assert!(segment["end_time"].as_f64() >= segment["start_time"].as_f64());
        let id = segment["id"].as_str().unwrap();
        assert!(id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()) && ids.insert(id), "{id}");
    }
    let flags = |segment: &Value| ["error", "throttle", "fault"].map(|flag| segment[flag].as_bool().unwrap());
    assert_eq!(flags(&subsegments[1]), [false, false, false]);
    assert_eq!(flags(&subsegments[2]), [false, false, false], "STS was not at fault");
    assert_eq!(flags(&subsegments[3]), [true, true, false]);
    assert_eq!(subsegments[3]["annotations"]["error_code"], "EndpointThrottled");
}

/// Nobody listens, or the address is none: nothing of it is seen.
#[test]
fn a_trace_that_cannot_be_sent_fails_nothing() {
    for address in ["127.0.0.1:1", "nowhere", ""] {
        let mut program = Program::start_set(&[("AWS_XRAY_DAEMON_ADDRESS", address)], |_, stream| {
            respond(stream, 200, "text/csv", b"x")
        });
        assert_eq!(program.ask(&traced(1)).body, b"x");
        assert!(program.is_running());
        assert_eq!(program.stop().lines().count(), 1);
    }
}

#[test]
fn every_code_is_a_word_and_one_of_a_kind() {
    let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(names.len(), Code::ALL.len());
    assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_alphabetic())));
}
