//! `DryRun`: the plan, and no write.

use serde_json::{Value, json};

use crate::iam::World;
use crate::stage::{GROUP_ARN, ROLE_ARN, Stage, create, delete, group, role, update, with, writes};

/// A Create plans, writes nothing, and its Delete touches nothing.
#[tokio::test(start_paused = true)]
async fn a_dry_create_writes_nothing() {
    let stage = Stage::new();
    captured::start();
    let dry = with(role(), json!({"DryRun": "true"}));
    let answer = stage.succeed(&create(&dry)).await;
    assert_eq!(answer["PhysicalResourceId"], "SageMakerExternal::DryRun");
    assert_eq!(answer["Data"]["Plan"], "create 2, change 1, remove 0");
    assert_eq!(answer["Data"]["RoleArn"], ROLE_ARN, "what it would be");
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
    let lines = captured::text();
    let planned: Vec<&str> = lines.lines().filter(|line| line.contains("\"planned\"")).collect();
    assert_eq!(planned.len(), 3, "one line a step: {planned:?}");
    for step in ["CreateRole", "CreatePolicy", "AttachRolePolicy"] {
        assert!(planned.iter().any(|line| line.contains(step)), "{step}: {planned:?}");
    }
    stage.succeed(&delete("SageMakerExternal::DryRun", &dry)).await;
    assert_eq!(stage.iam.take_calls(), [""; 0]);
    // In earnest: another id, so CloudFormation deletes the dry one, which is nothing.
    let answer = stage.succeed(&update("SageMakerExternal::DryRun", &dry, &role())).await;
    assert_eq!(
        (answer["PhysicalResourceId"].as_str(), answer["Data"]["Plan"].as_str()),
        (Some(ROLE_ARN), Some("carried out"))
    );
    stage.succeed(&delete("SageMakerExternal::DryRun", &dry)).await;
    assert_eq!(stage.iam.world().roles.len(), 1);
}

/// An Update keeps the id, whatever it plans, and leaves everything as it is.
#[tokio::test(start_paused = true)]
async fn a_dry_update_writes_nothing_and_keeps_the_id() {
    let stage = Stage::new();
    stage.iam.world().users.insert("alice".to_owned());
    for (old, new, id, plan) in [
        (role(), json!({"EndpointNames": ["wine"]}), ROLE_ARN, "create 0, change 1, remove 0"),
        (role(), json!({"RoleName": "New", "PolicyName": "P"}), ROLE_ARN, "create 2, change 1, remove 0"),
        (role(), json!({"PolicyName": "P"}), ROLE_ARN, "create 1, change 1, remove 2"),
        (role(), json!({}), ROLE_ARN, "create 0, change 0, remove 0"),
        (group(), json!({"UserNames": ["alice"]}), GROUP_ARN, "create 0, change 1, remove 0"),
    ] {
        stage.created(&create(&old)).await;
        let before = held(&stage);
        let new = with(with(old.clone(), new), json!({"DryRun": "true"}));
        let answer = stage.succeed(&update(id, &old, &new)).await;
        assert_eq!(answer["PhysicalResourceId"], id);
        assert_eq!(answer["Data"]["Plan"], plan, "{new}");
        assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
        assert_eq!(held(&stage), before);
        // A Delete is in earnest, or the entity would be left over for ever.
        stage.succeed(&delete(id, &new)).await;
        assert!(stage.iam.world().roles.is_empty() && stage.iam.world().groups.is_empty());
        stage.iam.take_calls();
    }
}

fn held(stage: &Stage) -> String {
    let World { roles, policies, groups, .. } = &*stage.iam.world();
    format!("{roles:?} {policies:?} {groups:?}")
}

/// What a real run would refuse, a dry one refuses.
#[tokio::test(start_paused = true)]
async fn a_dry_run_refuses_what_a_real_one_would() {
    let stage = Stage::new();
    stage.created(&create(&role())).await;
    let other = with(create(&with(role(), json!({"DryRun": "true"}))), json!({"LogicalResourceId": "Another"}));
    let (reason, id) = stage.fail(&other).await;
    assert!(reason.contains("exists already and was made by another resource"), "{reason}");
    assert_eq!(id, "SageMakerExternal::CreateFailed");
}

/// The plan is the one that a real run would carry out, also where only the wish before
/// names what goes, and it is refused as one would be.
#[tokio::test(start_paused = true)]
async fn a_dry_run_plans_what_a_real_one_does() {
    captured::start();
    let planned = || -> Vec<String> {
        let text = captured::text();
        let lines = text.lines().filter(|line| line.contains("\"planned\""));
        lines.map(|line| serde_json::from_str::<Value>(line).unwrap()).map(|line| step(&line)).collect()
    };
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    stage.iam.world().roles.get_mut("sagemakerexternal").unwrap().attached.clear();
    let world = stage.iam.world().clone();
    for (old, new) in [
        (role(), json!({"PolicyName": "New"})),
        // The rollback of an Update whose effects no copy shows.
        (with(role(), json!({"TrustedAccountIds": ["777788889999"]})), json!({})),
    ] {
        *stage.iam.world() = world.clone();
        let new = with(role(), new);
        captured::start();
        stage.succeed(&update(&id, &old, &with(new.clone(), json!({"DryRun": "true"})))).await;
        let dry = planned();
        captured::start();
        stage.succeed(&update(&id, &old, &new)).await;
        assert_eq!(planned(), dry);
        assert!(!dry.is_empty());
    }
    let path = format!("/sagemaker-external/{}/", "p".repeat(480));
    let names: Vec<String> = (0..450).map(|n| format!("an-endpoint-with-a-rather-long-name-{n:04}")).collect();
    let long = json!({"RoleName": "Long", "EndpointNames": names, "Path": path, "DryRun": "true"});
    let (reason, kept) = stage.fail(&update(&id, &role(), &with(role(), long))).await;
    assert!(reason.contains("4096 bytes") && kept == id, "{reason}");
}

fn step(line: &Value) -> String {
    line["fields"]["step"].as_str().or(line["step"].as_str()).unwrap_or_default().to_owned()
}
