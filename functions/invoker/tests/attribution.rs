//! The caller's name on its way to the parent: what STS receives for the events that
//! API Gateway sends.

use std::collections::BTreeMap;

use aws_lambda_events::apigw::ApiGatewayProxyRequest;
use invoker::event::Event;
use invoker::handler::Invoker;
use invoker::operation::Operation;
use sagemaker_external::policy::quota;
use serde_json::{Value, json};

use crate::support::cloud::{Call, Cloud};
use crate::support::{REQUEST_ID, ROLE, ask, event, event_of, event_with, grants, invoker, invoker_set, with};

fn attributing(cloud: &Cloud) -> Invoker {
    invoker_set(cloud, Some(&grants()), &[("CALLER_ATTRIBUTION", "true")])
}

/// The session tags of an AssumeRole.
fn tags(call: &Call) -> BTreeMap<String, String> {
    let member = |n: usize, part: &str| call.parameter(&format!("Tags.member.{n}.{part}"));
    (1..).map_while(|n| Some((member(n, "Key")?, member(n, "Value")?))).collect()
}

/// Session name, source identity and tags that STS receives for an event.
async fn attributed(event: &Value) -> (String, String, BTreeMap<String, String>) {
    let cloud = Cloud::willing();
    assert_eq!(ask(&attributing(&cloud), event).await.status, 200);
    let [call] = &cloud.to_sts()[..] else { panic!("one AssumeRole") };
    let parameter = |name| call.parameter(name).expect(name);
    (parameter("RoleSessionName"), parameter("SourceIdentity"), tags(call))
}

/// An event of `events/`, of which the published type says the same.
fn sent(name: &str) -> Value {
    let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let json = std::fs::read_to_string(path).expect(name);
    let theirs: ApiGatewayProxyRequest = serde_json::from_str(&json).expect(name);
    let ours = Event::read(json.as_bytes()).expect(name);
    let (ours, theirs) = (ours.request_context().expect(name), theirs.request_context);
    let identity = theirs.identity;
    assert_eq!(ours.api_id(), theirs.apiid.as_deref(), "{name}");
    assert_eq!(ours.user_arn(), identity.user_arn.as_deref(), "{name}");
    assert_eq!(ours.cognito_identity_id(), identity.cognito_identity_id.as_deref(), "{name}");
    assert_eq!(ours.api_key_id(), identity.api_key_id.as_deref(), "{name}");
    serde_json::from_str(&json).expect(name)
}

fn of(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn r08_an_iam_user_is_named() {
    let (session, source, tags) = attributed(&sent("invoker-invocations")).await;
    assert_eq!((session, source.as_str()), (format!("alice@{REQUEST_ID}"), "alice"));
    assert_eq!(
        tags,
        of(&[("ApiId", "a1b2c3d4e5"), ("Caller", "arn:aws:iam::444455556666:user/alice"), ("RequestId", REQUEST_ID),])
    );
}

#[tokio::test]
async fn r08_a_roles_session_is_named() {
    let (session, source, tags) = attributed(&sent("invoker-assumed-role")).await;
    assert!(source.starts_with("alice-corp.com-") || source.starts_with("alice@corp.com-"), "{source}");
    assert_eq!(session, format!("{source}@{REQUEST_ID}"));
    assert_eq!(tags["Caller"], "arn:aws:sts::444455556666:assumed-role/DataScience/alice@corp.com");
}

#[tokio::test]
async fn r08_an_identity_pools_user_is_named_by_their_own_id() {
    let (_, source, tags) = attributed(&sent("invoker-identity-pool")).await;
    assert!(source.starts_with("us-east-1-"), "{source}");
    assert_eq!(
        tags["Caller"],
        "arn:aws:sts::444455556666:assumed-role/PoolUsers/CognitoIdentityCredentials/\
         us-east-1:8f6b1c3e-2d4a-4f5b-9c7d-0a1b2c3d4e5f"
    );
}

#[tokio::test]
async fn r08_a_user_pools_user_is_named_by_the_tokens_claims() {
    let (session, source, tags) = attributed(&sent("invoker-user-pool")).await;
    assert!(source.starts_with("carol-"), "{source}");
    assert_eq!(session, format!("{source}@{REQUEST_ID}"));
    assert_eq!(
        tags["Caller"],
        "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI/0f8fad5b-d9cb-469f-a165-70867728950e"
    );
}

#[tokio::test]
async fn s20_an_api_key_adds_its_id_and_never_itself() {
    let event = sent("invoker-api-key");
    let (_, source, tags) = attributed(&event).await;
    assert_eq!((source.as_str(), tags["ApiKeyId"].as_str()), ("alice", "k1e2y3i4d5"));
    let key = event["requestContext"]["identity"]["apiKey"].as_str().expect("a key");
    assert!(tags.values().all(|value| !value.contains(key)));

    let mut alone = event;
    for member in ["userArn", "caller", "user", "accessKey", "accountId"] {
        alone["requestContext"]["identity"][member] = Value::Null;
    }
    let cloud = Cloud::untouched();
    assert_eq!(ask(&attributing(&cloud), &alone).await.kind(), (403, Some("AccessDeniedException")));
    assert_eq!(cloud.counts(), (0, 0));
}

/// The longest of everything. STS packs policy and tags together, and does not say how:
/// within the limit of the policy's own plain text there is room (PackedPolicyTooLarge).
#[tokio::test]
async fn r09_r10_the_longest_policy_and_tags_are_within_stss_limits() {
    let endpoint = format!("I{}", "r".repeat(62));
    let role = format!("arn:aws:iam::111122223333:role/{}/{}", "p".repeat(100), "R".repeat(64));
    let grant = json!([{ "RoleArn": role, "ExternalId": "e".repeat(1224), "EndpointNames": "*",
                         "Region": "ap-southeast-1" }]);
    let cloud = Cloud::willing();
    let invoker = invoker_set(&cloud, Some(&grant.to_string()), &[("CALLER_ATTRIBUTION", "true")]);
    for operation in Operation::ALL {
        let mut event = event_of(operation);
        event["path"] = json!(format!("/endpoints/{endpoint}{}", operation.path()));
        event["pathParameters"]["name"] = json!(endpoint);
        event["requestContext"]["apiId"] = json!("a1b2c3d4e5");
        let arn = format!("arn:aws:iam::444455556666:user/{}/", "p".repeat(160));
        event["requestContext"]["identity"]["userArn"] = json!(format!("{arn}{}", "u".repeat(64)));
        event["requestContext"]["identity"]["apiKeyId"] = json!("k1e2y3i4d5");
        let event = with(event, "X-Amzn-SageMaker-Inference-Component", &format!("C{}", "o".repeat(62)));
        assert_eq!(ask(&invoker, &event).await.status, 200, "{operation:?}");
        let call = cloud.to_sts().pop().expect("an AssumeRole");
        let (policy, tags) = (call.parameter("Policy").expect("a policy"), tags(&call));
        assert_eq!(policy.matches("arn:").count(), 4, "both spellings of both names");
        assert_eq!((tags.len(), tags["Caller"].len()), (4, 256));
        assert!(tags.iter().all(|(key, value)| key.len() <= 128 && (1..=256).contains(&value.len())));
        let together = policy.len() + tags.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        assert!(together <= quota::SESSION, "{operation:?}: {together}");
        for name in ["RoleSessionName", "SourceIdentity"] {
            assert!((2..=64).contains(&call.parameter(name).expect(name).len()), "{name}");
        }
    }
}

/// S21: neither headers nor the query nor the body name anybody.
#[tokio::test]
async fn s21_s01_what_the_client_writes_changes_nothing() {
    let expected = attributed(&event()).await;
    for (header, value) in [
        ("SourceIdentity", "mallory"),
        ("X-Amz-Source-Identity", "mallory"),
        ("X-Amzn-SageMaker-Source-Identity", "mallory"),
        ("Caller", "mallory"),
        ("X-Caller", "mallory"),
        ("X-User-Arn", "arn:aws:iam::444455556666:user/mallory"),
        ("userArn", "arn:aws:iam::444455556666:user/mallory"),
        ("ApiId", "mallory"),
        ("X-Api-Id", "mallory"),
        ("ApiKeyId", "mallory"),
        ("X-Api-Key", "mallory"),
        ("RequestId", "mallory"),
        ("X-Amzn-RequestId", "mallory"),
        ("X-Amz-Tags", "Caller=mallory"),
        ("RoleSessionName", "mallory"),
        ("ExternalId", "mallory"),
        ("X-Amz-External-Id", "mallory"),
        ("RoleArn", "arn:aws:iam::999999999999:role/mallory"),
        ("X-Amz-Security-Token", "mallory"),
        ("Authorization", "Bearer mallory"),
    ] {
        let mut event = event_with(header, value);
        event["queryStringParameters"] = json!({ header: value });
        event["multiValueQueryStringParameters"] = json!({ header: [value] });
        event["stageVariables"] = json!({ header: value });
        event["requestContext"]["requestId"] = json!("mallory");
        assert_eq!(attributed(&event).await, expected, "{header}");

        let cloud = Cloud::willing();
        let _ = ask(&attributing(&cloud), &event).await;
        for call in cloud.to_sts() {
            let said = String::from_utf8_lossy(&call.body).into_owned();
            assert!(!said.contains("mallory"), "{header}: {said}");
        }
    }
}

/// STS refuses a whole call for a tag that the trust does not allow: nothing is sent
/// unless it is asked for, by the grant or else by the function's own setting.
#[tokio::test]
async fn nothing_is_attributed_unless_asked_for() {
    let cloud = Cloud::willing();
    let _ = ask(&invoker(&cloud), &event()).await;
    let grants = json!([{ "RoleArn": ROLE, "EndpointNames": "iris", "CallerAttribution": "false" }]).to_string();
    let _ = ask(&invoker_set(&cloud, Some(&grants), &[("CALLER_ATTRIBUTION", "true")]), &event()).await;
    for call in cloud.to_sts() {
        assert_eq!((call.parameter("SourceIdentity"), tags(&call).len()), (None, 0));
    }
    assert_eq!(cloud.counts().0, 2);

    let grants = json!([{ "RoleArn": ROLE, "EndpointNames": "iris", "CallerAttribution": true }]).to_string();
    let cloud = Cloud::willing();
    let _ = ask(&invoker_set(&cloud, Some(&grants), &[]), &event()).await;
    assert_eq!(cloud.to_sts()[0].parameter("SourceIdentity").as_deref(), Some("alice"));
}

#[tokio::test]
async fn r08_a_name_of_one_letter_gives_valid_values() {
    let mut event = event();
    event["requestContext"]["identity"]["userArn"] = json!("arn:aws:iam::444455556666:user/a");
    let (session, source, tags) = attributed(&event).await;
    assert_eq!(session, format!("a@{REQUEST_ID}"));
    assert!(source.len() > 2 && source.starts_with("a-"), "{source}");
    assert_eq!(tags["Caller"], "arn:aws:iam::444455556666:user/a");
}
