//! The stack operations that are broken, and what IAM holds before and after each.

use serde_json::{Value, json};

use crate::group_api::INVOCATIONS;
use crate::iam::{Group, Policy, Role, World};
use crate::stage::{Stage, create, delete, group, role, update, with};

/// What IAM holds, without what no one wishes for: ids and old versions.
#[derive(Debug, PartialEq)]
pub struct Held {
    roles: Vec<Role>,
    policies: Vec<Policy>,
    groups: Vec<Group>,
}

impl Held {
    fn names(&self) -> Vec<(&str, &str)> {
        let roles = self.roles.iter().map(|role| ("role", role.name.as_str()));
        let policies = self.policies.iter().map(|policy| ("policy", policy.name.as_str()));
        let groups = self.groups.iter().map(|group| ("group", group.name.as_str()));
        roles.chain(policies).chain(groups).collect()
    }
}

pub fn held(stage: &Stage) -> Held {
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
pub async fn inhabited() -> Stage {
    let stage = Stage::new();
    stage.iam.world().users.extend(["alice", "bob", "carol"].map(str::to_owned));
    let theirs = with(role(), json!({"RoleName": "Theirs", "PolicyName": "SageMakerExternalInvokeEndpoint-9"}));
    stage.created(&with(create(&theirs), json!({"LogicalResourceId": "Theirs"}))).await;
    let theirs = with(group(), json!({"GroupName": "Theirs", "UserNames": ["alice", "carol"]}));
    stage.created(&with(create(&theirs), json!({"LogicalResourceId": "TheirGroup"}))).await;
    stage
}

/// One stack operation on one resource.
pub struct Operation {
    pub name: &'static str,
    pub old: Option<Value>,
    pub new: Option<Value>,
}

pub fn operations() -> Vec<Operation> {
    let narrow = with(
        role(),
        json!({"EndpointNames": ["wine"], "TrustedAccountIds": ["777788889999"], "MaxSessionDuration": "7200",
               "Tags": [{"Key": "team", "Value": "ml"}]}),
    );
    let long = "an-endpoint-with-a-name-as-long-as-sagemaker-lets-a-name-be";
    let many: Vec<String> = (0..64).map(|n| format!("{long}-{n:03}")).collect();
    let wide = with(role(), json!({ "EndpointNames": many }));
    let renamed = with(role(), json!({"RoleName": "New"}));
    let moved =
        with(narrow.clone(), json!({"RoleName": "New", "PolicyName": "NewPolicy", "Path": "/sagemaker-external/n/"}));
    let shared = with(narrow.clone(), json!({"RoleName": "New"}));
    let swapped = with(role(), json!({"PolicyName": "NewPolicy"}));
    let members = with(group(), json!({"UserNames": ["alice", "bob"]}));
    let others = with(
        group(),
        json!({"UserNames": ["bob", "carol"], "RoleArns": ["arn:aws:iam::777788889999:role/Other"],
               "ApiArns": [INVOCATIONS]}),
    );
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
pub struct Ends {
    pub world: World,
    pub id: String,
    pub before: Held,
    pub after: Held,
}

impl Ends {
    /// Whether anything is made on the way, and so can lag.
    pub fn makes(&self) -> bool {
        self.after.names().iter().any(|name| !self.before.names().contains(name))
    }
}

pub async fn ends(operation: &Operation) -> Ends {
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
