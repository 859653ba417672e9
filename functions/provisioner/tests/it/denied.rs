//! AccessDenied while IAM does not know yet what the provisioner may do: waited for on every
//! call, and not for ever.

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::iam::Fault;
use crate::stage::{Stage, create, delete, group, role, update, with, writes};

const DENIED: Fault = Fault::Refused(403, "AccessDenied", "not authorized");

fn deny(stage: &Stage, action: &str, times: usize) {
    (0..times).for_each(|_| stage.iam.fault(action, DENIED));
}

fn wide(properties: Value) -> Value {
    let group = properties.get("RoleArns").is_some();
    let arns = json!({"RoleArns": ["arn:aws:iam::777788889999:role/Other"]});
    with(properties, if group { arns } else { json!({"EndpointNames": ["wine"], "MaxSessionDuration": "7200"}) })
}

/// The provisioner's policy changed a moment ago: each read and each write, the first one
/// too, is tried again until IAM knows, in each kind of event.
#[tokio::test(start_paused = true)]
async fn each_call_is_tried_again_while_it_is_denied() {
    for (properties, reads) in [
        (role(), ["GetRole", "GetPolicy", "ListAttachedRolePolicies"]),
        (group(), ["GetGroup", "ListGroupPolicies", "ListAttachedGroupPolicies"]),
    ] {
        let plain = Stage::new();
        let new = wide(properties.clone());
        let id = plain.created(&create(&properties)).await;
        let made = plain.iam.world().clone();
        plain.succeed(&update(&id, &properties, &new)).await;
        let changed = plain.iam.take_calls();
        *plain.iam.world() = made.clone();
        plain.succeed(&delete(&id, &properties)).await;
        let removed = plain.iam.take_calls();
        for (event, calls) in [(update(&id, &properties, &new), changed), (delete(&id, &properties), removed)] {
            let written = writes(&calls).into_iter().filter_map(|call| call.split(' ').next());
            for action in reads.into_iter().chain(written) {
                let stage = Stage::new();
                *stage.iam.world() = made.clone();
                deny(&stage, action, 4);
                let start = Instant::now();
                stage.succeed(&event).await;
                assert!(start.elapsed().as_secs() <= 31, "{action}: {:?}", start.elapsed());
                assert!(stage.iam.world().faults[action].is_empty(), "{action} was tried again");
            }
        }
        for action in reads.iter().take(1).copied().chain(["CreateRole", "CreateGroup"]) {
            let stage = Stage::new();
            deny(&stage, action, 4);
            stage.succeed(&create(&properties)).await;
        }
    }
}

/// A denial that lasts is told after half a minute, whatever is denied besides, and says first
/// what helps most often.
#[tokio::test(start_paused = true)]
async fn a_lasting_denial_is_told_in_time() {
    for (actions, code) in [
        (&["GetRole"][..], "ReadDenied"),
        (&["UpdateRole"], "StepDenied"),
        (&["CreatePolicyVersion"], "StepDenied"),
        (&["GetRole", "UpdateRole"], "StepDenied"),
    ] {
        let stage = Stage::new();
        let id = stage.created(&create(&role())).await;
        let (last, before) = actions.split_last().unwrap();
        before.iter().for_each(|action| deny(&stage, action, 4));
        stage.iam.fault_for_ever(last, DENIED);
        let start = Instant::now();
        let ([reason, told], kept) = stage.failure(&update(&id, &role(), &wide(role()))).await;
        assert_eq!((told.as_str(), &kept), (code, &id), "{reason}");
        assert!(reason.contains("; if the provisioner's stack changed a moment ago, deploy again; else"), "{reason}");
        assert!((30..35).contains(&start.elapsed().as_secs()), "{actions:?}: {:?}", start.elapsed());
    }
    let stage = Stage::new();
    stage.iam.fault_for_ever("CreateRole", DENIED);
    let (_, id) = stage.fail(&create(&role())).await;
    assert_eq!(id, "SageMakerExternal::CreateFailed", "nothing was made");
    let id = stage.created(&create(&group())).await;
    stage.iam.fault_for_ever("DeleteGroupPolicy", DENIED);
    let start = Instant::now();
    stage.fail(&delete(&id, &group())).await;
    assert!((30..35).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

/// A policy of somebody else's that hangs on the role lies outside the provisioner's
/// permissions for good: it is not waited for.
#[tokio::test(start_paused = true)]
async fn a_strangers_policy_is_not_waited_for() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    {
        let mut world = stage.iam.world();
        let role = world.roles.get_mut("sagemakerexternal").unwrap();
        role.attached.insert("arn:aws:iam::111122223333:policy/Theirs".to_owned());
    }
    stage.iam.fault_for_ever("GetPolicy Theirs", DENIED);
    let start = Instant::now();
    stage.succeed(&update(&id, &role(), &wide(role()))).await;
    assert!(start.elapsed().is_zero());
}
