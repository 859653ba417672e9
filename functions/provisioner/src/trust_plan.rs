//! Boundary, trust and permissions of a role together, in an order that never gives anyone
//! more than before or after (U37). Pure.

use std::collections::BTreeSet;

use sagemaker_external::arn::PolicyArn;
use sagemaker_external::policy::{Document, TrustStatement, quota, same};

use crate::owner::Owner;
use crate::rights::rights;
use crate::role::{RolePlace, RoleSpec};
use crate::role_plan::{Role, RoleState, is_ours};
use crate::step::{Dispensable, Step};
use crate::trust::{Trust, closed, naming};

/// Whom a trust of this role may lose: IAM deletes principals without asking, and what was
/// accepted once must not fail for it.
pub(crate) fn dispensable(spec: &RoleSpec, old: Option<&RolePlace>, role: Option<&Role>) -> Dispensable {
    let before = old.map(|old| old.principals.clone()).unwrap_or_default();
    let stored = role.and_then(|role| Trust::from_document(&role.trust));
    let live = stored.as_ref().and_then(Trust::live).map(|live| live.principals).unwrap_or_default();
    let absent = if stored.is_some() { before.difference(&live).cloned().collect() } else { BTreeSet::new() };
    Dispensable { principals: before.union(&live).cloned().collect(), absent, waited_for: !spec.gone.is_empty() }
}

/// The role's trust as a document: without the principals that are gone, and closed where
/// that leaves nobody.
pub(crate) fn trust_json(spec: &RoleSpec) -> String {
    spec.trust.without(&spec.gone).map_or_else(closed, |trust| trust.document()).to_json()
}

/// Whether the stored trust lets in whom it should. Where principals are gone, their ids may
/// stay in it: they let nobody in.
fn lets_in_as_desired(stored: &str, spec: &RoleSpec) -> bool {
    let read = Trust::from_document(stored).filter(|read| same(stored, &read.document().to_json()));
    match spec.trust.without(&spec.gone) {
        _ if same(stored, &trust_json(spec)) => true,
        _ if spec.gone.is_empty() => false,
        Some(trust) => read.is_some_and(|read| read.live() == Some(trust)),
        None => read.is_some_and(|read| read.live().is_none()),
    }
}

/// How a trust comes from the stored document to the desired one while rights change too.
enum Way {
    /// Over `first`, which lets in nobody who is not let in before and after; `last` comes
    /// when the rights are as desired. Each is absent where it would change nothing.
    Shrunk { first: Option<String>, last: Option<String> },
    /// With nothing in common, the role is without rights in between. `first` changes nothing
    /// for anyone.
    Bare { first: Option<String> },
}

/// Whoever is new is named in `first` already, in a statement without effect: IAM refuses a
/// principal that does not exist, and is to do so before a right is written. Where a trust is
/// too long for that, the role is without rights in between instead.
fn way(stored: &str, spec: &RoleSpec) -> Way {
    let fits = |document: Document<TrustStatement>| (document.size() <= quota::TRUST).then(|| document.to_json());
    let Some(desired) = spec.trust.without(&spec.gone) else {
        return Way::Shrunk { first: Some(closed().to_json()), last: None };
    };
    let Some(read) = Trust::from_document(stored) else { return Way::Bare { first: None } };
    let last = desired.document().to_json();
    let Some(live) = read.live().and_then(|live| live.without(&spec.gone)) else {
        return match fits(naming(None, &desired.principals)) {
            first @ Some(_) => Way::Shrunk { first, last: Some(last) },
            None => Way::Bare { first: None },
        };
    };
    let new: BTreeSet<String> = desired.principals.difference(&live.principals).cloned().collect();
    match live.meet(&desired) {
        Some(common) if new.is_empty() => {
            let first = common.document().to_json();
            Way::Shrunk { first: (!same(stored, &first)).then_some(first), last: (common != desired).then_some(last) }
        }
        Some(common) => match fits(naming(Some(&common), &new)) {
            first @ Some(_) => Way::Shrunk { first, last: Some(last) },
            None => Way::Bare { first: None },
        },
        None if new.is_empty() => Way::Bare { first: None },
        None => Way::Bare { first: fits(naming(Some(&live), &new)) },
    }
}

/// Where trust and permissions change, the trust first shrinks to what old and new have in
/// common and grows last. With nothing in common, or with one boundary in place of another,
/// which says nothing of what the two admit, the role is without rights in between.
pub(crate) fn trust_and_rights(
    spec: &RoleSpec,
    owner: &Owner,
    state: &RoleState,
    role: &Role,
    wanted: &[(PolicyArn, BTreeSet<String>)],
    old: Option<&RolePlace>,
) -> Vec<Step> {
    let name = &spec.place.name;
    let old_tags = old.map(|old| old.tags.clone()).unwrap_or_default();
    let boundary = spec.boundary.to_string();
    let other = role.boundary.as_ref().is_some_and(|found| *found != boundary);
    let boundary =
        (role.boundary.as_ref() != Some(&boundary)).then(|| Step::PutBoundary { role: name.clone(), boundary });
    let ordinary = rights(spec, owner, state, wanted, &role.attached, &old_tags);
    let new_rights = ordinary.iter().any(Step::changes_rights);
    let new_trust = !lets_in_as_desired(&role.trust, spec);
    let (first, last, bare) = match (new_trust, other || new_rights) {
        (false, _) => (None, None, other && new_rights),
        (true, false) => (None, Some(trust_json(spec)), false),
        (true, true) => match way(&role.trust, spec) {
            Way::Bare { first } => (first, Some(trust_json(spec)), true),
            Way::Shrunk { first, last } => (first, last, other),
        },
    };
    let put = |document| {
        let dispensable = dispensable(spec, old, Some(role));
        Step::PutTrust { role: name.clone(), document, dispensable }
    };
    let (first, last) = (first.map(put), last.map(put));
    if !bare {
        return boundary.into_iter().chain(first).chain(ordinary).chain(last).collect();
    }
    // Also those about to be adopted.
    let goes = |arn: &&String| is_ours(arn, owner, state) || wanted.iter().any(|(own, _)| own.to_string() == **arn);
    let ours: BTreeSet<String> = role.attached.iter().filter(goes).cloned().collect();
    let kept: BTreeSet<String> = role.attached.difference(&ours).cloned().collect();
    let detach = ours.into_iter().map(|policy| Step::Detach { role: name.to_string(), policy });
    let again = rights(spec, owner, state, wanted, &kept, &old_tags);
    // Where there was none, it can only take rights away.
    let (early, late) = if other { (None, boundary) } else { (boundary, None) };
    early.into_iter().chain(first).chain(detach).chain(late).chain(last).chain(again).collect()
}
