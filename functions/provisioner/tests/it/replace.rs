//! Replacement: an Update that names another role.

use serde_json::{Value, json};

use crate::iam::{Fault, Role};
use crate::stage::{ROLE_ARN, Stage, create, delete, role, settings, update, with, writes};

const NEW_ARN: &str = "arn:aws:iam::111122223333:role/sagemaker-external/New";

fn new() -> Value {
    with(role(), json!({"RoleName": "New"}))
}

/// C15, C16: the new role first, the old one untouched until its own Delete, which
/// leaves the policy that both share.
#[tokio::test(start_paused = true)]
async fn c15_c16_replacement_and_its_cleanup() {
    let stage = Stage::new();
    let old_id = stage.created(&create(&role())).await;
    let before = stage.iam.world().roles["sagemakerexternal"].clone();
    let answer = stage.succeed(&update(&old_id, &role(), &new())).await;
    assert_eq!(answer["PhysicalResourceId"], NEW_ARN);
    assert_eq!(writes(&stage.iam.take_calls()), ["CreateRole New", "AttachRolePolicy New"]);
    assert_eq!(stage.iam.world().roles["sagemakerexternal"], before, "C15: the old one is not touched");

    let answer = stage.succeed(&delete(&old_id, &role())).await;
    assert_eq!(answer["PhysicalResourceId"], ROLE_ARN, "C21");
    assert_eq!(writes(&stage.iam.take_calls()), ["DetachRolePolicy SageMakerExternal", "DeleteRole SageMakerExternal"]);
    let world = stage.iam.world();
    assert_eq!(world.roles.keys().collect::<Vec<_>>(), ["new"]);
    assert_eq!(world.roles["new"].attached.len(), 1, "C16: the live one keeps its policy");
    assert_eq!(world.policies.len(), 1);
}

/// C15, U37: rights that change with the name get a policy of their own: the old role
/// neither gains by them nor loses its own until it is deleted.
#[tokio::test(start_paused = true)]
async fn c15_u37_a_policy_that_the_old_role_lives_on_is_not_changed() {
    let stage = Stage::new();
    let old_id = stage.created(&create(&role())).await;
    let new = with(new(), json!({"EndpointNames": ["iris", "wine"]}));
    let before = stage.iam.world().clone();
    stage.succeed(&update(&old_id, &role(), &new)).await;
    assert_eq!(
        writes(&stage.iam.take_calls()),
        [
            "CreateRole New",
            "CreatePolicy SageMakerExternalInvokeEndpoint-2",
            "AttachRolePolicy New",
            "AttachRolePolicy New",
        ],
        "the first policy is shared as it is, the second has what comes on top"
    );
    assert_eq!(stage.iam.world().roles["sagemakerexternal"], before.roles["sagemakerexternal"]);
    // The rollback: the old one is as it was, the new one goes with its policy.
    let answer = stage.succeed(&update(NEW_ARN, &new, &role())).await;
    assert_eq!(answer["PhysicalResourceId"], ROLE_ARN);
    stage.succeed(&delete(NEW_ARN, &new)).await;
    assert_eq!(stage.iam.world().roles, before.roles);
    assert_eq!(stage.iam.world().policies.keys().collect::<Vec<_>>(), ["sagemakerexternalinvokeendpoint"]);
}

/// C19: without a rollback, the number that the policy has got stays: an Update with
/// nothing to do writes nothing, and a Delete finds it, even with the role gone.
#[tokio::test(start_paused = true)]
async fn c19_after_a_replacement_nothing_is_numbered_anew() {
    for damaged in [false, true] {
        let stage = Stage::new();
        let old_id = stage.created(&create(&role())).await;
        let wish = with(new(), json!({"EndpointNames": ["wine"]}));
        stage.created(&update(&old_id, &role(), &wish)).await;
        stage.created(&delete(&old_id, &role())).await;
        assert_eq!(stage.iam.world().policies.keys().collect::<Vec<_>>(), ["sagemakerexternalinvokeendpoint-2"]);
        stage.succeed(&update(NEW_ARN, &wish, &wish)).await;
        assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
        if damaged {
            stage.iam.world().roles.clear();
        }
        stage.succeed(&delete(NEW_ARN, &wish)).await;
        assert!(stage.iam.world().roles.is_empty() && stage.iam.world().policies.is_empty());
    }
}

/// C16: with a policy of its own each, the old one's goes with it.
#[tokio::test(start_paused = true)]
async fn c16_policies_of_the_old_role_go_with_it() {
    let stage = Stage::new();
    let old_id = stage.created(&create(&role())).await;
    let new = with(new(), json!({"PolicyName": "NewPolicy", "Path": "/sagemaker-external/x/"}));
    let answer = stage.succeed(&update(&old_id, &role(), &new)).await;
    let new_id = answer["PhysicalResourceId"].as_str().unwrap().to_owned();
    assert_eq!(stage.iam.world().policies.len(), 2, "C15: both until the old one is deleted");
    stage.succeed(&delete(&old_id, &role())).await;
    assert_eq!(stage.iam.world().policies.keys().collect::<Vec<_>>(), ["newpolicy"]);
    stage.succeed(&delete(&new_id, &new)).await;
    assert!(stage.iam.world().roles.is_empty() && stage.iam.world().policies.is_empty());
}

/// C17, C18: a replacement that fails takes back what it made, keeps the id, and the
/// rollback finds the old role whole.
#[tokio::test(start_paused = true)]
async fn c17_c18_a_failed_replacement_leaves_no_orphan() {
    let wish = with(new(), json!({"EndpointNames": ["wine"]}));
    for action in ["CreateRole", "CreatePolicy", "AttachRolePolicy"] {
        let stage = Stage::new();
        let id = stage.created(&create(&role())).await;
        let before = stage.iam.world().roles.clone();
        stage.iam.fault(action, Fault::Refused(400, "ValidationError", "no"));
        let (_, kept) = stage.fail(&update(&id, &role(), &wish)).await;
        assert_eq!(kept, id, "{action}");
        assert_eq!(stage.iam.world().roles, before, "{action}: the live role has lost nothing");
        assert_eq!(stage.iam.world().policies.len(), 1, "{action}");
        stage.succeed(&update(&id, &wish, &role())).await;
        let world = stage.iam.world();
        assert_eq!(world.roles["sagemakerexternal"].attached.len(), 1, "{action}");
        let policy = &world.policies["sagemakerexternalinvokeendpoint"];
        assert!(policy.versions[&policy.default].contains("endpoint/iris"), "{action}");
    }
}

/// C18: where the function could not clean up (here: the clean-up fails too), the
/// rollback Update removes the half-made role that only the old properties name.
#[tokio::test(start_paused = true)]
async fn c18_the_rollback_removes_what_a_lost_update_made() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    stage.iam.fault("AttachRolePolicy", Fault::Refused(400, "ValidationError", "no"));
    stage.iam.fault("DeleteRole", Fault::Refused(400, "ValidationError", "no"));
    stage.fail(&update(&id, &role(), &new())).await;
    assert_eq!(stage.iam.world().roles.len(), 2, "the new role could not be removed");
    stage.succeed(&update(&id, &new(), &role())).await;
    assert_eq!(stage.iam.world().roles.keys().collect::<Vec<_>>(), ["sagemakerexternal"]);
}

/// C18: where that clean-up fails in the rollback too, the rollback is not done: no later
/// event names the half-made role.
#[tokio::test(start_paused = true)]
async fn c18_a_rollback_that_cannot_clean_up_is_tried_again() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    stage.iam.fault("CreateRole", Fault::HangsAfter);
    stage.fail(&update(&id, &role(), &new())).await;
    stage.iam.fault("DeleteRole", Fault::Refused(400, "Throttling", "Rate exceeded"));
    let (reason, kept) = stage.fail(&update(&id, &new(), &role())).await;
    assert!(reason.starts_with("DeleteRole New failed") && kept == id, "{reason}");
    stage.succeed(&update(&id, &new(), &role())).await;
    assert_eq!(stage.iam.world().roles.keys().collect::<Vec<_>>(), ["sagemakerexternal"]);
}

/// U03, C18: a name that changes its case only is refused, and the rollback does not take
/// the live role for what the refused wish has made.
#[tokio::test]
async fn u03_c18_a_name_that_changes_its_case_only() {
    let (lower, upper) = (with(role(), json!({"RoleName": "a"})), with(role(), json!({"RoleName": "A"})));
    let stage = Stage::new();
    let id = stage.created(&create(&lower)).await;
    let before = stage.iam.world().clone();
    let (reason, kept) = stage.fail(&update(&id, &lower, &upper)).await;
    assert!(reason.starts_with("RoleName: A differs from the existing a in case only") && kept == id, "{reason}");
    stage.succeed(&update(&id, &upper, &lower)).await;
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
    let world = stage.iam.world();
    assert_eq!((&world.roles, &world.policies), (&before.roles, &before.policies));
}

/// C18: names of policies are unique whatever their path: a role that lives on the second
/// number of its policy keeps it while the first one stands elsewhere.
#[tokio::test]
async fn c18_a_rollback_over_a_policy_name_that_moved() {
    let stage = Stage::new();
    let first = stage.created(&create(&role())).await;
    let second = with(new(), json!({"EndpointNames": ["wine"]}));
    let id = stage.created(&update(&first, &role(), &second)).await;
    stage.succeed(&delete(&first, &role())).await;
    let before = stage.iam.world().roles.clone();
    let third = with(role(), json!({"EndpointNames": ["wine"], "Path": "/sagemaker-external/x/"}));
    let moved = stage.created(&update(&id, &second, &third)).await;
    // Another resource of the stack fails: back to the second.
    let answer = stage.succeed(&update(&moved, &third, &second)).await;
    assert_eq!(answer["PhysicalResourceId"], id.as_str());
    stage.succeed(&delete(&moved, &third)).await;
    assert_eq!(stage.iam.world().roles, before);
    assert_eq!(stage.iam.world().policies.len(), 1);
}

/// C13 for a replacement: the new name belongs to someone else.
#[tokio::test(start_paused = true)]
async fn c13_a_replacement_does_not_take_a_strangers_role() {
    let stage = Stage::new();
    stage
        .created(&with(create(&with(new(), json!({"PolicyName": "Theirs"}))), json!({"LogicalResourceId": "Other"})))
        .await;
    let id = stage.created(&create(&role())).await;
    let before = stage.iam.world().roles.clone();
    let (reason, kept) = stage.fail(&update(&id, &role(), &new())).await;
    assert!(reason.contains("exists already and was made by another resource"), "{reason}");
    assert_eq!(kept, id);
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
    stage.succeed(&update(&id, &new(), &role())).await;
    assert_eq!(stage.iam.world().roles, before);
}

/// C18: a rollback that fails itself does not take the old, live role with it.
#[tokio::test(start_paused = true)]
async fn c18_a_failing_rollback_keeps_the_old_role() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    stage.created(&update(&id, &role(), &new())).await;
    stage.iam.world().roles.get_mut("sagemakerexternal").unwrap().max_session = "7200".to_owned();
    stage.iam.fault("UpdateRole", Fault::Refused(400, "Throttling", "Rate exceeded"));
    let (_, kept) = stage.fail(&update(NEW_ARN, &new(), &role())).await;
    assert_eq!(kept, NEW_ARN);
    assert_eq!(stage.iam.world().roles.len(), 2, "both are as they were");
    assert_eq!(stage.iam.world().roles["sagemakerexternal"].attached.len(), 1);
}

/// `OnDelete: Remove` is about a Delete: what a failed replacement had adopted is given
/// back, by the Update itself or by its rollback.
#[tokio::test(start_paused = true)]
async fn c18_a_failed_replacement_gives_back_what_it_adopted() {
    for undone_at_once in [true, false] {
        let hand = "arn:aws:iam::111122223333:role/sagemaker-external/Hand";
        let stage = Stage::with(settings(&[("ADOPT_ARNS", hand)]));
        let mine = with(role(), json!({"RoleName": "Mine", "PolicyName": "MineToo"}));
        let id = stage.created(&create(&mine)).await;
        {
            let mut world = stage.iam.world();
            let hand =
                Role { name: "Hand".to_owned(), tags: [].into(), attached: [].into(), ..world.roles["mine"].clone() };
            world.roles.insert("hand".to_owned(), hand);
        }
        let before = stage.iam.world().roles.clone();
        let hand = json!({"RoleName": "Hand", "PolicyName": "HandToo", "OnExisting": "Adopt", "OnDelete": "Remove",
                          "MaxSessionDuration": "7200"});
        let hand = with(role(), hand);
        stage.iam.fault("UpdateRole", Fault::Refused(400, "Throttling", "Rate exceeded"));
        if !undone_at_once {
            stage.iam.fault("UntagRole", Fault::Refused(400, "Throttling", "Rate exceeded"));
        }
        stage.fail(&update(&id, &mine, &hand)).await;
        assert_eq!(stage.iam.world().roles == before, undone_at_once);
        stage.succeed(&update(&id, &hand, &mine)).await;
        assert_eq!(stage.iam.world().roles, before);
        assert_eq!(stage.iam.world().policies.keys().collect::<Vec<_>>(), ["minetoo"]);
    }
}
