use proptest::prelude::*;
use serde_json::json;

use sagemaker_external::policy::quota;

use super::*;
use crate::found::FoundRole;
use crate::pack::pack;
use crate::request::Home;
use crate::role::{Defaults, RolePlace};
use crate::trust::Attribution;
use crate::trust::Trust;

fn owner() -> Owner {
    Owner { stack_id: "stack".to_owned(), logical_id: "Role".to_owned() }
}

fn spec(endpoints: &[String], accounts: &[&str]) -> RoleSpec {
    wish(json!({"EndpointNames": endpoints, "TrustedAccountIds": accounts}))
}

fn wish(properties: serde_json::Value) -> RoleSpec {
    let home = Home::of("arn:aws:lambda:us-east-1:111122223333:function:p").unwrap();
    // A provisioner has one boundary at a time: what a test names is the one of that time.
    let boundary = properties["PermissionsBoundary"].as_str().unwrap_or("arn:aws:iam::111122223333:policy/b");
    let boundary = boundary.parse().ok();
    let defaults = Defaults { path: "/x/".parse().unwrap(), boundary, adopt_arns: BTreeSet::new() };
    RoleSpec::parse(properties.as_object().unwrap(), &home, &defaults).unwrap()
}

/// What IAM would hold after `spec` was carried out.
fn state(spec: &RoleSpec, buckets: &[(PolicyArn, BTreeSet<String>)]) -> RoleState {
    let policy = |resources: &BTreeSet<String>| Policy {
        document: spec.permissions(resources).to_json(),
        versions: vec!["v1".to_owned()],
        default_version: "v1".to_owned(),
        tags: owner().tags(),
        proven: false,
        roles: BTreeSet::from([spec.place.name.to_string()]),
        others: BTreeSet::new(),
    };
    RoleState {
        role: Some(Role {
            arn: spec.place.role_arn(),
            id: "AROA".to_owned(),
            trust: spec.trust.document().to_json(),
            max_session: spec.max_session,
            boundary: Some(spec.boundary.to_string()),
            tags: owner().tags(),
            proven: false,
            attached: buckets.iter().map(|(arn, _)| arn.to_string()).collect(),
            inline: Vec::new(),
            instance_profiles: Vec::new(),
        }),
        policies: buckets.iter().map(|(arn, resources)| (arn.clone(), policy(resources))).collect(),
        kin: BTreeSet::new(),
        unseen: BTreeSet::new(),
    }
}

fn endpoints(ids: impl IntoIterator<Item = u16>) -> Vec<String> {
    ids.into_iter().map(|id| format!("an-endpoint-with-a-rather-long-name-{id:05}")).collect()
}

/// The policies that the steps write or remove.
fn changed(steps: &[Step]) -> BTreeSet<String> {
    let policy = |step: &Step| match step {
        Step::CreatePolicy { policy, .. } | Step::PutPolicy { policy, .. } | Step::DeletePolicy { policy } => {
            Some(policy.to_string())
        }
        _ => None,
    };
    steps.iter().filter_map(policy).collect()
}

/// One endpoint more or less touches one policy, wherever its name would sort.
#[test]
fn one_endpoint_touches_one_policy() {
    let old = spec(&endpoints(1000..1300), &["444455556666"]);
    let buckets = pack(&old, &owner(), &RoleState::default()).unwrap();
    assert!(buckets.len() > 3);
    let state = state(&old, &buckets);
    for ids in [(999..1300).collect::<Vec<u16>>(), (1000..1301).collect(), (1001..1300).collect()] {
        let (steps, _) = converge(&spec(&endpoints(ids), &["444455556666"]), &owner(), &state, None).unwrap();
        assert_eq!(changed(&steps).len(), 1, "{:?}", changed(&steps));
    }
}

/// Each policy goes before the next is detached, the highest number first, so that
/// what a removal cut off leaves hangs on the role, where it is found.
#[test]
fn policies_are_removed_one_after_the_other() {
    let spec = spec(&endpoints(1000..1300), &["444455556666"]);
    let mut state = state(&spec, &pack(&spec, &owner(), &RoleState::default()).unwrap());
    // After a replacement the first numbers are others'.
    let first = spec.place.policy_arn(0).unwrap();
    state.policies.remove(&first);
    state.role.as_mut().unwrap().attached.remove(&first.to_string());
    let (steps, _) = crate::role_retire::retire(&spec.place, &owner(), &state).unwrap();
    let mut wanted = Vec::new();
    for index in (1..=state.policies.len()).rev() {
        let policy = spec.place.policy_arn(index).unwrap();
        wanted.push(Step::Detach { role: spec.place.name.to_string(), policy: policy.to_string() });
        wanted.push(Step::DeletePolicy { policy });
    }
    wanted.push(Step::DeleteRole { role: spec.place.name.clone() });
    assert!(wanted.len() > 6);
    assert_eq!(steps, wanted);
}

/// A shrinking grant gives its last policies up, and names keep counting from one.
#[test]
fn a_shrinking_grant_leaves_no_gap() {
    let old = spec(&endpoints(0..300), &["444455556666"]);
    let buckets = pack(&old, &owner(), &RoleState::default()).unwrap();
    let state = state(&old, &buckets);
    let first = &buckets[0].1;
    let rest: Vec<String> =
        old.resources.difference(first).map(|arn| arn.rsplit('/').next().unwrap().to_owned()).collect();
    let (steps, policies) = converge(&spec(&rest, &["444455556666"]), &owner(), &state, None).unwrap();
    assert_eq!(policies, buckets.iter().map(|(arn, _)| arn.clone()).take(policies.len()).collect::<Vec<_>>());
    assert_eq!(policies.len(), buckets.len() - 1);
    let last = &buckets.last().unwrap().0;
    assert!(steps.contains(&Step::DeletePolicy { policy: last.clone() }));
}

/// Who, ExternalId, whether attributed, boundary, and action × resource.
type Right = (String, String, bool, String, (String, String));

/// What a role is at one moment of an update.
struct Moment {
    trust: Trust,
    boundary: String,
    session: i32,
    /// Actions × resources of each policy attached.
    attached: BTreeMap<String, BTreeSet<(String, String)>>,
}

impl Moment {
    fn rights(&self) -> BTreeSet<Right> {
        let mut rights = BTreeSet::new();
        for right in self.attached.values().flatten() {
            for who in &self.trust.principals {
                for attributed in [false, true]
                    .into_iter()
                    .filter(|attributed| !attributed || self.trust.attribution != Attribution::None)
                {
                    let id = self.trust.external_id.expose().to_owned();
                    rights.insert((who.clone(), id, attributed, self.boundary.clone(), right.clone()));
                }
            }
        }
        rights
    }
}

fn allowed(document: &str) -> BTreeSet<(String, String)> {
    let document: sagemaker_external::policy::Document<sagemaker_external::policy::PermissionStatement> =
        serde_json::from_str(document).unwrap();
    let pairs = |action: &String, resources: &[String]| {
        resources.iter().map(|resource| (action.clone(), resource.clone())).collect::<Vec<_>>()
    };
    let statements = document.statements().iter();
    statements.flat_map(|s| s.action.iter().flat_map(|action| pairs(action, &s.resource))).collect()
}

/// Any wish: who, what, how, and under which names.
fn any_wish() -> impl Strategy<Value = serde_json::Value> {
    let some = |all: Vec<&'static str>| prop::sample::subsequence(all, 1..=3);
    let one = |all: &[&'static str]| prop::sample::select(all.to_vec());
    (
        some(vec!["444455556666", "777788889999", "123456789012"]),
        prop::collection::btree_set(0u16..200, 1..120),
        some(vec!["InvokeEndpoint", "InvokeEndpointWithResponseStream", "InvokeEndpointAsync"]),
        one(&["one-id", "two-id"]),
        one(&["3600", "7200"]),
        one(&["false", "true"]),
        one(&["arn:aws:iam::111122223333:policy/b", "arn:aws:iam::111122223333:policy/c"]),
        one(&["P", "Q"]),
    )
        .prop_map(|(accounts, ends, operations, id, session, attribution, boundary, policy)| {
            json!({"TrustedAccountIds": accounts, "EndpointNames": endpoints(ends), "Operations": operations,
                "ExternalId": id, "MaxSessionDuration": session, "CallerAttribution": attribution,
                "PermissionsBoundary": boundary, "PolicyName": policy})
        })
}

/// Another wish, or the same with one property another.
fn two_wishes() -> impl Strategy<Value = (RoleSpec, RoleSpec)> {
    (any_wish(), any_wish(), prop::collection::btree_set(0usize..8, 1..=8)).prop_map(|(old, other, taken)| {
        let mut new = old.clone();
        for key in taken.into_iter().filter_map(|index| old.as_object().unwrap().keys().nth(index)) {
            new[key] = other[key].clone();
        }
        (wish(old), wish(new))
    })
}

proptest! {
    /// One endpoint more or less touches one policy, whatever its length, capitals and
    /// regions.
    #[test]
    fn one_endpoint_of_any_kind_touches_one_policy(
        names in prop::collection::btree_set("[a-zA-Z][a-zA-Z0-9]{0,61}[a-z0-9]", 2..200),
        pick in any::<prop::sample::Index>(),
        regions in prop::sample::subsequence(vec!["us-east-1", "us-west-2", "eu-west-1"], 1..=3),
    ) {
        // Names that differ in case only share a spelling, and so a policy's place.
        let distinct: BTreeMap<String, String> = names.into_iter().map(|name| (name.to_lowercase(), name)).collect();
        let mut less: Vec<String> = distinct.into_values().collect();
        let of = |names: &[String]| wish(json!({"EndpointNames": names, "TrustedAccountIds": ["444455556666"], "Regions": regions}));
        let more = of(&less);
        less.remove(pick.index(less.len()));
        prop_assume!(!less.is_empty());
        let less = of(&less);
        for (old, new) in [(&less, &more), (&more, &less)] {
            let buckets = pack(old, &owner(), &RoleState::default()).unwrap();
            let (steps, _) = converge(new, &owner(), &state(old, &buckets), None).unwrap();
            prop_assert_eq!(changed(&steps).len(), 1, "{:?}", steps);
        }
    }

    /// All resources are granted, once, in documents that IAM takes.
    #[test]
    fn packing_loses_nothing(before in prop::collection::btree_set(0u16..400, 0..300), after in prop::collection::btree_set(0u16..400, 1..300)) {
        let old = spec(&endpoints(if before.is_empty() { BTreeSet::from([1]) } else { before }), &["444455556666"]);
        let state = state(&old, &pack(&old, &owner(), &RoleState::default()).unwrap());
        let new = spec(&endpoints(after), &["444455556666"]);
        let buckets = pack(&new, &owner(), &state).unwrap();
        let all: Vec<String> = buckets.iter().flat_map(|(_, resources)| resources.clone()).collect();
        prop_assert_eq!(all.len(), new.resources.len());
        prop_assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), new.resources.clone());
        for (index, (arn, resources)) in buckets.iter().enumerate() {
            prop_assert_eq!(Some(arn.clone()), new.place.policy_arn(index));
            prop_assert!(new.permissions(resources).size() <= quota::MANAGED);
        }
    }

    /// U37: at no moment of an update does anyone have a right that they have neither
    /// before nor after it, or for longer.
    #[test]
    fn u37_no_moment_has_wider_rights((old, new) in two_wishes()) {
        let buckets = pack(&old, &owner(), &RoleState::default()).unwrap();
        let state = state(&old, &buckets);
        let (steps, policies) = converge(&new, &owner(), &state, None).unwrap();
        let mut documents: BTreeMap<String, _> =
            state.policies.iter().map(|(arn, policy)| (arn.to_string(), allowed(&policy.document))).collect();
        let mut now = Moment {
            trust: old.trust.clone(),
            boundary: old.boundary.to_string(),
            session: old.max_session,
            attached: documents.clone(),
        };
        let (before, after) = (now.rights(), Moment {
            trust: new.trust.clone(),
            boundary: new.boundary.to_string(),
            session: new.max_session,
            attached: BTreeMap::from([("all".to_owned(), allowed(&new.permissions(&new.resources).to_json()))]),
        }.rights());
        for step in &steps {
            match step {
                Step::PutTrust { document, .. } => now.trust = Trust::from_document(document).unwrap(),
                Step::PutBoundary { boundary, .. } => now.boundary.clone_from(boundary),
                Step::SetMaxSession { seconds, .. } => now.session = *seconds,
                Step::CreatePolicy { policy, document, .. } => _ = documents.insert(policy.to_string(), allowed(document)),
                Step::PutPolicy { policy, document } => {
                    now.attached.entry(policy.to_string()).and_modify(|held| *held = allowed(document));
                    documents.insert(policy.to_string(), allowed(document));
                }
                Step::Attach { policy, .. } => _ = now.attached.insert(policy.clone(), documents[policy].clone()),
                Step::Detach { policy, .. } => _ = now.attached.remove(policy),
                _ => {}
            }
            for right in now.rights() {
                let was = before.contains(&right) && now.session <= old.max_session;
                let will_be = after.contains(&right) && now.session <= new.max_session;
                prop_assert!(was || will_be, "{right:?} for {} s after {step}", now.session);
            }
        }
        prop_assert_eq!(now.rights(), after);
        prop_assert_eq!((now.session, now.attached.len()), (new.max_session, policies.len()));
    }
}

/// A found trust that IAM takes no more (U16): given back closed, and said so.
#[test]
fn u16_a_lost_trust_is_given_back_closed() {
    let spec = spec(&endpoints([1]), &["444455556666"]);
    let mut state = state(&spec, &pack(&spec, &owner(), &RoleState::default()).unwrap());
    let role = state.role.as_mut().unwrap();
    let found = FoundRole { trust: "{}".to_owned(), ..FoundRole::of(role) };
    role.tags.extend(found.tags());
    let trusts = |place: &RolePlace| {
        let (steps, left) = crate::role_retire::retire(place, &owner(), &state).unwrap();
        let trust = |step: Step| if let Step::PutTrust { document, .. } = step { Some(document) } else { None };
        (steps.into_iter().filter_map(trust).collect::<Vec<_>>(), left.join("; "))
    };
    let (documents, note) = trusts(&spec.place);
    assert_eq!(documents, ["{}"]);
    assert!(!note.contains("nobody can assume"), "{note}");
    let (documents, note) = trusts(&RolePlace { trust_is_lost: true, ..spec.place.clone() });
    assert_eq!(
        documents,
        [
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":["*"]},"Action":["sts:AssumeRole"]}]}"#
        ]
    );
    assert!(note.contains("nobody can assume the role until its owner writes another trust"), "{note}");
}
