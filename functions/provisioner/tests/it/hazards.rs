//! What goes wrong on the real IAM and not on a simple stand-in: reads of copies that
//! lag, refusals that mean "gone", texts that quote secrets, buckets that hang.

use std::time::Duration;

use serde_json::json;

use crate::iam::{Fault, Group};
use crate::stage::{Stage, create, delete, group, role, update, with, writes};

/// U16, C18: a rollback that reads the trust and the policy of a moment ago, which look
/// as wished already, writes them all the same.
#[tokio::test(start_paused = true)]
async fn c18_a_stale_read_does_not_leave_the_wrong_party_trusted() {
    let stage = Stage::new();
    let other = with(role(), json!({"TrustedAccountIds": ["777788889999"], "EndpointNames": ["wine"]}));
    let id = stage.created(&create(&role())).await;
    // The rollback of an Update whose effects no copy shows yet.
    stage.succeed(&update(&id, &other, &role())).await;
    let calls = stage.iam.take_calls();
    for write in ["UpdateAssumeRolePolicy SageMakerExternal", "CreatePolicyVersion SageMakerExternalInvokeEndpoint"] {
        assert!(writes(&calls).contains(&write), "{calls:?}");
    }
    let id = stage.created(&create(&group())).await;
    let other = with(group(), json!({"RoleArns": ["arn:aws:iam::777788889999:role/Other"]}));
    stage.succeed(&update(&id, &other, &group())).await;
    assert_eq!(writes(&stage.iam.take_calls()), ["PutGroupPolicy AssumeSageMakerExternal"]);
}

/// C20: one read that finds nothing is not believed: a rollback follows a Create within
/// a second.
#[tokio::test(start_paused = true)]
async fn c20_a_single_not_found_is_not_believed() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    for action in ["GetRole", "GetPolicy"] {
        stage.iam.fault(action, Fault::Refused(404, "NoSuchEntity", "not here yet"));
    }
    stage.succeed(&delete(&id, &role())).await;
    let world = stage.iam.world();
    assert!(world.roles.is_empty() && world.policies.is_empty());
}

/// U14: of what is gone IAM does not know the path, so it refuses instead: done as well.
#[tokio::test(start_paused = true)]
async fn u14_a_refusal_for_what_is_gone_is_done() {
    let denied = || Fault::Refused(403, "AccessDenied", "not authorized");
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    stage.iam.fault_for_ever("DeleteRole", denied());
    // It is there: the refusal stands.
    assert!(stage.fail(&delete(&id, &role())).await.0.contains("AccessDenied"));
    // Gone between the reading and the step: the look-up that follows says so.
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    stage.iam.fault_for_ever("ListAttachedRolePolicies", denied());
    let (reason, _) = stage.fail(&delete(&id, &role())).await;
    assert!(reason.starts_with("IAM could not be read"), "it is there: {reason}");
}

/// C02, C05: an answer that would be too long is refused before anything is made.
#[tokio::test(start_paused = true)]
async fn c05_a_long_answer_is_refused_before_any_write() {
    let stage = Stage::new();
    let names: Vec<String> = (0..450).map(|n| format!("an-endpoint-with-a-rather-long-name-{n:04}")).collect();
    let path = format!("/sagemaker-external/{}/", "p".repeat(480));
    let (reason, id) = stage.fail(&create(&with(role(), json!({"EndpointNames": names, "Path": path})))).await;
    assert!(reason.contains("4096 bytes"), "{reason}");
    assert_eq!(id, "SageMakerExternal::CreateFailed");
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
}

/// Bad input: a path outside the provisioner's own is refused before any call.
#[tokio::test(start_paused = true)]
async fn c34_a_path_outside_the_fence_is_refused_before_any_call() {
    let stage = Stage::new();
    for properties in [role(), group()] {
        let (reason, _) = stage.fail(&create(&with(properties, json!({"Path": "/teams/x/"})))).await;
        assert_eq!(reason, "Path: \"/teams/x/\" must lie below /sagemaker-external/, where this provisioner may act");
    }
    assert_eq!(stage.iam.take_calls(), [""; 0]);
}

/// S03: IAM's text may quote the trust; an ExternalId of one's own is taken out of it.
#[tokio::test(start_paused = true)]
async fn s03_iams_text_does_not_carry_the_external_id() {
    let stage = Stage::new();
    stage.iam.fault("CreateRole", Fault::Refused(400, "MalformedPolicyDocument", "bad: tenant-canary-7"));
    let (reason, _) = stage.fail(&create(&with(role(), json!({"ExternalId": "tenant-canary-7"})))).await;
    assert!(reason.contains("bad: [ExternalId] (MalformedPolicyDocument)"), "{reason}");
}

/// C38: someone adds a condition to the group's policy: it is ours all the same, and put
/// back; and a Delete removes it.
#[tokio::test(start_paused = true)]
async fn c38_an_edited_group_policy_is_still_ours() {
    for put_back in [true, false] {
        let stage = Stage::new();
        let id = stage.created(&create(&group())).await;
        {
            let mut world = stage.iam.world();
            let policy = world.groups.get_mut("sagemakertester").unwrap().inline.get_mut("AssumeSageMakerExternal");
            let policy = policy.unwrap();
            *policy = policy
                .replace("\"Effect\"", "\"Condition\":{\"Bool\":{\"aws:MultiFactorAuthPresent\":\"true\"}},\"Effect\"");
        }
        if put_back {
            stage.succeed(&update(&id, &group(), &group())).await;
            assert_eq!(writes(&stage.iam.take_calls()), ["PutGroupPolicy AssumeSageMakerExternal"]);
        }
        stage.succeed(&delete(&id, &group())).await;
        assert!(stage.iam.world().groups.is_empty());
    }
}

/// C25, C27: IAM hangs, and then the bucket does too: given up before Lambda's own end.
#[tokio::test(start_paused = true)]
async fn c27_a_hanging_bucket_after_a_hanging_call_ends_in_time() {
    let stage = Stage::new();
    stage.iam.fault("CreateRole", Fault::Hangs);
    stage.bucket.hang();
    let start = tokio::time::Instant::now();
    stage.raw(&create(&role())).await;
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
}

/// C08, U02: "exists" may be the SDK's second try, or a stranger's: the id is one whose
/// Delete looks for what is this resource's for certain.
#[tokio::test(start_paused = true)]
async fn u01_exists_is_no_proof_that_nothing_was_made() {
    let stage = Stage::new();
    for _ in 0..9 {
        stage.iam.fault("CreateRole", Fault::Refused(409, "EntityAlreadyExists", "exists"));
    }
    let (reason, id) = stage.fail(&create(&role())).await;
    assert!(reason.contains("names are unique in the account"), "{reason}");
    assert_eq!(id, "SageMakerExternal::CreateInterrupted");
}

/// C09, U02: a Create that could not read IAM has seen nothing: its Delete removes what an
/// earlier delivery left for certain, at whatever pace the copies show it, and no stranger's.
#[tokio::test(start_paused = true)]
async fn u02_a_create_that_saw_nothing_proves_nothing() {
    for (properties, read) in [(role(), "GetRole"), (group(), "GetGroup")] {
        let stage = Stage::new();
        let unread = Fault::Refused(400, "Throttling", "Rate exceeded");
        stage.iam.fault(read, unread.clone());
        let (_, id) = stage.fail(&create(&properties)).await;
        assert_eq!(id, "SageMakerExternal::CreateInterrupted");
        stage.succeed(&delete(&id, &properties)).await;
        assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
        // An earlier delivery was cut off when all was made.
        stage.created(&create(&properties)).await;
        stage.iam.fault(read, unread);
        assert_eq!(stage.fail(&create(&properties)).await.1, id);
        for action in ["GetRole", "GetGroup", "GetPolicy", "GetPolicy"] {
            stage.iam.fault(action, Fault::Refused(404, "NoSuchEntity", "not here yet"));
        }
        stage.succeed(&delete(&id, &properties)).await;
        let world = stage.iam.world();
        assert!(world.roles.is_empty() && world.policies.is_empty() && world.groups.is_empty());
    }
    // An empty group of long ago: read late, or found by the creation alone.
    for fault in
        [Fault::Refused(400, "Throttling", "Rate exceeded"), Fault::Refused(404, "NoSuchEntity", "a stale copy")]
    {
        let stage = Stage::new();
        let theirs = old_group();
        stage.iam.world().groups.insert("sagemakertester".to_owned(), theirs.clone());
        stage.iam.fault("GetGroup", fault);
        let (_, id) = stage.fail(&create(&group())).await;
        assert_eq!(id, "SageMakerExternal::CreateInterrupted");
        stage.succeed(&delete(&id, &group())).await;
        assert_eq!(stage.iam.world().groups["sagemakertester"], theirs);
    }
}

/// C12, U02: an empty group of a moment ago may be what an earlier delivery made, or a
/// person: a Create that only read it does not take it for its own by name.
#[tokio::test(start_paused = true)]
async fn c12_an_empty_group_is_no_proof() {
    let stage = Stage::new();
    stage.iam.fault("PutGroupPolicy", Fault::Killed { after: false });
    assert_eq!(stage.try_send(&create(&group())).await, None);
    stage.iam.fault("PutGroupPolicy", Fault::Refused(400, "ValidationError", "no"));
    let (_, id) = stage.fail(&create(&group())).await;
    assert_eq!(id, "SageMakerExternal::CreateInterrupted");
    stage.succeed(&delete(&id, &group())).await;
    assert!(stage.iam.world().groups.is_empty());
}

/// U18: what IAM shows of a policy and denies of its role is waited for, within bounds, and
/// no stranger is blamed for it.
#[tokio::test(start_paused = true)]
async fn u18_a_lasting_contradiction_is_said() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    for _ in 0..20 {
        stage.iam.fault("GetRole", Fault::Refused(404, "NoSuchEntity", "not here yet"));
    }
    let start = tokio::time::Instant::now();
    let (reason, kept) = stage.fail(&delete(&id, &role())).await;
    let wanted =
        "IAM shows policy SageMakerExternalInvokeEndpoint on role SageMakerExternal, but not yet the role itself";
    assert!(reason.starts_with(wanted) && kept == id, "{reason}");
    assert!((10..60).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
}

/// A group that a person made and left empty.
fn old_group() -> Group {
    Group {
        name: "SagemakerTester".to_owned(),
        path: "/sagemaker-external/".to_owned(),
        id: "AGPAHAND".to_owned(),
        users: Default::default(),
        inline: Default::default(),
        attached: Default::default(),
    }
}

/// U13, U18: a rollback whose first reads do not show one part of what the Create made, or
/// show it without what hangs on it, looks again: nothing is taken for a stranger's.
#[tokio::test(start_paused = true)]
async fn u18_a_delete_looks_again_for_what_should_be_there() {
    let lag = || Fault::Refused(404, "NoSuchEntity", "not here yet");
    let members = with(group(), json!({"UserNames": ["alice"]}));
    let big: Vec<String> = (0..150).map(|n| format!("an-endpoint-with-a-rather-long-name-{n:04}")).collect();
    let big = with(role(), json!({ "EndpointNames": big }));
    for (properties, breaks, unseen) in [
        (role(), None, vec!["GetRole"]),
        (role(), Some("AttachRolePolicy"), vec!["GetRole"]),
        (role(), Some("AttachRolePolicy"), vec!["GetPolicy"]),
        (role(), Some("CreatePolicy"), vec!["GetRole"]),
        (role(), None, vec!["GetPolicy"]),
        (role(), None, vec!["GetRole", "GetRole", "GetRole", "GetRole"]),
        (role(), None, vec!["ListAttachedRolePolicies"]),
        (big, None, vec!["GetPolicy"]),
        (members.clone(), None, vec!["GetGroup"]),
        (members.clone(), None, vec!["GetGroupPolicy"]),
        (members.clone(), None, vec!["ListGroupPolicies"]),
        (members, Some("PutGroupPolicy"), vec!["GetGroup"]),
    ] {
        for invented in [false, true] {
            let stage = Stage::new();
            stage.iam.world().users.insert("alice".to_owned());
            if let Some(action) = breaks {
                stage.iam.fault(action, Fault::Refused(400, "Throttling", "Rate exceeded"));
            }
            let answer = stage.send(&create(&properties)).await;
            let id = if invented { json!("stack-Resource-1ABC") } else { answer["PhysicalResourceId"].clone() };
            unseen.iter().for_each(|action| stage.iam.fault(action, lag()));
            let start = tokio::time::Instant::now();
            let answer = stage.succeed(&delete(id.as_str().unwrap(), &properties)).await;
            assert_eq!(answer.get("Reason"), None, "{unseen:?}: {answer}");
            assert!(start.elapsed().as_secs() < 60);
            let world = stage.iam.world();
            let left = (world.roles.len(), world.policies.len(), world.groups.len());
            assert_eq!(left, (0, 0, 0), "{breaks:?} {unseen:?} {invented}");
        }
    }
}
