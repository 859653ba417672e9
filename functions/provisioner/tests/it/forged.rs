//! What says how an adopted entity was found stands on the entity, where others may write it
//! (`iam:TagRole`): it is obeyed only where AdoptArns names the entity.

use provisioner::code::Code;
use provisioner::found::{FoundGroup, FoundPolicy, FoundRole};
use serde_json::{Value, json};

use crate::adopt::{POLICY, ROLE, adopting, all, held};
use crate::stage::{GROUP_ARN, Stage, create, delete, group, role, settings, update, with, writes};

const KEY: &str = "sagemakerexternalinvokeendpoint";
const ADMIN: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
/// Lets everybody in.
const OPEN: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;

/// Refused with this code, and nothing written; the reason names the entity, what is ignored
/// and what to do.
async fn refused(stage: &Stage, event: &Value, code: Code, arn: &str) {
    let before = held(stage);
    stage.iam.take_calls();
    let ([reason, found], _) = stage.failure(event).await;
    assert_eq!(found, code.name(), "{reason}");
    for says in [arn, "ignored", "its operator can name it there", "made here"] {
        assert!(reason.contains(says), "{says}: {reason}");
    }
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
    assert_eq!(held(stage), before);
}

fn forge_role(stage: &Stage) {
    let found = FoundRole {
        trust: OPEN.to_owned(),
        max_session: 43_200,
        boundary: None,
        tags: Default::default(),
        detached: [ADMIN.to_owned()].into(),
    };
    stage.iam.world().roles.get_mut("sagemakerexternal").unwrap().tags.extend(found.tags());
}

/// The version before, in which the role could call more.
fn forge_policy(stage: &Stage) {
    let versions = vec!["v1".to_owned(), "v2".to_owned()];
    let found = FoundPolicy { version: "v1".to_owned(), versions, attached: true, tags: Default::default() };
    stage.iam.world().policies.get_mut(KEY).unwrap().tags.extend(found.tags());
}

fn unforge(stage: &Stage) {
    let mut world = stage.iam.world();
    let forged = |key: &String| key.starts_with("sagemaker-external:found-");
    world.roles.get_mut("sagemakerexternal").unwrap().tags.retain(|key, _| !forged(key));
    world.policies.get_mut(KEY).unwrap().tags.retain(|key, _| !forged(key));
}

/// S11: forged on a role, or a policy, that was made here: no trust is written, no version put
/// in force, nothing attached. What changes nothing goes on, so that no rollback is stuck; and
/// once the tags are off, or where the Delete is to remove in any case, it removes.
#[tokio::test(start_paused = true)]
async fn s11_forged_tags_open_nothing_on_what_was_made_here() {
    let policy = "arn:aws:iam::111122223333:policy/sagemaker-external/SageMakerExternalInvokeEndpoint";
    let of_role = "arn:aws:iam::111122223333:role/sagemaker-external/SageMakerExternal";
    for (forge, arn) in [(forge_role as fn(&Stage), of_role), (forge_policy, policy)] {
        let stage = Stage::new();
        let (wide, narrow) = (with(role(), json!({"EndpointNames": ["iris", "secret"]})), role());
        let id = stage.created(&create(&wide)).await;
        stage.created(&update(&id, &wide, &narrow)).await;
        forge(&stage);
        refused(&stage, &delete(&id, &narrow), Code::DeletionRefused, arn).await;
        let renamed = with(narrow.clone(), json!({"PolicyName": "Another"}));
        refused(&stage, &update(&id, &narrow, &renamed), Code::PlanRefused, arn).await;
        stage.succeed(&update(&id, &renamed, &narrow)).await;
        refused(&stage, &update(&id, &narrow, &adopting(wide.clone())), Code::PlanRefused, arn).await;
        unforge(&stage);
        stage.succeed(&delete(&id, &narrow)).await;
        assert!(stage.iam.world().roles.is_empty() && stage.iam.world().policies.is_empty());

        let stage = Stage::new();
        let id = stage.created(&create(&narrow)).await;
        forge(&stage);
        stage.succeed(&delete(&id, &with(narrow, json!({"OnDelete": "Remove"})))).await;
        let calls = stage.iam.take_calls();
        assert!(!calls.iter().any(|call| call.starts_with("UpdateAssumeRolePolicy")), "{calls:?}");
        assert!(stage.iam.world().roles.is_empty() && stage.iam.world().policies.is_empty());
    }
}

/// S11: the same in the Sid of a group's policy.
#[tokio::test(start_paused = true)]
async fn s11_a_forged_sid_opens_nothing() {
    let everything =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#.to_owned();
    let stage = Stage::new();
    let id = stage.created(&create(&group())).await;
    let found = FoundGroup { users: Default::default(), policy: Some(("Theirs".to_owned(), everything)) };
    let mark = json!({"Sid": found.sid(), "Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "arn:aws:iam::000000000000:role/nobody"});
    let honest = stage.iam.world().groups["sagemakertester"].inline["AssumeSageMakerExternal"].clone();
    let set = |document: &Value| {
        let text = document.to_string();
        let mut world = stage.iam.world();
        _ = world.groups.get_mut("sagemakertester").unwrap().inline.insert("AssumeSageMakerExternal".to_owned(), text);
    };
    let honest: Value = serde_json::from_str(&honest).unwrap();
    let mut forged = honest.clone();
    forged["Statement"].as_array_mut().unwrap().push(mark);
    set(&forged);
    refused(&stage, &delete(&id, &group()), Code::DeletionRefused, GROUP_ARN).await;
    let other = with(group(), json!({"RoleArns": ["arn:aws:iam::777788889999:role/Other"]}));
    refused(&stage, &update(&id, &group(), &other), Code::PlanRefused, GROUP_ARN).await;
    set(&honest);
    stage.succeed(&delete(&id, &group())).await;
    assert!(stage.iam.world().groups.is_empty());
}

/// C13: what was adopted does not become "made here" when its ARN is taken out of AdoptArns: it
/// is neither deleted nor changed until it is named again; what changes nothing goes on.
#[tokio::test(start_paused = true)]
async fn c13_what_was_adopted_and_is_not_named_any_more_is_not_deleted() {
    const GROUP: &str = "arn:aws:iam::111122223333:group/SagemakerTester";
    let every = [ROLE, POLICY, GROUP];
    for (properties, arn) in [(adopting(role()), ROLE), (adopting(role()), POLICY), (adopting(group()), GROUP)] {
        let stage = all();
        let before = held(&stage);
        let id = stage.created(&create(&properties)).await;
        let rest: Vec<&str> = every.into_iter().filter(|named| *named != arn).collect();
        let stage = stage.redeployed(settings(&[("ADOPT_ARNS", &rest.join(","))]));
        refused(&stage, &delete(&id, &properties), Code::DeletionRefused, arn).await;
        let failing = with(properties.clone(), json!({"OnExisting": "Fail", "PolicyName": "Other"}));
        refused(&stage, &update(&id, &properties, &failing), Code::PlanRefused, arn).await;
        stage.succeed(&update(&id, &failing, &properties)).await;
        assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
        let stage = stage.redeployed(settings(&[("ADOPT_ARNS", &every.join(","))]));
        stage.succeed(&delete(&id, &properties)).await;
        assert_eq!(held(&stage), before, "{arn}");
    }
}
