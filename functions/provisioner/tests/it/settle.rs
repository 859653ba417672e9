//! IAM answers from copies that lag: what is waited for, and what is not.

use serde_json::json;
use tokio::time::Instant;

use crate::iam::Fault;
use crate::stage::{Stage, create, delete, role, update, with};

const UNKNOWN_PRINCIPAL: Fault = Fault::Refused(
    400,
    "MalformedPolicyDocument",
    "Invalid principal in policy: \"AWS\":\"arn:aws:iam::444455556666:role/x\"",
);
const NOT_FOUND: Fault = Fault::Refused(404, "NoSuchEntity", "The role cannot be found.");
const DENIED: Fault = Fault::Refused(403, "AccessDenied", "not authorized");

/// U15: a principal that was just made is waited for, in both calls that name it;
/// any other malformed document fails at once.
#[tokio::test(start_paused = true)]
async fn u15_a_new_principal_is_waited_for() {
    let stage = Stage::new();
    for _ in 0..3 {
        stage.iam.fault("CreateRole", UNKNOWN_PRINCIPAL);
        stage.iam.fault("UpdateAssumeRolePolicy", UNKNOWN_PRINCIPAL);
    }
    let id = stage.created(&create(&role())).await;
    stage.succeed(&update(&id, &role(), &with(role(), json!({"TrustedAccountIds": ["777788889999"]})))).await;
    stage.iam.fault(
        "UpdateAssumeRolePolicy",
        Fault::Refused(400, "MalformedPolicyDocument", "Has prohibited field Resource"),
    );
    let start = Instant::now();
    let (reason, _) = stage.fail(&update(&id, &role(), &role())).await;
    assert!(reason.contains("prohibited field"), "{reason}");
    assert!(start.elapsed().is_zero());
}

/// U18: a role made a moment ago that IAM does not know yet, or does not know the path
/// of, is waited for; one that was there before is not.
#[tokio::test(start_paused = true)]
async fn u18_only_what_was_just_made_is_waited_for() {
    for fault in [NOT_FOUND, DENIED] {
        let stage = Stage::new();
        stage.iam.fault("AttachRolePolicy", fault.clone());
        stage.iam.fault("AttachRolePolicy", fault);
        stage.succeed(&create(&role())).await;
    }
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    stage.iam.fault("UpdateRole", DENIED);
    let start = Instant::now();
    stage.fail(&update(&id, &role(), &with(role(), json!({"MaxSessionDuration": "7200"})))).await;
    assert!(start.elapsed().is_zero());
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
