//! Settings through the handler: grants by pattern, and settings that are wrong.

use serde_json::{Value, json};

use crate::support::cloud::Cloud;
use crate::support::{PARENT, REQUEST_ID, ROLE, ask, event, event_for, grants, invoker_set, invoker_with};

fn patterns() -> String {
    json!([
        { "RoleArn": ROLE, "EndpointNames": ["iris-*"] },
        { "RoleArn": "arn:aws:iam::555566667777:role/R", "EndpointNames": "iris-prod,*-eu", "Region": "eu-west-1" },
    ])
    .to_string()
}

/// Each request names a route, by method and template.
fn routes() -> [Value; 5] {
    [
        ("POST", "/endpoints/{name}/invocations"),
        ("POST", "/endpoints/{name}/invocations-response-stream"),
        ("POST", "/endpoints/{name}/async-invocations"),
        ("GET", "/endpoints"),
        ("GET", "/endpoints/{name}"),
    ]
    .map(|(method, resource)| {
        let mut event = event();
        event["httpMethod"] = json!(method);
        event["resource"] = json!(resource);
        event["path"] = json!(resource.replace("{name}", "iris"));
        event
    })
}

/// R10, S06: whatever pattern grants it, the session may call the one endpoint only.
#[tokio::test]
async fn r10_s06_a_pattern_grants_and_the_session_names_the_endpoint() {
    let cloud = Cloud::willing();
    let grants = patterns().replace("*-eu", "wine*");
    let invoker = invoker_with(&cloud, Some(&grants));
    for (name, account, region) in [
        ("iris-2", PARENT, "us-east-1"),
        ("iris-prod", "555566667777", "eu-west-1"),
        ("wine", "555566667777", "eu-west-1"),
    ] {
        assert_eq!(ask(&invoker, &event_for(name)).await.status, 200, "{name}");
        let call = cloud.to_sts().pop().expect("an AssumeRole");
        assert!(call.parameter("RoleArn").unwrap().contains(account), "{name}");
        let policy = call.parameter("Policy").unwrap();
        assert!(policy.contains(&format!("[\"arn:aws:sagemaker:{region}:{account}:endpoint/{name}\"]")), "{policy}");
        assert!(!policy.contains('*'), "{policy}");
        assert_eq!(cloud.to_sagemaker().pop().unwrap().host, format!("runtime.sagemaker.{region}.amazonaws.com"));
    }
    assert_eq!(ask(&invoker, &event_for("Iris-2")).await.status, 404);
    assert_eq!(cloud.counts(), (3, 3));

    let list = ask(&invoker, &routes()[3]).await.json();
    assert_eq!(
        list,
        json!({ "Endpoints": [
            { "EndpointName": "iris-prod", "Region": "eu-west-1" },
            { "EndpointName": "iris-*", "Region": "us-east-1" },
            { "EndpointName": "wine*", "Region": "eu-west-1" },
        ] })
    );
}

/// Every route answers with a request id and calls nothing; the start says what is wrong.
#[tokio::test]
async fn r09_s16_wrong_settings_are_logged_once_and_answered_on_every_route() {
    let id = r#"[{"RoleArn":"arn:aws:iam::111122223333:role/R","ExternalId":"id canary","EndpointNames":"iris"}]"#;
    let none: &[(&str, &str)] = &[];
    let cases = [
        (None, none, "GRANTS is not set"),
        (Some("{"), none, "GRANTS must be a JSON list of grants"),
        (Some(id), none, "GRANTS: grant 1 is wrong: the value is not a valid ExternalId"),
        (Some(&patterns()), none, "GRANTS: grants 1 and 2 overlap: pattern \"iris-*\""),
        (Some(&grants()), &[("CREDENTIAL_REUSE_SECONDS", "3001")], "CREDENTIAL_REUSE_SECONDS is \"3001\""),
        (Some(&grants()), &[("CALLER_ATTRIBUTION", "on")], "CALLER_ATTRIBUTION is \"on\""),
    ];
    for (grants, settings, reason) in cases {
        captured::start();
        let cloud = Cloud::untouched();
        let invoker = invoker_set(&cloud, grants, settings);
        for event in routes() {
            let answer = ask(&invoker, &event).await;
            assert_eq!(answer.kind(), (500, Some("InternalFailure")), "{reason}");
            assert_eq!(answer.header("x-amzn-requestid"), Some(REQUEST_ID));
            assert!(answer.message().contains("GRANTS") && !answer.message().contains("canary"));
        }
        assert_eq!(cloud.counts(), (0, 0));
        let said: Vec<_> = captured::json().into_iter().filter(|line| line.get("reason").is_some()).collect();
        let [said] = &said[..] else { panic!("one line: {}", captured::text()) };
        assert!(said["reason"].as_str().is_some_and(|said| said.starts_with(reason)), "{said}");
        assert!(!captured::text().contains("canary"));
    }
}
