//! Grants of many endpoints: how many policies they take, how many calls a change takes,
//! and what others left of the role's quota.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::stage::{Stage, create, delete, role, update, with, writes};

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}-endpoint-with-a-name-as-long-as-it-can-get-{n:04}")).collect()
}

fn granting(names: &[String]) -> Value {
    with(role(), json!({ "EndpointNames": names }))
}

fn attached(stage: &Stage) -> BTreeSet<String> {
    stage.iam.world().roles["sagemakerexternal"].attached.clone()
}

/// The largest grant that is promised: its calls grow with the policies that change, not
/// with its endpoints.
#[tokio::test(start_paused = true)]
async fn five_hundred_endpoints_in_three_regions() {
    let stage = Stage::new();
    let regions = json!({"Regions": ["us-east-1", "us-west-2", "eu-west-1"]});
    let mut ends = names("e", 500);
    let old = with(granting(&ends), regions.clone());
    let answer = stage.succeed(&create(&old)).await;
    let policies = stage.iam.world().policies.len();
    assert!((7..=10).contains(&policies), "{policies}");
    let calls = stage.iam.take_calls();
    assert_eq!(writes(&calls).len(), 1 + 2 * policies, "the role, and each policy made and attached");
    let id = answer["PhysicalResourceId"].as_str().unwrap().to_owned();
    ends.push("e-endpoint-more".to_owned());
    let more = with(granting(&ends), regions);
    for (old, new) in [(&old, &more), (&more, &old)] {
        stage.succeed(&update(&id, old, new)).await;
        let calls = stage.iam.take_calls();
        let written = writes(&calls);
        assert!(written.len() == 1 && written[0].starts_with("CreatePolicyVersion"), "{written:?}");
    }
    stage.succeed(&delete(&id, &old)).await;
    let world = stage.iam.world();
    assert!(world.roles.is_empty() && world.policies.is_empty());
}

/// U24: what others attached counts against the quota too: said before anything is
/// written, with their names.
#[tokio::test(start_paused = true)]
async fn u24_attachments_of_others_count() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    let others: BTreeSet<String> = (0..4).map(|n| format!("arn:aws:iam::aws:policy/Other{n}")).collect();
    stage.iam.world().roles.get_mut("sagemakerexternal").unwrap().attached.extend(others.clone());
    let (reason, _) = stage.fail(&update(&id, &role(), &granting(&names("a", 400)))).await;
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
    assert!(reason.starts_with("EndpointNames: the grant needs 7 managed policies of the 10"), "{reason}");
    assert!(others.iter().all(|other| reason.contains(other)), "{reason}");
    // What fits beside them is made.
    stage.succeed(&update(&id, &role(), &granting(&names("a", 300)))).await;
    assert!(attached(&stage).is_superset(&others));
}

/// Another PolicyName for more policies than the quota has room for twice: an old one is
/// detached before a new one is attached; and all the way back.
#[tokio::test(start_paused = true)]
async fn many_policies_are_renamed_within_the_quota() {
    let stage = Stage::new();
    let old = granting(&names("a", 450));
    let id = stage.created(&create(&old)).await;
    let before = attached(&stage);
    assert!(before.len() > 5);
    let new = with(old.clone(), json!({"PolicyName": "New"}));
    stage.succeed(&update(&id, &old, &new)).await;
    assert_eq!(attached(&stage).len(), before.len());
    assert!(stage.iam.world().policies.keys().all(|name| name.starts_with("new")));
    stage.succeed(&update(&id, &new, &old)).await;
    assert_eq!(attached(&stage), before);
    assert_eq!(stage.iam.world().policies.len(), before.len());
}

/// U17: reads of copies that lag show each policy as the rollback wants it: the one that
/// the failed update changed is written all the same, and no other.
#[tokio::test(start_paused = true)]
async fn a_policy_of_several_is_not_believed_to_be_rolled_back() {
    let stage = Stage::new();
    let mut ends = names("a", 130);
    let old = granting(&ends);
    let id = stage.created(&create(&old)).await;
    ends.push("zzz".to_owned());
    let new = granting(&ends);
    stage.succeed(&update(&id, &old, &new)).await;
    let forward: Vec<String> = writes(&stage.iam.take_calls()).into_iter().map(str::to_owned).collect();
    stage.created(&update(&id, &new, &old)).await;
    // As at first: what a copy shows that has not seen the update.
    stage.succeed(&update(&id, &new, &old)).await;
    let calls = stage.iam.take_calls();
    assert_eq!(writes(&calls), forward);
    assert!(forward.len() == 1 && forward[0].starts_with("CreatePolicyVersion"), "{forward:?}");
}
