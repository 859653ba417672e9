//! The child's half: what a `Custom::SageMakerExternalGroup` wishes, and the
//! document that says it to IAM. Pure.

use std::collections::BTreeSet;

use sagemaker_external::api_arn::ApiArn;
use sagemaker_external::arn::{Account, GroupArn, Partition, RoleArn};
use sagemaker_external::name::{GroupName, IamPath, PolicyName, UserName};
use sagemaker_external::policy::{Document, Effect, PermissionStatement, allow, quota};
use serde_json::{Map, Value};

use crate::found::{Adoption, FoundGroup};
use crate::member::Member;
use crate::owner::Owner;
use crate::ownership::Evidence;
use crate::properties::Properties;
use crate::request::Home;
use crate::role::Defaults;

/// The properties, besides CloudFormation's own.
pub const KNOWN: [&str; 9] =
    ["RoleArns", "ApiArns", "GroupName", "PolicyName", "Path", "UserNames", "OnExisting", "OnDelete", "DryRun"];
const GROUP_NAME: &str = "SagemakerTester";
const POLICY_NAME: &str = "AssumeSageMakerExternal";

/// Where a group of ours may stand, and whom we put into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPlace {
    pub account: Account,
    pub path: IamPath,
    pub name: GroupName,
    /// The name of our inline policy.
    pub policy_name: PolicyName,
    pub users: BTreeSet<Member>,
    /// Whether a Delete removes what was adopted, too.
    pub remove_adopted: bool,
    /// What tells whose the group is, besides what IAM shows.
    pub evidence: Evidence,
    /// Whether the operator of its stack has switched the group off.
    pub is_switched_off: bool,
}

impl GroupPlace {
    pub fn group_arn(&self) -> GroupArn {
        GroupArn { account: self.account.clone(), path: self.path.clone(), name: self.name.clone() }
    }

    /// As `RolePlace::from_traces`: whatever of the properties is valid (C35).
    pub fn from_traces(properties: &Map<String, Value>, home: &Home, defaults: &Defaults) -> Option<Self> {
        let p = Properties::unchecked(properties);
        Some(Self {
            account: home.account.clone(),
            path: p.parsed("Path").ok().flatten().unwrap_or_else(|| defaults.path.clone()),
            name: p.parsed("GroupName").ok().flatten().or_else(|| GROUP_NAME.parse().ok())?,
            policy_name: p.parsed("PolicyName").ok().flatten().or_else(|| POLICY_NAME.parse().ok())?,
            users: p.list("UserNames").unwrap_or_default().into_iter().map(Member::from).collect(),
            remove_adopted: p.removes_adopted().unwrap_or(false),
            evidence: Evidence::of(defaults),
            is_switched_off: false,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSpec {
    pub place: GroupPlace,
    pub role_arns: BTreeSet<String>,
    /// Routes of this account's APIs that members may call; often none.
    pub api_arns: BTreeSet<String>,
    /// Set when a group that nobody owns may be taken over.
    pub adopt: Option<Adoption>,
    pub dry_run: bool,
}

impl GroupSpec {
    pub fn parse(properties: &Map<String, Value>, home: &Home, defaults: &Defaults) -> Result<Self, String> {
        let p = Properties::read(properties, &KNOWN)?;
        let role_arns: BTreeSet<String> =
            p.parsed_list::<RoleArn>("RoleArns")?.iter().map(ToString::to_string).collect();
        if role_arns.is_empty() {
            return Err(
                "RoleArns: at least one role ARN is required; the parent's stack prints it as RoleArn".to_owned()
            );
        }
        let api_arns = api_arns(&p, home)?;
        let users = p.parsed_list::<UserName>("UserNames")?.iter().map(|user| user.to_string().into()).collect();
        let place = GroupPlace {
            account: home.account.clone(),
            path: p.path(defaults)?,
            name: p.parsed_or("GroupName", GROUP_NAME)?,
            policy_name: p.parsed_or("PolicyName", POLICY_NAME)?,
            users,
            remove_adopted: p.removes_adopted()?,
            evidence: Evidence::of(defaults),
            is_switched_off: false,
        };
        let (adopt, dry_run) = (p.adoption(defaults)?, p.flag("DryRun")?);
        let spec = Self { place, role_arns, api_arns, adopt, dry_run };
        // Any owner's Sid has the same length: the size is known before the owner.
        let any = Owner { stack_id: String::new(), logical_id: String::new() };
        fits(&spec.document(&any, None)).map(|()| spec)
    }

    /// Whether both wish for the same rights of the members.
    pub fn allows_as(&self, other: &Self) -> bool {
        (&self.role_arns, &self.api_arns) == (&other.role_arns, &other.api_arns)
    }

    /// The recipe's inline policy; its `Sid` says whose it is. A second statement lets
    /// members call the API, where one is named; a last one, which denies what nobody
    /// can do, keeps what an adopted group was like.
    pub fn document(&self, owner: &Owner, found: Option<&FoundGroup>) -> Document<PermissionStatement> {
        let actions = vec!["sts:AssumeRole".to_owned()];
        let allowed = allow(Some(owner.sid()), actions.clone(), self.role_arns.iter().cloned().collect());
        let note = found.map(|found| PermissionStatement {
            sid: Some(found.sid()),
            effect: Effect::Deny,
            action: actions,
            resource: vec![nobodys_role(&self.place.account.partition)],
            condition: None,
        });
        let invoke = (!self.api_arns.is_empty()).then(|| PermissionStatement {
            sid: Some("InvokeApi".to_owned()),
            effect: Effect::Allow,
            action: vec!["execute-api:Invoke".to_owned()],
            resource: self.api_arns.iter().cloned().collect(),
            condition: None,
        });
        Document::new(allowed.statements().iter().cloned().chain(invoke).chain(note).collect())
    }
}

/// `ApiArns`: only of the group's own account, since no other lets our members in, and of
/// the provisioner's own region.
fn api_arns(p: &Properties<'_>, home: &Home) -> Result<BTreeSet<String>, String> {
    let arns = p.parsed_list::<ApiArn>("ApiArns")?;
    match arns.iter().find(|arn| (&arn.account, &arn.region) != (&home.account, &home.region)) {
        Some(foreign) => Err(format!(
            "ApiArns: {foreign} is not an API of this account and region, {} and {}",
            home.account.id, home.region
        )),
        None => Ok(arns.iter().map(ToString::to_string).collect()),
    }
}

/// Account 000000000000 does not exist. IAM takes no ARN of another partition; what is kept
/// is read from the statement's Sid, whatever its resource.
fn nobodys_role(partition: &Partition) -> String {
    format!("arn:{partition}:iam::000000000000:role/nobody")
}

/// Whether IAM would take the group's policy.
pub fn fits(document: &Document<PermissionStatement>) -> Result<(), String> {
    match document.size() {
        size if size > quota::GROUP_INLINE => Err(format!(
            "RoleArns, ApiArns: the group's policy would have {size} characters of IAM's {}; name fewer of them",
            quota::GROUP_INLINE
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
