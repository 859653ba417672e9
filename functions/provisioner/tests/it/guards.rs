//! Lines of defence that no ordinary life needs: the order of giving back, what another
//! resource owns, refusals that mean "gone", secrets in what IAM says, a bucket that is
//! slow.

use std::time::Duration;

use serde_json::json;

use crate::iam::Fault;
use crate::stage::{ROLE_ARN, Stage, create, delete, group, role, update, with, writes};
use crate::sweep::operations::{held, inhabited};

/// The wish that adopts what `inhabited` holds, made by hand.
fn adopting() -> serde_json::Value {
    with(role(), json!({"OnExisting": "Adopt", "RoleName": "HandMade", "PolicyName": "HandMade"}))
}

/// The boundary holds until trust and rights are back: what was found may be wider than
/// what the boundary allows.
#[tokio::test(start_paused = true)]
async fn u37_the_boundary_of_an_adopted_role_goes_last() {
    let stage = inhabited().await;
    let id = stage.created(&create(&adopting())).await;
    stage.succeed(&delete(&id, &adopting())).await;
    let calls = stage.iam.take_calls();
    let writes = writes(&calls);
    let at =
        |call: &str| writes.iter().position(|write| *write == call).unwrap_or_else(|| panic!("{call}: {writes:?}"));
    let boundary = at("DeleteRolePermissionsBoundary HandMade");
    for before in [
        "UpdateAssumeRolePolicy HandMade",
        "UpdateRole HandMade",
        "SetDefaultPolicyVersion HandMade",
        "AttachRolePolicy HandMade",
        "UntagPolicy HandMade",
    ] {
        assert!(at(before) < boundary, "{before}: {writes:?}");
    }
    assert_eq!(at("UntagRole HandMade"), writes.len() - 1, "the mark is the last to go");
}

/// C13: OnExisting: Adopt takes over what nobody owns; another resource's policy stays
/// as it is, whatever role it hangs on.
#[tokio::test(start_paused = true)]
async fn c13_another_resources_policy_is_not_adopted() {
    let stage = inhabited().await;
    let theirs = with(role(), json!({"RoleName": "Owner", "PolicyName": "Owned", "EndpointNames": ["theirs"]}));
    stage.created(&with(create(&theirs), json!({"LogicalResourceId": "Owner"}))).await;
    // No role holds it: nothing but its tags says whose it is.
    stage.iam.world().roles.get_mut("owner").unwrap().attached.clear();
    let before = held(&stage);
    let wish = with(role(), json!({"OnExisting": "Adopt", "PolicyName": "Owned"}));
    let (reason, id) = stage.fail(&create(&wish)).await;
    assert!(reason.contains("Owned"), "{reason}");
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
    stage.succeed(&delete(&id, &wish)).await;
    assert_eq!(held(&stage), before);
}

/// U14: another run was faster, and IAM refuses what it does not know any more: done.
/// What is still there stays refused.
#[tokio::test(start_paused = true)]
async fn u14_access_denied_for_what_is_gone_is_done() {
    for (properties, action) in [(role(), "DeleteRole"), (group(), "DeleteGroup")] {
        let stage = Stage::new();
        let id = stage.created(&create(&properties)).await;
        stage.iam.fault(action, Fault::Overtaken);
        stage.succeed(&delete(&id, &properties)).await;
        let calls = stage.iam.take_calls();
        assert!(calls.iter().any(|call| call.starts_with(action) && call.ends_with(" !AccessDenied")), "{calls:?}");
        let read = if action == "DeleteRole" { "GetRole" } else { "GetGroup" };
        assert!(calls.last().is_some_and(|call| call.starts_with(read)), "it is looked up: {calls:?}");
        {
            let world = stage.iam.world();
            assert!(world.roles.is_empty() && world.groups.is_empty() && world.policies.is_empty());
        }

        let stage = Stage::new();
        let id = stage.created(&create(&properties)).await;
        stage.iam.fault_for_ever(action, Fault::Refused(403, "AccessDenied", "not authorized"));
        let (reason, _) = stage.fail(&delete(&id, &properties)).await;
        assert!(reason.contains("AccessDenied"), "it is there: {reason}");
    }
}

/// Tags of the found role and policy are not overwritten later either.
#[tokio::test(start_paused = true)]
async fn a_found_tag_is_not_overwritten_by_an_update() {
    let stage = inhabited().await;
    let id = stage.created(&create(&adopting())).await;
    for key in ["owner", "cost"] {
        let tagged = with(adopting(), json!({"Tags": [{"Key": key, "Value": "us"}]}));
        let (reason, kept) = stage.fail(&update(&id, &adopting(), &tagged)).await;
        assert!(reason.starts_with(&format!("Tags: \"{key}\" ")), "{reason}");
        assert_eq!(kept, id);
        assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
    }
}

/// S03: also while IAM is read, its text is cleared of the ExternalId.
#[tokio::test(start_paused = true)]
async fn s03_a_refused_read_does_not_carry_the_external_id() {
    let wish = with(role(), json!({"ExternalId": "tenant-canary-7"}));
    let stage = Stage::new();
    stage.iam.fault("GetRole", Fault::Refused(400, "ValidationError", "bad: tenant-canary-7"));
    let (reason, _) = stage.fail(&create(&wish)).await;
    assert!(reason.starts_with("IAM could not be read") && reason.contains("bad: [ExternalId]"), "{reason}");
    // The one before, which a trust on the way still holds, and a Delete's.
    let new = with(wish.clone(), json!({"ExternalId": "tenant-8"}));
    for event in [update(ROLE_ARN, &wish, &new), delete(ROLE_ARN, &wish)] {
        stage.iam.fault("GetRole", Fault::Refused(400, "ValidationError", "bad: tenant-canary-7"));
        let (reason, _) = stage.fail(&event).await;
        assert!(reason.contains("bad: [ExternalId]"), "{reason}");
    }
}

/// C28: a PUT that hangs is given up, and tried again.
#[tokio::test(start_paused = true)]
async fn c28_one_put_that_hangs_is_not_the_end() {
    let stage = Stage::new();
    *stage.bucket.statuses.lock().unwrap() = vec![0, 200];
    stage.raw(&create(&role())).await;
    assert_eq!(stage.answers().len(), 2);
    let times = stage.bucket.times.lock().unwrap();
    assert_eq!((times[1] - times[0]).as_secs(), 6, "five seconds for the try, one before the next");
}

/// C28: the pauses double, each with up to a quarter more.
#[tokio::test(start_paused = true)]
async fn c28_tries_back_off() {
    let stage = Stage::new();
    *stage.bucket.statuses.lock().unwrap() = vec![500; 20];
    stage.raw(&create(&role())).await;
    let times = stage.bucket.times.lock().unwrap();
    assert_eq!(times.len(), 6);
    for (number, pair) in times.windows(2).enumerate() {
        let least = Duration::from_secs(1 << number);
        // The clock counts milliseconds.
        let most = least + least / 4 + Duration::from_millis(1);
        assert!((least..=most).contains(&(pair[1] - pair[0])), "try {}: {:?}", number + 2, pair[1] - pair[0]);
    }
}

/// A role that hangs on a policy of ours and is not shown may be the one after a
/// replacement: it is waited for, and not taken for a stranger.
#[tokio::test(start_paused = true)]
async fn u18_a_role_that_is_not_shown_yet_is_no_stranger() {
    let (old, new) = (role(), with(role(), json!({"RoleName": "Next"})));
    let mut look_up = None;
    for hidden in [false, true] {
        let stage = Stage::new();
        let id = stage.created(&create(&old)).await;
        stage.created(&update(&id, &old, &new)).await;
        if hidden {
            let mut world = stage.iam.world();
            let at = world.seen + look_up.expect("the clean-up looks whom else the policy serves");
            world.fault_at = Some((at, Fault::Refused(404, "NoSuchEntity", "not seen yet")));
        }
        let answer = stage.succeed(&delete(&id, &old)).await;
        assert!(answer["Reason"].as_str().is_some_and(|note| note.contains("serves another role")), "{answer}");
        let calls = stage.iam.take_calls();
        assert_eq!(calls.contains(&"GetRole Next !NoSuchEntity".to_owned()), hidden, "{calls:?}");
        look_up = calls.iter().position(|call| call == "GetRole Next");
        let world = stage.iam.world();
        assert!(world.roles.keys().eq(["next"]) && world.policies.len() == 1);
    }
}

/// C15: a rollback goes back to the old role, which a copy that lags does not show. That
/// IAM throttles the attempt to make it is no sign that this run made it.
#[tokio::test(start_paused = true)]
async fn c15_a_live_role_is_not_undone_after_a_throttle() {
    let (old, new) = (role(), with(role(), json!({"RoleName": "Next"})));
    let stage = Stage::new();
    let id = stage.created(&create(&old)).await;
    let answer = stage.succeed(&update(&id, &old, &new)).await;
    let next = answer["PhysicalResourceId"].as_str().unwrap().to_owned();
    let before = stage.iam.world().roles.clone();
    stage.iam.fault("GetRole", Fault::Refused(404, "NoSuchEntity", "not seen"));
    stage.iam.fault("CreateRole", Fault::Refused(400, "Throttling", "Rate exceeded"));
    let (reason, _) = stage.fail(&update(&next, &new, &old)).await;
    assert!(reason.contains("Rate exceeded"), "{reason}");
    assert_eq!(stage.iam.world().roles, before);
}
