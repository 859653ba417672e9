//! What goes wrong on the real IAM and not on a simple stand-in: reads of copies that
//! lag, refusals that mean "gone", texts that quote secrets, buckets that hang.

use std::time::Duration;

use serde_json::json;

use crate::iam::Fault;
use crate::stage::{ROLE_ARN, Stage, create, delete, group, role, update, with, writes};

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
    stage.iam.fault("DeleteRole", denied());
    // It is there: the refusal stands.
    assert!(stage.fail(&delete(&id, &role())).await.0.contains("AccessDenied"));
    // Gone between the reading and the step: the look-up that follows says so.
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    stage.iam.fault("ListAttachedRolePolicies", denied());
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

/// C08, U02: "exists" may be the SDK's second try: the id is one that a Delete follows up.
#[tokio::test(start_paused = true)]
async fn u01_exists_is_no_proof_that_nothing_was_made() {
    let stage = Stage::new();
    for _ in 0..9 {
        stage.iam.fault("CreateRole", Fault::Refused(409, "EntityAlreadyExists", "exists"));
    }
    let (reason, id) = stage.fail(&create(&role())).await;
    assert!(reason.contains("names are unique in the account"), "{reason}");
    assert_eq!(id, ROLE_ARN);
}
