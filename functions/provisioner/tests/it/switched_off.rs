//! The end of a group that the operator of its stack has switched off: CloudFormation sends
//! that Delete after it has said that the update is complete.

use serde_json::{Value, json};

use crate::stage::{GROUP_ARN, OWN_STACK, Stage, create, delete, group, settings, with, writes};

const NAME: &str = "sagemakertester";
const THEIRS: &str = "arn:aws:iam::777788889999:role/sagemaker-external/SageMakerExternal";
const ON: [(&str, &str); 3] =
    [("OWN_GROUP", "true"), ("OWN_GROUP_USER_NAMES", "alice"), ("OWN_GROUP_ROLE_ARNS", THEIRS)];
const OFF: [(&str, &str); 1] = [("OWN_GROUP", "false")];

fn properties() -> Value {
    with(group(), json!({"UserNames": ["alice"]}))
}

fn deletion() -> Value {
    with(delete(GROUP_ARN, &properties()), json!({ "StackId": OWN_STACK }))
}

/// A group of the provisioner's own stack, into which others put bob.
async fn with_a_member_of_others() -> Stage {
    let stage = Stage::with(settings(&ON));
    stage.iam.world().users.extend(["alice", "bob"].map(str::to_owned));
    stage.created(&with(create(&properties()), json!({ "StackId": OWN_STACK }))).await;
    stage.iam.world().groups.get_mut(NAME).unwrap().users.insert("bob".to_owned());
    stage
}

/// U33: the deletion of the stack is refused, and can be tried again.
#[tokio::test(start_paused = true)]
async fn u33_members_of_others_keep_a_group_whose_stack_is_deleted() {
    let stage = with_a_member_of_others().await;
    stage.iam.take_calls();
    let (reason, _) = stage.fail(&deletion()).await;
    assert!(reason.contains("(user bob); take it out first"), "{reason}");
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
}

/// CloudFormation would forget a group whose Delete it sees fail in its clean-up.
#[tokio::test(start_paused = true)]
async fn members_of_others_do_not_keep_a_group_that_is_switched_off() {
    let stage = with_a_member_of_others().await.redeployed(settings(&OFF));
    stage.succeed(&deletion()).await;
    assert!(stage.iam.world().groups.is_empty());
    // A second delivery finds nothing to do.
    stage.succeed(&deletion()).await;
}

/// What others attached stays, with their member; our policy and our member go.
#[tokio::test(start_paused = true)]
async fn policies_of_others_keep_a_switched_off_group_without_our_rights() {
    const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    let stage = with_a_member_of_others().await;
    stage.iam.world().groups.get_mut(NAME).unwrap().attached.insert(READ_ONLY.to_owned());
    let stage = stage.redeployed(settings(&OFF));
    stage.succeed(&deletion()).await;
    let world = stage.iam.world();
    let group = world.groups.get(NAME).unwrap();
    assert!(group.inline.is_empty(), "{:?}", group.inline);
    assert_eq!(group.users.iter().collect::<Vec<_>>(), ["bob"]);
    assert_eq!(group.attached.iter().collect::<Vec<_>>(), [READ_ONLY]);
}

/// Another stack's group is not what the operator switched off.
#[tokio::test(start_paused = true)]
async fn u33_members_of_others_keep_the_group_of_another_stack() {
    let stage = Stage::with(settings(&OFF));
    stage.iam.world().users.extend(["alice", "bob"].map(str::to_owned));
    let id = stage.created(&create(&properties())).await;
    stage.iam.world().groups.get_mut(NAME).unwrap().users.insert("bob".to_owned());
    let (reason, _) = stage.fail(&delete(&id, &properties())).await;
    assert!(reason.contains("user bob"), "{reason}");
}
