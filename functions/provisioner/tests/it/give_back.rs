//! What an adoption has to leave, or to put back, as it was found; and what it refuses
//! because that could not be done.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::adopt::{POLICY, ROLE, adopting, all, by_hand, held};
use crate::stage::{Stage, create, delete, role, update, with, writes};

const KEY: &str = "sagemakerexternalinvokeendpoint";

fn policy(stage: &Stage, change: impl FnOnce(&mut crate::iam::Policy)) {
    change(stage.iam.world().policies.get_mut(KEY).unwrap());
}

fn tagged(key: &str, value: &str) -> Value {
    json!({"Tags": [{"Key": key, "Value": value}]})
}

/// Refused, and nothing written.
async fn refused(stage: &Stage, event: &Value) -> String {
    let before = held(stage);
    stage.iam.take_calls();
    let (reason, _) = stage.fail(event).await;
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0], "{reason}");
    assert_eq!(held(stage), before);
    reason
}

/// Somebody took off, or changed, what says how it was found: then it is neither deleted
/// as if it had been made here, nor given back by guess; not by an Update either.
#[tokio::test(start_paused = true)]
async fn c13_an_adopted_entity_without_its_mark_is_not_deleted() {
    for (of_role, value) in [(true, None), (true, Some("00")), (false, Some("7b")), (false, Some("7b7d"))] {
        let stage = all();
        let id = stage.created(&create(&adopting(role()))).await;
        {
            let mut world = stage.iam.world();
            let tags = match of_role {
                true => &mut world.roles.get_mut("sagemakerexternal").unwrap().tags,
                false => &mut world.policies.get_mut(KEY).unwrap().tags,
            };
            let key = "sagemaker-external:found-01".to_owned();
            assert!(tags.remove(&key).is_some());
            tags.extend(value.map(|value| (key, value.to_owned())));
        }
        let renamed = adopting(with(role(), json!({"PolicyName": "Another"})));
        for event in [delete(&id, &adopting(role())), update(&id, &adopting(role()), &renamed)] {
            let reason = refused(&stage, &event).await;
            assert!(reason.contains("no longer say what it was like; put them back, or delete it with"), "{reason}");
        }
        stage.succeed(&delete(&id, &with(adopting(role()), json!({"OnDelete": "Remove"})))).await;
    }
}

/// U09: others' rights hang on the policy as well: they are named.
#[tokio::test(start_paused = true)]
async fn u09_a_policy_that_serves_others_is_not_adopted() {
    let stage = all();
    {
        let mut world = stage.iam.world();
        let theirs = crate::iam::Role { name: "Theirs".to_owned(), ..world.roles["sagemakerexternal"].clone() };
        world.roles.insert("theirs".to_owned(), theirs);
    }
    policy(&stage, |policy| policy.users.push("admin".to_owned()));
    let reason = refused(&stage, &create(&adopting(role()))).await;
    let wanted = format!(
        "PolicyName: policy {POLICY} is also attached to role Theirs, user admin, whose rights would change with it; detach it there or choose another PolicyName"
    );
    assert_eq!(reason, wanted);
    // With another policy the role itself can be taken over, and goes back as it was.
    let stage = by_hand(&[ROLE, POLICY, &format!("{POLICY}Ours")].join(","));
    policy(&stage, |policy| policy.users.push("admin".to_owned()));
    let before = held(&stage);
    let other = adopting(with(role(), json!({"PolicyName": "SageMakerExternalInvokeEndpointOurs"})));
    let id = stage.created(&create(&other)).await;
    stage.succeed(&delete(&id, &other)).await;
    assert_eq!(held(&stage), before);
}

/// U05: all versions that were there are there again, whichever was in force and however
/// many Updates came between; and IAM's five are enough for that.
#[tokio::test(start_paused = true)]
async fn u05_found_versions_are_kept() {
    for default in 1..=3 {
        let stage = all();
        policy(&stage, |policy| {
            policy.versions.insert(3, policy.versions[&2].clone());
            (policy.default, policy.newest) = (default, 3);
        });
        let before = held(&stage);
        let mut old = adopting(role());
        let id = stage.created(&create(&old)).await;
        for name in ["wine", "rose", "oak", "elm"] {
            let new = with(old.clone(), json!({ "EndpointNames": [name] }));
            stage.created(&update(&id, &old, &new)).await;
            old = new;
        }
        stage.succeed(&delete(&id, &old)).await;
        assert_eq!(held(&stage), before, "v{default}");
    }
    let stage = all();
    policy(&stage, |policy| {
        policy.versions.extend([(3, "{}".to_owned()), (4, "{}".to_owned())]);
        policy.newest = 4;
    });
    let reason = refused(&stage, &create(&adopting(role()))).await;
    assert!(reason.contains("has 4 versions of IAM's 5, and two must be free to adopt it"), "{reason}");
}

/// The found version was deleted by hand: the newest of those found is the default, or
/// else what is, and the answer says so. No Delete is stuck.
#[tokio::test(start_paused = true)]
async fn a_found_version_that_is_gone_is_skipped() {
    for (gone, left, back) in [(vec![2], vec![1], 1), (vec![1, 2], vec![3], 3)] {
        let stage = all();
        let id = stage.created(&create(&adopting(role()))).await;
        policy(&stage, |policy| policy.versions.retain(|version, _| !gone.contains(version)));
        let answer = stage.succeed(&delete(&id, &adopting(role()))).await;
        let says = format!(
            "version v2 of policy SageMakerExternalInvokeEndpoint, as found, is not there any more: v{back} is the default"
        );
        assert!(answer["Reason"].as_str().is_some_and(|note| note.contains(&says)), "{answer}");
        let world = stage.iam.world();
        let policy = &world.policies[KEY];
        assert_eq!((policy.versions.keys().copied().collect::<Vec<_>>(), policy.default), (left, back));
        assert!(world.roles["sagemakerexternal"].attached.contains(POLICY) && policy.tags.is_empty());
    }
}

/// A key that stood on the role or the policy is nobody's to set, with the same value
/// either: also later, and whatever the refused wishes before named.
#[tokio::test(start_paused = true)]
async fn found_tags_are_neither_set_nor_taken_off() {
    let stage = all();
    policy(&stage, |policy| _ = policy.tags.insert("cost".to_owned(), "42".to_owned()));
    for (key, value, entity) in [
        ("team", "ml", "role SageMakerExternal"),
        ("team", "other", "role SageMakerExternal"),
        ("Team", "ml", "role SageMakerExternal"),
        ("cost", "42", "policy SageMakerExternalInvokeEndpoint"),
    ] {
        let reason = refused(&stage, &create(&adopting(with(role(), tagged(key, value))))).await;
        assert_eq!(reason, format!("Tags: \"{key}\" stood on {entity} before it was adopted; leave it out"));
    }
    let before = held(&stage);
    let old = adopting(with(role(), tagged("own", "1")));
    let id = stage.created(&create(&old)).await;
    for key in ["team", "cost"] {
        let new = adopting(with(role(), tagged(key, "7")));
        refused(&stage, &update(&id, &old, &new)).await;
        // The rollback, whose wish before names the key.
        stage.created(&update(&id, &new, &old)).await;
    }
    assert_eq!(stage.iam.world().roles["sagemakerexternal"].tags["team"], "ml");
    // Properties of a wish that was refused do not take them off either.
    stage
        .succeed(&delete(
            &id,
            &adopting(with(
                role(),
                json!({"Tags": [{"Key": "own", "Value": "1"},
        {"Key": "team", "Value": "ml"}, {"Key": "cost", "Value": "42"}]}),
            )),
        ))
        .await;
    assert_eq!(held(&stage), before);
}

/// What was found is kept in tags: where there is no room for it, said before any write.
#[tokio::test(start_paused = true)]
async fn a_role_without_room_for_the_marks_is_not_adopted() {
    let stage = all();
    let tags: Vec<Value> = (0..46).map(|n| json!({"Key": format!("k{n}"), "Value": "1"})).collect();
    let reason = refused(&stage, &create(&adopting(with(role(), json!({ "Tags": tags }))))).await;
    assert!(reason.starts_with("Tags: role SageMakerExternal would have ") && reason.contains("of the 50"), "{reason}");
}

/// The adopted policy is given up for another one, and attached again in the end; rolled
/// back it is taken over as attached. Also when it is gone by then.
#[tokio::test(start_paused = true)]
async fn a_policy_given_up_is_attached_again() {
    let stage = by_hand(&[ROLE, POLICY, &format!("{POLICY}Ours")].join(","));
    let before = held(&stage);
    let old = adopting(role());
    let new = with(old.clone(), json!({"PolicyName": "SageMakerExternalInvokeEndpointOurs"}));
    for then in ["deleted", "rolled back", "gone"] {
        let id = stage.created(&create(&old)).await;
        stage.created(&update(&id, &old, &new)).await;
        assert_eq!(stage.iam.world().roles["sagemakerexternal"].attached, BTreeSet::from([format!("{POLICY}Ours")]));
        let last = if then == "rolled back" {
            stage.created(&update(&id, &new, &old)).await;
            &old
        } else {
            &new
        };
        if then == "gone" {
            stage.iam.world().policies.remove(KEY);
        }
        let answer = stage.succeed(&delete(&id, last)).await;
        if then == "gone" {
            let note = format!("policy {POLICY} hung on role SageMakerExternal and is not there any more");
            assert!(answer["Reason"].as_str().is_some_and(|reason| reason.contains(&note)), "{answer}");
        } else {
            assert_eq!(held(&stage), before, "{then}");
        }
    }
    assert!(stage.iam.world().roles["sagemakerexternal"].boundary.is_none());
}

/// Cut off at every call, the policy given up comes back all the same.
#[tokio::test(start_paused = true)]
async fn a_policy_given_up_survives_every_crash() {
    let old = adopting(role());
    let new = with(old.clone(), json!({"PolicyName": "SageMakerExternalInvokeEndpointOurs"}));
    for after in [false, true] {
        for at in 0.. {
            let stage = by_hand(&[ROLE, POLICY, &format!("{POLICY}Ours")].join(","));
            let before = held(&stage);
            let id = stage.created(&create(&old)).await;
            let seen = stage.iam.world().seen;
            stage.iam.world().fault_at = Some((seen + at, crate::iam::Fault::Killed { after }));
            let killed = stage.try_send(&update(&id, &old, &new)).await.is_none();
            stage.iam.world().fault_at = None;
            let wish = if killed { &old } else { &new };
            if killed {
                stage.created(&update(&id, &new, &old)).await;
            }
            stage.succeed(&delete(&id, wish)).await;
            assert_eq!(held(&stage), before, "call {at}, {after}");
            if !killed {
                break;
            }
        }
    }
}
