//! IAM's own rules and quotas, in IAM's own words: what the stand-in refuses, and what
//! becomes of the events that run into it.

use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iam::types::Tag;
use serde_json::json;

use crate::iam::{Policy, Role};
use crate::stage::{
    BOUNDARY, POLICY_ARN, ROLE_ARN, Stage, create, delete, group, role, settings, update, with, writes,
};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"sts:AssumeRole"}]}"#;

/// Code and message of a refusal.
fn refusal<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug, R: std::fmt::Debug>(
    answer: Result<T, SdkError<E, R>>,
) -> (String, String) {
    let error = answer.unwrap_err();
    (error.code().unwrap_or_default().to_owned(), error.message().unwrap_or_default().to_owned())
}

/// U39: documents and ARNs are refused with the texts that AWS gives.
#[tokio::test(start_paused = true)]
async fn u39_refusals_have_the_real_texts() {
    let stage = Stage::new();
    stage.created(&create(&role())).await;
    let iam = stage.iam.client();
    let policy =
        async |document: &str| refusal(iam.create_policy().policy_name("P").policy_document(document).send().await);
    let trust = async |document: &str| {
        refusal(iam.create_role().role_name("R").assume_role_policy_document(document).send().await)
    };
    let attach =
        async |arn: &str| refusal(iam.attach_role_policy().role_name("SageMakerExternal").policy_arn(arn).send().await);
    let statement = |body: &str| format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow",{body}}}]}}"#);
    let malformed = |text: &str| ("MalformedPolicyDocument".to_owned(), text.to_owned());
    assert_eq!(policy("{").await, malformed("This policy contains invalid Json"));
    assert_eq!(policy(TRUST).await, malformed("Policy document should not specify a principal."));
    assert_eq!(policy(&statement(r#""Action":"a:B""#)).await, malformed("Policy statement must contain resources."));
    assert_eq!(policy(&statement(r#""Resource":"*""#)).await, malformed("Policy statement must contain actions."));
    assert_eq!(policy("{}").await, malformed("Syntax errors in policy."));
    assert_eq!(
        policy(&statement(r#""Action":"a:B","Resource":"iris""#)).await,
        malformed("Resource iris must be in ARN format or \"*\".")
    );
    assert_eq!(trust(&statement(r#""Action":"sts:AssumeRole""#)).await, malformed("Missing required field Principal"));
    assert_eq!(
        trust(&statement(r#""Action":"sts:AssumeRole","Principal":{"AWS":"1"},"Resource":"*""#)).await,
        malformed("Has prohibited field Resource")
    );
    assert_eq!(
        trust(&statement(r#""Action":"sts:AssumeRole","Principal":{"AWS":"alice"}"#)).await,
        malformed("Invalid principal in policy: \"AWS\":\"alice\"")
    );
    assert_eq!(attach("not-an-arn-of-any-policy").await.1, "Invalid ARN:  Could not be parsed!");
    let missing = "arn:aws:iam::111122223333:policy/missing";
    assert_eq!(
        attach(missing).await,
        ("NoSuchEntity".to_owned(), format!("Policy {missing} does not exist or is not attachable."))
    );
}

/// U39 through the function: the text reaches CloudFormation, and the SDK's own model
/// knows the code.
#[tokio::test(start_paused = true)]
async fn u39_the_real_text_reaches_the_stack() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    // The policy goes between the reading and the attachment.
    stage.iam.world().roles.get_mut("sagemakerexternal").unwrap().attached.clear();
    let text = format!("Policy {POLICY_ARN} does not exist or is not attachable.");
    let text: &'static str = Box::leak(text.into_boxed_str());
    for _ in 0..9 {
        stage.iam.fault("AttachRolePolicy", crate::iam::Fault::Refused(404, "NoSuchEntity", text));
    }
    let (reason, _) = stage.fail(&update(&id, &role(), &role())).await;
    assert!(reason.contains(text), "{reason}");
}

/// Names, paths and tags by the service's model, whole strings: also where the two path
/// patterns differ.
#[tokio::test(start_paused = true)]
async fn the_stand_in_checks_shapes() {
    let stage = Stage::new();
    let iam = stage.iam.client();
    let made = async |name: &str, path: &str, tags: Vec<Tag>| {
        let make = iam.create_role().role_name(name).path(path).set_tags(Some(tags));
        make.assume_role_policy_document(TRUST).send().await
    };
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build().unwrap();
    for (name, path) in [("a b", "/"), ("a/../b", "/"), (&*"r".repeat(65), "/"), ("r", "x"), ("r", "//\u{e9}/")] {
        assert_eq!(refusal(made(name, path, vec![]).await).0, "ValidationError", "{name} {path}");
    }
    assert!(made("wide", "/a!b/", vec![]).await.is_ok(), "a role's path is wide");
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"a:B","Resource":"*"}]}"#;
    let narrow = iam.create_policy().policy_name("p").path("/a!b/").policy_document(document).send().await;
    assert_eq!(refusal(narrow).0, "ValidationError", "a policy's is not");
    for tags in [
        vec![tag("aws:x", "1")],
        vec![tag("a", "1"), tag("A", "2")],
        vec![tag("a*", "1")],
        vec![tag("a", "*")],
        (0..51).map(|n| tag(&format!("k{n}"), "")).collect(),
    ] {
        let (code, _) = refusal(made("tagged", "/", tags).await);
        assert!(code == "InvalidInput" || code == "ValidationError", "{code}");
    }
}

/// U21: what AWS made for itself is refused up front by name and path, and said so by IAM.
#[tokio::test(start_paused = true)]
async fn u21_service_linked_roles_are_refused() {
    let stage = Stage::new();
    for change in [json!({"RoleName": "AWSServiceRoleForX"}), json!({"Path": "/aws-service-role/x.amazonaws.com/"})] {
        let (reason, id) = stage.fail(&create(&with(role(), change))).await;
        assert!(reason.starts_with("RoleName: \"AWS") || reason.starts_with("Path: \"/aws-"), "{reason}");
        assert_eq!(id, "SageMakerExternal::CreateFailed");
    }
    assert_eq!(stage.iam.take_calls(), [""; 0]);
    stage.created(&create(&role())).await;
    let mut role = stage.iam.world().roles["sagemakerexternal"].clone();
    role.path = "/aws-service-role/".to_owned();
    stage.iam.world().roles.insert("linked".to_owned(), Role { name: "Linked".to_owned(), ..role });
    let changed = stage.iam.client().update_role().role_name("Linked").max_session_duration(3600).send().await;
    assert_eq!(refusal(changed).0, "UnmodifiableEntity");
}

/// U24: every quota: its name in the reason, and nothing left after the rollback.
#[tokio::test(start_paused = true)]
async fn u24_a_full_quota_is_named_and_undone() {
    let many: Vec<String> = (0..120).map(|n| format!("an-endpoint-with-a-rather-long-name-{n:04}")).collect();
    let wide = with(role(), json!({ "EndpointNames": many }));
    let members = with(group(), json!({"UserNames": ["alice"]}));
    for (properties, fill, quota) in [
        (role(), (|q| q.roles = 0) as fn(&mut crate::iam::Quotas), "RolesPerAccount: 0"),
        (role(), |q| q.policies = 0, "PoliciesPerAccount: 0"),
        (wide, |q| q.attached = 1, "PoliciesPerRole: 1"),
        (group(), |q| q.groups = 0, "GroupsPerAccount: 0"),
        (members, |q| q.groups_per_user = 0, "GroupsPerUser: 0"),
    ] {
        let stage = Stage::new();
        stage.iam.world().users.insert("alice".to_owned());
        fill(&mut stage.iam.world().quotas);
        let (reason, id) = stage.fail(&create(&properties)).await;
        assert!(reason.contains(&format!("Cannot exceed quota for {quota} (LimitExceeded)")), "{reason}");
        let refused = stage.iam.take_calls().iter().filter(|call| call.contains(" !LimitExceeded")).count();
        assert_eq!(refused, 1, "{quota}: not tried again");
        stage.succeed(&delete(&id, &properties)).await;
        let world = stage.iam.world();
        assert!(world.roles.is_empty() && world.policies.is_empty() && world.groups.is_empty(), "{quota}");
    }
}

/// U25: IAM's own sizes, which our checks stay below: the largest document that we accept
/// is one that IAM takes.
#[tokio::test(start_paused = true)]
async fn u25_documents_of_the_full_size_are_taken() {
    let accounts = |count: u64| -> Vec<String> { (0..count).map(|n| format!("{:012}", 100_000_000_000 + n)).collect() };
    let stage = Stage::with(settings(&[("GRANTABLE_ACCOUNT_IDS", &accounts(70).join(","))]));
    let fits = async |count| stage.send(&create(&with(role(), json!({"TrustedAccountIds": accounts(count)})))).await;
    let mut most = 0;
    for count in 40..70 {
        let answer = fits(count).await;
        if answer["Status"] == "SUCCESS" {
            most = count;
            stage.succeed(&delete(ROLE_ARN, &role())).await;
        } else {
            let reason = answer["Reason"].as_str().unwrap_or_default();
            assert!(reason.contains("the trust policy would have"), "ours, not IAM's: {reason}");
        }
    }
    assert!((40..69).contains(&most), "both sides of the limit were tried: {most}");
    let large = TRUST.replace("444455556666", &"x".repeat(2_048));
    let iam = stage.iam.client();
    let refused = iam.create_role().role_name("R").assume_role_policy_document(large).send().await;
    assert_eq!(refusal(refused).0, "MalformedPolicyDocument");
    let ids: Vec<String> = (0..150).map(|n| format!("\"{n:012}\"")).collect();
    let large = TRUST.replace("\"444455556666\"", &format!("[{}]", ids.join(",")));
    let refused = iam.create_role().role_name("R").assume_role_policy_document(&large).send().await;
    assert_eq!(
        refusal(refused),
        ("LimitExceeded".to_owned(), "Cannot exceed quota for ACLSizePerRole: 2048".to_owned())
    );
    let spaced = TRUST.replace(',', &format!(",{}", " ".repeat(900)));
    assert!(
        iam.create_role().role_name("R").assume_role_policy_document(spaced).send().await.is_ok(),
        "white space is free"
    );
}

/// U26: the boundary follows the provisioner's own, when that changes; one that is not there
/// fails, a property with another one is refused, and no role was without one for a moment.
#[tokio::test(start_paused = true)]
async fn u26_the_boundary_is_the_provisioners_own() {
    const OTHER: &str = "arn:aws:iam::111122223333:policy/other";
    let policy = |name: &str| Policy {
        name: name.to_owned(),
        path: "/".to_owned(),
        id: format!("ANPAHAND{name}"),
        versions: [(1, "{}".to_owned())].into(),
        default: 1,
        newest: 1,
        tags: Default::default(),
        users: Vec::new(),
    };
    let bounded = |boundary: &str| settings(&[("PERMISSIONS_BOUNDARY_ARN", boundary)]);
    let stage = Stage::with(bounded("arn:aws:iam::111122223333:policy/missing"));
    {
        let mut world = stage.iam.world();
        world.boundary_must_exist = true;
        world.policies.extend([("boundary".to_owned(), policy("boundary")), ("other".to_owned(), policy("other"))]);
    }
    let (reason, id) = stage.fail(&create(&role())).await;
    let scope = "Scope ARN: arn:aws:iam::111122223333:policy/missing does not exist or is not attachable.";
    assert!(reason.contains(scope), "{reason}");
    stage.succeed(&delete(&id, &role())).await;
    assert!(stage.iam.world().roles.is_empty());

    let stage = stage.redeployed(bounded(OTHER));
    let named = with(role(), json!({ "PermissionsBoundary": OTHER }));
    let id = stage.created(&create(&named)).await;
    let boundary = |stage: &Stage| stage.iam.world().roles["sagemakerexternal"].boundary.clone();
    assert_eq!(boundary(&stage).as_deref(), Some(OTHER));
    let held = stage.iam.client().delete_policy().policy_arn(OTHER).send().await;
    assert_eq!(refusal(held).0, "DeleteConflict", "a boundary in use cannot go");

    let stage = stage.redeployed(bounded(BOUNDARY));
    stage.iam.take_calls();
    let (reason, kept) = stage.fail(&update(&id, &named, &named)).await;
    assert!(reason.starts_with(&format!("PermissionsBoundary: {OTHER} is not this provisioner's own")), "{reason}");
    assert_eq!((kept.as_str(), stage.iam.take_calls()), (id.as_str(), Vec::new()));
    stage.succeed(&update(&id, &named, &role())).await;
    assert_eq!(writes(&stage.iam.take_calls()), ["PutRolePermissionsBoundary SageMakerExternal"]);
    assert_eq!(boundary(&stage).as_deref(), Some(BOUNDARY));
}

/// U28: a description cannot be changed in place: none is ever set, and none can be wished.
#[tokio::test(start_paused = true)]
async fn u28_there_is_no_description() {
    let stage = Stage::new();
    for properties in [role(), group()] {
        let (reason, _) = stage.fail(&create(&with(properties, json!({"Description": "x"})))).await;
        assert!(reason.starts_with("Description: there is no such property"), "{reason}");
    }
    stage.created(&create(&role())).await;
    assert!(!stage.iam.world().fields_seen.contains("Description"));
}

/// U29: keys of a role's tags differ in more than case to IAM, those of a policy's do
/// not: a key that changes its case is not lost on the way.
#[tokio::test(start_paused = true)]
async fn u29_a_key_that_changes_its_case_stays() {
    let stage = Stage::new();
    let tagged = |key: &str| with(role(), json!({"Tags": [{"Key": key, "Value": "1"}]}));
    let id = stage.created(&create(&tagged("team"))).await;
    stage.succeed(&update(&id, &tagged("team"), &tagged("Team"))).await;
    let world = stage.iam.world();
    for tags in [&world.roles["sagemakerexternal"].tags, &world.policies["sagemakerexternalinvokeendpoint"].tags] {
        assert_eq!((tags.get("Team").map(String::as_str), tags.get("team")), (Some("1"), None), "{tags:?}");
        assert_eq!(tags.len(), 3);
    }
}
