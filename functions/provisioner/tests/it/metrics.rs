//! An event's last line is a document of the embedded metric format as well, and every
//! failure has a code that the documentation explains.

use std::collections::BTreeSet;

use http::StatusCode;
use provisioner::code::Code;
use serde_json::{Value, json};

use crate::iam::Fault;
use crate::stage::{Stage, create, role, with};

/// The lines that are metrics.
fn told() -> Vec<Value> {
    captured::json().into_iter().filter(|line| line.get("_aws").is_some()).collect()
}

/// The one such line, held against the format's own rules: what it names is there.
fn one() -> Value {
    let [line] = &told()[..] else { panic!("one line: {}", captured::text()) };
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().expect("a list");
    for directive in directives {
        assert_eq!(directive["Namespace"], "SageMakerExternal");
        let dimensions = directive["Dimensions"][0].as_array().expect("a set").iter();
        assert!(dimensions.map(|name| name.as_str().expect("a name")).all(|name| line[name].is_string()));
        let metrics = directive["Metrics"].as_array().expect("a list").iter();
        assert!(metrics.map(|metric| metric["Name"].as_str().expect("a name")).all(|name| line[name].is_number()));
    }
    assert_eq!(directives.len(), if line.get("ErrorCode").is_some() { 2 } else { 1 });
    assert_eq!((&line["FunctionName"], &line["Events"]), (&json!("provisioner"), &json!(1)));
    line.clone()
}

#[tokio::test(start_paused = true)]
async fn an_events_last_line_counts_it() {
    captured::start();
    let stage = Stage::new();
    stage.succeed(&create(&role())).await;
    let line = one();
    let applied = captured::json().iter().filter(|line| line["message"] == "applied").count();
    assert_eq!(
        (&line["message"], &line["Failures"], &line["Steps"]),
        (&json!("succeeded"), &json!(0), &json!(applied))
    );
    assert!(applied > 0 && line["Duration"].is_number() && line.get("ErrorCode").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_failure_has_its_code_in_the_reason_the_log_and_the_metric() {
    for (event, fault, code, steps) in [
        (with(create(&role()), json!({ "ResourceType": "Custom::Other" })), None, "InvalidEvent", 0),
        (create(&with(role(), json!({ "EndpointNames": "*" }))), None, "InvalidProperties", 0),
        (create(&role()), Some(("GetRole", Fault::Refused(403, "AccessDenied", "no"))), "ReadDenied", 0),
        (create(&role()), Some(("CreateRole", Fault::Refused(403, "AccessDenied", "no"))), "StepDenied", 0),
        (create(&role()), Some(("CreatePolicy", Fault::Refused(409, "LimitExceeded", "no"))), "QuotaExceeded", 1),
        (create(&role()), Some(("CreatePolicy", Fault::Panics)), "InternalError", 1),
        (create(&role()), Some(("CreatePolicy", Fault::Hangs)), "TimedOut", 1),
    ] {
        let stage = Stage::new();
        if let Some((action, fault)) = fault {
            stage.iam.fault_for_ever(action, fault);
        }
        captured::start();
        let ([_, said], _) = stage.failure(&event).await;
        assert_eq!(said, code);
        let line = one();
        assert_eq!((&line["ErrorCode"], &line["Failures"], &line["Steps"]), (&json!(code), &json!(1), &json!(steps)));
        assert_eq!((&line["message"], &line["level"]), (&json!("failed"), &json!("ERROR")));
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_answered_is_a_failure_too() {
    captured::start();
    Stage::new().raw(&json!({ "Records": [] })).await;
    let line = one();
    assert_eq!((&line["ErrorCode"], &line["Failures"]), (&json!("EventNotAnswerable"), &json!(1)));

    captured::start();
    let stage = Stage::new();
    stage.bucket.statuses.lock().unwrap().extend([StatusCode::FORBIDDEN.as_u16(); 6]);
    stage.raw(&create(&role())).await;
    let line = one();
    assert_eq!((&line["message"], &line["answered"]), (&json!("succeeded"), &json!(false)));
    assert_eq!((&line["ErrorCode"], &line["Failures"]), (&json!("AnswerNotTaken"), &json!(1)));
}

/// No code without an explanation, and no explanation of what does not exist.
#[test]
fn every_code_is_documented_and_no_other() {
    let page = include_str!("../../../../docs/errors.md");
    let (_, ours) = page.split_once("\n## The custom resources\n").expect("the section");
    let mut documented = BTreeSet::new();
    for section in ours.split("\n#### `").skip(1) {
        let (code, text) = section.split_once("`\n").expect("a code in backticks");
        assert!(documented.insert(code), "{code} is there twice");
        let (cause, remedy) = text.split_once("\n- Remedy: ").unwrap_or_else(|| panic!("{code} has no remedy"));
        assert!(cause.trim().len() > 10 && remedy.trim().len() > 5, "{code} says too little");
    }
    assert_eq!(documented, Code::ALL.iter().map(|code| code.name()).collect());
}
