//! The members of a group: one person whatever the case of the name, and what becomes of a
//! member whom IAM does not take any more.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::iam::{Fault, Group, json as document};
use crate::stage::{GROUP_ARN, Stage, create, delete, group, settings, update, with, writes};

const ADD: &str = "AddUserToGroup SagemakerTester";
const REMOVE: &str = "RemoveUserFromGroup SagemakerTester";

fn stage() -> Stage {
    let stage = Stage::with(settings(&[("ADOPT_ARNS", GROUP_ARN)]));
    stage.iam.world().users.extend(["alice", "bob", "carol", "dave"].map(str::to_owned));
    stage
}

fn users(names: Value) -> Value {
    with(group(), json!({ "UserNames": names }))
}

fn members(stage: &Stage) -> Vec<String> {
    stage.iam.world().groups["sagemakertester"].users.iter().cloned().collect()
}

/// U30: the properties before are read as those now are: a single string is a list of one.
#[tokio::test(start_paused = true)]
async fn u30_a_single_name_leaves_as_a_list_of_one_does() {
    for (new, left) in [
        (users(json!("bob")), vec!["bob"]),
        (users(json!(["bob"])), vec!["bob"]),
        (users(json!("")), vec![]),
        (users(json!([""])), vec![]),
        (group(), vec![]),
    ] {
        for old in [users(json!("alice")), users(json!(" alice ")), users(json!(["", "alice"]))] {
            let stage = stage();
            let id = stage.created(&create(&old)).await;
            assert_eq!(members(&stage), ["alice"]);
            stage.succeed(&update(&id, &old, &new)).await;
            assert_eq!(members(&stage), left, "{old} -> {new}");
            stage.succeed(&delete(&id, &new)).await;
            assert!(stage.iam.world().groups.is_empty(), "{old} -> {new}");
        }
    }
}

/// U31: a member who was desired before, too, and whose user is deleted is left out and
/// named in the log; the rest of the update goes on, and so does its rollback.
#[tokio::test(start_paused = true)]
async fn u31_a_deleted_member_blocks_neither_an_update_nor_its_rollback() {
    let old = users(json!(["alice", "bob"]));
    let other = json!({"RoleArns": ["arn:aws:iam::777788889999:role/Other"]});
    for new in [
        with(old.clone(), other.clone()),
        users(json!(["bob", "carol"])),
        with(users(json!(["alice", "BOB", "carol"])), other),
        with(old.clone(), json!({"PolicyName": "New"})),
        with(old.clone(), json!({"GroupName": "New"})),
    ] {
        captured::start();
        let stage = stage();
        let id = stage.created(&create(&old)).await;
        stage.iam.world().delete_user("bob");
        let start = tokio::time::Instant::now();
        let answer = stage.succeed(&update(&id, &old, &new)).await;
        assert!(start.elapsed().is_zero(), "nothing is waited for: {:?}", start.elapsed());
        let warned = captured::text().lines().any(|line| line.contains("WARN") && line.to_lowercase().contains("bob"));
        assert!(warned, "{new}: {}", captured::text());
        let now = answer["PhysicalResourceId"].as_str().unwrap().to_owned();
        stage.succeed(&update(&now, &new, &old)).await;
        if now != id {
            stage.succeed(&delete(&now, &new)).await;
        }
        assert_eq!(members(&stage), ["alice"], "{new}");
        stage.succeed(&delete(&id, &old)).await;
        assert!(stage.iam.world().groups.is_empty(), "{new}");
    }
}

/// U24, U31: the same for a member whom others took out, and who is now in as many groups
/// as IAM allows.
#[tokio::test(start_paused = true)]
async fn u24_a_member_who_is_full_up_blocks_no_update() {
    let old = users(json!(["alice", "bob"]));
    let stage = stage();
    let id = stage.created(&create(&old)).await;
    {
        let mut world = stage.iam.world();
        world.groups.get_mut("sagemakertester").unwrap().users.remove("bob");
        for n in 0..10 {
            let theirs = Group { name: format!("T{n}"), users: ["bob".to_owned()].into(), ..by_hand() };
            world.groups.insert(format!("t{n}"), theirs);
        }
    }
    let new = with(old.clone(), json!({"RoleArns": ["arn:aws:iam::777788889999:role/Other"]}));
    stage.succeed(&update(&id, &old, &new)).await;
    stage.succeed(&update(&id, &new, &old)).await;
    assert_eq!(members(&stage), ["alice"]);
    let (reason, _) = stage.fail(&create(&with(users(json!(["bob"])), json!({"GroupName": "New"})))).await;
    assert!(reason.contains("Cannot exceed quota for GroupsPerUser: 10"), "{reason}");
}

/// U31: a member who is newly listed and missing fails the update, beside one who was listed
/// before and is missing too; the rollback succeeds.
#[tokio::test(start_paused = true)]
async fn u31_a_new_member_who_is_missing_fails_and_is_rolled_back() {
    let old = users(json!(["alice", "bob"]));
    let stage = stage();
    let id = stage.created(&create(&old)).await;
    stage.iam.world().delete_user("bob");
    let new = users(json!(["alice", "bob", "nobody"]));
    let ([reason, code], kept) = stage.failure(&update(&id, &old, &new)).await;
    assert!(reason.starts_with("AddUserToGroup nobody to SagemakerTester failed"), "{reason}");
    assert_eq!((code.as_str(), kept.as_str()), ("EntityMissing", GROUP_ARN));
    stage.succeed(&update(&id, &new, &old)).await;
    assert_eq!(members(&stage), ["alice"]);
    // Properties that were refused name the members, too.
    let refused = with(old.clone(), json!({"PolicyName": "a/b"}));
    stage.fail(&update(&id, &old, &refused)).await;
    stage.succeed(&update(&id, &refused, &old)).await;
}

/// U31: a group that goes while its members are added is no member who may be left out.
#[tokio::test(start_paused = true)]
async fn u31_a_missing_group_is_not_taken_for_a_missing_member() {
    let old = users(json!(["alice", "bob"]));
    let stage = stage();
    let id = stage.created(&create(&old)).await;
    {
        let mut world = stage.iam.world();
        world.groups.get_mut("sagemakertester").unwrap().users.remove("bob");
        world.latency = Duration::from_secs(1);
    }
    let new = with(old.clone(), json!({"RoleArns": ["arn:aws:iam::777788889999:role/Other"]}));
    let event = update(&id, &old, &new);
    let ((), ([_, code], _)) = tokio::join!(
        async {
            while !stage.iam.world().calls.iter().any(|call| call.starts_with("PutGroupPolicy")) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            stage.iam.world().groups.clear();
        },
        stage.failure(&event)
    );
    assert_eq!(code, "EntityMissing");
}

/// IAM compares user names without regard to case: one person is added once, is not taken out
/// and put in again when the spelling changes, and leaves.
#[tokio::test(start_paused = true)]
async fn a_member_is_one_person_whatever_the_case() {
    let stage = stage();
    let event = create(&users(json!(["Alice", "ALICE"])));
    let id = stage.succeed(&event).await["PhysicalResourceId"].as_str().unwrap().to_owned();
    assert_eq!(writes(&stage.iam.take_calls()).iter().filter(|call| **call == ADD).count(), 1);
    assert_eq!(members(&stage), ["alice"], "as IAM spells the name");
    captured::start();
    for (old, new) in [(json!(["Alice"]), json!(["alice"])), (json!("alice"), json!("aLICE"))] {
        stage.succeed(&update(&id, &users(old), &users(new))).await;
    }
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
    assert!(!captured::text().contains("others put this there"), "{}", captured::text());
    stage.succeed(&update(&id, &users(json!(["Alice"])), &users(json!([])))).await;
    assert_eq!(writes(&stage.iam.take_calls()), [REMOVE]);
    assert!(members(&stage).is_empty());
    // A deletion does not take her for a stranger's.
    stage.succeed(&update(&id, &users(json!([])), &users(json!(["ALICE"])))).await;
    stage.succeed(&delete(&id, &users(json!(["aLICE"])))).await;
    assert!(stage.iam.world().groups.is_empty());
}

/// The same where a Create was cut off before its mark, and in an adopted group: a member who
/// was found there stays, however the properties spell the name.
#[tokio::test(start_paused = true)]
async fn a_member_is_one_person_in_half_made_and_adopted_groups() {
    let stage = stage();
    stage.iam.fault("PutGroupPolicy", Fault::Refused(400, "Throttling", "Rate exceeded"));
    stage.fail(&create(&users(json!(["ALICE"])))).await;
    stage.iam.world().groups.get_mut("sagemakertester").unwrap().users.insert("alice".to_owned());
    stage.succeed(&create(&users(json!(["ALICE"])))).await;

    let stage = self::stage();
    let theirs = Group { users: ["alice".to_owned()].into(), ..by_hand() };
    stage.iam.world().groups.insert("sagemakertester".to_owned(), theirs.clone());
    let adopting = |names: Value| with(users(names), json!({"OnExisting": "Adopt"}));
    let id = stage.created(&create(&adopting(json!(["Alice", "Bob"])))).await;
    stage.succeed(&update(&id, &adopting(json!(["Alice", "Bob"])), &adopting(json!(["BOB"])))).await;
    assert_eq!(members(&stage), ["alice", "bob"], "she was found there");
    stage.succeed(&delete(&id, &adopting(json!(["bOB"])))).await;
    assert_eq!(stage.iam.world().groups["sagemakertester"], theirs);
}

/// A new PolicyName that differs in case only must not lose the policy, whether or not IAM
/// tells the two names apart; nor may it overwrite a stranger's.
#[tokio::test(start_paused = true)]
async fn a_policy_name_in_other_case_keeps_the_policy() {
    for ignores in [true, false] {
        let stage = stage();
        stage.iam.world().ignores_inline_case = ignores;
        let id = stage.created(&create(&group())).await;
        let (policy, start) = (stage.iam.world().groups["sagemakertester"].inline.clone(), group());
        let renamed = with(group(), json!({"PolicyName": "assumeSageMakerExternal"}));
        let changed = with(renamed.clone(), json!({"RoleArns": ["arn:aws:iam::777788889999:role/Other"]}));
        stage.succeed(&update(&id, &start, &renamed)).await;
        let texts =
            || -> BTreeSet<String> { stage.iam.world().groups["sagemakertester"].inline.values().cloned().collect() };
        assert_eq!(texts(), policy.values().cloned().collect(), "ignoring case: {ignores}");
        stage.iam.take_calls();
        stage.succeed(&update(&id, &renamed, &renamed)).await;
        assert_eq!(writes(&stage.iam.take_calls()), [""; 0], "ignoring case: {ignores}");
        stage.succeed(&update(&id, &renamed, &changed)).await;
        let now = texts();
        assert_eq!(now.len(), 1);
        assert_eq!(
            document(now.first().unwrap())["Statement"][0]["Resource"],
            json!(["arn:aws:iam::777788889999:role/Other"])
        );
        stage.succeed(&update(&id, &changed, &start)).await;
        assert_eq!(texts(), policy.values().cloned().collect(), "ignoring case: {ignores}");

        let theirs = r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned();
        stage.iam.world().groups.get_mut("sagemakertester").unwrap().inline.insert("Theirs".to_owned(), theirs);
        let (reason, _) = stage.fail(&update(&id, &start, &with(group(), json!({"PolicyName": "THEIRS"})))).await;
        assert!(reason.starts_with("PolicyName: inline policy Theirs of group SagemakerTester"), "{reason}");
        stage.iam.world().groups.get_mut("sagemakertester").unwrap().inline.remove("Theirs");
        stage.succeed(&delete(&id, &renamed)).await;
        assert!(stage.iam.world().groups.is_empty());
    }
}

/// An adopted group gets its policy back under the name and with the text that it was found
/// with, also where `PolicyName` spells that name in another case.
#[tokio::test(start_paused = true)]
async fn an_adopted_policy_in_other_case_is_given_back() {
    for ignores in [true, false] {
        let stage = stage();
        stage.iam.world().ignores_inline_case = ignores;
        let text = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Resource": "arn:aws:iam::777788889999:role/Old"}]});
        let theirs = Group { inline: [("assumesagemakerexternal".to_owned(), text.to_string())].into(), ..by_hand() };
        stage.iam.world().groups.insert("sagemakertester".to_owned(), theirs.clone());
        let adopting = with(group(), json!({"OnExisting": "Adopt"}));
        let id = stage.created(&create(&adopting)).await;
        let held = stage.iam.world().groups["sagemakertester"].inline.clone();
        assert!(held.len() == 1 && !held.values().any(|text| text.contains("role/Old\"")), "{held:?}");
        stage.succeed(&delete(&id, &adopting)).await;
        assert_eq!(stage.iam.world().groups["sagemakertester"], theirs, "ignoring case: {ignores}");
    }
}

fn by_hand() -> Group {
    Group {
        name: "SagemakerTester".to_owned(),
        path: "/sagemaker-external/".to_owned(),
        id: "AGPAHAND".to_owned(),
        users: BTreeSet::new(),
        inline: Default::default(),
        attached: BTreeSet::new(),
    }
}
