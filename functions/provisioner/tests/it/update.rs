//! Update in place.

use serde_json::json;

use crate::iam::{Fault, json as document};
use crate::stage::{POLICY_ARN, ROLE_ARN, Stage, create, delete, role, update, with, writes};

/// C14: the same identity, the same id; only the difference is written.
#[tokio::test(start_paused = true)]
async fn c14_an_added_endpoint_is_one_new_version() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    let more = with(role(), json!({"EndpointNames": ["iris", "wine"]}));
    let answer = stage.succeed(&update(&id, &role(), &more)).await;
    assert_eq!(answer["PhysicalResourceId"], ROLE_ARN);
    assert_eq!(writes(&stage.iam.take_calls()), ["CreatePolicyVersion SageMakerExternalInvokeEndpoint"]);
    let world = stage.iam.world();
    let policy = &world.policies["sagemakerexternalinvokeendpoint"];
    assert!(policy.versions[&policy.default].contains("endpoint/wine"));
}

/// C19, U06: nothing of substance changed, so nothing is written.
#[tokio::test(start_paused = true)]
async fn c19_u06_an_unchanged_wish_writes_nothing() {
    let stage = Stage::new();
    let old = with(role(), json!({"EndpointNames": ["a", "b"], "Tags": [{"Key": "t", "Value": "1"}]}));
    let id = stage.created(&create(&old)).await;
    let new = with(old.clone(), json!({"EndpointNames": ["b", "a", "b"], "ServiceTimeout": "151"}));
    let answer = stage.succeed(&update(&id, &old, &new)).await;
    assert_eq!(answer["PhysicalResourceId"], ROLE_ARN);
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
    assert_eq!(answer["Data"]["PolicyArns"], POLICY_ARN, "attributes are whole all the same");
}

/// C38: what counts is what IAM holds, not what the old properties say.
#[tokio::test(start_paused = true)]
async fn c38_drift_is_put_back_though_old_equals_new() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    {
        let mut world = stage.iam.world();
        let role = world.roles.get_mut("sagemakerexternal").unwrap();
        role.trust = role.trust.replace("444455556666", "999999999999");
        role.boundary = None;
        role.max_session = "7200".to_owned();
        role.attached.clear();
        role.tags.insert("added".to_owned(), "by hand".to_owned());
        let policy = world.policies.get_mut("sagemakerexternalinvokeendpoint").unwrap();
        policy.versions.insert(1, policy.versions[&1].replace("endpoint/iris", "endpoint/*"));
    }
    stage.succeed(&update(&id, &role(), &role())).await;
    let calls = stage.iam.take_calls();
    assert_eq!(
        writes(&calls),
        [
            "UpdateRole SageMakerExternal",
            "PutRolePermissionsBoundary SageMakerExternal",
            "UpdateAssumeRolePolicy SageMakerExternal",
            "UpdateAssumeRolePolicy SageMakerExternal",
            "CreatePolicyVersion SageMakerExternalInvokeEndpoint",
            "AttachRolePolicy SageMakerExternal",
        ],
        "the trust and the permissions had nothing in common: whoever is new is tried, and rights come back last"
    );
    assert_eq!(stage.iam.world().roles["sagemakerexternal"].tags["added"], "by hand", "others' tags stay");
}

/// U05, U07: five versions exist: the oldest that is not the default goes first.
#[tokio::test(start_paused = true)]
async fn u05_u07_room_is_made_for_a_sixth_version() {
    let stage = Stage::new();
    let mut old = role();
    let id = stage.created(&create(&old)).await;
    for n in 0..4 {
        let new = with(role(), json!({"EndpointNames": ["iris", format!("e{n}")]}));
        stage.succeed(&update(&id, &old, &new)).await;
        old = new;
    }
    {
        // Someone made the oldest version the default: it cannot be deleted.
        let mut world = stage.iam.world();
        let policy = world.policies.get_mut("sagemakerexternalinvokeendpoint").unwrap();
        assert_eq!(policy.versions.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        policy.default = 1;
    }
    stage.iam.take_calls();
    stage.succeed(&update(&id, &old, &with(role(), json!({"EndpointNames": ["iris", "e9"]})))).await;
    assert_eq!(
        writes(&stage.iam.take_calls()),
        ["DeletePolicyVersion SageMakerExternalInvokeEndpoint", "CreatePolicyVersion SageMakerExternalInvokeEndpoint"]
    );
    let world = stage.iam.world();
    let policy = &world.policies["sagemakerexternalinvokeendpoint"];
    assert_eq!(policy.versions.keys().copied().collect::<Vec<_>>(), [1, 3, 4, 5, 6]);
    assert_eq!(policy.default, 6);
}

/// S04: a trust of an earlier release, which lets sessions carry any tag, is written anew
/// by the next Update, once, also where the rights change with it.
#[tokio::test(start_paused = true)]
async fn s04_a_trust_of_any_tag_is_narrowed_once() {
    let old = with(role(), json!({"CallerAttribution": "true"}));
    let wine = with(old.clone(), json!({"EndpointNames": ["wine"]}));
    for new in [&old, &wine] {
        let stage = Stage::new();
        let id = stage.created(&create(&old)).await;
        let trust = |stage: &Stage| document(&stage.iam.world().roles["sagemakerexternal"].trust);
        let narrow = trust(&stage);
        {
            let mut wide = narrow.clone();
            wide["Statement"][1].as_object_mut().unwrap().remove("Condition");
            stage.iam.world().roles.get_mut("sagemakerexternal").unwrap().trust = wide.to_string();
        }
        stage.succeed(&update(&id, &old, new)).await;
        let calls = stage.iam.take_calls();
        let writes = writes(&calls);
        assert_eq!(writes.first(), Some(&"UpdateAssumeRolePolicy SageMakerExternal"), "{writes:?}");
        assert_eq!(trust(&stage), narrow);
        stage.succeed(&update(&id, new, new)).await;
        let calls = stage.iam.take_calls();
        assert_eq!(crate::stage::writes(&calls), [""; 0]);
    }
}

/// U36: an attachment that exists is not made again, and making it twice is no error.
#[tokio::test(start_paused = true)]
async fn u36_attaching_twice_is_fine() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    stage.iam.world().roles.get_mut("sagemakerexternal").unwrap().attached.clear();
    stage.iam.fault("AttachRolePolicy", Fault::Lost);
    stage.succeed(&update(&id, &role(), &role())).await;
    assert_eq!(
        writes(&stage.iam.take_calls()),
        ["AttachRolePolicy SageMakerExternal !ServiceFailure"],
        "after the lost answer the attachment is seen, not repeated"
    );
    let client = stage.iam.client();
    for _ in 0..2 {
        client.attach_role_policy().role_name("SageMakerExternal").policy_arn(POLICY_ARN).send().await.unwrap();
    }
}

/// U37: narrowing trust goes before wider permissions, widening trust after them. Whoever is
/// new is named without effect before all else.
#[tokio::test(start_paused = true)]
async fn u37_order_on_update() {
    let accounts =
        |ids: &[&str], endpoint: &str| with(role(), json!({"TrustedAccountIds": ids, "EndpointNames": [endpoint]}));
    let (a, b) = ("444455556666", "777788889999");
    let (trust, version) =
        ("UpdateAssumeRolePolicy SageMakerExternal", "CreatePolicyVersion SageMakerExternalInvokeEndpoint");
    let (detach, attach) = ("DetachRolePolicy SageMakerExternal", "AttachRolePolicy SageMakerExternal");
    for (old, new, wanted) in [
        (accounts(&[a, b], "x"), accounts(&[a], "y"), vec![trust, version]),
        (accounts(&[a], "x"), accounts(&[a, b], "y"), vec![trust, version, trust]),
        (accounts(&[a, b], "x"), accounts(&[b, "123456789012"], "y"), vec![trust, version, trust]),
        // Nothing in common: without rights in between.
        (accounts(&[a], "x"), accounts(&[b], "y"), vec![trust, detach, trust, version, attach]),
        (
            accounts(&[a], "x"),
            with(accounts(&[a], "y"), json!({"ExternalId": "another"})),
            vec![detach, trust, version, attach],
        ),
        // Only one of the two changes: one step.
        (accounts(&[a], "x"), accounts(&[b], "x"), vec![trust]),
        (accounts(&[a], "x"), accounts(&[a], "y"), vec![version]),
    ] {
        let stage = Stage::new();
        let id = stage.created(&create(&old)).await;
        stage.succeed(&update(&id, &old, &new)).await;
        assert_eq!(writes(&stage.iam.take_calls()), wanted, "{old} -> {new}");
    }
}

/// C17: a failed Update keeps the id; C18: the rollback restores what was.
#[tokio::test(start_paused = true)]
async fn c17_c18_a_failed_update_is_rolled_back() {
    let new = with(
        role(),
        json!({"EndpointNames": ["wine"], "TrustedAccountIds": ["777788889999"], "MaxSessionDuration": "7200"}),
    );
    for action in
        ["DetachRolePolicy", "UpdateAssumeRolePolicy", "CreatePolicyVersion", "AttachRolePolicy", "UpdateRole"]
    {
        let stage = Stage::new();
        let id = stage.created(&create(&role())).await;
        let before = stage.iam.world().roles.clone();
        stage.iam.fault(action, Fault::Refused(400, "ValidationError", "no"));
        let (reason, kept) = stage.fail(&update(&id, &role(), &new)).await;
        assert!(reason.starts_with(action), "{reason}");
        assert_eq!(kept, id);
        let answer = stage.succeed(&update(&id, &new, &role())).await;
        assert_eq!(answer["PhysicalResourceId"], id.as_str());
        let world = stage.iam.world();
        assert_eq!(world.roles, before, "{action}");
        let policy = &world.policies["sagemakerexternalinvokeendpoint"];
        assert!(document(&policy.versions[&policy.default]).to_string().contains("endpoint/iris"), "{action}");
    }
}

/// C17: an invalid wish changes nothing and keeps the id.
#[tokio::test(start_paused = true)]
async fn c17_an_invalid_update_keeps_the_id_and_calls_nothing() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    let (reason, kept) = stage.fail(&update(&id, &role(), &with(role(), json!({"MaxSessionDuration": "1"})))).await;
    assert!(reason.starts_with("MaxSessionDuration"), "{reason}");
    assert_eq!(kept, id);
    assert_eq!(stage.iam.take_calls(), [""; 0]);
}

/// Tags that the wish no longer has go; others' stay.
#[tokio::test(start_paused = true)]
async fn tags_follow_the_wish() {
    let stage = Stage::new();
    let tagged = |key: &str| with(role(), json!({"Tags": [{"Key": key, "Value": "1"}]}));
    let id = stage.created(&create(&tagged("a"))).await;
    stage.succeed(&update(&id, &tagged("a"), &tagged("b"))).await;
    assert_eq!(
        writes(&stage.iam.take_calls()),
        [
            "TagRole SageMakerExternal",
            "UntagRole SageMakerExternal",
            "TagPolicy SageMakerExternalInvokeEndpoint",
            "UntagPolicy SageMakerExternalInvokeEndpoint",
        ]
    );
    let world = stage.iam.world();
    assert!(!world.roles["sagemakerexternal"].tags.contains_key("a"));
    assert_eq!(world.roles["sagemakerexternal"].tags["b"], "1");
}

/// A new PolicyName is served in place: made and attached before the old one goes.
#[tokio::test(start_paused = true)]
async fn a_new_policy_name_swaps_the_policy_without_a_gap() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    let new = with(role(), json!({"PolicyName": "New"}));
    let answer = stage.succeed(&update(&id, &role(), &new)).await;
    assert_eq!(answer["PhysicalResourceId"], id.as_str());
    assert_eq!(
        writes(&stage.iam.take_calls()),
        [
            "CreatePolicy New",
            "AttachRolePolicy SageMakerExternal",
            "DetachRolePolicy SageMakerExternal",
            "DeletePolicy SageMakerExternalInvokeEndpoint",
        ]
    );
    assert_eq!(stage.iam.world().policies.keys().collect::<Vec<_>>(), ["new"]);
}

/// A name cannot move to another path by itself: said before anything is changed.
#[tokio::test(start_paused = true)]
async fn a_new_path_needs_a_new_name() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    let (reason, kept) =
        stage.fail(&update(&id, &role(), &with(role(), json!({"Path": "/sagemaker-external/x/"})))).await;
    assert!(reason.starts_with("Path: role") && reason.contains("change RoleName too"), "{reason}");
    assert_eq!(kept, id);
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
}

/// C14, C18: a policy under a new name that could not be attached is removed at once: where
/// the rollback cannot run, no later event knows that name.
#[tokio::test(start_paused = true)]
async fn c14_a_policy_made_in_vain_is_removed() {
    for fault in [
        Fault::Refused(400, "Throttling", "Rate exceeded"),
        Fault::Refused(409, "LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10"),
    ] {
        let stage = Stage::new();
        let id = stage.created(&create(&role())).await;
        let before = stage.iam.world().policies.clone();
        let new = with(role(), json!({"PolicyName": "New"}));
        stage.iam.fault("AttachRolePolicy", fault);
        let (reason, _) = stage.fail(&update(&id, &role(), &new)).await;
        assert!(reason.starts_with("AttachRolePolicy"), "{reason}");
        assert_eq!(
            writes(&stage.iam.take_calls()).first_chunk().map(|[made, _, gone]| (*made, *gone)),
            Some(("CreatePolicy New", "DeletePolicy New"))
        );
        assert_eq!(stage.iam.world().policies, before);
        stage.iam.fault("GetRole", Fault::Refused(400, "Throttling", "Rate exceeded"));
        stage.fail(&update(&id, &new, &role())).await;
        stage.succeed(&delete(&id, &role())).await;
        assert!(stage.iam.world().policies.is_empty());
    }
    // One that is attached, or was there before, stays.
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    let new = with(role(), json!({"PolicyName": "New"}));
    stage.iam.fault("DetachRolePolicy", Fault::Refused(400, "Throttling", "Rate exceeded"));
    stage.fail(&update(&id, &role(), &new)).await;
    stage.iam.world().roles.get_mut("sagemakerexternal").unwrap().attached.clear();
    stage.iam.fault("AttachRolePolicy", Fault::Refused(400, "Throttling", "Rate exceeded"));
    stage.fail(&update(&id, &new, &role())).await;
    assert_eq!(stage.iam.world().policies.len(), 2);
}

/// The names of managed policies differ in more than case: a new PolicyName that does not is
/// refused before anything is written, and the policy stays.
#[tokio::test(start_paused = true)]
async fn a_policy_name_in_other_case_is_refused() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    let before = format!("{:?}", stage.iam.world().policies);
    let new = with(role(), json!({"PolicyName": "sagemakerexternalInvokeEndpoint"}));
    let ([reason, code], _) = stage.failure(&update(&id, &role(), &new)).await;
    assert_eq!(code, "PlanRefused");
    assert!(
        reason.starts_with("PolicyName: sagemakerexternalInvokeEndpoint differs from the existing SageM"),
        "{reason}"
    );
    stage.succeed(&update(&id, &new, &role())).await;
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
    assert_eq!(format!("{:?}", stage.iam.world().policies), before);
}
