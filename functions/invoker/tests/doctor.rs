//! `GET /endpoints/{name}`: what the doctor tries, and what it says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::cloud::{Call, Cloud, Reply, credentials, prediction, sts_error};
use crate::support::{
    EXTERNAL_ID, PARENT, REQUEST_ID, Read, ask, ask_within, event, grants, invoker, invoker_set, invoker_with,
};

/// The doctor's event for an endpoint, as the user alice.
fn examine(name: &str) -> Value {
    let mut event = event();
    event["httpMethod"] = json!("GET");
    event["resource"] = json!("/endpoints/{name}");
    event["path"] = json!(format!("/endpoints/{name}"));
    event["pathParameters"] = json!({ "name": name });
    event["body"] = Value::Null;
    event["isBase64Encoded"] = json!(false);
    event
}

/// How the parent's trust answers a call: by whether it has an ExternalId, and tags.
#[derive(Clone, Copy)]
enum Trust {
    /// As the provisioner writes it, with CallerAttribution.
    Sound,
    /// Without CallerAttribution.
    NoAttribution,
    /// The console's plain choice: no condition.
    Open,
    /// A condition that there is an ExternalId, whichever.
    AnyId,
    /// The same as no condition, and no attribution either.
    OpenWithoutAttribution,
    Nobody,
}

impl Trust {
    fn admits(self, call: &Call) -> bool {
        let has_id = call.parameter("ExternalId").is_some_and(|id| id == EXTERNAL_ID);
        let is_attributed = call.parameter("SourceIdentity").is_some();
        match self {
            Self::Sound => has_id,
            Self::NoAttribution => has_id && !is_attributed,
            Self::Open => true,
            Self::AnyId => call.parameter("ExternalId").is_some(),
            Self::OpenWithoutAttribution => !is_attributed,
            Self::Nobody => false,
        }
    }
}

/// A cloud whose STS goes by a trust.
fn trusting(trust: Trust) -> Cloud {
    // The scripts know a call by its number, so the calls are looked up.
    let seen: Arc<Mutex<Option<Cloud>>> = Arc::default();
    let calls = Arc::clone(&seen);
    let cloud = Cloud::new(
        move |number| {
            let cloud = calls.lock().unwrap().clone().expect("set below");
            if trust.admits(&cloud.to_sts()[number]) { credentials() } else { sts_error(403, "AccessDenied") }
        },
        |_| prediction(),
    );
    *seen.lock().unwrap() = Some(cloud.clone());
    cloud
}

const ON: &[(&str, &str)] = &[("CALLER_ATTRIBUTION", "true")];

/// The report, checked for what none may hold (S16, S03).
fn report(answer: &Read) -> Value {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let shown = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
    for secret in ["arn:", PARENT, "444455556666", EXTERNAL_ID, "SageMakerExternal", "canary", "ASIA", "not authorized"]
    {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert_eq!(answer.json()["Invoked"], false);
    answer.json()
}

async fn examined(cloud: &Cloud, settings: &[(&str, &str)]) -> Value {
    let answer = ask(&invoker_set(cloud, Some(&grants()), settings), &examine("iris")).await;
    assert_eq!(cloud.counts().1, 0, "the endpoint was invoked");
    report(&answer)
}

/// Code, severity and side of each finding.
fn findings(report: &Value) -> Vec<(&str, &str, &str)> {
    let text = |finding: &'_ Value, member: &str| finding[member].as_str().expect(member).to_owned();
    let findings = report["Findings"].as_array().expect("a list");
    for finding in findings {
        assert!(!text(finding, "Message").is_empty() && !text(finding, "Remedy").is_empty());
    }
    findings
        .iter()
        .map(|finding| {
            let member = |name: &str| finding[name].as_str().expect("text");
            (member("Code"), member("Severity"), member("Side"))
        })
        .collect()
}

/// S02: tried with the ExternalId, without, and with another, and nothing else differs.
#[tokio::test]
async fn s02_a_sound_grant_is_tried_with_and_without_its_external_id() {
    let cloud = trusting(Trust::Sound);
    let found = examined(&cloud, &[]).await;
    let note = found["Note"].as_str().expect("a note").to_owned();
    assert!(note.starts_with("the endpoint was not invoked"), "{note}");
    assert_eq!(
        found,
        json!({
            "Endpoint": "iris", "Region": "us-east-1", "Assumable": true, "ExternalIdEnforced": true,
            "SessionSeconds": 900, "CallerAttribution": "Off", "Invoked": false, "Note": note, "Findings": [],
        })
    );
    let calls = cloud.to_sts();
    let ids: Vec<_> = calls.iter().map(|call| call.parameter("ExternalId")).collect();
    assert_eq!(ids, [Some(EXTERNAL_ID.to_owned()), None, Some(REQUEST_ID.to_owned())], "the other is of this request");
    for call in &calls {
        for name in ["RoleArn", "RoleSessionName", "Policy", "DurationSeconds"] {
            assert_eq!(calls[0].parameter(name), call.parameter(name), "{name}");
        }
    }
    let policy: Value = serde_json::from_str(&calls[0].parameter("Policy").unwrap()).unwrap();
    assert_eq!(policy["Statement"][0]["Resource"], json!(["arn:aws:sagemaker:us-east-1:111122223333:endpoint/iris"]));
    // A stream's session is the largest without an inference component.
    let actions = json!(["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"]);
    assert_eq!(policy["Statement"][0]["Action"], actions);
    assert_eq!(calls[0].parameter("RoleSessionName"), Some(format!("alice@{REQUEST_ID}")));
}

#[tokio::test]
async fn s02_a_trust_without_the_condition_is_a_finding_for_the_parent() {
    let found = examined(&trusting(Trust::Open), &[]).await;
    assert_eq!((&found["Assumable"], &found["ExternalIdEnforced"]), (&json!(true), &json!(false)));
    assert_eq!(findings(&found), [("ExternalIdNotEnforced", "Risk", "Parent")]);
}

/// A trust may ask for an ExternalId and take any: as good as none.
#[tokio::test]
async fn s02_a_trust_that_takes_any_external_id_is_a_finding_for_the_parent() {
    for settings in [&[][..], ON] {
        let found = examined(&trusting(Trust::AnyId), settings).await;
        assert_eq!((&found["Assumable"], &found["ExternalIdEnforced"]), (&json!(true), &json!(false)));
        assert_eq!(findings(&found), [("ExternalIdNotEnforced", "Risk", "Parent")]);
        assert!(found["Findings"][0]["Message"].as_str().unwrap().contains("any ExternalId"), "{found}");
    }
}

#[tokio::test]
async fn a_role_that_nobody_may_assume_is_a_finding_for_both_sides() {
    for settings in [&[][..], ON] {
        let cloud = trusting(Trust::Nobody);
        let found = examined(&cloud, settings).await;
        assert_eq!((&found["Assumable"], &found["ExternalIdEnforced"]), (&json!(false), &Value::Null));
        assert_eq!(
            findings(&found),
            [
                ("AssumeRoleDenied", "Error", "Parent"),
                ("AssumeRoleDenied", "Error", "Child"),
                ("ExternalIdUnknown", "Unknown", "Child")
            ]
        );
        assert_eq!(cloud.counts().0, if settings.is_empty() { 3 } else { 6 });
    }
}

#[tokio::test]
async fn attribution_that_the_parent_takes_is_tried_as_invocations_ask_it() {
    let cloud = trusting(Trust::Sound);
    let found = examined(&cloud, ON).await;
    assert_eq!((&found["CallerAttribution"], findings(&found)), (&json!("Accepted"), vec![]));
    let calls = cloud.to_sts();
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|call| call.parameter("SourceIdentity").as_deref() == Some("alice")));
    assert!(calls.iter().all(|call| call.parameter("Tags.member.1.Key").is_some()));
}

#[tokio::test]
async fn attribution_that_the_parent_refuses_is_told_from_a_refused_role() {
    for (trust, enforced) in [(Trust::NoAttribution, true), (Trust::OpenWithoutAttribution, false)] {
        let cloud = trusting(trust);
        let found = examined(&cloud, ON).await;
        assert_eq!((&found["Assumable"], &found["CallerAttribution"]), (&json!(false), &json!("Refused")));
        assert_eq!(found["ExternalIdEnforced"], enforced);
        let both = [("CallerAttributionDenied", "Error", "Parent"), ("CallerAttributionDenied", "Error", "Child")];
        assert_eq!(findings(&found)[..2], both);
        assert_eq!(findings(&found).len(), if enforced { 2 } else { 3 });
        let remedies = found["Findings"].to_string();
        assert!(remedies.contains("sts:SetSourceIdentity") && remedies.contains("sts:TagSession"));
        assert_eq!(cloud.counts().0, 6);
    }
}

/// What cannot be found out is called unknown.
#[tokio::test(start_paused = true)]
async fn s02_an_sts_in_trouble_is_never_a_healthy_grant() {
    type Make = fn() -> Reply;
    let replies: [(&str, Make); 5] = [
        ("StsThrottled", || sts_error(400, "Throttling")),
        ("StsUnavailable", || sts_error(500, "InternalFailure")),
        ("StsUnavailable", || Reply::Broken),
        ("StsUnavailable", || Reply::Silence),
        ("AssumeRoleFailed", || sts_error(400, "ExpiredTokenException")),
    ];
    for (code, reply) in replies {
        let cloud = Cloud::new(move |_| reply(), |_| prediction());
        let found = examined(&cloud, ON).await;
        assert_eq!(cloud.counts().0, 3, "{code}: no probe is made twice");
        assert_eq!((&found["Assumable"], &found["ExternalIdEnforced"]), (&Value::Null, &Value::Null), "{code}");
        assert_eq!(found["CallerAttribution"], "Unknown");
        assert_eq!(findings(&found), [(code, "Unknown", "Child"), ("ExternalIdUnknown", "Unknown", "Child")]);
    }
    let found = examined(&Cloud::new(|_| sts_error(403, "RegionDisabledException"), |_| prediction()), &[]).await;
    assert_eq!(found["Assumable"], false);
    assert_eq!(findings(&found)[0], ("RegionDisabled", "Error", "Parent"));
}

/// A session that STS calls too large may fit without source identity and tags.
#[tokio::test]
async fn a_session_that_is_too_large_is_a_finding_for_both_sides() {
    let seen: Arc<Mutex<Option<Cloud>>> = Arc::default();
    let calls = Arc::clone(&seen);
    let sts = move |number: usize| {
        let call = calls.lock().unwrap().as_ref().expect("set below").to_sts()[number].clone();
        match (call.parameter("SourceIdentity"), call.parameter("ExternalId").as_deref()) {
            (Some(_), _) => sts_error(400, "PackedPolicyTooLarge"),
            (None, Some(EXTERNAL_ID)) => credentials(),
            (None, _) => sts_error(403, "AccessDenied"),
        }
    };
    let cloud = Cloud::new(sts, |_| prediction());
    *seen.lock().unwrap() = Some(cloud.clone());
    let found = examined(&cloud, ON).await;
    assert_eq!(
        (&found["Assumable"], &found["ExternalIdEnforced"], &found["CallerAttribution"]),
        (&json!(false), &json!(true), &json!("Unknown"))
    );
    assert_eq!(
        findings(&found),
        [("PackedPolicyTooLarge", "Error", "Parent"), ("PackedPolicyTooLarge", "Error", "Child")]
    );
    assert!(found["Findings"].to_string().matches("set CallerAttribution to false").count() == 2, "{found}");
}

/// The recipe's ExternalId is a part of the role's ARN: whoever knows the one knows the other.
#[tokio::test]
async fn s02_an_external_id_that_is_the_account_id_is_a_finding() {
    let grant =
        |id: Value, name: &str| json!({ "RoleArn": crate::support::ROLE, "ExternalId": id, "EndpointNames": name });
    let (given, none, chosen) =
        (grant(json!(PARENT), "iris"), grant(Value::Null, "iris"), grant(json!(EXTERNAL_ID), "w"));
    for (grants, severity) in [
        (json!([given]), "Advice"),
        (json!([none]), "Advice"),
        (json!([given, chosen]), "Risk"),
        (json!([chosen, none]), "Risk"),
    ] {
        let cloud =
            Cloud::new(|call| if call == 0 { credentials() } else { sts_error(403, "AccessDenied") }, |_| prediction());
        let answer = ask(&invoker_with(&cloud, Some(&grants.to_string())), &examine("iris")).await;
        let found = report(&answer);
        assert_eq!(findings(&found), [("ExternalIdIsAccountId", severity, "Child")]);
        assert!(found["Findings"][0]["Remedy"].as_str().unwrap().contains("openssl rand -hex 16"), "{found}");
    }
}

/// The second try may be the one that fails to answer, or the third.
#[tokio::test]
async fn s02_without_an_answer_to_each_try_enforcement_is_unknown() {
    for silent in [1, 2] {
        let reply = move |call| match call {
            0 => credentials(),
            _ if call == silent => Reply::Broken,
            _ => sts_error(403, "AccessDenied"),
        };
        let found = examined(&Cloud::new(reply, |_| prediction()), &[]).await;
        assert_eq!((&found["Assumable"], &found["ExternalIdEnforced"]), (&json!(true), &Value::Null));
        assert_eq!(findings(&found), [("ExternalIdUnknown", "Unknown", "Child")]);
    }
}

/// The doctor's own client: what STS throttles of its calls holds no invocation back.
#[tokio::test(start_paused = true)]
async fn r09_throttled_probes_do_not_pace_invocations() {
    let cloud =
        Cloud::new(|call| if call < 30 { sts_error(400, "Throttling") } else { credentials() }, |_| prediction());
    let invoker = invoker(&cloud);
    let began = Instant::now();
    for _ in 0..10 {
        assert_eq!(findings(&report(&ask(&invoker, &examine("iris")).await))[0].0, "StsThrottled");
    }
    assert_eq!(cloud.counts().0, 30, "each probe is one call");
    for _ in 0..20 {
        assert_eq!(ask(&invoker, &event()).await.status, 200);
    }
    assert_eq!((cloud.counts(), began.elapsed()), ((50, 20), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn r13_the_doctor_answers_before_the_deadline() {
    let cloud = Cloud::new(|_| Reply::Silence, |_| prediction());
    let answer = ask_within(&invoker(&cloud), &examine("iris"), Duration::from_secs(4)).await;
    assert_eq!(findings(&report(&answer))[0].0, "DeadlineExceeded");
}

#[tokio::test]
async fn s22_s06_only_a_granted_endpoint_by_its_literal_name_is_examined() {
    let cloud = Cloud::untouched();
    let invoker = invoker(&cloud);
    let answer = ask(&invoker, &examine("other")).await;
    assert_eq!(answer.kind(), (404, Some("ValidationError")));
    assert!(answer.message().starts_with("endpoint \"other\" is not granted here"), "{}", answer.message());
    for (name, path) in [
        ("iris", "/endpoints/%69ris"),
        ("iris", "/endpoints/iris/"),
        ("iris", "/endpoints/iris/invocations"),
        ("ir*", "/endpoints/ir*"),
        ("a/b", "/endpoints/a%2Fb"),
        ("", "/endpoints/"),
    ] {
        let mut event = examine("iris");
        event["path"] = json!(path);
        event["pathParameters"]["name"] = json!(name);
        assert_eq!(ask(&invoker, &event).await.kind(), (400, Some("ValidationError")), "{path}");
    }
    let mut nobody = examine("iris");
    nobody["requestContext"]["identity"] = Value::Null;
    assert_eq!(ask(&invoker, &nobody).await.status, 403);
    assert_eq!(cloud.counts(), (0, 0));
}

/// The probes' credentials are dropped: an invocation assumes the role itself.
#[tokio::test]
async fn no_credentials_of_a_probe_are_reused() {
    let cloud = trusting(Trust::Open);
    let invoker = invoker_set(&cloud, Some(&grants()), &[("CREDENTIAL_REUSE_SECONDS", "3000")]);
    let found = report(&ask(&invoker, &examine("iris")).await);
    assert_eq!(found["SessionSeconds"], 3600);
    assert_eq!(cloud.counts(), (3, 0));
    let durations = cloud.to_sts().into_iter().map(|call| call.parameter("DurationSeconds"));
    assert!(durations.eq(vec![Some("900".to_owned()); 3]), "as short as can be, whatever invocations ask");
    for _ in 0..2 {
        assert_eq!(ask(&invoker, &event()).await.status, 200);
    }
    assert_eq!(cloud.counts(), (4, 2));
    let _ = ask(&invoker, &examine("iris")).await;
    assert_eq!(cloud.counts(), (7, 2), "and kept ones are no proof");
}
