//! `OnExisting: Adopt`: what was made by hand from the recipe is taken over, and given
//! back as it was found.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::group_api::INVOCATIONS;
use crate::iam::{Fault, Group, Policy, Role, json as document};
use crate::stage::{BOUNDARY, CHILD, Stage, create, delete, group, role, settings, update, with, writes};

pub const ROLE: &str = "arn:aws:iam::111122223333:role/SageMakerExternal";
pub const POLICY: &str = "arn:aws:iam::111122223333:policy/SageMakerExternalInvokeEndpoint";
const GROUP: &str = "arn:aws:iam::111122223333:group/SagemakerTester";

/// The recipe as a person made it in the console: at path `/`, without an ExternalId.
pub fn by_hand(adopt_arns: &str) -> Stage {
    let stage = Stage::with(settings(&[("ADOPT_ARNS", adopt_arns)]));
    {
        let mut world = stage.iam.world();
        world.users.extend(["alice", "bob", "carol"].map(str::to_owned));
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{CHILD}:root")}, "Action": "sts:AssumeRole", "Condition": {}}]});
        let permission = json!({"Version": "2012-10-17", "Statement": [{"Action": ["sagemaker:InvokeEndpoint"],
            "Effect": "Allow", "Resource": "arn:aws:sagemaker:*:111122223333:endpoint/iris"}]});
        let role = Role {
            name: "SageMakerExternal".to_owned(),
            path: "/".to_owned(),
            id: "AROAHAND000000000".to_owned(),
            trust: trust.to_string(),
            max_session: "7200".to_owned(),
            boundary: None,
            tags: BTreeMap::from([("team".to_owned(), "ml".to_owned())]),
            attached: BTreeSet::from([POLICY.to_owned()]),
            inline: BTreeMap::new(),
            profiles: Vec::new(),
        };
        let policy = Policy {
            name: "SageMakerExternalInvokeEndpoint".to_owned(),
            path: "/".to_owned(),
            id: "ANPAHAND000000000".to_owned(),
            versions: BTreeMap::from([(1, "{}".to_owned()), (2, permission.to_string())]),
            default: 2,
            newest: 2,
            tags: BTreeMap::new(),
            users: Vec::new(),
        };
        let assume = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",
            "Resource": "arn:aws:iam::777788889999:role/SageMakerExternal"}});
        let group = Group {
            name: "SagemakerTester".to_owned(),
            path: "/".to_owned(),
            id: "AGPAHAND000000000".to_owned(),
            users: BTreeSet::from(["alice".to_owned(), "bob".to_owned()]),
            inline: BTreeMap::from([("AssumeSageMakerExternal".to_owned(), assume.to_string())]),
            attached: BTreeSet::new(),
        };
        world.roles.insert("sagemakerexternal".to_owned(), role);
        world.policies.insert("sagemakerexternalinvokeendpoint".to_owned(), policy);
        world.groups.insert("sagemakertester".to_owned(), group);
    }
    stage
}

pub fn all() -> Stage {
    by_hand(&[ROLE, POLICY, GROUP].join(","))
}

pub fn adopting(properties: Value) -> Value {
    with(properties, json!({"OnExisting": "Adopt"}))
}

pub type Held = (BTreeMap<String, Role>, BTreeMap<String, Policy>, BTreeMap<String, Group>);

/// Version numbers go on counting; what counts is what is left.
pub fn held(stage: &Stage) -> Held {
    let world = stage.iam.world();
    let policies = world.policies.iter().map(|(key, policy)| (key.clone(), Policy { newest: 0, ..policy.clone() }));
    (world.roles.clone(), policies.collect(), world.groups.clone())
}

/// The marks with what was found first, the boundary before anything else; and what
/// changes is in the log before it is changed.
#[tokio::test(start_paused = true)]
async fn a_role_made_by_hand_is_taken_over() {
    let stage = all();
    captured::start();
    let answer = stage.succeed(&create(&adopting(role()))).await;
    assert_eq!(answer["PhysicalResourceId"], ROLE);
    assert_eq!((&answer["Data"]["RoleArn"], &answer["Data"]["PolicyArns"]), (&json!(ROLE), &json!(POLICY)));
    assert_eq!(
        writes(&stage.iam.take_calls()),
        [
            "TagRole SageMakerExternal",
            "TagPolicy SageMakerExternalInvokeEndpoint",
            "UpdateRole SageMakerExternal",
            "PutRolePermissionsBoundary SageMakerExternal",
            "DetachRolePolicy SageMakerExternal",
            "UpdateAssumeRolePolicy SageMakerExternal",
            "CreatePolicyVersion SageMakerExternalInvokeEndpoint",
            "AttachRolePolicy SageMakerExternal",
        ]
    );
    let lines = captured::text();
    let first_applied = lines.find("\"applied\"").unwrap();
    assert_eq!(lines[..first_applied].matches("\"planned\"").count(), 8, "{lines}");
    let world = stage.iam.world();
    let role = &world.roles["sagemakerexternal"];
    assert_eq!(role.boundary.as_deref(), Some(BOUNDARY));
    assert_eq!(role.tags["team"], "ml", "others' tags stay");
    assert_eq!(document(&role.trust)["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"], "111122223333");
}

/// Given back as it was found, also after later Updates, and after Creates that were
/// repeated or rolled back.
#[tokio::test(start_paused = true)]
async fn a_delete_gives_back_what_was_found() {
    let stage = all();
    let before = held(&stage);
    let (old, members) = (adopting(role()), adopting(with(group(), json!({"UserNames": ["bob", "carol"]}))));
    let new = with(
        old.clone(),
        json!({"EndpointNames": ["wine"], "TrustedAccountIds": ["777788889999"], "Tags": [{"Key": "new", "Value": "1"}]}),
    );
    let id = stage.created(&create(&old)).await;
    assert_eq!(stage.created(&create(&old)).await, id, "C22: the same again");
    stage.succeed(&update(&id, &old, &new)).await;
    let group_id = stage.created(&create(&members)).await;
    assert_eq!(group_id, GROUP);
    let calling = json!({"UserNames": ["carol"], "ApiArns": [INVOCATIONS]});
    stage.created(&update(&group_id, &members, &adopting(with(group(), calling)))).await;
    assert_eq!(stage.iam.world().groups["sagemakertester"].users.len(), 3, "members that were found stay");
    let answer = stage.succeed(&delete(&id, &new)).await;
    assert!(answer["Reason"].as_str().is_some_and(|note| note.contains("given back as it was found")), "{answer}");
    stage.succeed(&delete(&group_id, &members)).await;
    assert_eq!(held(&stage), before);
}

/// `OnDelete: Remove`: as if it had been made here.
#[tokio::test(start_paused = true)]
async fn on_delete_remove_removes_what_was_adopted() {
    let stage = all();
    let all = |properties| with(adopting(properties), json!({"OnDelete": "Remove"}));
    let members = with(group(), json!({"UserNames": ["alice", "bob"]}));
    let (role_id, group_id) =
        (stage.created(&create(&all(role()))).await, stage.created(&create(&all(members.clone()))).await);
    stage.succeed(&delete(&role_id, &all(role()))).await;
    stage.succeed(&delete(&group_id, &all(members))).await;
    let (roles, policies, groups) = held(&stage);
    assert!(roles.is_empty() && policies.is_empty() && groups.is_empty());
}

/// First what keeps the entity, last what removes it.
const OFFER: &str = "exists already and was not made by this resource: to take it over, set OnExisting to Adopt and name it in AdoptArns of the provisioner's stack; or choose another ";

/// Without Adopt, or with an ARN that the provisioner's stack does not name: said, and
/// nothing changed.
#[tokio::test(start_paused = true)]
async fn what_may_not_be_adopted_is_left_alone() {
    for (stage, properties, says) in [
        (all(), role(), OFFER),
        (all(), group(), OFFER),
        (by_hand(""), adopting(role()), "name it in AdoptArns"),
        (by_hand(ROLE), adopting(role()), "name it in AdoptArns"),
        (by_hand(POLICY), adopting(group()), "name it in AdoptArns"),
    ] {
        let before = held(&stage);
        let (reason, id) = stage.fail(&create(&properties)).await;
        assert!(reason.contains(says), "{reason}");
        assert_eq!(id, "SageMakerExternal::CreateFailed");
        assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
        stage.succeed(&delete(&id, &properties)).await;
        assert_eq!(held(&stage), before);
    }
}

/// A grant too long for one policy needs further ones at the role's path: said before
/// anything is adopted, unless they are named too.
#[tokio::test(start_paused = true)]
async fn further_policies_of_an_adopted_role_must_be_named() {
    let names: Vec<String> = (0..90).map(|n| format!("endpoint-with-a-long-name-{n:03}")).collect();
    let long = adopting(with(role(), json!({"EndpointNames": names})));
    let stage = by_hand(&[ROLE, POLICY].join(","));
    let before = held(&stage);
    let (reason, id) = stage.fail(&create(&long)).await;
    assert!(
        reason.contains(&format!("{POLICY}-2 lies outside /sagemaker-external/; name it in AdoptArns")),
        "{reason}"
    );
    assert_eq!((id.as_str(), held(&stage)), ("SageMakerExternal::CreateFailed", before));
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);

    let stage = by_hand(&[ROLE, POLICY, &format!("{POLICY}-2"), &format!("{POLICY}-3")].join(","));
    let before = held(&stage);
    let id = stage.created(&create(&long)).await;
    assert!(stage.iam.world().policies.contains_key("sagemakerexternalinvokeendpoint-2"));
    stage.succeed(&delete(&id, &long)).await;
    assert_eq!(held(&stage), before);
}

/// U18: AttachRolePolicy is allowed on roles with the boundary only, and IAM's copies may
/// not have seen it put there yet.
#[tokio::test(start_paused = true)]
async fn u18_a_boundary_just_put_is_waited_for() {
    let stage = all();
    for _ in 0..3 {
        stage.iam.fault("AttachRolePolicy", Fault::Refused(403, "AccessDenied", "no identity-based policy allows it"));
    }
    stage.succeed(&create(&adopting(role()))).await;
    assert!(stage.iam.take_calls().iter().any(|call| call.starts_with("AttachRolePolicy") && !call.contains('!')));
}

/// Below the path too, and with the boundary: what others made is taken over only by name.
#[tokio::test(start_paused = true)]
async fn below_the_path_what_is_adopted_must_be_named_too() {
    let role_arn = "arn:aws:iam::111122223333:role/sagemaker-external/SageMakerExternal";
    let policy_arn = "arn:aws:iam::111122223333:policy/sagemaker-external/SageMakerExternalInvokeEndpoint";
    let group_arn = "arn:aws:iam::111122223333:group/sagemaker-external/SagemakerTester";
    for (properties, arns) in [(role(), &[role_arn, policy_arn][..]), (group(), &[group_arn])] {
        for boundary in [None, Some(BOUNDARY)] {
            let moved = |named: &str| {
                let stage = by_hand(named);
                {
                    let mut world = stage.iam.world();
                    let path = || "/sagemaker-external/".to_owned();
                    let role = world.roles.get_mut("sagemakerexternal").unwrap();
                    (role.path, role.boundary) = (path(), boundary.map(str::to_owned));
                    role.attached = BTreeSet::from([policy_arn.to_owned()]);
                    world.policies.get_mut("sagemakerexternalinvokeendpoint").unwrap().path = path();
                    world.groups.get_mut("sagemakertester").unwrap().path = path();
                }
                stage
            };
            for missing in arns {
                let rest: Vec<&str> = arns.iter().copied().filter(|arn| arn != missing).collect();
                let stage = moved(&rest.join(","));
                let before = held(&stage);
                let (reason, _) = stage.fail(&create(&adopting(properties.clone()))).await;
                let says =
                    format!("OnExisting: {missing} exists already; name it in AdoptArns of the provisioner's stack");
                assert!(reason.starts_with(&says), "{reason}");
                assert_eq!(held(&stage), before);
            }
            let stage = moved(&arns.join(","));
            let before = held(&stage);
            let id = stage.created(&create(&adopting(properties.clone()))).await;
            stage.succeed(&delete(&id, &adopting(properties.clone()))).await;
            assert_eq!(held(&stage), before);
        }
    }
}

/// What another resource owns is nobody's to adopt.
#[tokio::test(start_paused = true)]
async fn an_owned_entity_is_not_adopted() {
    let stage = Stage::new();
    stage.created(&create(&role())).await;
    stage.created(&create(&group())).await;
    for properties in [adopting(role()), adopting(group())] {
        let before = held(&stage);
        let (reason, _) = stage.fail(&with(create(&properties), json!({"LogicalResourceId": "Another"}))).await;
        assert!(reason.contains("was made by another resource, which alone may change it; choose another"), "{reason}");
        assert_eq!(held(&stage), before);
    }
}

/// Adopt makes what is not there, and that is deleted with the stack.
#[tokio::test(start_paused = true)]
async fn adopt_makes_what_is_missing() {
    let stage = Stage::new();
    for properties in [adopting(role()), adopting(group())] {
        let id = stage.created(&create(&properties)).await;
        stage.succeed(&delete(&id, &properties)).await;
    }
    let (roles, policies, groups) = held(&stage);
    assert!(roles.is_empty() && policies.is_empty() && groups.is_empty());
}

/// Cut off at every call, adopted or given back: the next move ends well all the same.
#[tokio::test(start_paused = true)]
async fn adoption_survives_every_crash() {
    let members = with(group(), json!({"UserNames": ["bob", "carol"], "ApiArns": [INVOCATIONS]}));
    let mut played = 0;
    for properties in [adopting(role()), adopting(members)] {
        for after in [false, true] {
            for at in 0.. {
                let stage = all();
                let before = held(&stage);
                stage.iam.world().fault_at = Some((at, Fault::Killed { after }));
                let killed = stage.try_send(&create(&properties)).await.is_none();
                stage.iam.world().fault_at = None;
                if !killed {
                    break;
                }
                // Delivered again, then removed with the stack; removal is cut off as well.
                let id = stage.created(&create(&properties)).await;
                let seen = stage.iam.world().seen;
                stage.iam.world().fault_at = Some((seen + at, Fault::Killed { after }));
                stage.try_send(&delete(&id, &properties)).await;
                stage.iam.world().fault_at = None;
                stage.succeed(&delete(&id, &properties)).await;
                assert_eq!(held(&stage), before, "redelivered: {properties}, call {at}, {after}");

                // Given up, under an id that CloudFormation invents.
                let stage = all();
                stage.iam.world().fault_at = Some((at, Fault::Killed { after }));
                stage.try_send(&create(&properties)).await;
                stage.succeed(&delete("stack-Resource-1ABC", &properties)).await;
                assert_eq!(held(&stage), before, "given up: {properties}, call {at}, {after}");
                played += 1;
            }
        }
    }
    assert!(played > 30, "{played}");
}
