//! A trusted principal that was deleted outside: it blocks nothing that was accepted once, and
//! a new one that does not exist is refused before a right is written.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::iam::{Fault, Policy, Role};
use crate::stage::{ROLE_ARN, Stage, create, delete, role, update, with, writes};

const P: &str = "arn:aws:iam::444455556666:role/P";
const Q: &str = "arn:aws:iam::444455556666:user/Q";
const NOBODY: &str = "arn:aws:iam::444455556666:role/Nobody";
const TRUST: &str = "UpdateAssumeRolePolicy SageMakerExternal";
const REFUSED: &str = "UpdateAssumeRolePolicy SageMakerExternal !MalformedPolicyDocument";

fn trusting(principals: &[&str]) -> Value {
    with(role(), json!({"TrustedAccountIds": null, "TrustedPrincipalArns": principals}))
}

fn the_role(stage: &Stage) -> Role {
    stage.iam.world().roles["sagemakerexternal"].clone()
}

fn the_policy(stage: &Stage) -> Policy {
    stage.iam.world().policies.values().next().unwrap().clone()
}

/// A role that trusts these, one of whom is deleted then.
async fn without(principals: &[&str], gone: &str) -> (Stage, Value) {
    let (stage, old) = (Stage::new(), trusting(principals));
    stage.created(&create(&old)).await;
    stage.iam.world().delete_principal(gone);
    (stage, old)
}

/// U16: what changes beside the trust is carried out, soon, and so is the rollback; whoever is
/// still there stays trusted, and the log names who is not.
#[tokio::test(start_paused = true)]
async fn u16_a_deleted_principal_blocks_neither_an_update_nor_its_rollback() {
    for change in [
        json!({"EndpointNames": ["wine"]}),
        json!({"Tags": [{"Key": "team", "Value": "ml"}]}),
        json!({"MaxSessionDuration": "7200"}),
        json!({"PolicyName": "New"}),
        json!({"ExternalId": "another-id", "EndpointNames": ["wine"]}),
        json!({"CallerAttribution": "true", "EndpointNames": ["wine"]}),
        json!({"TrustedAccountIds": ["777788889999"], "EndpointNames": ["wine"]}),
        json!({"RoleName": "New"}),
        json!({}),
    ] {
        for principals in [&[P, Q][..], &[Q]] {
            let (stage, old) = without(principals, Q).await;
            let new = with(old.clone(), change.clone());
            captured::start();
            let start = Instant::now();
            let answer = stage.succeed(&update(ROLE_ARN, &old, &new)).await;
            assert!(start.elapsed() <= Duration::from_secs(4), "{change}: {:?}", start.elapsed());
            assert!(captured::text().contains(Q), "{change}: {}", captured::text());
            let id = answer["PhysicalResourceId"].as_str().unwrap();
            let name = id.rsplit('/').next().unwrap().to_lowercase();
            let made = stage.iam.world().roles[&name].clone();
            assert_eq!(made.attached.len(), 1, "{change}");
            assert_eq!(made.trust.contains(P), principals.contains(&P), "{change}: {}", made.trust);
            assert!(!made.trust.contains(Q) && !made.trust.contains("NotYetTrusted"), "{change}: {}", made.trust);
            stage.succeed(&update(id, &new, &old)).await;
            if id != ROLE_ARN {
                stage.succeed(&delete(id, &new)).await;
            }
            let back = the_role(&stage);
            assert_eq!((back.attached.len(), back.trust.contains(P)), (1, principals.contains(&P)), "{change}");
            stage.succeed(&delete(ROLE_ARN, &old)).await;
            assert!(stage.iam.world().roles.is_empty() && stage.iam.world().policies.is_empty(), "{change}");
        }
    }
}

/// U16, U37: the rights of a role do not go for a moment while its one principal is gone, and
/// what others trusted by hand meanwhile does not stay.
#[tokio::test(start_paused = true)]
async fn u16_one_principal_alone_costs_no_right() {
    let (stage, old) = without(&[Q], Q).await;
    stage.iam.take_calls();
    stage.succeed(&update(ROLE_ARN, &old, &with(old.clone(), json!({"EndpointNames": ["wine"]})))).await;
    let calls = stage.iam.take_calls();
    let done: Vec<&str> = writes(&calls).into_iter().filter(|call| *call != REFUSED).collect();
    assert_eq!(done, ["CreatePolicyVersion SageMakerExternalInvokeEndpoint"]);

    let (stage, old) = without(&[Q], Q).await;
    let theirs = the_role(&stage).trust.replace("AIDA", "arn:aws:iam::999999999999:user/");
    stage.iam.world().roles.get_mut("sagemakerexternal").unwrap().trust = theirs;
    stage.succeed(&update(ROLE_ARN, &old, &old)).await;
    let closed = the_role(&stage).trust;
    assert!(closed.contains("Deny") && !closed.contains("Allow"), "{closed}");
    // It is made again: trusted again.
    stage.iam.world().unknown_principals.clear();
    stage.succeed(&update(ROLE_ARN, &old, &old)).await;
    assert!(the_role(&stage).trust.contains(Q));
}

/// U15: a new principal that does not exist is waited for and then told, before any right is
/// written, though another one is gone besides; the rollback succeeds.
#[tokio::test(start_paused = true)]
async fn u15_a_new_principal_is_refused_before_any_right() {
    for (principals, gone, new) in [
        (&[P, Q][..], None, &[P, Q, NOBODY][..]),
        (&[P, Q], None, &[P, NOBODY]),
        (&[P], None, &[NOBODY]),
        (&[P, Q], Some(Q), &[P, Q, NOBODY]),
        (&[Q], Some(Q), &[Q, NOBODY]),
    ] {
        let (stage, old) = (Stage::new(), trusting(principals));
        stage.created(&create(&old)).await;
        if let Some(gone) = gone {
            stage.iam.world().delete_principal(gone);
        }
        stage.iam.world().unknown_principals.insert(NOBODY.to_owned(), usize::MAX);
        let (role_before, policy_before) = (the_role(&stage), the_policy(&stage));
        let new = with(trusting(new), json!({"EndpointNames": ["wine"]}));
        let start = Instant::now();
        let (reason, kept) = stage.fail(&update(ROLE_ARN, &old, &new)).await;
        assert!(reason.contains(&format!("Invalid principal in policy: \"AWS\":\"{NOBODY}\"")), "{reason}");
        assert!((10..40).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        assert_eq!(kept, ROLE_ARN);
        assert_eq!(the_policy(&stage), policy_before, "{new}");
        assert_eq!(the_role(&stage).attached, role_before.attached, "{new}");
        stage.succeed(&update(ROLE_ARN, &new, &old)).await;
        let (is, was) = (the_policy(&stage), &policy_before);
        assert_eq!(is.versions[&is.default], was.versions[&was.default], "{new}");
        let back = the_role(&stage);
        assert_eq!(back.trust, role_before.trust, "{new}");
        stage.succeed(&delete(ROLE_ARN, &old)).await;
    }
}

/// U15, U37: one that exists is let in last, after the rights, and the statement that names
/// it first has no effect and does not stay.
#[tokio::test(start_paused = true)]
async fn u37_a_new_principal_is_named_first_and_let_in_last() {
    let (old, new) = (trusting(&[P]), with(trusting(&[P, Q]), json!({"EndpointNames": ["wine"]})));
    let stage = Stage::new();
    stage.created(&create(&old)).await;
    stage.iam.fault("CreatePolicyVersion", Fault::Refused(400, "ValidationError", "no"));
    stage.fail(&update(ROLE_ARN, &old, &new)).await;
    let named = crate::iam::json(&the_role(&stage).trust);
    assert_eq!(named["Statement"][0]["Principal"]["AWS"], json!([P]));
    assert_eq!(named["Statement"][1]["Principal"]["AWS"], json!([Q]));
    assert_eq!(named["Statement"][1]["Effect"], "Deny");
    assert_eq!(named["Statement"][1]["Condition"], json!({"StringEquals": {"sts:ExternalId": "NotYetTrusted"}}));
    stage.iam.take_calls();
    stage.succeed(&update(ROLE_ARN, &new, &old)).await;
    assert!(writes(&stage.iam.take_calls()).contains(&TRUST));
    assert!(!the_role(&stage).trust.contains("NotYetTrusted"));
    stage.succeed(&update(ROLE_ARN, &old, &new)).await;
    let version = "CreatePolicyVersion SageMakerExternalInvokeEndpoint";
    assert_eq!(writes(&stage.iam.take_calls()), [TRUST, version, TRUST]);
    assert!(the_role(&stage).trust.contains(Q) && !the_role(&stage).trust.contains("NotYetTrusted"));
}

/// A trust that is full has no room for the statement: the role is without rights instead
/// while the new principal is tried.
#[tokio::test(start_paused = true)]
async fn u25_a_full_trust_is_tried_without_rights() {
    let names: Vec<String> = (0..39).map(|n| format!("arn:aws:iam::444455556666:role/caller-{n:02}-abc")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (last, first) = names.split_last().unwrap();
    let (old, new) = (trusting(first), with(trusting(&names), json!({"EndpointNames": ["wine"]})));
    let stage = Stage::new();
    stage.created(&create(&old)).await;
    assert!(the_role(&stage).trust.len() > 1_850, "{}", the_role(&stage).trust.len());
    stage.iam.world().unknown_principals.insert((*last).to_owned(), usize::MAX);
    let policy = the_policy(&stage);
    stage.fail(&update(ROLE_ARN, &old, &new)).await;
    assert_eq!(the_policy(&stage), policy);
    stage.succeed(&update(ROLE_ARN, &new, &old)).await;
    assert_eq!(the_role(&stage).attached.len(), 1);
    stage.iam.world().unknown_principals.clear();
    stage.succeed(&update(ROLE_ARN, &old, &new)).await;
    assert!(the_role(&stage).trust.contains(last));
}
