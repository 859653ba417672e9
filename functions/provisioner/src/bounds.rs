//! Whether what a wish asks for lies within the authority, or stands in IAM already: what an
//! entity of the owner has may stay, so that no update of something else and no rollback is
//! stuck. What an event says of the past is not believed. Pure.

use std::collections::BTreeSet;

use sagemaker_external::arn::RoleArn;
use sagemaker_external::policy::{Document, PermissionStatement};
use serde_json::Value;

use crate::authority::{Authority, GroupBounds};
use crate::group::GroupSpec;
use crate::group_plan::Group;
use crate::member::Member;
use crate::owner::Owner;
use crate::role::{Defaults, RoleSpec};
use crate::role_plan::RoleState;
use crate::trust::Trust;

/// Every region, or every endpoint.
const ANY: &str = "*";
/// The collection that the routes of the API begin with.
const ENDPOINTS: &str = "endpoints";

pub(crate) fn check_role(
    spec: &RoleSpec,
    owner: &Owner,
    state: &RoleState,
    authority: &Authority,
) -> Result<(), String> {
    let role = state.role.as_ref().filter(|role| owner.owns(&role.tags));
    let trusted = role.and_then(|role| Trust::from_document(&role.trust));
    let trusted = trusted.map(|trust| trust.principals).unwrap_or_default();
    let stranger = |who: &&String| !authority.may_trust(who) && !trusted.contains(*who);
    if let Some(who) = spec.trust.principals.iter().find(stranger) {
        return Err(not_grantable(who));
    }
    if authority.any_endpoint() {
        return Ok(());
    }
    let policies = state.policies.values().filter(|policy| owner.owns(&policy.tags));
    let documents = policies.filter_map(|policy| serde_json::from_str(&policy.document).ok());
    let held: Vec<Right> = documents.flat_map(|document| rights(&document)).collect();
    let wanted = rights(&spec.permissions(&spec.resources));
    match wanted.iter().find(|right| right.is_wide() && !held.iter().any(|held| held.covers(right))) {
        Some(Right { resource, .. }) => Err(format!(
            "AllowAnyEndpoint, Regions: {resource} is more than this provisioner may grant; name endpoints and regions, or the operator can set AllowAnyEndpoint of the provisioner's stack to true"
        )),
        None => Ok(()),
    }
}

fn not_grantable(who: &str) -> String {
    match who.strip_suffix(":root").and_then(|arn| arn.rsplit(':').next()) {
        Some(account) => format!(
            "TrustedAccountIds: {account} is not an account that this provisioner may let in; its operator can add it to GrantableAccountIds of the provisioner's stack"
        ),
        None => format!(
            "TrustedPrincipalArns: {who} is neither in an account that this provisioner may let in nor named to it; its operator can add the account to GrantableAccountIds of the provisioner's stack, or the ARN to its TrustedPrincipalArns"
        ),
    }
}

/// One action on one resource, in one region or all.
struct Right {
    action: String,
    resource: String,
    region: String,
}

impl Right {
    /// Bounded by no endpoint's name, or by no region.
    fn is_wide(&self) -> bool {
        let any_region = self.region == ANY && self.resource.split(':').nth(3) == Some(ANY);
        any_region || self.resource.ends_with("/*")
    }

    fn covers(&self, other: &Self) -> bool {
        (&self.action, &self.resource) == (&other.action, &other.resource)
            && (self.region == ANY || self.region == other.region)
    }
}

fn rights(document: &Document<PermissionStatement>) -> Vec<Right> {
    let mut rights = Vec::new();
    for PermissionStatement { action, resource, condition, .. } in document.statements() {
        let any = vec![ANY.to_owned()];
        let regions = condition.as_ref().map_or(&any, |condition| &condition.string_equals.regions);
        for action in action {
            for (resource, region) in resource.iter().flat_map(|one| regions.iter().map(move |region| (one, region))) {
                let (action, resource, region) = (action.clone(), resource.clone(), region.clone());
                rights.push(Right { action, resource, region });
            }
        }
    }
    rights
}

/// Why this owner may have no group made, if it may not.
pub(crate) fn bars_groups<'a>(owner: &Owner, authority: &'a Authority) -> Option<&'a str> {
    match authority.group_bounds(owner) {
        GroupBounds::Nothing(why) => Some(why),
        GroupBounds::Any | GroupBounds::OwnStack { .. } => None,
    }
}

pub(crate) fn check_group(
    spec: &GroupSpec,
    owner: &Owner,
    state: Option<&Group>,
    authority: &Authority,
    defaults: &Defaults,
) -> Result<(), String> {
    // What is proven ours without its mark was proven by an id and a name, which an event can forge.
    let group = state.filter(|group| group.is_marked(owner) && group.proven.is_none());
    let members = group.map(|group| group.users.clone()).unwrap_or_default();
    let roles = group.map(|group| allowed(group, owner, "sts:AssumeRole")).unwrap_or_default();
    let apis = group.map(|group| allowed(group, owner, "execute-api:Invoke")).unwrap_or_default();
    let new_users: Vec<&Member> = spec.place.users.difference(&members).collect();
    let new_roles: Vec<&String> = spec.role_arns.difference(&roles).collect();
    let new_apis: Vec<&String> = spec.api_arns.difference(&apis).collect();
    let is_nothing_new = new_users.is_empty() && new_roles.is_empty() && new_apis.is_empty();
    let named = match authority.group_bounds(owner) {
        GroupBounds::Any => None,
        GroupBounds::Nothing(_) if group.is_some() && is_nothing_new => return Ok(()),
        GroupBounds::Nothing(why) => return Err(format!("Type: {why}")),
        GroupBounds::OwnStack { users, roles } => {
            if let Some(user) = new_users.iter().find(|user| !users.contains(**user)) {
                return Err(format!(
                    "UserNames: {user} is not one of UserNames of the provisioner's stack, whose operator can add the user there"
                ));
            }
            // The API's id is not known to the function, whose stack makes the API after it.
            if let Some(api) = new_apis.iter().find(|api| api.split('/').nth(3) != Some(ENDPOINTS)) {
                return Err(format!(
                    "ApiArns: {api} is no route of the API of the provisioner's stack, whose paths begin with {ENDPOINTS}"
                ));
            }
            roles
        }
    };
    let is_named = |arn: &str| named.is_some_and(|named| named.contains(arn));
    let is_of_own_stack = matches!(authority.group_bounds(owner), GroupBounds::OwnStack { .. });
    let is_bound = matches!(authority.group_bounds(owner), GroupBounds::OwnStack { roles: Some(_), .. });
    for arn in new_roles.into_iter().filter(|arn| !is_named(arn)) {
        let is_own = |role: &RoleArn| role.account.id == spec.place.account.id;
        match arn.parse::<RoleArn>().ok().filter(is_own) {
            Some(role) if is_below(&role, defaults) || defaults.adopt_arns.contains(arn) => {}
            Some(_) => {
                let others = "can name it there in AdoptArns";
                let own =
                    "can name it there in RoleArn, which excludes Grants, or in AdoptArns, or set CreateGroup to false";
                return Err(format!(
                    "RoleArns: {arn} is a role of this account outside {}; name a role below that path, or the operator of the provisioner's stack {}",
                    defaults.path,
                    if is_of_own_stack { own } else { others },
                ));
            }
            None if is_bound => {
                return Err(format!(
                    "RoleArns: {arn} is not the role of the provisioner's stack, whose operator can set RoleArn or Grants of it"
                ));
            }
            None => {}
        }
    }
    Ok(())
}

fn is_below(role: &RoleArn, defaults: &Defaults) -> bool {
    role.path.as_str().starts_with(defaults.path.as_str())
}

/// What this owner's inline policies of the group let its members do.
fn allowed(group: &Group, owner: &Owner, action: &str) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    for document in group.marked(owner).filter_map(|name| group.inline.get(name)) {
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        let allows = statements(&document).iter().filter(|statement| member(statement, "Effect") == "Allow");
        let these = allows.filter(|statement| strings(member(statement, "Action")).any(|one| one == action));
        allowed.extend(these.flat_map(|statement| strings(member(statement, "Resource"))).map(str::to_owned));
    }
    allowed
}

fn statements(document: &Value) -> &[Value] {
    match member(document, "Statement") {
        Value::Array(statements) => statements,
        statement => std::slice::from_ref(statement),
    }
}

fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// A string, or those of a list.
fn strings(value: &Value) -> impl Iterator<Item = &str> {
    let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    items.iter().filter_map(Value::as_str)
}
