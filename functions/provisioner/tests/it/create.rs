//! Create of the parent's half.

use serde_json::{Value, json};

use crate::iam::{Fault, Policy, json as document};
use crate::stage::{
    ACCOUNT, BOUNDARY, CHILD, POLICY_ARN, ROLE_ARN, STACK, Stage, create, delete, group, role, with, writes,
};

/// C01, C14, C33, C41: the recipe's role, answered with ids and flat attributes.
#[tokio::test(start_paused = true)]
async fn c01_c33_create_makes_the_recipe_and_answers_it() {
    let stage = Stage::new();
    let answer = stage.succeed(&create(&role())).await;
    assert_eq!(answer["PhysicalResourceId"], ROLE_ARN);
    let id = stage.iam.world().roles["sagemakerexternal"].id.clone();
    let wanted = json!({
        "RoleArn": ROLE_ARN, "RoleName": "SageMakerExternal", "RoleId": id, "PolicyArns": POLICY_ARN,
        "EndpointArns": format!("arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/iris"), "ExternalId": ACCOUNT, "Plan": "carried out",
    });
    assert_eq!(answer["Data"], wanted);
    let world = stage.iam.world();
    let made = &world.roles["sagemakerexternal"];
    assert_eq!((made.path.as_str(), made.max_session.as_str()), ("/sagemaker-external/", "3600"));
    assert_eq!(made.boundary.as_deref(), Some(BOUNDARY));
    assert_eq!(made.tags["sagemaker-external:stack-id"], STACK);
    assert_eq!(made.tags["sagemaker-external:logical-id"], "ExternalRole");
    let trust = document(&made.trust);
    assert_eq!(trust["Statement"][0]["Principal"]["AWS"], json!([format!("arn:aws:iam::{CHILD}:root")]));
    assert_eq!(trust["Statement"][0]["Condition"], json!({"StringEquals": {"sts:ExternalId": ACCOUNT}}));
    assert_eq!(world.policies["sagemakerexternalinvokeendpoint"].tags, made.tags);
}

/// U37: the boundary with the role, then the policy, then the attachment; and C32.
#[tokio::test(start_paused = true)]
async fn u37_order_on_create() {
    let stage = Stage::new();
    let answer = stage.succeed(&create(&role())).await;
    assert_eq!(
        writes(&stage.iam.take_calls()),
        [
            "CreateRole SageMakerExternal",
            "CreatePolicy SageMakerExternalInvokeEndpoint",
            "AttachRolePolicy SageMakerExternal",
        ]
    );
    assert_eq!(answer["NoEcho"], true, "C32: the answer holds an ExternalId");
}

/// C34: every property is read from strings.
#[tokio::test(start_paused = true)]
async fn c34_every_property_is_a_string_on_the_wire() {
    let stage = Stage::new();
    let properties = with(
        role(),
        json!({
            "ServiceTimeout": "150", "EndpointNames": ["Iris", "*"], "InferenceComponentNames": ["comp"],
            "AllowAnyEndpoint": "true", "TrustedPrincipalArns": ["arn:aws:iam::444455556666:role/x/Caller"],
            "ExternalId": "a:b/c", "Operations": ["InvokeEndpointAsync"], "Regions": ["eu-west-1", "*"],
            "RoleName": "R", "PolicyName": "P", "Path": "/sagemaker-external/x/", "MaxSessionDuration": "43200",
            "PermissionsBoundary": BOUNDARY, "CallerAttribution": "true",
            "OnExisting": "Fail", "Tags": [{"Key": "team", "Value": "ml"}],
        }),
    );
    let answer = stage.succeed(&create(&properties)).await;
    assert_eq!(answer["PhysicalResourceId"], "arn:aws:iam::111122223333:role/sagemaker-external/x/R");
    let world = stage.iam.world();
    let made = &world.roles["r"];
    assert_eq!(made.boundary.as_deref(), Some(BOUNDARY));
    assert_eq!((made.max_session.as_str(), made.tags["team"].as_str()), ("43200", "ml"));
    let trust = document(&made.trust);
    assert_eq!(trust["Statement"][0]["Action"], json!(["sts:AssumeRole"]));
    assert_eq!(trust["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"], "a:b/c");
    assert_eq!(trust["Statement"][1]["Action"], json!(["sts:SetSourceIdentity", "sts:TagSession"]));
    assert_eq!(
        trust["Statement"][1]["Condition"],
        json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["ApiId", "ApiKeyId", "Caller", "RequestId"]}})
    );
    let permissions = document(&world.policies["p"].versions[&1]);
    assert_eq!(permissions["Statement"][0]["Action"], json!(["sagemaker:InvokeEndpointAsync"]));
    let resources: Vec<&str> =
        permissions["Statement"][0]["Resource"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for region in ["eu-west-1", "*"] {
        for name in ["endpoint/Iris", "endpoint/iris", "endpoint/*", "inference-component/comp"] {
            let arn = format!("arn:aws:sagemaker:{region}:{ACCOUNT}:{name}");
            assert!(resources.contains(&arn.as_str()), "{arn} is not granted");
        }
    }
    assert_eq!(resources.len(), 8);
}

/// Bad input: one sentence that names property, value and rule, the marker id (C08),
/// and no call at all.
#[tokio::test(start_paused = true)]
async fn c08_bad_properties_fail_before_any_call() {
    let stage = Stage::new();
    for (change, wanted) in [
        (json!({"EndpointNames": null}), "EndpointNames: at least one endpoint name"),
        (json!({"EndpointNames": ["a*"]}), "EndpointNames: \"a*\" is not a valid endpoint name"),
        (json!({"EndpointNames": ["*"]}), "EndpointNames: \"*\" grants everything"),
        (json!({"InferenceComponentNames": ["-a"]}), "InferenceComponentNames: \"-a\""),
        (json!({"TrustedAccountIds": null}), "TrustedAccountIds: at least one account"),
        (json!({"TrustedAccountIds": ["12345678901"]}), "TrustedAccountIds: \"12345678901\" is not a valid account id"),
        (json!({"TrustedAccountIds": ["*"]}), "TrustedAccountIds: \"*\""),
        (json!({"TrustedAccountIds": [ACCOUNT]}), "is this account itself"),
        (json!({"TrustedPrincipalArns": ["*"]}), "TrustedPrincipalArns: \"*\""),
        (json!({"TrustedPrincipalArns": ["arn:aws-cn:iam::444455556666:role/R"]}), "in another partition"),
        (json!({"ExternalId": "x"}), "ExternalId: the value is not a valid ExternalId"),
        (json!({"Operations": ["CreateEndpoint"]}), "Operations: \"CreateEndpoint\" is not an operation"),
        (json!({"Regions": ["mars"]}), "Regions: \"mars\" is not a valid region"),
        (json!({"RoleName": "a b"}), "RoleName: \"a b\" is not a valid role name"),
        (json!({"RoleName": "AWSServiceRoleForX"}), "RoleName: \"AWSServiceRoleForX\""),
        (json!({"PolicyName": "a/b"}), "PolicyName: \"a/b\""),
        (json!({"Path": "no-slashes"}), "Path: \"no-slashes\""),
        (json!({"MaxSessionDuration": "60"}), "MaxSessionDuration: \"60\" must be a whole number"),
        (json!({"Path": "/sagemaker-external/../x/"}), "Path: \"/sagemaker-external/../x/\" has a segment . or .."),
        (json!({"Path": "/sagemaker-external/./"}), "Path: \"/sagemaker-external/./\" has a segment . or .."),
        (json!({"PermissionsBoundary": "boundary"}), "PermissionsBoundary: \"boundary\""),
        (
            json!({"PermissionsBoundary": "arn:aws:iam::111122223333:policy/other"}),
            "PermissionsBoundary: arn:aws:iam::111122223333:policy/other is not this provisioner's own boundary",
        ),
        (json!({"Unknown": "x"}), "Unknown: there is no such property; there are EndpointNames, "),
        (json!({"CallerAttribution": "yes"}), "CallerAttribution: \"yes\" is not a boolean"),
        (json!({"OnExisting": "Replace"}), "OnExisting: \"Replace\" must be Fail or Adopt"),
        (json!({"Tags": [{"Key": "aws:x", "Value": "1"}]}), "Tags: \"aws:x\" is reserved"),
        (json!({"EndpointName": "iris"}), "EndpointName: there is no such property; did you mean EndpointNames?"),
        (json!({"TrustedPrincipalArns": many_principals()}), "the trust policy would have"),
        (json!({"EndpointNames": {"a": "b"}}), "EndpointNames: it must be a list"),
    ] {
        let (reason, id) = stage.fail(&create(&with(role(), change.clone()))).await;
        assert!(reason.contains(wanted), "{change}: {reason}");
        assert_eq!(id, "SageMakerExternal::CreateFailed", "{change}");
        assert_eq!(stage.iam.take_calls(), [""; 0], "{change}");
    }
}

fn many_principals() -> Vec<String> {
    (0..40).map(|n| format!("arn:aws:iam::444455556666:role/a-rather-long-role-name-{n}")).collect()
}

/// C22, U01: the same event again, or an own earlier attempt: same end, no write.
#[tokio::test(start_paused = true)]
async fn c22_u01_a_second_delivery_changes_nothing() {
    let stage = Stage::new();
    let first = stage.succeed(&create(&role())).await;
    stage.iam.take_calls();
    let second = stage.succeed(&create(&role())).await;
    assert_eq!(first, second);
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
}

/// U01, C12: an attempt that was cut off after its first write is completed.
#[tokio::test(start_paused = true)]
async fn u01_a_half_made_role_of_ours_is_completed() {
    let stage = Stage::new();
    stage.iam.fault("CreatePolicy", Fault::Refused(400, "Throttling", "Rate exceeded"));
    let (reason, id) = stage.fail(&create(&role())).await;
    assert!(reason.starts_with("CreatePolicy arn:aws:iam::111122223333:policy/"), "{reason}");
    assert_eq!(id, ROLE_ARN, "C12: something was made, so Delete must find it");
    assert!(stage.iam.take_calls().contains(&"CreateRole SageMakerExternal".to_owned()));
    stage.succeed(&create(&role())).await;
    assert_eq!(
        writes(&stage.iam.take_calls()),
        ["CreatePolicy SageMakerExternalInvokeEndpoint", "AttachRolePolicy SageMakerExternal"]
    );
}

/// C12, C22: a first delivery was killed after its first write, and the second one cannot
/// read IAM: it does not know that nothing is there, so the rollback must look.
#[tokio::test(start_paused = true)]
async fn c12_c22_a_redelivery_that_cannot_read_leaves_no_orphan() {
    for (properties, made) in [(role(), "CreateRole"), (group(), "CreateGroup")] {
        for fault in [Fault::Refused(400, "Throttling", "Rate exceeded"), Fault::Hangs, Fault::Panics] {
            let stage = Stage::new();
            stage.iam.fault(made, Fault::Killed { after: true });
            assert!(stage.try_send(&create(&properties)).await.is_none());
            stage.iam.fault(if made == "CreateRole" { "GetRole" } else { "GetGroup" }, fault);
            let (_, id) = stage.fail(&create(&properties)).await;
            stage.succeed(&delete(&id, &properties)).await;
            assert!(stage.iam.world().roles.is_empty() && stage.iam.world().groups.is_empty(), "{made}: {id}");
        }
    }
}

/// C12: a Create that failed half-way, and its rollback, leave nothing.
#[tokio::test(start_paused = true)]
async fn c12_rollback_of_a_partial_create_leaves_nothing() {
    for action in ["CreateRole", "CreatePolicy", "AttachRolePolicy"] {
        let stage = Stage::new();
        stage.iam.fault(action, Fault::Refused(409, "LimitExceeded", "Cannot exceed quota for this."));
        let (reason, id) = stage.fail(&create(&role())).await;
        assert!(
            reason.contains(action) && reason.contains("Cannot exceed quota for this. (LimitExceeded)"),
            "{reason}"
        );
        assert_eq!(id == "SageMakerExternal::CreateFailed", action == "CreateRole", "{action}: {id}");
        stage.succeed(&delete(&id, &role())).await;
        let world = stage.iam.world();
        assert!(world.roles.is_empty() && world.policies.is_empty(), "{action}");
    }
}

/// Refused for want of permission: the reason says what the provisioner may do.
#[tokio::test(start_paused = true)]
async fn c08_a_refused_create_says_what_is_allowed() {
    let stage = Stage::new();
    stage.iam.fault_for_ever("CreateRole", Fault::Refused(403, "AccessDenied", "not authorized"));
    let (reason, id) = stage.fail(&create(&role())).await;
    assert!(
        reason.contains("not authorized (AccessDenied)") && reason.contains("with the stack's boundary"),
        "{reason}"
    );
    assert_eq!(id, "SageMakerExternal::CreateFailed");
}

/// U23 in small: the write took effect, its answer was lost; the re-read finds it.
#[tokio::test(start_paused = true)]
async fn u01_a_lost_answer_is_no_failure() {
    for action in ["CreateRole", "CreatePolicy", "AttachRolePolicy"] {
        let stage = Stage::new();
        stage.iam.fault(action, Fault::Lost);
        let answer = stage.succeed(&create(&role())).await;
        assert_eq!(answer["PhysicalResourceId"], ROLE_ARN, "{action}");
        assert_eq!(stage.iam.world().roles.len(), 1);
        assert_eq!(stage.iam.world().roles["sagemakerexternal"].attached.len(), 1);
    }
}

/// U02, C13: a role of somebody else stays as it is, through Create and rollback.
#[tokio::test(start_paused = true)]
async fn u02_c13_a_strangers_role_is_left_alone() {
    let stage = Stage::new();
    stage.created(&create(&with(role(), json!({"Tags": [{"Key": "theirs", "Value": "yes"}]})))).await;
    let other = with(create(&role()), json!({"LogicalResourceId": "Another"}));
    let before = stage.iam.world().roles.clone();
    let (reason, id) = stage.fail(&other).await;
    assert!(
        reason.starts_with("RoleName: role arn:aws:iam::111122223333:role/sagemaker-external/SageMakerExternal exists"),
        "{reason}"
    );
    assert_eq!(id, "SageMakerExternal::CreateFailed");
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
    // Even a Delete that named the role would not touch it.
    let answer = stage.succeed(&with(delete(ROLE_ARN, &role()), json!({"LogicalResourceId": "Another"}))).await;
    assert!(answer["Reason"].as_str().is_some_and(|note| note.contains("not made by this resource")), "{answer}");
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
    assert_eq!(stage.iam.world().roles, before);
}

/// U02: a role made by hand from the recipe, at path `/`, outside the provisioner's fence:
/// said so, and nothing more of it is read than that it is there.
#[tokio::test(start_paused = true)]
async fn u02_a_role_made_by_hand_is_named() {
    let stage = Stage::new();
    stage.created(&create(&role())).await;
    {
        let mut world = stage.iam.world();
        let by_hand = world.roles.get_mut("sagemakerexternal").unwrap();
        (by_hand.path, by_hand.tags) = ("/".to_owned(), Default::default());
        world.policies.clear();
    }
    let before = stage.iam.world().roles.clone();
    let (reason, id) = stage.fail(&create(&role())).await;
    assert!(
        reason.starts_with("RoleName: role arn:aws:iam::111122223333:role/SageMakerExternal exists already"),
        "{reason}"
    );
    assert_eq!(id, "SageMakerExternal::CreateFailed");
    assert_eq!(stage.iam.take_calls().iter().filter(|call| call.starts_with("List")).count(), 0);
    assert_eq!(stage.iam.world().roles, before);
}

/// U03: names that differ in case only are one name to IAM.
#[tokio::test(start_paused = true)]
async fn u03_case_is_no_difference() {
    let stage = Stage::new();
    stage.created(&create(&with(role(), json!({"RoleName": "r"})))).await;
    let other = create(&with(role(), json!({"RoleName": "R", "PolicyName": "P"})));
    let (reason, id) = stage.fail(&with(other, json!({"LogicalResourceId": "Another"}))).await;
    assert!(reason.contains("exists already"), "{reason}");
    assert_eq!(id, "SageMakerExternal::CreateFailed");
    assert!(!stage.iam.world().policies.contains_key("p"), "nothing was made");
}

/// U04: the policy's name is taken, at our path or at another.
#[tokio::test(start_paused = true)]
async fn u04_a_taken_policy_name_fails_and_leaves_the_policy() {
    for path in ["/sagemaker-external/", "/"] {
        let stage = Stage::new();
        let theirs = Policy {
            name: "SageMakerExternalInvokeEndpoint".to_owned(),
            path: path.to_owned(),
            id: "ANPATHEIRS".to_owned(),
            versions: [(1, "{}".to_owned())].into(),
            default: 1,
            newest: 1,
            tags: Default::default(),
            users: Vec::new(),
        };
        stage.iam.world().policies.insert("sagemakerexternalinvokeendpoint".to_owned(), theirs.clone());
        let (reason, id) = stage.fail(&create(&role())).await;
        assert!(reason.contains("exists already") || reason.contains("already exists"), "{reason}");
        stage.succeed(&delete(&id, &role())).await;
        let world = stage.iam.world();
        assert!(world.roles.is_empty(), "{path}: the role was not rolled back");
        assert_eq!(world.policies["sagemakerexternalinvokeendpoint"], theirs, "{path}");
    }
}

/// C40: two resources of one stack do not see each other.
#[tokio::test(start_paused = true)]
async fn c40_two_resources_side_by_side() {
    let stage = Stage::new();
    let second = with(role(), json!({"RoleName": "Second", "PolicyName": "SecondPolicy"}));
    let one = stage.created(&create(&role())).await;
    let two = stage.created(&with(create(&second), json!({"LogicalResourceId": "Two"}))).await;
    assert_ne!(one, two);
    stage.succeed(&delete(&one, &role())).await;
    assert_eq!(stage.iam.world().roles.keys().collect::<Vec<_>>(), ["second"]);
    assert_eq!(stage.iam.world().policies.keys().collect::<Vec<_>>(), ["secondpolicy"]);
}

/// U25: a grant past one policy is spread, past ten it is refused before any write.
#[tokio::test(start_paused = true)]
async fn u25_large_grants_are_split_or_refused() {
    let stage = Stage::new();
    let names = |count: u32| -> Vec<String> {
        (0..count).map(|n| format!("an-endpoint-with-a-rather-long-name-{n:04}")).collect()
    };
    stage.succeed(&create(&with(role(), json!({"EndpointNames": names(300)})))).await;
    {
        let world = stage.iam.world();
        assert!((5..=6).contains(&world.policies.len()), "{}", world.policies.len());
        assert!(world.policies.values().all(|policy| policy.versions[&1].len() <= 6144));
        assert_eq!(world.roles["sagemakerexternal"].attached.len(), world.policies.len());
    }
    let stage = Stage::new();
    let (reason, _) = stage.fail(&create(&with(role(), json!({"EndpointNames": names(900)})))).await;
    assert!(reason.starts_with("EndpointNames: the grant would need"), "{reason}");
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
}
