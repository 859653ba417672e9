//! Events as CloudFormation, or anybody else, may send them to the provisioner.

use provisioner::callback::{self, Answer, Outcome};
use provisioner::code::Code;
use provisioner::grants;
use provisioner::group::{GroupPlace, GroupSpec};
use provisioner::request::{CREATE_FAILED, DRY_RUN, Envelope, Home, Kind, Request};
use provisioner::role::{RolePlace, RoleSpec};
use serde_json::{Map, Value};

use crate::is_sentence;
use crate::properties::{defaults, home};

const STACK: &str = "arn:aws:cloudformation:us-east-1:111122223333:";
/// CloudFormation's own longest: what an answer has to repeat leaves room for the rest.
const LONGEST_IDS: usize = 2000;

pub(crate) fn event(data: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(data) else { return };
    let home = home();
    match Envelope::read(&event, &home, None) {
        Ok(envelope) => answered(&envelope, &event),
        Err(sentence) => {
            assert!(is_sentence(&sentence), "{sentence}");
            // C31: nothing of a URL that is not one of ours.
            let url = event.get("ResponseURL").and_then(Value::as_str).unwrap_or_default();
            let query = url.split_once('?').map_or("", |(_, query)| query);
            assert!(query.len() < 8 || sentence.contains("its") || !sentence.contains(query), "{sentence}");
        }
    }
    match Request::read(&event, &home) {
        Ok(Request::Nothing) => {
            assert_eq!(event["RequestType"], "Delete");
            assert!(event["PhysicalResourceId"] == CREATE_FAILED || event["PhysicalResourceId"] == DRY_RUN);
        }
        Ok(request) => {
            // S12: nothing of another account, region or function is carried out.
            assert!(event["StackId"].as_str().is_some_and(|id| id.starts_with(STACK)), "S12: {event}");
            carried_out(&request, &event, &home);
        }
        Err(sentence) => assert!(is_sentence(&sentence), "{sentence}"),
    }
}

fn carried_out(request: &Request, event: &Value, home: &Home) {
    let member = |key: &str| event.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
    let (kind, type_, read) = match request {
        Request::Create { kind, properties } => (kind, "Create", properties),
        Request::Update { kind, id, properties, old } => {
            assert_eq!(*old, member("OldResourceProperties"));
            assert_eq!(event["PhysicalResourceId"], **id);
            assert!(!id.is_empty(), "C10");
            (kind, "Update", properties)
        }
        Request::Delete { kind, properties, .. } => (kind, "Delete", properties),
        Request::Nothing => return,
    };
    assert_eq!(event["RequestType"], type_);
    assert_eq!(*read, member("ResourceProperties"));
    planned(*kind, read, home);
}

/// Whatever the properties are, they give a wish or a sentence; and a Delete its place (C35).
fn planned(kind: Kind, properties: &Map<String, Value>, home: &Home) {
    let defaults = defaults();
    let refused = match kind {
        Kind::Role => {
            assert!(RolePlace::from_traces(properties, home, &defaults).is_some(), "C35");
            RoleSpec::parse(properties, home, &defaults).err()
        }
        Kind::Group => {
            assert!(GroupPlace::from_traces(properties, home, &defaults).is_some(), "C35");
            GroupSpec::parse(properties, home, &defaults).err()
        }
        Kind::Grants => grants::check(properties, home).err().map(|error| error.to_string()),
    };
    assert!(refused.is_none_or(|sentence| is_sentence(&sentence)));
}

/// C01, C05: whatever came in, what goes out has its ids and at most 4,096 bytes.
fn answered(envelope: &Envelope, event: &Value) {
    let id = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let ids = ["StackId", "RequestId", "LogicalResourceId"].map(|key| (key, id(key)));
    let physical_id = envelope.physical_id.clone().unwrap_or_else(|| CREATE_FAILED.to_owned());
    assert!(!physical_id.is_empty(), "C10");
    let written = |text: &str| serde_json::to_string(text).map_or(0, |json| json.len());
    if written(&physical_id) + ids.iter().map(|(_, id)| written(id)).sum::<usize>() > LONGEST_IDS {
        return;
    }
    for outcome in [
        Outcome::Failed { code: Code::PlanRefused, reason: event.to_string().repeat(3) },
        Outcome::Success {
            data: [("RoleArn", "x".to_owned()), ("EndpointArns", event.to_string().repeat(9))].into(),
            note: Some(event.to_string()),
        },
        Outcome::Success { data: [("ExternalId", event.to_string())].into(), note: None },
    ] {
        let body = callback::body(envelope, &Answer { physical_id: physical_id.clone(), outcome });
        assert!(body.len() <= 4096, "C05: {} bytes", body.len());
        let body: Value = serde_json::from_str(&body).expect("JSON");
        for (key, id) in &ids {
            assert_eq!(body[key], **id, "C01");
        }
        assert_eq!(body["PhysicalResourceId"], *physical_id);
        if body["Status"] == "FAILED" {
            let reason = body["Reason"].as_str().expect("C06: a reason");
            assert!(!reason.is_empty() && reason.chars().all(|c| !c.is_control()), "C06, C07: {reason}");
        }
    }
}
