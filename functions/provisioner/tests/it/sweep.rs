//! The crash sweep: each event of a resource's life, broken at every single call of
//! IAM in every way, then CloudFormation's next moves. In the end IAM holds what it
//! held before or what was wished, nothing of ours is left over, and nothing foreign
//! has changed.

use serde_json::{Value, json};

use crate::iam::{Fault, Group, Policy, Role, World};
use crate::stage::{Stage, create, delete, group, role, update, with};

const FAULTS: [Fault; 5] = [
    Fault::Refused(400, "Throttling", "Rate exceeded"),
    Fault::Refused(500, "ServiceFailure", "before it took effect"),
    Fault::Lost,
    Fault::Killed { after: false },
    Fault::Killed { after: true },
];

/// What CloudFormation does when a process ends without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// Lambda delivers the event once more, and CloudFormation still waits.
    Redelivered,
    /// CloudFormation gives up waiting and rolls back.
    TimedOut,
}

/// What becomes of the stack after the event went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    /// Another resource of the stack fails: this one is rolled back.
    RolledBack,
}

/// What IAM holds, without what no one wishes for: ids and old versions.
#[derive(Debug, PartialEq)]
struct Held {
    roles: Vec<Role>,
    policies: Vec<Policy>,
    groups: Vec<Group>,
}

fn held(stage: &Stage) -> Held {
    let World { roles, policies, groups, .. } = &*stage.iam.world();
    let id = String::new;
    let current = |p: &Policy| Policy {
        id: id(),
        versions: [(0, p.versions[&p.default].clone())].into(),
        default: 0,
        newest: 0,
        ..p.clone()
    };
    Held {
        roles: roles.values().map(|role| Role { id: id(), ..role.clone() }).collect(),
        policies: policies.values().map(current).collect(),
        groups: groups.values().map(|group| Group { id: id(), ..group.clone() }).collect(),
    }
}

/// A world in which others live too: in the fence and outside, with like names.
async fn inhabited() -> Stage {
    let stage = Stage::new();
    stage.iam.world().users.extend(["alice", "bob", "carol"].map(str::to_owned));
    let theirs = with(role(), json!({"RoleName": "Theirs", "PolicyName": "SageMakerExternalInvokeEndpoint-9"}));
    stage.created(&with(create(&theirs), json!({"LogicalResourceId": "Theirs"}))).await;
    let theirs = with(group(), json!({"GroupName": "Theirs", "UserNames": ["alice", "carol"]}));
    stage.created(&with(create(&theirs), json!({"LogicalResourceId": "TheirGroup"}))).await;
    stage
}

/// One stack operation on one resource.
struct Operation {
    name: &'static str,
    old: Option<Value>,
    new: Option<Value>,
}

fn operations() -> Vec<Operation> {
    let narrow = with(
        role(),
        json!({"EndpointNames": ["wine"], "TrustedAccountIds": ["777788889999"], "MaxSessionDuration": "7200",
               "Tags": [{"Key": "team", "Value": "ml"}]}),
    );
    let many: Vec<String> = (0..120).map(|n| format!("an-endpoint-with-a-rather-long-name-{n:04}")).collect();
    let wide = with(role(), json!({ "EndpointNames": many }));
    let renamed = with(role(), json!({"RoleName": "New"}));
    let moved =
        with(narrow.clone(), json!({"RoleName": "New", "PolicyName": "NewPolicy", "Path": "/sagemaker-external/n/"}));
    let shared = with(narrow.clone(), json!({"RoleName": "New"}));
    let swapped = with(role(), json!({"PolicyName": "NewPolicy"}));
    let members = with(group(), json!({"UserNames": ["alice", "bob"]}));
    let others =
        with(group(), json!({"UserNames": ["bob", "carol"], "RoleArns": ["arn:aws:iam::777788889999:role/Other"]}));
    let regrouped = with(others.clone(), json!({"GroupName": "New", "PolicyName": "NewPolicy"}));
    let made = |name, new: &Value| Operation { name, old: None, new: Some(new.clone()) };
    let changed = |name, old: &Value, new: &Value| Operation { name, old: Some(old.clone()), new: Some(new.clone()) };
    let removed = |name, old: &Value| Operation { name, old: Some(old.clone()), new: None };
    vec![
        made("role: create", &role()),
        made("role: create, several policies", &wide),
        changed("role: update in place", &role(), &narrow),
        changed("role: grow over several policies", &role(), &wide),
        changed("role: shrink to one policy", &wide, &role()),
        changed("role: swap the policy's name", &role(), &swapped),
        changed("role: replace, same policy", &role(), &renamed),
        changed("role: replace, policy shared and changed", &role(), &shared),
        changed("role: replace whole", &role(), &moved),
        removed("role: delete", &role()),
        removed("role: delete several policies", &wide),
        made("group: create", &members),
        changed("group: update in place", &members, &others),
        changed("group: replace", &members, &regrouped),
        removed("group: delete", &members),
    ]
}

/// An operation's two ends: what IAM holds before it, and what it should after.
struct Ends {
    world: World,
    id: String,
    before: Held,
    after: Held,
}

async fn ends(operation: &Operation) -> Ends {
    let stage = inhabited().await;
    let id = match &operation.old {
        Some(old) => stage.created(&create(old)).await,
        None => String::new(),
    };
    // Undisturbed.
    let ideal = inhabited().await;
    match (&operation.old, &operation.new) {
        (None, Some(new)) => _ = ideal.created(&create(new)).await,
        (Some(old), Some(new)) => {
            let id = ideal.created(&create(old)).await;
            if ideal.created(&update(&id, old, new)).await != id {
                ideal.succeed(&delete(&id, old)).await;
            }
        }
        _ => {}
    }
    let world = stage.iam.world().clone();
    Ends { world, id, before: held(&stage), after: held(&ideal) }
}

/// Plays an operation with a fault at call `at`; `false` when there was no such call.
async fn play(operation: &Operation, ends: &Ends, at: usize, fault: &Fault, silence: Silence, fate: Fate) -> bool {
    let Operation { name, old, new } = operation;
    let Ends { world, id, before, after } = ends;
    let case = format!("{name}: call {at}, {fault:?}, {silence:?}, {fate:?}");
    let stage = Stage::new();
    *stage.iam.world() = world.clone();
    {
        let mut world = stage.iam.world();
        (world.seen, world.fault_at) = (0, Some((at, fault.clone())));
    }
    let event = match (old, new) {
        (None, Some(new)) => create(new),
        (Some(old), Some(new)) => update(id, old, new),
        (Some(old), None) => delete(id, old),
        (None, None) => panic!("no operation"),
    };
    let mut answer = stage.try_send(&event).await;
    if stage.iam.world().fault_at.take().is_some() {
        return false;
    }
    if answer.is_none() && silence == Silence::Redelivered {
        answer = Some(stage.send(&event).await);
    }
    let succeeded = answer.as_ref().is_some_and(|answer| answer["Status"] == "SUCCESS");
    let answered_id = answer.as_ref().and_then(|answer| answer["PhysicalResourceId"].as_str()).map(str::to_owned);
    let wanted = match (old, new) {
        // A Create that did not go well, or whose stack did not, is deleted under the
        // id it gave, or under one that CloudFormation invents.
        (None, Some(new)) if !succeeded || fate == Fate::RolledBack => {
            let id = answered_id.unwrap_or_else(|| "stack-Resource-1ABCDEFGHIJKL".to_owned());
            stage.succeed(&delete(&id, new)).await;
            before
        }
        (Some(old), Some(new)) if !succeeded || fate == Fate::RolledBack => {
            let now = answered_id.unwrap_or_else(|| id.clone());
            if !succeeded {
                assert_eq!(&now, id, "{case}: a failed Update keeps its id");
            }
            let answer = stage.succeed(&update(&now, new, old)).await;
            assert_eq!(answer["PhysicalResourceId"], id.as_str(), "{case}");
            if now != *id {
                stage.succeed(&delete(&now, new)).await;
            }
            before
        }
        (Some(old), Some(_)) => {
            // CloudFormation's clean-up after a replacement.
            if answered_id.as_ref() != Some(id) {
                stage.succeed(&delete(id, old)).await;
            }
            after
        }
        // A failed Delete is asked for again.
        (Some(old), None) => {
            if !succeeded {
                stage.succeed(&delete(id, old)).await;
            }
            after
        }
        _ => after,
    };
    assert_eq!(&held(&stage), wanted, "{case}");
    true
}

/// C12, C16, C18, C22, C23, C24, C45, U13, U22, U23 at every crash point.
#[tokio::test(start_paused = true)]
async fn crash_sweep() {
    let mut scenarios = 0;
    for operation in operations() {
        let ends = ends(&operation).await;
        for fault in &FAULTS {
            let silences: &[Silence] = match fault {
                Fault::Killed { .. } => &[Silence::Redelivered, Silence::TimedOut],
                _ => &[Silence::Redelivered],
            };
            let fates: &[Fate] = if operation.new.is_some() { &[Fate::Kept, Fate::RolledBack] } else { &[Fate::Kept] };
            for silence in silences {
                for fate in fates {
                    let mut at = 0;
                    while play(&operation, &ends, at, fault, *silence, *fate).await {
                        at += 1;
                        scenarios += 1;
                    }
                    assert!(at > 3, "{}: only {at} calls", operation.name);
                }
            }
        }
    }
    println!("crash sweep: {scenarios} scenarios, 0 orphans, 0 foreign changes, 0 unanswered");
}
