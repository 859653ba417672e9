//! Delete of the parent's half.

use serde_json::json;

use crate::iam::Fault;
use crate::stage::{
    GROUP_ARN, POLICY_ARN, ROLE_ARN, Stage, create, delete, group, role, settings, update, with, writes,
};

/// C21, U10, U11, U37: everything that hangs on the role goes before it, in order.
#[tokio::test(start_paused = true)]
async fn u10_u11_u37_order_on_delete() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    stage.created(&update(&id, &role(), &with(role(), json!({"EndpointNames": ["wine"]})))).await;
    {
        let mut world = stage.iam.world();
        let role = world.roles.get_mut("sagemakerexternal").unwrap();
        role.inline.insert("by-hand".to_owned(), "{}".to_owned());
    }
    let answer = stage.succeed(&delete(&id, &role())).await;
    assert_eq!(answer["PhysicalResourceId"], id.as_str(), "C21");
    assert_eq!(
        writes(&stage.iam.take_calls()),
        [
            "DetachRolePolicy SageMakerExternal",
            "DeletePolicyVersion SageMakerExternalInvokeEndpoint",
            "DeletePolicy SageMakerExternalInvokeEndpoint",
            "DeleteRolePolicy SageMakerExternal",
            "DeleteRole SageMakerExternal",
        ]
    );
    let world = stage.iam.world();
    assert!(world.roles.is_empty() && world.policies.is_empty());
}

/// U11: what others attached is named, not detached: the provisioner's permissions end
/// at its own policies.
#[tokio::test(start_paused = true)]
async fn u11_foreign_attachments_are_named() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    let foreign = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    stage.iam.world().roles.get_mut("sagemakerexternal").unwrap().attached.insert(foreign.to_owned());
    let (reason, kept) = stage.fail(&delete(&id, &role())).await;
    assert!(reason.contains(foreign) && kept == id, "{reason}");
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
}

/// C09: the marker of a Create that made nothing: no call at all.
#[tokio::test(start_paused = true)]
async fn c09_the_marker_touches_nothing() {
    let stage = Stage::new();
    stage.created(&create(&role())).await;
    let answer = stage.succeed(&delete("SageMakerExternal::CreateFailed", &role())).await;
    assert_eq!(answer["PhysicalResourceId"], "SageMakerExternal::CreateFailed");
    assert_eq!(stage.iam.take_calls(), [""; 0]);
}

/// C20, C24: gone already, or partly gone: done.
#[tokio::test(start_paused = true)]
async fn c20_what_is_gone_is_deleted() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    stage.succeed(&delete(&id, &role())).await;
    stage.iam.take_calls();
    stage.succeed(&delete(&id, &role())).await;
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
}

/// C20: what others removed or renamed cannot be removed again: done, and said. Under an id
/// that CloudFormation invented there need never have been anything.
#[tokio::test(start_paused = true)]
async fn c20_what_is_not_there_is_said() {
    for (properties, arn) in [(role(), ROLE_ARN), (group(), GROUP_ARN)] {
        let stage = Stage::new();
        let answer = stage.succeed(&delete(arn, &properties)).await;
        let note = format!("left alone: {arn}, which is not there: others removed or renamed it");
        assert_eq!(answer["Reason"], note, "{answer}");
        let answer = stage.succeed(&delete("stack-Resource-1ABC", &properties)).await;
        assert_eq!(answer.get("Reason"), None, "{answer}");
        assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
    }
}

/// U14: gone between the reading and the step: the next step is taken all the same.
#[tokio::test(start_paused = true)]
async fn u14_a_step_on_something_gone_is_done() {
    for action in ["DetachRolePolicy", "DeletePolicyVersion", "DeletePolicy", "DeleteRole"] {
        let stage = Stage::new();
        let id = stage.created(&create(&role())).await;
        stage.created(&update(&id, &role(), &with(role(), json!({"EndpointNames": ["wine"]})))).await;
        // The other's call takes effect, and ours finds nothing.
        match action {
            "DetachRolePolicy" => {
                stage.iam.world().roles.get_mut("sagemakerexternal").unwrap().attached.clear();
                stage.iam.world().roles.get_mut("sagemakerexternal").unwrap().attached.insert(POLICY_ARN.to_owned());
                stage.iam.fault(action, Fault::Refused(404, "NoSuchEntity", "gone"));
                stage.iam.fault("DeletePolicy", Fault::Refused(404, "NoSuchEntity", "gone"));
                stage.iam.fault("DeleteRole", Fault::Refused(404, "NoSuchEntity", "gone"));
            }
            action => stage.iam.fault(action, Fault::Refused(404, "NoSuchEntity", "gone")),
        }
        if action == "DeletePolicyVersion" {
            stage.iam.fault("DeletePolicy", Fault::Refused(404, "NoSuchEntity", "gone"));
        }
        stage.succeed(&delete(&id, &role())).await;
        let calls = stage.iam.take_calls();
        assert!(calls.contains(&format!("{action} {} !NoSuchEntity", named(action))), "{action}: {calls:?}");
        assert!(calls.iter().any(|call| call.starts_with("DeleteRole SageMakerExternal")), "{action}: {calls:?}");
    }
}

fn named(action: &str) -> &'static str {
    if action.contains("RolePolicy") || action == "DeleteRole" {
        "SageMakerExternal"
    } else {
        "SageMakerExternalInvokeEndpoint"
    }
}

/// C11: an id that CloudFormation invented: what is ours by tags is found by name.
#[tokio::test(start_paused = true)]
async fn c11_an_invented_id_finds_only_what_is_ours() {
    let stage = Stage::new();
    stage.created(&create(&role())).await;
    let invented = delete("parent-ExternalRole-1ABCDEFGHIJKL", &role());
    let theirs = with(invented.clone(), json!({"LogicalResourceId": "Another"}));
    stage.succeed(&theirs).await;
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0], "another resource's role stays");
    let answer = stage.succeed(&invented).await;
    assert_eq!(answer["PhysicalResourceId"], "parent-ExternalRole-1ABCDEFGHIJKL");
    let world = stage.iam.world();
    assert!(world.roles.is_empty() && world.policies.is_empty());
}

/// C35: nothing in the properties blocks a Delete.
#[tokio::test(start_paused = true)]
async fn c35_invalid_properties_do_not_block_a_delete() {
    for properties in [
        json!({}),
        json!({"EndpointNames": ["a*"], "Nonsense": 1, "RoleName": "a b", "Path": "x", "PolicyName": ["?"], "MaxSessionDuration": "x"}),
        json!({"RoleName": 7, "Tags": "no"}),
    ] {
        let stage = Stage::new();
        let id = stage.created(&create(&role())).await;
        stage.succeed(&delete(&id, &with(properties, json!({"ServiceToken": crate::stage::FUNCTION})))).await;
        let world = stage.iam.world();
        assert!(world.roles.is_empty() && world.policies.is_empty());
    }
}

/// C37: a Delete without id or properties is answered, and finds its own by name.
#[tokio::test(start_paused = true)]
async fn c37_a_delete_without_id_is_answered() {
    let stage = Stage::new();
    stage.created(&create(&role())).await;
    let bare = with(delete("x", &role()), json!({"PhysicalResourceId": null, "ResourceProperties": null}));
    let answer = stage.succeed(&bare).await;
    assert_eq!(answer["PhysicalResourceId"], "SageMakerExternal::MissingPhysicalResourceId");
    assert!(stage.iam.world().roles.is_empty());
}

/// U09: a stranger hangs on the policy: named, and nothing is touched.
#[tokio::test(start_paused = true)]
async fn u09_a_policy_in_use_elsewhere_is_named() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    stage
        .created(&with(
            create(&with(role(), json!({"RoleName": "Theirs", "PolicyName": "P"}))),
            json!({"LogicalResourceId": "O"}),
        ))
        .await;
    {
        let mut world = stage.iam.world();
        world.roles.get_mut("theirs").unwrap().attached.insert(POLICY_ARN.to_owned());
        world.policies.get_mut("sagemakerexternalinvokeendpoint").unwrap().users.push("alice".to_owned());
    }
    let (reason, kept) = stage.fail(&delete(&id, &role())).await;
    assert!(reason.contains("role Theirs") && reason.contains("user alice"), "{reason}");
    assert_eq!(kept, id);
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
    {
        let mut world = stage.iam.world();
        world.roles.get_mut("theirs").unwrap().attached.remove(POLICY_ARN);
        world.policies.get_mut("sagemakerexternalinvokeendpoint").unwrap().users.clear();
    }
    stage.succeed(&delete(&id, &role())).await;
    assert_eq!(stage.iam.world().roles.keys().collect::<Vec<_>>(), ["theirs"]);
}

/// U12: a role in an instance profile is not taken out of it.
#[tokio::test(start_paused = true)]
async fn u12_an_instance_profile_is_named() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    stage.iam.world().roles.get_mut("sagemakerexternal").unwrap().profiles = vec!["web".to_owned()];
    let (reason, _) = stage.fail(&delete(&id, &role())).await;
    assert!(reason.contains("instance profiles (web)"), "{reason}");
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
}

/// Damage by hand: the role gone, the policy detached: the rest is still found.
#[tokio::test(start_paused = true)]
async fn delete_after_manual_damage() {
    let damage: [fn(&mut crate::iam::World); 3] = [
        |world| world.roles.clear(),
        |world| world.roles.values_mut().for_each(|role| role.attached.clear()),
        |world| {
            world.roles.values_mut().for_each(|role| role.attached.clear());
            world.policies.clear();
        },
    ];
    for hand in damage {
        let stage = Stage::new();
        let id = stage.created(&create(&role())).await;
        hand(&mut stage.iam.world());
        stage.succeed(&delete(&id, &role())).await;
        let world = stage.iam.world();
        assert!(world.roles.is_empty() && world.policies.is_empty());
    }
}

/// A grant over several policies goes whole, and from the last, so that an
/// interrupted Delete finds the rest.
#[tokio::test(start_paused = true)]
async fn a_split_grant_is_deleted_whole() {
    let names: Vec<String> = (0..300).map(|n| format!("an-endpoint-with-a-rather-long-name-{n:04}")).collect();
    let properties = with(role(), json!({"EndpointNames": names}));
    let stage = Stage::new();
    let id = stage.created(&create(&properties)).await;
    stage.iam.fault("DeletePolicy", Fault::Refused(400, "Throttling", "Rate exceeded"));
    let (reason, kept) = stage.fail(&delete(&id, &properties)).await;
    assert!(reason.starts_with("DeletePolicy") && kept == id, "{reason}");
    assert!(stage.iam.world().policies.len() > 1);
    stage.succeed(&delete(&id, &properties)).await;
    let world = stage.iam.world();
    assert!(world.roles.is_empty() && world.policies.is_empty());
}

/// C12, C16: after a replacement a grant's policies may have any numbers: an interrupted
/// Delete, or a role that is gone, leaves none of them behind.
#[tokio::test(start_paused = true)]
async fn c16_policies_of_any_number_are_found() {
    let names = |prefix: &str| -> Vec<String> {
        (0..300).map(|n| format!("{prefix}-endpoint-with-a-rather-long-name-{n:04}")).collect()
    };
    let old = with(role(), json!({"EndpointNames": names("a")}));
    let new = with(role(), json!({"EndpointNames": names("b"), "RoleName": "New"}));
    let stage = Stage::new();
    let first = stage.created(&create(&old)).await;
    let id = stage.created(&update(&first, &old, &new)).await;
    stage.succeed(&delete(&first, &old)).await;
    let world = stage.iam.world().clone();
    let numbers: Vec<&String> = world.policies.keys().collect();
    assert!(numbers.iter().all(|name| !name.ends_with("endpoint") && !name.ends_with("-2")), "{numbers:?}");
    for damage in ["role gone", "policies detached", "throttled", "killed"] {
        let stage = Stage::new();
        *stage.iam.world() = world.clone();
        match damage {
            "role gone" => stage.iam.world().roles.clear(),
            "policies detached" => stage.iam.world().roles.get_mut("new").unwrap().attached.clear(),
            "throttled" => {
                stage.iam.fault("DeletePolicy", Fault::Refused(400, "Throttling", "Rate exceeded"));
                stage.fail(&delete(&id, &new)).await;
            }
            _ => {
                stage.iam.fault("DeletePolicy", Fault::Killed { after: true });
                assert_eq!(stage.try_send(&delete(&id, &new)).await, None);
            }
        }
        stage.succeed(&delete(&id, &new)).await;
        let world = stage.iam.world();
        assert!(world.roles.is_empty() && world.policies.is_empty(), "{damage}: {:?}", world.policies.keys());
    }
}

/// U15, U16: the trust that an adopted role was found with names a principal that is gone:
/// the role is given back all the same, closed, and that is said. One that only lags is waited
/// for.
#[tokio::test(start_paused = true)]
async fn u15_a_lost_trust_does_not_block_the_give_back() {
    let caller = "arn:aws:iam::444455556666:role/Caller";
    for (tries, lost) in [(3, false), (usize::MAX, true)] {
        let stage = Stage::with(settings(&[("ADOPT_ARNS", &[ROLE_ARN, POLICY_ARN].join(","))]));
        let theirs = with(role(), json!({"TrustedPrincipalArns": [caller], "TrustedAccountIds": []}));
        stage.created(&create(&theirs)).await;
        {
            let mut world = stage.iam.world();
            world.roles.get_mut("sagemakerexternal").unwrap().tags.clear();
            world.policies.get_mut("sagemakerexternalinvokeendpoint").unwrap().tags.clear();
        }
        let found = stage.iam.world().roles["sagemakerexternal"].clone();
        let adopting = with(role(), json!({"OnExisting": "Adopt"}));
        let id = stage.created(&create(&adopting)).await;
        stage.iam.world().unknown_principals.insert(caller.to_owned(), tries);
        let start = tokio::time::Instant::now();
        let answer = stage.succeed(&delete(&id, &adopting)).await;
        assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
        let left = stage.iam.world().roles["sagemakerexternal"].clone();
        assert_eq!(left.tags, found.tags);
        if lost {
            let reason = answer["Reason"].as_str().unwrap_or_default();
            assert!(reason.contains("nobody can assume"), "{reason}");
            assert!(left.trust.contains("Deny") && !left.trust.contains("Allow"), "{}", left.trust);
        } else {
            assert_eq!(left, found);
        }
    }
}
