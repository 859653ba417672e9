//! The stack operations that are broken, and what IAM holds before and after each.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::tally::Trouble;
use crate::group_api::INVOCATIONS;
use crate::iam::{Group, Policy, Role, World, json as document};
use crate::stage::{CHILD, Stage, create, delete, group, role, settings, update, with};

const HAND_POLICY: &str = "arn:aws:iam::111122223333:policy/HandMade";

/// What IAM holds, by kind and name, without what no one wishes for: ids and old versions.
#[derive(Debug, PartialEq)]
pub struct Held(BTreeMap<String, String>);

impl Held {
    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What is wrong with this where `wanted` should be, in an account in which others
    /// made `foreign`.
    pub fn differences(&self, wanted: &Self, foreign: &Self) -> Vec<Trouble> {
        let names: BTreeSet<&String> = self.0.keys().chain(wanted.0.keys()).collect();
        let differ = names.into_iter().filter(|name| self.0.get(*name) != wanted.0.get(*name));
        differ
            .map(|name| {
                let text = format!("{name}\n    is     {:?}\n    wanted {:?}", self.0.get(name), wanted.0.get(name));
                let text = text.replace('\\', "");
                match (foreign.has(name), wanted.has(name)) {
                    (true, _) => Trouble::Foreign(text),
                    (false, false) => Trouble::Orphan(text),
                    (false, true) => Trouble::Wrong(text),
                }
            })
            .collect()
    }
}

pub fn held(stage: &Stage) -> Held {
    let world = &*stage.iam.world();
    let World { roles, policies, groups, .. } = world;
    let id = String::new;
    let current = |p: &Policy| Policy {
        id: id(),
        versions: [(0, debug(&grant(world, p)))].into(),
        default: 0,
        newest: 0,
        ..p.clone()
    };
    let roles = roles.values().map(|role| (format!("role {}", role.name), debug(&Role { id: id(), ..role.clone() })));
    let policies = policies.values().map(|policy| (format!("policy {}", policy.name), debug(&current(policy))));
    let groups =
        groups.values().map(|group| (format!("group {}", group.name), debug(&Group { id: id(), ..group.clone() })));
    Held(roles.chain(policies).chain(groups).collect())
}

/// The statements of a policy and of those that serve the same roles under the same name
/// with another number, one for each resource: which of them says what is left to the
/// provisioner.
fn grant(world: &World, policy: &Policy) -> BTreeSet<String> {
    let stem = |policy: &Policy| {
        let name = policy.name.rsplit_once('-').filter(|(_, number)| number.parse::<u32>().is_ok());
        name.map_or(policy.name.clone(), |(stem, _)| stem.to_owned())
    };
    let serves = |policy: &Policy| -> Vec<&str> {
        let end = format!("/{}", policy.name);
        let roles = world.roles.values().filter(|role| role.attached.iter().any(|arn| arn.ends_with(&end)));
        roles.map(|role| role.name.as_str()).collect()
    };
    let kin = world.policies.values().filter(|other| {
        other.name == policy.name
            || stem(other) == stem(policy) && !serves(policy).is_empty() && serves(other) == serves(policy)
    });
    let documents = kin.map(|policy| document(&policy.versions[&policy.default]));
    let all = documents.flat_map(|document| document["Statement"].as_array().cloned().unwrap_or_default());
    all.flat_map(|statement| {
        let resources =
            statement["Resource"].as_array().cloned().unwrap_or_else(|| vec![statement["Resource"].clone()]);
        resources.into_iter().map(move |one| with(statement.clone(), json!({ "Resource": one })).to_string())
    })
    .collect()
}

fn debug(entity: &impl std::fmt::Debug) -> String {
    format!("{entity:?}")
}

/// A provisioner that may adopt what was made by hand.
pub fn stage() -> Stage {
    let arns = ["role/HandMade", "policy/HandMade", "policy/HandMade-2", "policy/Second", "group/HandMade"];
    let arns = arns.map(|arn| format!("arn:aws:iam::111122223333:{arn}")).join(",");
    Stage::with(settings(&[("ADOPT_ARNS", &arns)]))
}

/// A world in which others live too: in the fence and outside, with like names, and what
/// a person made by hand.
pub async fn inhabited() -> Stage {
    let stage = stage();
    stage.iam.world().users.extend(["alice", "bob", "carol"].map(str::to_owned));
    let theirs = with(role(), json!({"RoleName": "Theirs", "PolicyName": "SageMakerExternalInvokeEndpoint-9"}));
    stage.created(&with(create(&theirs), json!({"LogicalResourceId": "Theirs"}))).await;
    let theirs = with(group(), json!({"GroupName": "Theirs", "UserNames": ["alice", "carol"]}));
    stage.created(&with(create(&theirs), json!({"LogicalResourceId": "TheirGroup"}))).await;
    by_hand(&mut stage.iam.world());
    stage
}

/// The recipe as a person made it in the console: at path `/`, with other rights.
fn by_hand(world: &mut World) {
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"AWS": format!("arn:aws:iam::{CHILD}:root")}, "Action": "sts:AssumeRole"}]});
    let permission = |endpoint: &str| {
        json!({"Version": "2012-10-17", "Statement": [{"Action": ["sagemaker:InvokeEndpoint"], "Effect": "Allow",
            "Resource": format!("arn:aws:sagemaker:*:111122223333:endpoint/{endpoint}")}]})
    };
    let assume = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",
        "Resource": "arn:aws:iam::777788889999:role/SageMakerExternal"}});
    let (name, path, id) = (|| "HandMade".to_owned(), || "/".to_owned(), || "HAND".to_owned());
    let role = Role {
        name: name(),
        path: path(),
        id: id(),
        trust: trust.to_string(),
        max_session: "7200".to_owned(),
        boundary: None,
        tags: [("owner".to_owned(), "ops".to_owned())].into(),
        attached: [HAND_POLICY.to_owned(), "arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()].into(),
        inline: [("Theirs".to_owned(), permission("theirs").to_string())].into(),
        profiles: Vec::new(),
    };
    let policy = Policy {
        name: name(),
        path: path(),
        id: id(),
        versions: [(1, permission("old").to_string()), (2, permission("hand-made").to_string())].into(),
        default: 2,
        newest: 2,
        tags: [("cost".to_owned(), "42".to_owned())].into(),
        users: Vec::new(),
    };
    let group = Group {
        name: name(),
        path: path(),
        id: id(),
        users: ["alice".to_owned()].into(),
        inline: [("AssumeSageMakerExternal".to_owned(), assume.to_string())].into(),
        attached: BTreeSet::new(),
    };
    world.roles.insert("handmade".to_owned(), role);
    world.policies.insert("handmade".to_owned(), policy);
    world.groups.insert("handmade".to_owned(), group);
}

const MAIN: [&str; 8] = [
    "role: create",
    "role: update in place",
    "role: replace, policy shared and changed",
    "role: delete",
    "group: create",
    "group: update in place",
    "group: replace",
    "group: delete",
];

/// What others do to the resource before the operation.
#[derive(Clone, Copy)]
pub enum Others {
    Nothing,
    /// It is put back.
    Damage(fn(&mut World)),
    /// It is left alone.
    Add(fn(&mut World)),
}

/// One stack operation on one resource.
pub struct Operation {
    pub name: &'static str,
    /// The wishes so far, the oldest first; the last one stands.
    pub past: Vec<Value>,
    pub others: Others,
    pub new: Option<Value>,
}

impl Operation {
    pub fn old(&self) -> Option<&Value> {
        self.past.last()
    }

    /// Whether this is one of the eight that all others vary.
    pub fn is_main(&self) -> bool {
        MAIN.contains(&self.name)
    }

    fn amid(self, others: Others) -> Self {
        Self { others, ..self }
    }
}

fn made(name: &'static str, new: &Value) -> Operation {
    Operation { name, past: Vec::new(), others: Others::Nothing, new: Some(new.clone()) }
}

fn changed(name: &'static str, old: &Value, new: &Value) -> Operation {
    Operation { name, past: vec![old.clone()], others: Others::Nothing, new: Some(new.clone()) }
}

fn removed(name: &'static str, past: &[&Value]) -> Operation {
    let past = past.iter().map(|properties| (*properties).clone()).collect();
    Operation { name, past, others: Others::Nothing, new: None }
}

fn drift(world: &mut World) {
    let role = world.roles.get_mut("sagemakerexternal").unwrap();
    (role.boundary, role.max_session) = (None, "43200".to_owned());
    role.attached.clear();
    role.trust = role.trust.replace(CHILD, "999900001111");
    role.tags.remove("team");
}

fn attach(world: &mut World) {
    let role = world.roles.get_mut("sagemakerexternal").unwrap();
    role.attached.insert("arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned());
    role.inline.insert("Theirs".to_owned(), "{}".to_owned());
}

fn damage_group(world: &mut World) {
    let group = world.groups.get_mut("sagemakertester").unwrap();
    group.users.remove("alice");
    let policy = group.inline.get_mut("AssumeSageMakerExternal").unwrap();
    *policy = policy.replace("777788889999", "999900001111");
}

fn join(world: &mut World) {
    let group = world.groups.get_mut("sagemakertester").unwrap();
    group.users.insert("carol".to_owned());
    group.inline.insert("Theirs".to_owned(), "{}".to_owned());
    group.attached.insert("arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned());
}

fn roles() -> Vec<Operation> {
    let narrow = with(
        role(),
        json!({"EndpointNames": ["wine"], "TrustedAccountIds": ["777788889999"], "MaxSessionDuration": "7200",
               "Tags": [{"Key": "team", "Value": "ml"}]}),
    );
    let long = "an-endpoint-with-a-name-as-long-as-sagemaker-lets-a-name-be";
    let many = |count: usize| -> Vec<String> { (0..count).map(|n| format!("{long}-{n:03}")).collect() };
    let wide = with(role(), json!({ "EndpointNames": many(64) }));
    let renamed = with(role(), json!({"RoleName": "New"}));
    let renamed_wide = with(wide.clone(), json!({"RoleName": "New"}));
    let moved =
        with(narrow.clone(), json!({"RoleName": "New", "PolicyName": "NewPolicy", "Path": "/sagemaker-external/n/"}));
    let shared = with(narrow.clone(), json!({"RoleName": "New"}));
    let swapped = with(role(), json!({"PolicyName": "NewPolicy"}));
    let swapped_wide = with(wide.clone(), json!({"PolicyName": "NewPolicy"}));
    let planned = |properties: &Value| with(properties.clone(), json!({"DryRun": "true"}));
    vec![
        made("role: create", &role()),
        made("role: create, several policies", &wide),
        made("role: dry run of a create", &planned(&wide)),
        changed("role: update in place", &role(), &narrow),
        changed("role: dry run of an update", &role(), &planned(&narrow)),
        changed("role: put back what others changed", &narrow, &narrow).amid(Others::Damage(drift)),
        changed("role: update beside foreign policies", &role(), &narrow).amid(Others::Add(attach)),
        changed("role: grow over several policies", &role(), &wide),
        changed("role: shrink to one policy", &wide, &role()),
        changed("role: swap the policy's name", &role(), &swapped),
        changed("role: swap the name of several policies", &wide, &swapped_wide),
        changed("role: replace, same policy", &role(), &renamed),
        changed("role: replace, policy shared and changed", &role(), &shared),
        changed("role: replace, several policies shared", &wide, &renamed_wide),
        changed("role: replace whole", &role(), &moved),
        removed("role: delete", &[&role()]),
        removed("role: delete several policies", &[&wide]),
        removed("role: delete after a replacement", &[&role(), &renamed]),
        removed("role: delete several policies after a replacement", &[&wide, &renamed_wide]),
        removed("role: delete what others changed", &[&narrow]).amid(Others::Damage(drift)),
    ]
}

fn groups() -> Vec<Operation> {
    let members = with(group(), json!({"UserNames": ["alice", "bob"]}));
    let others = with(
        group(),
        json!({"UserNames": ["bob", "carol"], "RoleArns": ["arn:aws:iam::777788889999:role/Other"],
               "ApiArns": [INVOCATIONS]}),
    );
    let swapped = with(members.clone(), json!({"PolicyName": "NewPolicy"}));
    let regrouped = with(others.clone(), json!({"GroupName": "New", "PolicyName": "NewPolicy"}));
    let planned = with(others.clone(), json!({"DryRun": "true"}));
    vec![
        made("group: create", &members),
        changed("group: update in place", &members, &others),
        changed("group: dry run of an update", &members, &planned),
        changed("group: put back what others changed", &members, &members).amid(Others::Damage(damage_group)),
        changed("group: update beside foreign policies and members", &members, &swapped).amid(Others::Add(join)),
        changed("group: swap the policy's name", &members, &swapped),
        changed("group: replace", &members, &regrouped),
        removed("group: delete", &[&members]),
        removed("group: delete after a replacement", &[&members, &regrouped]),
    ]
}

fn adoptions() -> Vec<Operation> {
    let adopt = json!({"OnExisting": "Adopt", "RoleName": "HandMade", "PolicyName": "HandMade"});
    let first = with(role(), adopt);
    let second = with(
        first.clone(),
        json!({"EndpointNames": ["wine"], "TrustedAccountIds": ["777788889999"],
               "Tags": [{"Key": "team", "Value": "ml"}]}),
    );
    let long = "an-endpoint-with-a-name-as-long-as-sagemaker-lets-a-name-be";
    let many: Vec<String> = (0..64).map(|n| format!("{long}-{n:03}")).collect();
    let wide = with(first.clone(), json!({ "EndpointNames": many }));
    let swapped = with(first.clone(), json!({"PolicyName": "Second"}));
    let taken = |properties: &Value| with(properties.clone(), json!({"OnDelete": "Remove"}));
    let group_1 = with(group(), json!({"OnExisting": "Adopt", "GroupName": "HandMade", "UserNames": ["bob"]}));
    let group_2 = with(group_1.clone(), json!({"PolicyName": "Second", "UserNames": ["alice", "carol"]}));
    let members = with(group(), json!({"UserNames": ["alice", "bob"]}));
    vec![
        made("adopted role: create", &first),
        made("adopted role: create, several policies", &wide),
        changed("adopted role: update in place", &first, &second),
        changed("adopted role: grow over several policies", &first, &wide),
        changed("adopted role: shrink to one policy", &wide, &first),
        // No swap of an adopted policy's name and its rollback: the role's mark goes on naming
        // the policy that was detached, until it is given back (as below).
        changed("adopted role: replace into it", &role(), &second),
        changed("adopted role: replace out of it", &second, &role()),
        removed("adopted role: give back", &[&second]),
        removed("adopted role: give back, several policies", &[&wide]),
        removed("adopted role: give back after a swap of the policy's name", &[&first, &swapped]),
        made("adopted group: create", &group_1),
        changed("adopted group: update in place", &group_1, &group_2),
        changed("adopted group: replace into it", &members, &group_1),
        changed("adopted group: replace out of it", &group_2, &members),
        removed("adopted group: give back", &[&group_2]),
        removed("adopted group: remove", &[&taken(&with(group_1.clone(), json!({"UserNames": ["alice"]})))]),
    ]
}

pub fn operations() -> Vec<Operation> {
    roles().into_iter().chain(groups()).chain(adoptions()).collect()
}

/// An operation's two ends: what IAM holds before it, and what it should after.
pub struct Ends {
    /// The calls of its own event, undisturbed.
    pub calls: Vec<String>,
    pub world: World,
    pub id: String,
    pub foreign: Held,
    pub before: Held,
    pub after: Held,
}

impl Ends {
    /// Whether anything is made on the way, and so can lag.
    pub fn makes(&self) -> bool {
        self.after.0.keys().any(|name| !self.before.has(name))
    }
}

/// Moves the resource on to `new` (none: it goes), undisturbed. Returns its id, and the
/// calls of the event.
async fn moved(stage: &Stage, old: Option<(&str, &Value)>, new: Option<&Value>) -> (String, Vec<String>) {
    let event = match (old, new) {
        (None, Some(new)) => create(new),
        (Some((id, old)), Some(new)) => update(id, old, new),
        (Some((id, old)), None) => delete(id, old),
        (None, None) => panic!("nothing to do"),
    };
    stage.iam.take_calls();
    let answer = stage.succeed(&event).await;
    let calls = stage.iam.take_calls();
    let now = answer["PhysicalResourceId"].as_str().unwrap_or_default();
    if let Some((id, old)) = old.filter(|(id, _)| *id != now) {
        stage.succeed(&delete(id, old)).await;
    }
    (now.to_owned(), calls)
}

pub async fn ends(operation: &Operation) -> Ends {
    let stage = inhabited().await;
    let foreign = held(&stage);
    let mut old: Option<(String, &Value)> = None;
    for new in &operation.past {
        let (id, _) = moved(&stage, old.as_ref().map(|(id, old)| (id.as_str(), *old)), Some(new)).await;
        old = Some((id, new));
    }
    let mut before = held(&stage);
    match operation.others {
        Others::Nothing => {}
        Others::Damage(damage) => damage(&mut stage.iam.world()),
        Others::Add(add) => {
            add(&mut stage.iam.world());
            before = held(&stage);
        }
    }
    stage.iam.take_calls();
    let world = stage.iam.world().clone();
    let old = old.as_ref().map(|(id, old)| (id.as_str(), *old));
    let (_, calls) = moved(&stage, old, operation.new.as_ref()).await;
    let id = old.map(|(id, _)| id.to_owned()).unwrap_or_default();
    Ends { calls, world, id, foreign, before, after: held(&stage) }
}
