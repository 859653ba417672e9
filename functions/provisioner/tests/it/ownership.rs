//! Whose an entity is when its mark was taken off by hand: each proof lost alone, and together.

use serde_json::{Value, json};

use crate::iam::{Fault, World};
use crate::stage::{
    BOUNDARY, GROUP_ARN, POLICY_ARN, ROLE_ARN, Stage, create, delete, group, role, settings, update, with, writes,
};

const POLICY: &str = "sagemakerexternalinvokeendpoint";
const INLINE: &str = "AssumeSageMakerExternal";

fn other(properties: &Value) -> Value {
    let group = properties.get("RoleArns").is_some();
    let arns = json!({"RoleArns": ["arn:aws:iam::777788889999:role/Other"]});
    with(properties.clone(), if group { arns } else { json!({"EndpointNames": ["wine"]}) })
}

/// What the console's policy editor makes of a group's policy: the same, with a Sid of its own.
fn edit_sids(world: &mut World) {
    let group = world.groups.get_mut("sagemakertester").unwrap();
    for text in group.inline.values_mut() {
        let mut document: Value = serde_json::from_str(text).unwrap();
        document["Statement"][0]["Sid"] = json!("VisualEditor0");
        *text = document.to_string();
    }
}

fn untag_role(world: &mut World) {
    world.roles.get_mut("sagemakerexternal").unwrap().tags.clear();
}

fn untag_policy(world: &mut World) {
    world.policies.get_mut(POLICY).unwrap().tags.clear();
}

fn untag_half(world: &mut World) {
    world.roles.get_mut("sagemakerexternal").unwrap().tags.remove("sagemaker-external:logical-id");
}

fn untag_all(world: &mut World) {
    untag_role(world);
    untag_policy(world);
}

fn drop_inline(world: &mut World) {
    world.groups.get_mut("sagemakertester").unwrap().inline.clear();
}

fn is_empty(stage: &Stage) -> bool {
    let world = stage.iam.world();
    world.roles.is_empty() && world.policies.is_empty() && world.groups.is_empty()
}

fn held(stage: &Stage) -> String {
    let world = stage.iam.world();
    format!("{:?} {:?} {:?}", world.roles, world.policies, world.groups)
}

type Damage = fn(&mut World);

/// C38: the mark is lost, and id, path and the policy's name prove whose it is: an Update puts
/// the mark and all else back, so does a rollback, and a Delete removes what is ours.
#[tokio::test(start_paused = true)]
async fn c38_a_lost_mark_is_put_back() {
    let cases: [(Value, &str, &[Damage]); 2] = [
        (role(), ROLE_ARN, &[untag_role, untag_policy, untag_half, untag_all]),
        (group(), GROUP_ARN, &[edit_sids, drop_inline]),
    ];
    for (properties, id, damages) in cases {
        for damage in damages {
            let stage = Stage::new();
            stage.created(&create(&properties)).await;
            let whole = held(&stage);
            damage(&mut stage.iam.world());
            stage.succeed(&update(id, &properties, &properties)).await;
            assert_eq!(held(&stage), whole);

            damage(&mut stage.iam.world());
            let new = other(&properties);
            stage.succeed(&update(id, &properties, &new)).await;
            damage(&mut stage.iam.world());
            stage.succeed(&update(id, &new, &properties)).await;
            let renamed = with(properties.clone(), json!({"PolicyName": "New"}));
            damage(&mut stage.iam.world());
            stage.succeed(&update(id, &properties, &renamed)).await;
            let left = {
                let world = stage.iam.world();
                world.policies.len() + world.groups.values().map(|group| group.inline.len()).sum::<usize>()
            };
            assert_eq!(left, 1, "the old policy is gone");

            let stage = Stage::new();
            stage.created(&create(&properties)).await;
            damage(&mut stage.iam.world());
            let answer = stage.succeed(&delete(id, &properties)).await;
            assert!(is_empty(&stage), "{answer}");
        }
    }
}

/// Without a whole proof nothing is touched, and the Delete fails with what is left and what to
/// do: it does not succeed in silence. So does an Update.
#[tokio::test(start_paused = true)]
async fn each_proof_that_is_missing_leaves_all_as_it_is() {
    let no_policy: Damage = |world| {
        untag_role(world);
        world.roles.get_mut("sagemakerexternal").unwrap().attached.clear();
    };
    let nothing: Damage = |world| {
        untag_all(world);
        world.roles.get_mut("sagemakerexternal").unwrap().attached.clear();
    };
    let policy_alone: Damage = |world| {
        untag_policy(world);
        world.roles.get_mut("sagemakerexternal").unwrap().attached.clear();
    };
    let renamed: Damage = |world| {
        edit_sids(world);
        let group = world.groups.get_mut("sagemakertester").unwrap();
        let text = group.inline.remove(INLINE).unwrap();
        group.inline.insert("Renamed".to_owned(), text);
    };
    let replaced: Damage = |world| {
        drop_inline(world);
        let theirs =
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#.to_owned();
        world.groups.get_mut("sagemakertester").unwrap().inline.insert("Theirs".to_owned(), theirs);
    };
    for (properties, id, damage, says) in [
        (
            role(),
            ROLE_ARN,
            no_policy,
            format!("role {ROLE_ARN} is there, and no longer shows that this resource made it"),
        ),
        (
            role(),
            ROLE_ARN,
            nothing,
            format!("role {ROLE_ARN} is there, and no longer shows that this resource made it"),
        ),
        (role(), ROLE_ARN, policy_alone, format!("policy {POLICY_ARN} is there, and no longer shows")),
        (group(), GROUP_ARN, renamed, format!("group {GROUP_ARN} is there, and no longer shows")),
        (group(), GROUP_ARN, replaced, format!("group {GROUP_ARN} is there, and no longer shows")),
    ] {
        let stage = Stage::new();
        stage.created(&create(&properties)).await;
        damage(&mut stage.iam.world());
        let before = held(&stage);
        let ([reason, code], kept) = stage.failure(&delete(id, &properties)).await;
        assert!(reason.starts_with(&says) && reason.contains("put ") && reason.contains("by hand"), "{reason}");
        assert_eq!((code.as_str(), kept.as_str()), ("DeletionRefused", id));
        assert_eq!(writes(&stage.iam.take_calls()), [""; 0], "{says}");
        stage.fail(&update(id, &properties, &other(&properties))).await;
        assert_eq!((writes(&stage.iam.take_calls()), held(&stage)), (vec![], before), "{says}");
    }
}

/// The id alone does not prove it, nor does any of it without the id: another path, another
/// owner's mark, an id that CloudFormation invented, a Create.
#[tokio::test(start_paused = true)]
async fn no_part_of_the_proof_is_enough() {
    let theirs: Damage = |world| {
        let role = world.roles.get_mut("sagemakerexternal").unwrap();
        role.tags.insert("sagemaker-external:stack-id".to_owned(), "another".to_owned());
    };
    let their_sid: Damage = |world| {
        let group = world.groups.get_mut("sagemakertester").unwrap();
        let text = group.inline.get_mut(INLINE).unwrap();
        let mut document: Value = serde_json::from_str(text).unwrap();
        document["Statement"][0]["Sid"] = json!(format!("SageMakerExternal{}", "0".repeat(32)));
        *text = document.to_string();
    };
    let moved_role: Damage = |world| {
        untag_all(world);
        world.roles.get_mut("sagemakerexternal").unwrap().path = "/".to_owned();
    };
    let moved_group: Damage = |world| {
        edit_sids(world);
        world.groups.get_mut("sagemakertester").unwrap().path = "/".to_owned();
    };
    for (properties, id, damage) in [
        (role(), ROLE_ARN, theirs),
        (role(), ROLE_ARN, moved_role),
        (group(), GROUP_ARN, their_sid),
        (group(), GROUP_ARN, moved_group),
    ] {
        let stage = Stage::new();
        stage.created(&create(&properties)).await;
        damage(&mut stage.iam.world());
        stage.iam.world().policies.clear();
        stage.iam.world().roles.values_mut().for_each(|role| role.attached.clear());
        let before = held(&stage);
        let answer = stage.succeed(&delete(id, &properties)).await;
        assert!(answer["Reason"].as_str().is_some_and(|note| note.contains("left alone")), "{answer}");
        stage.fail(&update(id, &properties, &other(&properties))).await;
        assert_eq!(held(&stage), before);
    }
    for (properties, damage) in [(role(), untag_all as Damage), (group(), edit_sids)] {
        let stage = Stage::new();
        stage.created(&create(&properties)).await;
        damage(&mut stage.iam.world());
        let before = held(&stage);
        for id in ["stack-Resource-1ABC", "SageMakerExternal::CreateInterrupted", "SageMakerExternal::CreateFailed"] {
            stage.succeed(&delete(id, &properties)).await;
        }
        stage.fail(&create(&properties)).await;
        assert_eq!((held(&stage), writes(&stage.iam.take_calls())), (before, vec![]));
    }
}

/// A place outside the provisioner's path, which another setting of `IamPath` leaves behind:
/// not touched, and not passed over.
#[tokio::test(start_paused = true)]
async fn what_lies_outside_the_path_is_not_proven() {
    for (properties, id, damage) in [(role(), ROLE_ARN, untag_role as Damage), (group(), GROUP_ARN, edit_sids)] {
        let stage = Stage::new();
        stage.created(&create(&properties)).await;
        damage(&mut stage.iam.world());
        let world = stage.iam.world().clone();
        let stage = Stage::with(settings(&[("IAM_PATH", "/other/"), ("PERMISSIONS_BOUNDARY_ARN", BOUNDARY)]));
        *stage.iam.world() = world;
        let before = held(&stage);
        let properties = with(properties, json!({"Path": "/sagemaker-external/"}));
        let (reason, _) = stage.fail(&delete(id, &properties)).await;
        assert!(reason.contains("no longer shows that this resource made it"), "{reason}");
        assert_eq!(held(&stage), before);
    }
}

/// C20: what was adopted and given back looks like ours without a mark. A Delete that comes
/// again leaves it alone where the operator names it.
#[tokio::test(start_paused = true)]
async fn c20_what_may_have_been_given_back_is_not_proven() {
    let adopt = json!({"OnExisting": "Adopt"});
    for (properties, id, damage) in [(role(), ROLE_ARN, untag_all as Damage), (group(), GROUP_ARN, edit_sids)] {
        for (changes, arns) in [(adopt.clone(), id), (json!({}), id)] {
            let stage = Stage::with(settings(&[("ADOPT_ARNS", arns)]));
            stage.created(&create(&properties)).await;
            damage(&mut stage.iam.world());
            let before = held(&stage);
            let answer = stage.succeed(&delete(id, &with(properties.clone(), changes))).await;
            assert!(answer["Reason"].as_str().is_some_and(|note| note.contains("left alone")), "{answer}");
            assert_eq!(held(&stage), before);
        }
    }
}

/// U09, U33: what others put onto what is proven ours is named all the same.
#[tokio::test(start_paused = true)]
async fn u33_what_others_put_there_still_stops_a_deletion() {
    for damage in [edit_sids as Damage, drop_inline] {
        let stage = Stage::new();
        stage.created(&create(&group())).await;
        damage(&mut stage.iam.world());
        stage.iam.world().groups.get_mut("sagemakertester").unwrap().users.insert("dave".to_owned());
        let before = held(&stage);
        let (reason, _) = stage.fail(&delete(GROUP_ARN, &group())).await;
        assert!(reason.contains("user dave"), "{reason}");
        assert_eq!(held(&stage), before);
    }
    let stage = Stage::new();
    stage.created(&create(&role())).await;
    {
        let mut world = stage.iam.world();
        untag_policy(&mut world);
        world.policies.get_mut(POLICY).unwrap().users.push("alice".to_owned());
    }
    let (reason, _) = stage.fail(&delete(ROLE_ARN, &role())).await;
    assert!(reason.contains(POLICY_ARN), "{reason}");
}

/// C12, C18: a Delete of what is proven ours marks it first: cut off anywhere, the next one
/// still knows it.
#[tokio::test(start_paused = true)]
async fn c18_a_deletion_that_is_cut_off_still_knows_its_own() {
    for (properties, id, damage) in [(role(), ROLE_ARN, untag_all as Damage), (group(), GROUP_ARN, edit_sids)] {
        for at in 0.. {
            let stage = Stage::new();
            stage.created(&create(&properties)).await;
            damage(&mut stage.iam.world());
            {
                let mut world = stage.iam.world();
                (world.seen, world.fault_at) = (0, Some((at, Fault::Killed { after: true })));
            }
            if stage.try_send(&delete(id, &properties)).await.is_some() {
                break;
            }
            stage.succeed(&delete(id, &properties)).await;
            assert!(is_empty(&stage), "{id} {at}");
        }
    }
}

/// A stack that adopts one entity lets every resource adopt: what is not named was made here,
/// and is proven ours all the same.
#[tokio::test(start_paused = true)]
async fn c38_adoption_of_something_else_takes_no_proof_away() {
    let adopt = json!({"OnExisting": "Adopt"});
    for (properties, id, damage) in [(role(), ROLE_ARN, untag_role as Damage), (group(), GROUP_ARN, edit_sids)] {
        let stage = Stage::with(settings(&[("ADOPT_ARNS", "arn:aws:iam::111122223333:role/ByHand")]));
        let properties = with(properties, adopt.clone());
        stage.created(&create(&properties)).await;
        damage(&mut stage.iam.world());
        stage.succeed(&update(id, &properties, &properties)).await;
        damage(&mut stage.iam.world());
        stage.succeed(&delete(id, &properties)).await;
        let world = stage.iam.world();
        assert!(world.roles.is_empty() && world.groups.is_empty() && world.policies.is_empty());
    }
}

/// C20: a group made by hand that holds nothing is given back, and stays when the Delete comes
/// again, however new it is.
#[tokio::test(start_paused = true)]
async fn c20_an_empty_group_that_was_given_back_stays() {
    let properties = with(group(), json!({"OnExisting": "Adopt", "UserNames": ["alice"]}));
    for members in [&[][..], &["alice"]] {
        let stage = Stage::with(settings(&[("ADOPT_ARNS", GROUP_ARN)]));
        stage.iam.world().users.insert("alice".to_owned());
        stage.created(&create(&with(group(), json!({"UserNames": members})))).await;
        stage.iam.world().groups.get_mut("sagemakertester").unwrap().inline.clear();
        let found = held(&stage);
        let id = stage.created(&create(&properties)).await;
        for _ in 0..2 {
            stage.succeed(&delete(&id, &properties)).await;
            assert_eq!(held(&stage), found);
        }
    }
}

/// An adopted entity that has lost its mark is not adopted again: what we wrote would be kept
/// as what it was like.
#[tokio::test(start_paused = true)]
async fn what_was_adopted_and_has_lost_its_mark_is_not_adopted_again() {
    let adopt = json!({"OnExisting": "Adopt"});
    for (properties, id, damage) in [(role(), ROLE_ARN, untag_all as Damage), (group(), GROUP_ARN, edit_sids)] {
        let stage = Stage::with(settings(&[("ADOPT_ARNS", id)]));
        let properties = with(properties, adopt.clone());
        stage.created(&create(&properties)).await;
        damage(&mut stage.iam.world());
        let before = held(&stage);
        let (reason, _) = stage.fail(&update(id, &properties, &properties)).await;
        assert!(reason.contains("no longer says what it was like"), "{reason}");
        assert_eq!(held(&stage), before);
    }
}
