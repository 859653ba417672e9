//! The two halves of a grant behind one interface, so that the lifecycle is
//! written once.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use sagemaker_external::arn::RoleArn;
use sagemaker_external::failure::Failure;
use serde_json::{Map, Value};

use crate::adopt;
use crate::authority::Authority;
use crate::bounds;
use crate::distrust::distrusted;
use crate::found::FoundRole;
use crate::iam::{Iam, Made, Numbers};
use crate::owner::Owner;
use crate::ownership::prove_role;
use crate::pack::MOST_POLICIES;
use crate::request::Home;
use crate::role::{Defaults, RolePlace, RoleSpec};
use crate::role_plan::{self, RoleState, is_ours};
use crate::role_retire;
use crate::step::Step;

/// What Fn::GetAtt reads: flat strings (C33).
pub type Data = BTreeMap<&'static str, String>;

/// What to do, and what is known of the result before it is done.
pub struct Plan {
    pub steps: Vec<Step>,
    /// The entity, where it exists already.
    pub existing: Option<Made>,
    /// The managed policies that serve the wish in the end.
    pub policies: Vec<String>,
}

/// Steps of a removal, and what is left alone with its reason.
pub type Retirement = (Vec<Step>, Vec<String>);

pub trait Half {
    /// Where the entity may stand: what a physical id or properties name.
    type Place: Clone + Send + Sync;
    type Spec: Clone + Send + Sync;
    type State: Send;

    fn parse(properties: &Map<String, Value>, home: &Home, defaults: &Defaults) -> Result<Self::Spec, String>;
    fn place(spec: &Self::Spec) -> &Self::Place;
    /// The place that properties name, invalid ones replaced by defaults.
    fn traced(properties: &Map<String, Value>, home: &Home, defaults: &Defaults) -> Option<Self::Place>;
    /// The place that a physical id names; the rest as in `traced`. `None` for
    /// an id that is no ARN of this half in this account.
    fn named(id: &str, traced: Self::Place) -> Option<Self::Place>;
    /// The entity's ARN, which is the physical id.
    fn id(place: &Self::Place) -> String;
    /// Its name, which no two entities of the account share.
    fn name(place: &Self::Place) -> &str;
    /// The same place, where what was adopted is given back whatever `OnDelete` says.
    fn giving_back(place: &Self::Place) -> Self::Place;
    /// The same place, where the trust that was found is not to be had any more; `None`
    /// where that is known already, or there is no trust.
    fn without_trust(place: &Self::Place) -> Option<Self::Place>;
    /// The wish, at the path of `place`, which may be one where something was adopted;
    /// `None` where it is about another entity.
    fn moved(spec: &Self::Spec, place: &Self::Place) -> Option<Self::Spec>;
    /// What others put onto the entity of the wish, each with its kind. `old` is what the
    /// properties of the wish before name, whether or not they were valid.
    fn foreign(spec: &Self::Spec, owner: &Owner, state: &Self::State, old: Option<&Self::Place>) -> Vec<String>;
    /// Whether something is there that an earlier run for this owner may have made.
    fn is_begun(state: &Self::State, owner: &Owner) -> bool;
    /// Whether some of it is this owner's for certain.
    fn is_owned(state: &Self::State, owner: &Owner) -> bool;
    /// Whether nothing at all of the entity is there.
    fn is_absent(state: &Self::State) -> bool;
    /// Whether something is not seen that a Create makes besides what is seen: a copy of
    /// IAM may lag.
    fn is_unseen(state: &Self::State, owner: &Owner) -> bool;
    /// What IAM says of one entity and denies of another, if it does: its copies lag.
    fn contradiction(place: &Self::Place, state: &Self::State, owner: &Owner) -> Option<String>;
    /// The same place, where this run has seen the owner's mark.
    fn proven(place: &Self::Place) -> Self::Place;
    /// The wish, at the path where something to be adopted already stands, or something
    /// adopted that `id` names; with a note where `id` names the very entity.
    fn located(
        iam: &Iam,
        spec: Self::Spec,
        owner: &Owner,
        id: Option<&str>,
    ) -> impl Future<Output = Result<Self::Spec, Failure>> + Send;
    /// The wish without those principals that this refusal of a step is about, and who they
    /// are; `None` where one of them must not be left out.
    fn without_refused(spec: &Self::Spec, step: &Step, failure: &Failure) -> Option<(Self::Spec, Vec<String>)>;
    fn dry_run(spec: &Self::Spec) -> bool;
    fn observe(
        iam: &Iam,
        place: &Self::Place,
        also: Option<&Self::Place>,
        owner: &Owner,
    ) -> impl Future<Output = Result<Self::State, Failure>> + Send;
    /// As `observe`, and all that an earlier life of the resource can have left behind.
    fn observe_all(
        iam: &Iam,
        place: &Self::Place,
        owner: &Owner,
    ) -> impl Future<Output = Result<Self::State, Failure>> + Send;
    /// `old` as in `foreign`.
    /// Where it differs from `before`, the wish before, a document is written whatever a
    /// read says: the read may be of a copy that lags.
    fn converge(
        spec: &Self::Spec,
        owner: &Owner,
        state: &Self::State,
        old: Option<&Self::Place>,
        before: Option<&Self::Spec>,
    ) -> Result<Plan, String>;
    /// Whether what was adopted is removed, too, rather than given back.
    fn removes_adopted(place: &Self::Place) -> bool;
    /// What says how an entity of this owner was found, where AdoptArns does not name it.
    fn unnamed(state: &Self::State, owner: &Owner, named: &BTreeSet<String>) -> Option<String>;
    /// The same place, where `authority` may say that the entity is switched off for good.
    fn for_deletion(place: Self::Place, owner: &Owner, authority: &Authority) -> Self::Place;
    /// Why this owner may have no such entity at all, if it may not.
    fn barred<'a>(owner: &Owner, authority: &'a Authority) -> Option<&'a str>;
    /// Refuses what the wish asks for beyond the authority, unless it stands there already.
    fn permit(
        spec: &Self::Spec,
        owner: &Owner,
        state: &Self::State,
        authority: &Authority,
        defaults: &Defaults,
    ) -> Result<(), String>;
    fn retire(place: &Self::Place, owner: &Owner, state: &Self::State) -> Result<Retirement, String>;
    fn data(spec: &Self::Spec, made: &Made, policies: &[String]) -> Data;
}

/// The parent's.
pub struct RoleHalf;

impl Half for RoleHalf {
    type Place = RolePlace;
    type Spec = RoleSpec;
    type State = RoleState;

    fn parse(properties: &Map<String, Value>, home: &Home, defaults: &Defaults) -> Result<RoleSpec, String> {
        RoleSpec::parse(properties, home, defaults)
    }

    fn place(spec: &RoleSpec) -> &RolePlace {
        &spec.place
    }

    fn traced(properties: &Map<String, Value>, home: &Home, defaults: &Defaults) -> Option<RolePlace> {
        RolePlace::from_traces(properties, home, defaults)
    }

    fn named(id: &str, traced: RolePlace) -> Option<RolePlace> {
        let RoleArn { account, path, name } = id.parse().ok()?;
        let evidence = traced.evidence.named();
        (account == traced.account).then_some(RolePlace { path, name, evidence, ..traced })
    }

    fn id(place: &RolePlace) -> String {
        place.role_arn().to_string()
    }

    fn name(place: &RolePlace) -> &str {
        place.name.as_str()
    }

    fn giving_back(place: &RolePlace) -> RolePlace {
        RolePlace { remove_adopted: false, ..place.clone() }
    }

    fn without_trust(place: &RolePlace) -> Option<RolePlace> {
        (!place.trust_is_lost).then(|| RolePlace { trust_is_lost: true, ..place.clone() })
    }

    fn moved(spec: &RoleSpec, place: &RolePlace) -> Option<RoleSpec> {
        let there = RolePlace { path: place.path.clone(), ..spec.place.clone() };
        (spec.place.name == place.name).then(|| RoleSpec { place: there, ..spec.clone() })
    }

    fn foreign(spec: &RoleSpec, owner: &Owner, state: &RoleState, _: Option<&RolePlace>) -> Vec<String> {
        let Some(role) = state.role.as_ref().filter(|role| role.is_ours(owner) || spec.adopt.is_some()) else {
            return Vec::new();
        };
        let numbered = (0..MOST_POLICIES).map_while(|index| spec.place.policy_arn(index));
        let wished: BTreeSet<String> = numbered.map(|arn| arn.to_string()).collect();
        let ours = |arn: &String| is_ours(arn, owner, state) || wished.contains(arn);
        let attached = role.attached.iter().filter(|arn| !ours(arn)).map(|arn| format!("policy {arn}"));
        attached.chain(role.inline.iter().map(|name| format!("inline policy {name}"))).collect()
    }

    async fn located(iam: &Iam, mut spec: RoleSpec, owner: &Owner, id: Option<&str>) -> Result<RoleSpec, Failure> {
        let elsewhere = id.and_then(|id| id.parse::<RoleArn>().ok());
        let elsewhere = elsewhere.is_some_and(|arn| arn.name == spec.place.name && arn.path != spec.place.path);
        if (spec.adopt.is_some() || elsewhere)
            && let Some(role) = iam.role(spec.place.name.as_str()).await?
        {
            let adopted = owner.owns(&role.tags) && FoundRole::read(&role.tags).is_some();
            let there = RolePlace { path: role.arn.path.clone(), ..spec.place.clone() };
            if adopted || (!Owner::is_anyones(&role.tags) && spec.may_adopt_at(&there)) {
                spec.place = there;
            }
        }
        spec.place.evidence.by_id = id.is_some_and(|id| id == Self::id(&spec.place));
        Ok(spec)
    }

    fn is_begun(state: &RoleState, owner: &Owner) -> bool {
        let policies = || state.policies.values().any(|policy| policy.is_ours(owner));
        state.role.as_ref().is_some_and(|role| role.is_ours(owner)) || policies()
    }

    fn is_owned(state: &RoleState, owner: &Owner) -> bool {
        Self::is_begun(state, owner)
    }

    fn is_absent(state: &RoleState) -> bool {
        state.role.is_none() && state.policies.is_empty()
    }

    fn is_unseen(state: &RoleState, owner: &Owner) -> bool {
        let policies = || state.policies.values().any(|policy| policy.is_ours(owner));
        state.role.as_ref().is_none_or(|role| role.is_ours(owner) && !policies())
    }

    fn contradiction(place: &RolePlace, state: &RoleState, owner: &Owner) -> Option<String> {
        if let Some(role) = state.unseen.first() {
            return Some(format!(
                "IAM shows a policy of this resource on role {role}, but not yet the role itself; try again"
            ));
        }
        let (policy, how) = match &state.role {
            Some(role) => {
                let here = RolePlace { path: role.arn.path.clone(), ..place.clone() };
                let numbered = (0..MOST_POLICIES).map_while(|index| here.policy_arn(index));
                let mut unseen = numbered.filter(|arn| !state.policies.contains_key(arn));
                (unseen.find(|arn| role.attached.contains(&arn.to_string()))?, "the policy")
            }
            None => {
                let on_ours = |roles: &BTreeSet<String>| roles.iter().any(|name| name == place.name.as_str());
                let mut ours = state.policies.iter().filter(|(_, policy)| policy.is_ours(owner));
                (ours.find(|(_, policy)| on_ours(&policy.roles))?.0.clone(), "the role")
            }
        };
        Some(format!("IAM shows policy {} on role {}, but not yet {how} itself; try again", policy.name, place.name))
    }

    fn proven(place: &RolePlace) -> RolePlace {
        place.clone()
    }

    fn without_refused(spec: &RoleSpec, step: &Step, failure: &Failure) -> Option<(RoleSpec, Vec<String>)> {
        let refused = step.dispensable()?.refused(&failure.message);
        let new: Vec<String> = refused.difference(&spec.gone).cloned().collect();
        let gone = spec.gone.union(&refused).cloned().collect();
        (!new.is_empty()).then(|| (RoleSpec { gone, ..spec.clone() }, new))
    }

    fn dry_run(spec: &RoleSpec) -> bool {
        spec.dry_run
    }

    async fn observe(
        iam: &Iam,
        place: &RolePlace,
        also: Option<&RolePlace>,
        owner: &Owner,
    ) -> Result<RoleState, Failure> {
        let mut state = iam.role_state(place, also, owner, Numbers::Counted).await?;
        prove_role(&mut state, place, also, owner);
        Ok(state)
    }

    async fn observe_all(iam: &Iam, place: &RolePlace, owner: &Owner) -> Result<RoleState, Failure> {
        let mut state = iam.role_state(place, None, owner, Numbers::All).await?;
        prove_role(&mut state, place, None, owner);
        Ok(state)
    }

    fn converge(
        spec: &RoleSpec,
        owner: &Owner,
        state: &RoleState,
        old: Option<&RolePlace>,
        before: Option<&RoleSpec>,
    ) -> Result<Plan, String> {
        let (steps, policies) = role_plan::converge(spec, owner, &distrusted(state, spec, owner, before), old)?;
        let existing = state.role.as_ref().map(|role| Made { arn: role.arn.to_string(), id: role.id.clone() });
        Ok(Plan { steps, existing, policies: policies.iter().map(ToString::to_string).collect() })
    }

    fn removes_adopted(place: &RolePlace) -> bool {
        place.remove_adopted
    }

    fn unnamed(state: &RoleState, owner: &Owner, named: &BTreeSet<String>) -> Option<String> {
        adopt::unnamed(owner, state, named)
    }

    fn for_deletion(place: RolePlace, _: &Owner, _: &Authority) -> RolePlace {
        place
    }

    fn barred<'a>(_: &Owner, _: &'a Authority) -> Option<&'a str> {
        None
    }

    fn permit(
        spec: &RoleSpec,
        owner: &Owner,
        state: &RoleState,
        authority: &Authority,
        _: &Defaults,
    ) -> Result<(), String> {
        bounds::check_role(spec, owner, state, authority)
    }

    fn retire(place: &RolePlace, owner: &Owner, state: &RoleState) -> Result<Retirement, String> {
        role_retire::retire(place, owner, state)
    }

    fn data(spec: &RoleSpec, made: &Made, policies: &[String]) -> Data {
        Data::from([
            ("RoleArn", made.arn.clone()),
            ("RoleName", spec.place.name.to_string()),
            ("RoleId", made.id.clone()),
            ("PolicyArns", policies.join(",")),
            ("EndpointArns", spec.endpoint_arns.join(",")),
            ("ExternalId", spec.trust.external_id.expose().to_owned()),
        ])
    }
}
