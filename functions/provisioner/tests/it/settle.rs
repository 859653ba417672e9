//! IAM answers from copies that lag: what is waited for, and what is not.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::iam::{Fault, Lag, json as document};
use crate::stage::{CHILD, GROUP_ARN, ROLE_ARN, Stage, create, delete, group, role, settings, update, with, writes};

const DENIED: Fault = Fault::Refused(403, "AccessDenied", "not authorized");
const CALLER: &str = "arn:aws:iam::444455556666:role/Caller";

/// U15: a principal that was just made is waited for, in both calls that name it, and
/// not for ever; any other malformed document fails at once.
#[tokio::test(start_paused = true)]
async fn u15_a_new_principal_is_waited_for() {
    let stage = Stage::new();
    let root = |account: &str| format!("arn:aws:iam::{account}:root");
    stage.iam.world().unknown_principals.extend([(root(CHILD), 3), (root("777788889999"), 3)]);
    let id = stage.created(&create(&role())).await;
    stage.succeed(&update(&id, &role(), &with(role(), json!({"TrustedAccountIds": ["777788889999"]})))).await;
    assert_eq!(stage.iam.take_calls().iter().filter(|call| call.ends_with(" !MalformedPolicyDocument")).count(), 3);

    stage.iam.world().unknown_principals.insert(CALLER.to_owned(), usize::MAX);
    let start = Instant::now();
    let (reason, kept) =
        stage.fail(&update(&id, &role(), &with(role(), json!({"TrustedPrincipalArns": [CALLER]})))).await;
    assert!(reason.contains(&format!("Invalid principal in policy: \"AWS\":\"{CALLER}\"")), "{reason}");
    assert_eq!(kept, id);
    assert!((10..60).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());

    stage.iam.fault(
        "UpdateAssumeRolePolicy",
        Fault::Refused(400, "MalformedPolicyDocument", "Has prohibited field Resource"),
    );
    let start = Instant::now();
    let (reason, _) = stage.fail(&update(&id, &role(), &role())).await;
    assert!(reason.contains("prohibited field"), "{reason}");
    assert!(start.elapsed().is_zero());
}

/// U16: a principal that was deleted and made again is another one, and the stored trust
/// shows the first one's id: an Update writes the trust anew though Old equals New.
#[tokio::test(start_paused = true)]
async fn u16_a_principal_made_again_is_trusted_again() {
    for (caller, prefix) in [(CALLER, "AROA"), ("arn:aws:iam::444455556666:user/caller", "AIDA")] {
        let stage = Stage::new();
        let wish = with(role(), json!({"TrustedPrincipalArns": [caller]}));
        let id = stage.created(&create(&wish)).await;
        let before = stage.iam.world().roles.clone();
        stage.iam.world().delete_principal(caller);
        assert!(stage.iam.world().roles["sagemakerexternal"].trust.contains(prefix));

        captured::start();
        stage.succeed(&update(&id, &wish, &wish)).await;
        assert!(captured::text().contains(caller), "it is gone, and that is logged: {}", captured::text());
        stage.iam.world().unknown_principals.clear();
        stage.iam.take_calls();
        stage.succeed(&update(&id, &wish, &wish)).await;
        assert_eq!(writes(&stage.iam.take_calls()), ["UpdateAssumeRolePolicy SageMakerExternal"]);
        assert_eq!(stage.iam.world().roles, before);
        // With other changes at once, and in a Delete, the id is no obstacle either.
        stage.iam.world().delete_principal(caller);
        stage.iam.world().unknown_principals.clear();
        let more = with(wish.clone(), json!({"EndpointNames": ["wine"]}));
        stage.succeed(&update(&id, &wish, &more)).await;
        let trust = document(&stage.iam.world().roles["sagemakerexternal"].trust);
        assert!(trust.to_string().contains(caller) && !trust.to_string().contains(prefix), "{trust}");
        stage.iam.world().delete_principal(caller);
        stage.succeed(&delete(&id, &more)).await;
        assert!(stage.iam.world().roles.is_empty());
    }
}

/// U17: right after the creation GetRole shows the role's id in place of its ARN: that is
/// waited out, not handed on.
#[tokio::test(start_paused = true)]
async fn u17_an_id_is_not_taken_for_an_arn() {
    let stage = Stage::new();
    stage.iam.world().lag = Lag { hidden: 0, id_as_arn: 3 };
    stage.succeed(&create(&role())).await;
    // Delivered twice, at once.
    let answer = stage.succeed(&create(&role())).await;
    assert_eq!((&answer["PhysicalResourceId"], &answer["Data"]["RoleArn"]), (&json!(ROLE_ARN), &json!(ROLE_ARN)));

    stage.iam.world().settle();
    stage.succeed(&delete(ROLE_ARN, &role())).await;
    stage.iam.world().lag.id_as_arn = usize::MAX;
    stage.succeed(&create(&role())).await;
    let start = Instant::now();
    let (reason, id) = stage.fail(&update(ROLE_ARN, &role(), &role())).await;
    assert!(reason.contains("IAM could not be read"), "{reason}");
    assert_eq!(id, ROLE_ARN);
    assert!((10..60).contains(&start.elapsed().as_secs()), "bounded: {:?}", start.elapsed());
}

/// U18: a role, policy or group made a moment ago that IAM does not know yet, or does
/// not know the path of, is waited for; one that was there before is not.
#[tokio::test(start_paused = true)]
async fn u18_only_what_was_just_made_is_waited_for() {
    for properties in [role(), group()] {
        let stage = Stage::new();
        stage.iam.world().lag.hidden = 3;
        stage.succeed(&create(&properties)).await;
        assert!(stage.iam.take_calls().iter().any(|call| call.ends_with(" !NoSuchEntity")));
    }
    let stage = Stage::new();
    stage.iam.fault("AttachRolePolicy", DENIED);
    stage.iam.fault("AttachRolePolicy", DENIED);
    let id = stage.created(&create(&role())).await;
    stage.iam.fault("UpdateRole", Fault::Refused(404, "NoSuchEntity", "The role cannot be found."));
    let start = Instant::now();
    stage.succeed(&update(&id, &role(), &with(role(), json!({"MaxSessionDuration": "7200"})))).await;
    assert_eq!(start.elapsed(), Duration::from_secs(1), "read again, and not waited for");
}

/// U18, C12: what stays unseen fails within bounds, under an id that its rollback finds.
#[tokio::test(start_paused = true)]
async fn u18_what_stays_unseen_is_rolled_back() {
    for (properties, wanted) in [(role(), ROLE_ARN), (group(), GROUP_ARN)] {
        let stage = Stage::new();
        stage.iam.world().lag.hidden = 100;
        let start = Instant::now();
        let (reason, id) = stage.fail(&create(&properties)).await;
        assert_eq!(reason, "it was removed while it was being made");
        assert!((10..110).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        assert_eq!(id, wanted);
        stage.iam.world().settle();
        stage.succeed(&delete(&id, &properties)).await;
        let world = stage.iam.world();
        assert!(world.roles.is_empty() && world.policies.is_empty() && world.groups.is_empty());
    }
}

/// U18, U23: the SDK repeats a creation whose answer was lost, and is told that the
/// entity exists, which no copy shows yet: it is waited for a while, and no orphan is left.
#[tokio::test(start_paused = true)]
async fn u18_u23_a_creation_that_the_sdk_repeats_is_no_strangers() {
    for (properties, action, wanted) in
        [(role(), "CreateRole", ROLE_ARN), (role(), "CreatePolicy", ROLE_ARN), (group(), "CreateGroup", GROUP_ARN)]
    {
        for hidden in [1, 50] {
            let stage = patient();
            stage.iam.world().lag.hidden = hidden;
            stage.iam.fault(action, Fault::Lost);
            let answer = stage.send(&create(&properties)).await;
            let id = answer["PhysicalResourceId"].as_str().unwrap();
            assert!([wanted, "SageMakerExternal::CreateInterrupted"].contains(&id), "{action}: {answer}");
            assert!(hidden == 50 || answer["Status"] == "SUCCESS", "{action}: {answer}");
            stage.iam.world().settle();
            stage.succeed(&delete(id, &properties)).await;
            let world = stage.iam.world();
            assert!(world.roles.is_empty() && world.policies.is_empty() && world.groups.is_empty(), "{action}");
        }
    }
}

/// U22: throttling is waited out with more tries than the SDK's three, and not for ever.
#[tokio::test(start_paused = true)]
async fn u22_throttling_is_waited_out() {
    for code in ["Throttling", "RequestLimitExceeded"] {
        let stage = patient();
        for _ in 0..6 {
            stage.iam.fault("CreateRole", Fault::Refused(400, code, "Rate exceeded"));
        }
        stage.succeed(&create(&role())).await;
    }
    let stage = patient();
    for _ in 0..100 {
        stage.iam.fault("CreateRole", Fault::Refused(400, "Throttling", "Rate exceeded"));
    }
    let (reason, _) = stage.fail(&create(&role())).await;
    assert!(reason.contains("CreateRole"), "{reason}");
}

/// U24: a full quota is no throttling: one call, even by the SDK's own rules.
#[tokio::test(start_paused = true)]
async fn u24_a_quota_is_not_tried_again() {
    let stage = patient();
    stage.iam.world().quotas.roles = 0;
    let start = Instant::now();
    let (reason, id) = stage.fail(&create(&role())).await;
    assert!(reason.contains("Cannot exceed quota for RolesPerAccount: 0 (LimitExceeded)"), "{reason}");
    assert_eq!(id, "SageMakerExternal::CreateFailed");
    assert_eq!(writes(&stage.iam.take_calls()), ["CreateRole SageMakerExternal !LimitExceeded"]);
    assert!(start.elapsed() < Duration::from_secs(1));
}

/// With the SDK's tries below ours, as in the function.
fn patient() -> Stage {
    Stage::retrying(settings(&[]), provisioner::iam::retries())
}

/// U13, U19, U20: conflicts of the moment are waited for, within bounds.
#[tokio::test(start_paused = true)]
async fn u13_u19_u20_conflicts_of_the_moment_pass() {
    for (action, code) in [
        ("DeleteRole", "DeleteConflict"),
        ("DeletePolicy", "ConcurrentModification"),
        ("DeleteRole", "EntityTemporarilyUnmodifiable"),
    ] {
        let stage = Stage::new();
        let id = stage.created(&create(&role())).await;
        stage.iam.fault(action, Fault::Refused(409, code, "wait"));
        stage.succeed(&delete(&id, &role())).await;
        assert!(stage.iam.world().roles.is_empty());
    }
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    for _ in 0..40 {
        stage.iam.fault("DeleteRole", Fault::Refused(409, "DeleteConflict", "for ever"));
    }
    let (reason, kept) = stage.fail(&delete(&id, &role())).await;
    assert!(reason.contains("for ever (DeleteConflict)"), "{reason}");
    assert_eq!(kept, id);
}

/// C11, C24: a Delete that comes while the Create still runs is not undone by it.
#[tokio::test(start_paused = true)]
async fn c11_a_delete_during_a_create_is_not_undone() {
    for properties in [role(), group()] {
        let stage = Stage::new();
        let waits = if properties.get("RoleArns").is_some() { "PutGroupPolicy" } else { "CreatePolicy" };
        // For longer than the Delete looks for what is still to come.
        for _ in 0..5 {
            stage.iam.fault(waits, Fault::Refused(409, "ConcurrentModification", "wait"));
        }
        let event = create(&properties);
        let (_, ()) = tokio::join!(stage.raw(&event), async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            stage.raw(&delete("stack-Resource-1ABC", &properties)).await;
        });
        let statuses: Vec<Value> = stage.answers().iter().map(|answer| answer["Status"].clone()).collect();
        assert_eq!(statuses, ["SUCCESS", "FAILED"], "the Delete, then the Create");
        let world = stage.iam.world();
        assert!(world.roles.is_empty() && world.policies.is_empty() && world.groups.is_empty());
    }
}
