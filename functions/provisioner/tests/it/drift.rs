//! What others changed or added is in the log of the next Update.

use serde_json::{Value, json};

use crate::stage::{POLICY_ARN, ROLE_ARN, Stage, create, group, role, settings, update, with};

/// C38: what others changed is logged as theirs, a line a step, whether or not the wish
/// changes too, in a dry run and for an adopted role as well; nothing else is.
#[tokio::test(start_paused = true)]
async fn c38_drift_is_logged_as_drift() {
    captured::start();
    let drift = || -> Vec<String> {
        let text = captured::text();
        let lines = text.lines().filter(|line| line.contains("changed by others"));
        lines.map(|line| serde_json::from_str::<Value>(line).unwrap()).map(|line| step(&line)).collect()
    };
    let wine = json!({"EndpointNames": ["wine"]});
    let (dry, adopt) = (json!({"DryRun": "true"}), json!({"OnExisting": "Adopt"}));
    for adopted in [false, true] {
        for change in [json!({}), wine.clone(), with(wine.clone(), dry.clone())] {
            let stage = Stage::with(settings(&[("ADOPT_ARNS", &[ROLE_ARN, POLICY_ARN].join(","))]));
            let wish = if adopted { with(role(), adopt.clone()) } else { role() };
            let id = stage.created(&create(&wish)).await;
            if adopted {
                {
                    let mut world = stage.iam.world();
                    world.roles.get_mut("sagemakerexternal").unwrap().tags.clear();
                    world.policies.get_mut("sagemakerexternalinvokeendpoint").unwrap().tags.clear();
                }
                stage.created(&create(&wish)).await;
            }
            captured::start();
            stage.succeed(&update(&id, &wish, &with(wish.clone(), change.clone()))).await;
            assert_eq!(drift(), [""; 0], "{adopted} {change}");
            {
                let mut world = stage.iam.world();
                let role = world.roles.get_mut("sagemakerexternal").unwrap();
                (role.max_session, role.attached) = ("7200".to_owned(), Default::default());
            }
            let now = if change.get("DryRun").is_none() { with(wish.clone(), change.clone()) } else { wish.clone() };
            captured::start();
            stage.succeed(&update(&id, &now, &with(wish.clone(), change.clone()))).await;
            let wanted = [
                format!("AttachRolePolicy {POLICY_ARN} to SageMakerExternal"),
                "UpdateRole SageMakerExternal".to_owned(),
            ];
            let mut found = drift();
            found.sort();
            assert_eq!(found, wanted, "{adopted} {change}");
        }
    }
    let stage = Stage::new();
    let id = stage.created(&create(&group())).await;
    stage.iam.world().groups.get_mut("sagemakertester").unwrap().inline.values_mut().for_each(|text| {
        *text = text.replace("777788889999", "555566667777");
    });
    captured::start();
    let other = with(group(), json!({"RoleArns": ["arn:aws:iam::777788889999:role/Other"]}));
    stage.succeed(&update(&id, &group(), &other)).await;
    assert_eq!(drift(), ["PutGroupPolicy AssumeSageMakerExternal of SagemakerTester"]);
}

/// U09, U11, U30: what others put onto the role or into the group stays, and is named.
#[tokio::test(start_paused = true)]
async fn u11_u30_what_others_added_is_named_on_update() {
    let named = || -> Vec<String> {
        let text = captured::text();
        let lines = text.lines().filter(|line| line.contains("others put this there too"));
        lines.map(|line| line.to_owned()).collect()
    };
    let admin = "arn:aws:iam::aws:policy/AdministratorAccess";
    for (properties, change, wanted) in [
        (role(), json!({"EndpointNames": ["wine"]}), vec![admin, "inline policy by-hand"]),
        (group(), json!({"UserNames": ["alice"]}), vec![admin, "inline policy by-hand", "user dave"]),
    ] {
        let stage = Stage::new();
        stage.iam.world().users.extend(["alice", "dave"].map(str::to_owned));
        let id = stage.created(&create(&properties)).await;
        captured::start();
        stage.succeed(&update(&id, &properties, &with(properties.clone(), change.clone()))).await;
        assert_eq!(named(), [""; 0]);
        {
            let mut world = stage.iam.world();
            for role in world.roles.values_mut() {
                role.attached.insert(admin.to_owned());
                role.inline.insert("by-hand".to_owned(), "{}".to_owned());
            }
            for group in world.groups.values_mut() {
                group.attached.insert(admin.to_owned());
                group.inline.insert("by-hand".to_owned(), "{}".to_owned());
                group.users.insert("dave".to_owned());
            }
        }
        captured::start();
        stage.succeed(&update(&id, &with(properties.clone(), change), &properties)).await;
        let lines = named();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("WARN") && wanted.iter().all(|name| lines[0].contains(name)), "{lines:?}");
        assert!(!lines[0].contains("alice") && !lines[0].contains("InvokeEndpoint"), "{lines:?}");
    }
}

fn step(line: &Value) -> String {
    line["fields"]["step"].as_str().or(line["step"].as_str()).unwrap_or_default().to_owned()
}
