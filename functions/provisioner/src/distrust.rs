//! A read of a role that may be of a copy which lags behind the wish before. Pure.

use std::collections::BTreeMap;

use sagemaker_external::policy::same;

use crate::owner::Owner;
use crate::pack::pack;
use crate::role::RoleSpec;
use crate::role_plan::RoleState;
use crate::trust_plan::trust_json;

/// What was read, with the documents of the wish before in place of those that look as
/// wished already: the read may be of a copy that lags behind that wish.
pub(crate) fn distrusted(state: &RoleState, spec: &RoleSpec, owner: &Owner, before: Option<&RoleSpec>) -> RoleState {
    let mut state = state.clone();
    let Some(before) = before.filter(|before| before.place.name == spec.place.name) else { return state };
    if let Some(role) = state.role.as_mut().filter(|_| before.trust != spec.trust) {
        let before = before.trust.without(&spec.gone).filter(|_| same(&role.trust, &trust_json(spec)));
        if let Some(before) = before {
            role.trust = before.document().to_json();
        }
    }
    if before.place.policy_name != spec.place.policy_name {
        return state;
    }
    // The wish before, at the place where something adopted stands.
    let before = RoleSpec { place: spec.place.clone(), adopt: spec.adopt.clone(), ..before.clone() };
    let packs = (pack(spec, owner, &state), pack(&before, owner, &state));
    let (Ok(wanted), Ok(had)) = packs else { return state };
    let had: BTreeMap<_, _> = had.into_iter().map(|(arn, part)| (arn, before.permissions(&part).to_json())).collect();
    for (arn, part) in wanted {
        let wanted = spec.permissions(&part).to_json();
        if let (Some(policy), Some(had)) = (state.policies.get_mut(&arn), had.get(&arn))
            && same(&policy.document, &wanted)
            && !same(&wanted, had)
        {
            policy.document = had.clone();
        }
    }
    state
}
