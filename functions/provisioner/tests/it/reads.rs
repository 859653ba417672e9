//! What is read of IAM: to its end, and by what it means rather than how it is written.

use std::collections::BTreeSet;

use serde_json::json;

use crate::iam::{Fault, Role, json as document};
use crate::stage::{POLICY_ARN, Stage, create, delete, group, role, update, with, writes};

/// U35: every list is read to its end: attachments, versions, the roles of a policy, the
/// inline policies and the members of a group. The stand-in's pages hold two.
#[tokio::test(start_paused = true)]
async fn u35_every_list_is_read_to_its_end() {
    let stage = Stage::new();
    stage.iam.world().users.extend(["a", "b", "c", "d", "e"].map(str::to_owned));
    let id = stage.created(&create(&role())).await;
    {
        let mut world = stage.iam.world();
        let role = world.roles["sagemakerexternal"].clone();
        for n in 0..5 {
            let other = Role { name: format!("Z{n}"), tags: Default::default(), ..role.clone() };
            world.roles.insert(format!("z{n}"), other);
        }
    }
    let (reason, _) = stage.fail(&delete(&id, &role())).await;
    for n in 0..5 {
        assert!(reason.contains(&format!("role Z{n}")), "{reason}");
    }
    {
        let mut world = stage.iam.world();
        world.roles.retain(|name, _| !name.starts_with('z'));
        let role = world.roles.get_mut("sagemakerexternal").unwrap();
        role.inline.extend((0..5).map(|n| (format!("i{n}"), "{}".to_owned())));
        let policy = world.policies.get_mut("sagemakerexternalinvokeendpoint").unwrap();
        policy.versions.extend((2..=5).map(|n| (n, "{}".to_owned())));
    }
    stage.succeed(&delete(&id, &role())).await;
    assert!(stage.iam.world().roles.is_empty() && stage.iam.world().policies.is_empty());

    let members = with(group(), json!({"UserNames": ["a", "b", "c", "d", "e"]}));
    let id = stage.created(&create(&members)).await;
    stage.iam.take_calls();
    stage.succeed(&update(&id, &members, &with(group(), json!({"UserNames": ["a", "b", "c", "d"]})))).await;
    assert_eq!(writes(&stage.iam.take_calls()), ["RemoveUserFromGroup SagemakerTester"], "e is on the third page");
    {
        let mut world = stage.iam.world();
        let group = world.groups.get_mut("sagemakertester").unwrap();
        group.inline.extend((0..5).map(|n| (format!("i{n}"), "{}".to_owned())));
        group.attached = (0..5).map(|n| format!("arn:aws:iam::aws:policy/p{n}")).collect();
    }
    let (reason, _) = stage.fail(&delete(&id, &members)).await;
    for n in 0..5 {
        assert!(
            reason.contains(&format!("inline policy i{n}")) && reason.contains(&format!("policy/p{n}")),
            "{reason}"
        );
    }
}

/// U06: documents that mean the same are the same, however they are written.
#[tokio::test(start_paused = true)]
async fn u06_another_spelling_is_no_drift() {
    let stage = Stage::new();
    let wish = with(role(), json!({"EndpointNames": ["a", "b"], "TrustedAccountIds": ["444455556666"]}));
    let id = stage.created(&create(&wish)).await;
    {
        let mut world = stage.iam.world();
        let role = world.roles.get_mut("sagemakerexternal").unwrap();
        let mut trust = document(&role.trust);
        trust["Statement"][0]["Action"] = json!("sts:AssumeRole");
        trust["Statement"][0]["Principal"]["AWS"] = json!("arn:aws:iam::444455556666:root");
        role.trust = serde_json::to_string_pretty(&trust).unwrap();
        let policy = world.policies.get_mut("sagemakerexternalinvokeendpoint").unwrap();
        let mut permissions = document(&policy.versions[&1]);
        permissions["Statement"][0]["Resource"].as_array_mut().unwrap().reverse();
        policy.versions.insert(1, serde_json::to_string_pretty(&permissions).unwrap());
    }
    stage.succeed(&update(&id, &wish, &wish)).await;
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
}

/// U08: a new version is the default in the same call: none is left waiting, and one
/// that someone left in front of it does not count as the wish.
#[tokio::test(start_paused = true)]
async fn u08_a_new_version_is_the_default_at_once() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    let more = with(role(), json!({"EndpointNames": ["iris", "wine"]}));
    stage.succeed(&update(&id, &role(), &more)).await;
    assert_eq!(stage.iam.world().policies["sagemakerexternalinvokeendpoint"].default, 2);
    // Set back by hand: the stored wish is there, but it is not what counts.
    stage.iam.world().policies.get_mut("sagemakerexternalinvokeendpoint").unwrap().default = 1;
    stage.succeed(&update(&id, &more, &more)).await;
    let world = stage.iam.world();
    let policy = &world.policies["sagemakerexternalinvokeendpoint"];
    assert!(policy.versions[&policy.default].contains("endpoint/wine"));
}

/// U32: a member who is gone, or whose group is, is no obstacle to leaving.
#[tokio::test(start_paused = true)]
async fn u32_a_member_who_is_gone_has_left() {
    let gone = || Fault::Refused(404, "NoSuchEntity", "The user with name alice cannot be found.");
    let members = |names: &[&str]| with(group(), json!({ "UserNames": names }));
    let stage = Stage::new();
    stage.iam.world().users.extend(["alice", "bob"].map(str::to_owned));
    let id = stage.created(&create(&members(&["alice"]))).await;
    stage.iam.fault("RemoveUserFromGroup", gone());
    stage.succeed(&update(&id, &members(&["alice"]), &members(&["bob"]))).await;
    assert!(stage.iam.world().groups["sagemakertester"].users.contains("bob"), "the next step is taken all the same");
    stage.iam.world().groups.get_mut("sagemakertester").unwrap().users.remove("alice");
    stage.iam.fault("RemoveUserFromGroup", gone());
    stage.iam.world().groups.get_mut("sagemakertester").unwrap().users.remove("bob");
    stage.succeed(&delete(&id, &members(&["bob"]))).await;
    assert!(stage.iam.world().groups.is_empty());
}

/// U34: PutGroupPolicy would overwrite silently: a policy that is not ours is named
/// instead, also when it is a new PolicyName that meets it.
#[tokio::test(start_paused = true)]
async fn u34_a_strangers_inline_policy_is_not_overwritten() {
    let stage = Stage::new();
    let id = stage.created(&create(&group())).await;
    let theirs = r#"{"Version":"2012-10-17","Statement":[]}"#;
    stage.iam.world().groups.get_mut("sagemakertester").unwrap().inline.insert("Theirs".to_owned(), theirs.to_owned());
    let before = stage.iam.world().groups.clone();
    let (reason, kept) = stage.fail(&update(&id, &group(), &with(group(), json!({"PolicyName": "Theirs"})))).await;
    assert!(reason.starts_with("PolicyName: inline policy Theirs of group SagemakerTester"), "{reason}");
    assert_eq!(kept, id);
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
    assert_eq!(stage.iam.world().groups, before);
}

/// U27: a path is part of the identity: with another name it is a replacement, and the
/// policy moves along.
#[tokio::test(start_paused = true)]
async fn u27_another_path_and_name_is_a_replacement() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    let new = with(role(), json!({"RoleName": "New", "PolicyName": "NewPolicy", "Path": "/sagemaker-external/x/"}));
    let answer = stage.succeed(&update(&id, &role(), &new)).await;
    assert_eq!(answer["PhysicalResourceId"], "arn:aws:iam::111122223333:role/sagemaker-external/x/New");
    assert_eq!(answer["Data"]["PolicyArns"], "arn:aws:iam::111122223333:policy/sagemaker-external/x/NewPolicy");
    assert_eq!(stage.iam.world().roles["sagemakerexternal"].attached, BTreeSet::from([POLICY_ARN.to_owned()]));
}
