//! Each outside entity × each property: what vanishes or drifts between a Create and an
//! Update of something else. The Update, its failure, its rollback and the Delete go well all
//! the same, nothing of ours is left, and nothing foreign has changed.

use serde_json::{Value, json};

use crate::iam::{Fault, World};
use crate::stage::{CHILD, GROUP_ARN, ROLE_ARN, Stage, create, delete, group, role, update, with, writes};

const CALLER: &str = "arn:aws:iam::444455556666:role/Caller";
const POLICY: &str = "sagemakerexternalinvokeendpoint";

type Loss = (&'static str, fn(&mut World));

fn the_role(world: &mut World) -> &mut crate::iam::Role {
    world.roles.get_mut("sagemakerexternal").unwrap()
}

fn the_group(world: &mut World) -> &mut crate::iam::Group {
    world.groups.get_mut("sagemakertester").unwrap()
}

fn drop_policy(world: &mut World) {
    world.policies.remove(POLICY);
    the_role(world).attached.clear();
}

const LOSSES_OF_A_ROLE: [Loss; 10] = [
    ("the trusted principal is deleted", |world| world.delete_principal(CALLER)),
    ("the role is deleted", |world| _ = world.roles.remove("sagemakerexternal")),
    ("the policy is detached", |world| the_role(world).attached.clear()),
    ("the policy is deleted", drop_policy),
    ("the role's tags are taken off", |world| the_role(world).tags.clear()),
    ("the policy's tags are taken off", |world| world.policies.get_mut(POLICY).unwrap().tags.clear()),
    ("the boundary is taken off", |world| the_role(world).boundary = None),
    ("the trust is closed", |world| the_role(world).trust = the_role(world).trust.replace("Allow", "Deny")),
    ("another version is the default", |world| {
        let policy = world.policies.get_mut(POLICY).unwrap();
        policy.versions.insert(7, policy.versions[&policy.default].replace("iris", "other"));
        (policy.default, policy.newest) = (7, 7);
    }),
    ("role, policy and principal are deleted", |world| {
        world.delete_principal(CALLER);
        drop_policy(world);
        world.roles.remove("sagemakerexternal");
    }),
];

const LOSSES_OF_A_GROUP: [Loss; 7] = [
    ("a member is deleted", |world| world.delete_user("bob")),
    ("all members are deleted", |world| ["alice", "bob"].iter().for_each(|user| world.delete_user(user))),
    ("a member is taken out and full up", |world| {
        the_group(world).users.remove("bob");
        world.quotas.groups_per_user = 1;
        world.groups.get_mut("theirs").unwrap().users.insert("bob".to_owned());
    }),
    ("the group is deleted", |world| _ = world.groups.remove("sagemakertester")),
    ("the policy is deleted", |world| the_group(world).inline.clear()),
    ("the policy is saved with other Sids", |world| {
        let text = the_group(world).inline.values_mut().next().unwrap();
        let mut document: Value = serde_json::from_str(text).unwrap();
        document["Statement"][0]["Sid"] = json!("VisualEditor0");
        *text = document.to_string();
    }),
    ("the group and a member are deleted", |world| {
        world.delete_user("bob");
        world.groups.remove("sagemakertester");
    }),
];

fn changes_of_a_role() -> Vec<Value> {
    vec![
        json!({"EndpointNames": ["wine"]}),
        json!({"InferenceComponentNames": ["part"]}),
        json!({"TrustedAccountIds": [CHILD, "777788889999"]}),
        json!({"ExternalId": "another-id"}),
        json!({"Operations": ["InvokeEndpointAsync"]}),
        json!({"Regions": ["us-west-2"]}),
        json!({"PolicyName": "New"}),
        json!({"MaxSessionDuration": "7200"}),
        json!({"CallerAttribution": "true"}),
        json!({"Tags": [{"Key": "team", "Value": "ml"}]}),
        json!({"EndpointNames": ["wine"], "ExternalId": "another-id", "MaxSessionDuration": "7200"}),
    ]
}

fn changes_of_a_group() -> Vec<Value> {
    vec![
        json!({"RoleArns": ["arn:aws:iam::777788889999:role/Other"]}),
        json!({"UserNames": ["alice", "bob", "carol"]}),
        json!({"UserNames": ["BOB"]}),
        json!({"PolicyName": "New"}),
    ]
}

struct Life {
    id: &'static str,
    old: Value,
    new: Value,
}

/// A world with the resource in it, beside a stranger's, and the loss.
async fn begun(life: &Life, loss: fn(&mut World)) -> Stage {
    let stage = Stage::new();
    stage.iam.world().users.extend(["alice", "bob", "carol"].map(str::to_owned));
    let theirs = |properties: Value| with(create(&properties), json!({"LogicalResourceId": "Theirs"}));
    stage.created(&theirs(with(role(), json!({"RoleName": "Theirs", "PolicyName": "Theirs"})))).await;
    stage.created(&theirs(with(group(), json!({"GroupName": "Theirs"})))).await;
    assert_eq!(stage.created(&create(&life.old)).await, life.id);
    loss(&mut stage.iam.world());
    stage
}

/// What is in IAM besides what the resource may hold.
fn foreign(stage: &Stage) -> String {
    let world = stage.iam.world();
    let roles: Vec<_> = world.roles.values().filter(|role| role.name == "Theirs").collect();
    let policies: Vec<_> = world.policies.values().filter(|policy| policy.name == "Theirs").collect();
    let groups: Vec<_> = world.groups.values().filter(|group| group.name == "Theirs").collect();
    format!("{roles:?} {policies:?} {groups:?}")
}

/// The end of each life: deleted, with nothing left behind.
async fn end(stage: &Stage, life: &Life, properties: &Value, theirs: &str, case: &str) {
    let (is_whole, entities) = {
        let world = stage.iam.world();
        let role = world.roles.get("sagemakerexternal");
        let role = role.is_some_and(|role| role.attached.len() == 1 && role.boundary.is_some() && role.tags.len() >= 2);
        let group = world.groups.get("sagemakertester").is_some_and(|group| {
            group.inline.len() == 1 && group.inline.values().all(|text| text.contains("\"SageMakerExternal"))
        });
        (if life.id == ROLE_ARN { role } else { group }, format!("{:?} {:?}", world.roles, world.groups))
    };
    assert!(is_whole, "{case}: {entities}");
    let answer = stage.send(&delete(life.id, properties)).await;
    assert_eq!(answer["Status"], "SUCCESS", "{case}: {answer}");
    let world = stage.iam.world();
    assert_eq!((world.roles.len(), world.policies.len(), world.groups.len()), (1, 1, 1), "{case}");
    drop(world);
    assert_eq!(foreign(stage), theirs, "{case}");
}

async fn well(stage: &Stage, event: &Value, case: &str) {
    let answer = stage.send(event).await;
    assert_eq!(answer["Status"], "SUCCESS", "{case}: {answer}");
}

/// The Update goes well and stays; it goes well and is rolled back, since another resource
/// fails; it fails at each of its own writes and is rolled back; and a Delete comes at once.
async fn live(life: &Life, (name, loss): Loss) -> usize {
    let case = format!("{name}, {}", life.new);
    let stage = begun(life, loss).await;
    let theirs = foreign(&stage);
    well(&stage, &update(life.id, &life.old, &life.new), &case).await;
    let calls = stage.iam.take_calls();
    let written = writes(&calls).iter().filter(|call| !call.contains('!')).count();
    end(&stage, life, &life.new, &theirs, &case).await;

    let stage = begun(life, loss).await;
    well(&stage, &update(life.id, &life.old, &life.new), &case).await;
    well(&stage, &update(life.id, &life.new, &life.old), &format!("{case}: the rollback")).await;
    end(&stage, life, &life.old, &theirs, &case).await;

    let stage = begun(life, loss).await;
    let answer = stage.send(&delete(life.id, &life.old)).await;
    assert_eq!(answer["Status"], "SUCCESS", "{case}: {answer}");
    assert_eq!(foreign(&stage), theirs, "{case}");

    for (at, _) in calls.iter().enumerate().filter(|(_, call)| !call.starts_with("Get") && !call.starts_with("List")) {
        let stage = begun(life, loss).await;
        {
            let mut world = stage.iam.world();
            (world.seen, world.fault_at) = (0, Some((at, Fault::Refused(400, "ValidationError", "no"))));
        }
        let answer = stage.send(&update(life.id, &life.old, &life.new)).await;
        stage.iam.world().fault_at = None;
        let failed = answer["Status"] == "FAILED";
        let (old, new) = if failed { (&life.new, &life.old) } else { (&life.old, &life.new) };
        if failed {
            well(&stage, &update(life.id, old, new), &format!("{case}: the rollback of a failure at {at}")).await;
        }
        end(&stage, life, new, &theirs, &case).await;
    }
    written
}

/// C18, C20, C38, U16, U31, U32: nothing that was accepted once fails for what vanished since.
#[tokio::test(start_paused = true)]
async fn c38_what_vanished_outside_stops_no_update_of_a_role() {
    let old = with(role(), json!({"TrustedPrincipalArns": [CALLER]}));
    let alone = with(old.clone(), json!({"TrustedAccountIds": null}));
    for loss in LOSSES_OF_A_ROLE {
        for (old, changes) in [(&old, 11), (&alone, 4)] {
            for change in changes_of_a_role().into_iter().rev().take(changes) {
                let life = Life { id: ROLE_ARN, old: old.clone(), new: with(old.clone(), change) };
                live(&life, loss).await;
            }
        }
    }
}

/// The same of a group.
#[tokio::test(start_paused = true)]
async fn c38_what_vanished_outside_stops_no_update_of_a_group() {
    let old = with(group(), json!({"UserNames": ["alice", "bob"]}));
    for loss in LOSSES_OF_A_GROUP {
        for change in changes_of_a_group() {
            if change["UserNames"] == json!(["BOB"]) && loss.0 == "all members are deleted" {
                // The update takes alice out, so its rollback names her newly: an event does
                // not say that it is a rollback, and nothing in IAM tells that she was a member.
                continue;
            }
            let life = Life { id: GROUP_ARN, old: old.clone(), new: with(old.clone(), change) };
            live(&life, loss).await;
        }
    }
}
