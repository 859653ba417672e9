//! The child's half behind the lifecycle's interface.

use std::collections::BTreeSet;

use sagemaker_external::arn::GroupArn;
use sagemaker_external::failure::Failure;
use serde_json::{Map, Value};

use crate::authority::Authority;
use crate::bounds;
use crate::found;
use crate::group::{GroupPlace, GroupSpec};
use crate::group_plan::{self, Group};
use crate::half::{Data, Half, Plan, Retirement};
use crate::iam::{Iam, Made};
use crate::member::Member;
use crate::owner::Owner;
use crate::ownership::prove_group;
use crate::request::Home;
use crate::role::Defaults;
use crate::step::Step;

/// The child's.
pub struct GroupHalf;

impl Half for GroupHalf {
    type Place = GroupPlace;
    type Spec = GroupSpec;
    type State = Option<Group>;

    fn parse(properties: &Map<String, Value>, home: &Home, defaults: &Defaults) -> Result<GroupSpec, String> {
        GroupSpec::parse(properties, home, defaults)
    }

    fn place(spec: &GroupSpec) -> &GroupPlace {
        &spec.place
    }

    fn traced(properties: &Map<String, Value>, home: &Home, defaults: &Defaults) -> Option<GroupPlace> {
        GroupPlace::from_traces(properties, home, defaults)
    }

    fn named(id: &str, traced: GroupPlace) -> Option<GroupPlace> {
        let GroupArn { account, path, name } = id.parse().ok()?;
        let evidence = traced.evidence.named();
        (account == traced.account).then_some(GroupPlace { path, name, evidence, ..traced })
    }

    fn id(place: &GroupPlace) -> String {
        place.group_arn().to_string()
    }

    fn name(place: &GroupPlace) -> &str {
        place.name.as_str()
    }

    fn giving_back(place: &GroupPlace) -> GroupPlace {
        GroupPlace { remove_adopted: false, ..place.clone() }
    }

    fn without_trust(_: &GroupPlace) -> Option<GroupPlace> {
        None
    }

    fn moved(spec: &GroupSpec, place: &GroupPlace) -> Option<GroupSpec> {
        let there = GroupPlace { path: place.path.clone(), ..spec.place.clone() };
        (spec.place.name == place.name).then(|| GroupSpec { place: there, ..spec.clone() })
    }

    fn foreign(spec: &GroupSpec, owner: &Owner, state: &Option<Group>, old: Option<&GroupPlace>) -> Vec<String> {
        let Some(group) = state.as_ref().filter(|group| group.is_marked(owner) || spec.adopt.is_some()) else {
            return Vec::new();
        };
        group.foreign(owner, &spec.place.users.union(&users(old)).cloned().collect(), &spec.place.policy_name)
    }

    async fn located(iam: &Iam, mut spec: GroupSpec, owner: &Owner, id: Option<&str>) -> Result<GroupSpec, Failure> {
        let elsewhere = id.and_then(|id| id.parse::<GroupArn>().ok());
        let elsewhere = elsewhere.is_some_and(|arn| arn.name == spec.place.name && arn.path != spec.place.path);
        if (spec.adopt.is_some() || elsewhere)
            && let Some(group) = iam.group_state(&spec.place).await?
            && (group.is_adopted(owner) || (spec.adopt.is_some() && group.is_adoptable(owner)))
        {
            spec.place.path = group.arn.path;
        }
        spec.place.evidence.by_id = id.is_some_and(|id| id == Self::id(&spec.place));
        Ok(spec)
    }

    fn is_begun(state: &Option<Group>, owner: &Owner) -> bool {
        state.as_ref().is_some_and(|group| group.is_begun(owner))
    }

    fn is_owned(state: &Option<Group>, owner: &Owner) -> bool {
        state.as_ref().is_some_and(|group| group.is_marked(owner))
    }

    fn is_absent(state: &Option<Group>) -> bool {
        state.is_none()
    }

    fn is_unseen(state: &Option<Group>, owner: &Owner) -> bool {
        !Self::is_owned(state, owner)
    }

    /// A group that hangs on anything cannot be removed: that says it in time.
    fn contradiction(_: &GroupPlace, _: &Option<Group>, _: &Owner) -> Option<String> {
        None
    }

    fn proven(place: &GroupPlace) -> GroupPlace {
        GroupPlace { evidence: place.evidence.clone().seen(), ..place.clone() }
    }

    fn without_refused(_: &GroupSpec, _: &Step, _: &Failure) -> Option<(GroupSpec, Vec<String>)> {
        None
    }

    fn dry_run(spec: &GroupSpec) -> bool {
        spec.dry_run
    }

    async fn observe(
        iam: &Iam,
        place: &GroupPlace,
        old: Option<&GroupPlace>,
        owner: &Owner,
    ) -> Result<Option<Group>, Failure> {
        let mut group = iam.group_state(place).await?;
        group.iter_mut().for_each(|group| prove_group(group, place, old, owner));
        Ok(group)
    }

    async fn observe_all(iam: &Iam, place: &GroupPlace, owner: &Owner) -> Result<Option<Group>, Failure> {
        Self::observe(iam, place, None, owner).await
    }

    fn converge(
        spec: &GroupSpec,
        owner: &Owner,
        state: &Option<Group>,
        old: Option<&GroupPlace>,
        before: Option<&GroupSpec>,
    ) -> Result<Plan, String> {
        let old_users = users(old);
        let steps = {
            let changed = before.is_some_and(|before| before.place.name == spec.place.name && !before.allows_as(spec));
            group_plan::converge(spec, owner, state.as_ref(), &old_users, changed)?
        };
        let existing = state.as_ref().map(|group| Made { arn: group.arn.to_string(), id: String::new() });
        Ok(Plan { steps, existing, policies: Vec::new() })
    }

    fn removes_adopted(place: &GroupPlace) -> bool {
        place.remove_adopted
    }

    fn unnamed(state: &Option<Group>, owner: &Owner, named: &BTreeSet<String>) -> Option<String> {
        let group = state.as_ref().filter(|group| group.is_adopted(owner))?;
        found::unnamed(&group.arn.to_string(), "a Sid Found… in its policy", named)
    }

    fn for_deletion(place: GroupPlace, owner: &Owner, authority: &Authority) -> GroupPlace {
        GroupPlace { is_switched_off: authority.has_switched_off_group(owner), ..place }
    }

    fn barred<'a>(owner: &Owner, authority: &'a Authority) -> Option<&'a str> {
        bounds::bars_groups(owner, authority)
    }

    fn permit(
        spec: &GroupSpec,
        owner: &Owner,
        state: &Option<Group>,
        authority: &Authority,
        defaults: &Defaults,
    ) -> Result<(), String> {
        bounds::check_group(spec, owner, state.as_ref(), authority, defaults)
    }

    fn retire(place: &GroupPlace, owner: &Owner, state: &Option<Group>) -> Result<Retirement, String> {
        group_plan::retire(place, owner, state.as_ref())
    }

    fn data(spec: &GroupSpec, made: &Made, _: &[String]) -> Data {
        Data::from([("GroupName", spec.place.name.to_string()), ("GroupArn", made.arn.clone())])
    }
}

/// The users whom the wish before named.
fn users(old: Option<&GroupPlace>) -> BTreeSet<Member> {
    old.map(|old| old.users.clone()).unwrap_or_default()
}
