//! The child's half.

use serde_json::{Value, json};

use crate::iam::{Fault, Group, json as document};
use crate::stage::{GROUP_ARN, Stage, create, delete, group, settings, update, with, writes};

const ROLE: &str = "arn:aws:iam::777788889999:role/sagemaker-external/SageMakerExternal";

fn stage() -> Stage {
    let stage = Stage::new();
    stage.iam.world().users.extend(["alice", "bob", "carol", "dave"].map(str::to_owned));
    stage
}

fn users(names: &[&str]) -> Value {
    with(group(), json!({ "UserNames": names }))
}

fn by_hand(inline: &[(&str, &str)], members: &[&str]) -> Group {
    Group {
        name: "SagemakerTester".to_owned(),
        path: "/sagemaker-external/".to_owned(),
        id: "AGPAHAND".to_owned(),
        users: members.iter().map(|&name| name.to_owned()).collect(),
        inline: inline.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect(),
        attached: Default::default(),
    }
}

/// C01, U37: the recipe's group, its policy, then its members.
#[tokio::test(start_paused = true)]
async fn c01_create_makes_the_recipes_group() {
    let stage = stage();
    let answer = stage.succeed(&create(&users(&["alice", "bob", "carol"]))).await;
    assert_eq!(answer["PhysicalResourceId"], GROUP_ARN);
    assert_eq!(answer["Data"], json!({"GroupName": "SagemakerTester", "GroupArn": GROUP_ARN, "Plan": "carried out"}));
    assert_eq!(answer["NoEcho"], false);
    assert_eq!(
        writes(&stage.iam.take_calls()),
        [
            "CreateGroup SagemakerTester",
            "PutGroupPolicy AssumeSageMakerExternal",
            "AddUserToGroup SagemakerTester",
            "AddUserToGroup SagemakerTester",
            "AddUserToGroup SagemakerTester",
        ]
    );
    let world = stage.iam.world();
    let made = &world.groups["sagemakertester"];
    assert_eq!(made.users.len(), 3);
    let policy = document(&made.inline["AssumeSageMakerExternal"]);
    assert_eq!(policy["Statement"][0]["Action"], json!(["sts:AssumeRole"]));
    assert_eq!(policy["Statement"][0]["Resource"], json!([ROLE]));
}

/// C34: bad input is one sentence, before any call.
#[tokio::test(start_paused = true)]
async fn c34_bad_group_properties_fail_before_any_call() {
    let stage = stage();
    let many: Vec<String> =
        (0..90).map(|n| format!("arn:aws:iam::777788889999:role/sagemaker-external/Role{n:02}")).collect();
    for (change, wanted) in [
        (json!({"RoleArns": []}), "RoleArns: at least one role ARN is required"),
        (json!({"RoleArns": ["arn:aws:iam::777788889999:user/x"]}), "is not a valid role ARN"),
        (json!({"RoleArns": ["arn:aws:iam::777788889999:role/*"]}), "is not a valid role ARN"),
        (json!({"RoleArns": many}), "RoleArns, ApiArns: the group's policy would have"),
        (json!({"GroupName": "a b"}), "GroupName: \"a b\""),
        (json!({"PolicyName": "a/b"}), "PolicyName: \"a/b\""),
        (json!({"UserNames": ["a/b"]}), "UserNames: \"a/b\""),
        (json!({"Path": "x"}), "Path: \"x\""),
        (json!({"Path": "/sagemaker-external/a/../"}), "Path: \"/sagemaker-external/a/../\" has a segment . or .."),
        (json!({"OnExisting": "x"}), "OnExisting: \"x\" must be Fail or Adopt"),
        (json!({"Grants": "[]"}), "Grants: there is no such property"),
        (json!({"Users": ["a"]}), "Users: there is no such property; did you mean UserNames?"),
    ] {
        let (reason, id) = stage.fail(&create(&with(group(), change.clone()))).await;
        assert!(reason.contains(wanted), "{change}: {reason}");
        assert_eq!(id, "SageMakerExternal::CreateFailed");
        assert_eq!(stage.iam.take_calls(), [""; 0], "{change}");
    }
}

/// C22, C19: again, or with nothing changed: no write.
#[tokio::test(start_paused = true)]
async fn c19_c22_an_unchanged_group_writes_nothing() {
    let stage = stage();
    let id = stage.created(&create(&users(&["alice"]))).await;
    stage.succeed(&create(&users(&["alice"]))).await;
    stage.succeed(&update(&id, &users(&["alice"]), &users(&["alice"]))).await;
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
}

/// U30, U37: who leaves goes first, who comes joins last, others' members stay.
#[tokio::test(start_paused = true)]
async fn u30_memberships_follow_the_wish() {
    let stage = stage();
    let id = stage.created(&create(&users(&["alice", "bob"]))).await;
    stage.iam.world().groups.get_mut("sagemakertester").unwrap().users.insert("dave".to_owned());
    let new = with(users(&["bob", "carol"]), json!({"RoleArns": ["arn:aws:iam::777788889999:role/Other"]}));
    stage.succeed(&update(&id, &users(&["alice", "bob"]), &new)).await;
    assert_eq!(
        writes(&stage.iam.take_calls()),
        [
            "RemoveUserFromGroup SagemakerTester",
            "PutGroupPolicy AssumeSageMakerExternal",
            "AddUserToGroup SagemakerTester"
        ]
    );
    let members: Vec<String> = stage.iam.world().groups["sagemakertester"].users.iter().cloned().collect();
    assert_eq!(members, ["bob", "carol", "dave"]);
}

/// U31: a user who does not exist fails at once, and the rollback takes all back.
#[tokio::test(start_paused = true)]
async fn u31_a_missing_user_fails_and_is_rolled_back() {
    let stage = stage();
    let before = tokio::time::Instant::now();
    let (reason, id) = stage.fail(&create(&users(&["alice", "nobody"]))).await;
    assert!(reason.starts_with("AddUserToGroup nobody to SagemakerTester failed"), "{reason}");
    assert_eq!(before.elapsed(), std::time::Duration::ZERO, "there is nothing to wait for");
    assert_eq!(id, GROUP_ARN);
    stage.succeed(&delete(&id, &users(&["alice", "nobody"]))).await;
    assert!(stage.iam.world().groups.is_empty());
}

/// U02, C13: a group of somebody else, or of another stack, stays as it is.
#[tokio::test(start_paused = true)]
async fn u02_c13_a_strangers_group_is_left_alone() {
    for theirs in [
        by_hand(&[("admin", r#"{"Version":"2012-10-17","Statement":[]}"#)], &[]),
        by_hand(
            &[(
                "AssumeSageMakerExternal",
                r#"{"Version":"2012-10-17","Statement":[{"Sid":"Other","Effect":"Allow","Action":"sts:AssumeRole","Resource":"x"}]}"#,
            )],
            &[],
        ),
        by_hand(&[], &["dave"]),
        Group { attached: ["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()].into(), ..by_hand(&[], &[]) },
        Group { path: "/".to_owned(), ..by_hand(&[], &[]) },
    ] {
        let stage = stage();
        stage.iam.world().groups.insert("sagemakertester".to_owned(), theirs.clone());
        let (reason, id) = stage.fail(&create(&group())).await;
        assert!(reason.contains("exists already and was not made by this resource"), "{reason}");
        stage.succeed(&delete(&id, &group())).await;
        assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
        assert_eq!(stage.iam.world().groups["sagemakertester"], theirs);
    }
}

/// U02: an empty group that has stood there for long is no half-made one of ours.
#[tokio::test(start_paused = true)]
async fn u02_an_old_empty_group_is_a_strangers() {
    let stage = stage();
    stage.iam.world().groups.insert("sagemakertester".to_owned(), by_hand(&[], &[]));
    let (reason, id) = stage.fail(&create(&group())).await;
    assert!(reason.contains("was not made by this resource"), "{reason}");
    stage.succeed(&delete(&id, &group())).await;
    stage.succeed(&delete("child-Group-1ABC", &group())).await;
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
    assert_eq!(stage.iam.world().groups.len(), 1);
}

/// C12, U01: cut off after CreateGroup, before the mark: completed, or rolled back.
#[tokio::test(start_paused = true)]
async fn c12_a_group_without_its_mark_is_completed_or_removed() {
    for retry in [true, false] {
        let stage = stage();
        stage.iam.fault("PutGroupPolicy", Fault::Refused(400, "Throttling", "Rate exceeded"));
        let (_, id) = stage.fail(&create(&group())).await;
        assert_eq!(id, GROUP_ARN);
        if retry {
            stage.succeed(&create(&group())).await;
            assert_eq!(stage.iam.world().groups["sagemakertester"].inline.len(), 1);
        } else {
            stage.succeed(&delete(&id, &group())).await;
            assert!(stage.iam.world().groups.is_empty());
        }
    }
}

/// C21, U37: our members, the mark, the group.
#[tokio::test(start_paused = true)]
async fn c21_delete_removes_members_policy_and_group() {
    let stage = stage();
    let id = stage.created(&create(&users(&["alice", "bob", "carol"]))).await;
    let answer = stage.succeed(&delete(&id, &users(&["alice", "bob", "carol"]))).await;
    assert_eq!(answer["PhysicalResourceId"], GROUP_ARN);
    assert_eq!(
        writes(&stage.iam.take_calls()),
        [
            "RemoveUserFromGroup SagemakerTester",
            "RemoveUserFromGroup SagemakerTester",
            "RemoveUserFromGroup SagemakerTester",
            "DeleteGroupPolicy AssumeSageMakerExternal",
            "DeleteGroup SagemakerTester",
        ]
    );
    assert!(stage.iam.world().groups.is_empty());
}

/// U33: what others put into the group is named, and nothing is touched.
#[tokio::test(start_paused = true)]
async fn u33_foreign_members_and_policies_are_named() {
    let stage = stage();
    let id = stage.created(&create(&users(&["alice"]))).await;
    {
        let mut world = stage.iam.world();
        let group = world.groups.get_mut("sagemakertester").unwrap();
        group.users.insert("dave".to_owned());
        group.inline.insert("theirs".to_owned(), "{}".to_owned());
        group.attached.insert("arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned());
    }
    let (reason, _) = stage.fail(&delete(&id, &users(&["alice"]))).await;
    for name in ["user dave", "inline policy theirs", "policy arn:aws:iam::aws:policy/ReadOnlyAccess"] {
        assert!(reason.contains(name), "{reason}");
    }
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
}

/// C11, C20: an invented id, and a group that is gone.
#[tokio::test(start_paused = true)]
async fn c11_c20_invented_ids_and_missing_groups() {
    let stage = stage();
    stage.created(&create(&group())).await;
    stage.succeed(&with(delete("child-Group-1ABC", &group()), json!({"LogicalResourceId": "Another"}))).await;
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0], "another resource's group stays");
    for _ in 0..2 {
        stage.succeed(&delete("child-Group-1ABC", &group())).await;
        assert!(stage.iam.world().groups.is_empty());
    }
}

/// C15, C16: a new name is a new group; the old one goes by its own Delete.
#[tokio::test(start_paused = true)]
async fn c15_c16_a_group_is_replaced() {
    let stage = stage();
    let old = users(&["alice"]);
    let new = with(old.clone(), json!({"GroupName": "New"}));
    let id = stage.created(&create(&old)).await;
    let answer = stage.succeed(&update(&id, &old, &new)).await;
    assert_eq!(answer["PhysicalResourceId"], "arn:aws:iam::111122223333:group/sagemaker-external/New");
    assert_eq!(stage.iam.world().groups.len(), 2);
    stage.succeed(&delete(&id, &old)).await;
    assert_eq!(stage.iam.world().groups.keys().collect::<Vec<_>>(), ["new"]);
    assert!(stage.iam.world().groups["new"].users.contains("alice"));
}

/// C14: a new PolicyName: the new policy before the old one goes, same id.
#[tokio::test(start_paused = true)]
async fn c14_a_renamed_policy_is_swapped_in_place() {
    let stage = stage();
    let id = stage.created(&create(&group())).await;
    let new = with(group(), json!({"PolicyName": "New"}));
    let answer = stage.succeed(&update(&id, &group(), &new)).await;
    assert_eq!(answer["PhysicalResourceId"], id.as_str());
    assert_eq!(writes(&stage.iam.take_calls()), ["PutGroupPolicy New", "DeleteGroupPolicy AssumeSageMakerExternal"]);
    let (reason, _) =
        stage.fail(&update(&id, &new, &with(new.clone(), json!({"Path": "/sagemaker-external/x/"})))).await;
    assert!(reason.contains("change GroupName too"), "{reason}");
}

/// What a group was like has to fit into its policy beside the grant: the refusal says so,
/// and does not blame the roles.
#[tokio::test(start_paused = true)]
async fn a_group_with_too_many_members_is_not_adopted() {
    let stage = Stage::with(settings(&[("ADOPT_ARNS", GROUP_ARN)]));
    let members: Vec<String> = (0..120).map(|n| format!("firstname.lastname.{n:03}")).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let theirs = by_hand(&[], &members);
    stage.iam.world().groups.insert("sagemakertester".to_owned(), theirs.clone());
    let (reason, _) = stage.fail(&create(&with(group(), json!({"OnExisting": "Adopt"})))).await;
    assert!(reason.starts_with(&format!("OnExisting: what has to be kept of group {GROUP_ARN}")), "{reason}");
    assert!(!reason.contains("RoleArns"), "{reason}");
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
}
