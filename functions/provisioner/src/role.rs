//! The parent's half: what a `Custom::SageMakerExternalRole` wishes, and the
//! documents that say it to IAM. Pure.

use std::collections::{BTreeMap, BTreeSet};

use sagemaker_external::arn::{self, Account, PolicyArn, Region, RoleArn, sagemaker_arn};
use sagemaker_external::name::{EndpointName, IamPath, InferenceComponentName, PolicyName, RoleName};
use sagemaker_external::policy::{Document, Effect, PermissionStatement, RegionCondition};
use serde_json::{Map, Value};

use crate::found::Adoption;
use crate::owner::{TAG_COUNT, TAG_PREFIX};
use crate::ownership::Evidence;
use crate::properties::Properties;
use crate::request::Home;
use crate::trust::{Trust, traced, trust};

/// The properties, besides CloudFormation's own.
pub const KNOWN: [&str; 18] = [
    "EndpointNames",
    "InferenceComponentNames",
    "AllowAnyEndpoint",
    "TrustedAccountIds",
    "TrustedPrincipalArns",
    "ExternalId",
    "Operations",
    "Regions",
    "RoleName",
    "PolicyName",
    "Path",
    "MaxSessionDuration",
    "PermissionsBoundary",
    "CallerAttribution",
    "OnExisting",
    "OnDelete",
    "DryRun",
    "Tags",
];
const ROLE_NAME: &str = "SageMakerExternal";
const POLICY_NAME: &str = "SageMakerExternalInvokeEndpoint";
const OPERATIONS: [&str; 3] = ["InvokeEndpoint", "InvokeEndpointWithResponseStream", "InvokeEndpointAsync"];
/// Every region, or every endpoint.
const ANY: &str = "*";

/// What the stack gives where a property is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// The path that the provisioner's own permissions are fenced to.
    pub path: IamPath,
    /// The boundary policy of every role made here.
    pub boundary: Option<PolicyArn>,
    /// Entities outside the path that may be adopted.
    pub adopt_arns: BTreeSet<String>,
}

/// Where a role of ours, and the policies that hang on it, may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolePlace {
    pub account: Account,
    pub path: IamPath,
    pub name: RoleName,
    pub policy_name: PolicyName,
    /// The keys of the tags that the properties set.
    pub tags: BTreeSet<String>,
    /// The ARNs of whom the properties trust.
    pub principals: BTreeSet<String>,
    /// Whether a Delete removes what was adopted, too.
    pub remove_adopted: bool,
    /// Whether IAM refuses the trust that an adopted role was found with, because it
    /// names a principal that is gone: then it is given back with a closed one.
    pub trust_is_lost: bool,
    /// What tells whose the role is, besides what IAM shows.
    pub evidence: Evidence,
}

impl RolePlace {
    pub fn role_arn(&self) -> RoleArn {
        RoleArn { account: self.account.clone(), path: self.path.clone(), name: self.name.clone() }
    }

    /// The `index`-th policy of a grant, from 0: `NAME`, `NAME-2`, `NAME-3`, …
    /// `None` when that name would pass IAM's 128 characters.
    pub fn policy_arn(&self, index: usize) -> Option<PolicyArn> {
        let name = match index {
            0 => self.policy_name.clone(),
            n => format!("{}-{}", self.policy_name, n + 1).parse().ok()?,
        };
        Some(PolicyArn { account: self.account.clone(), path: self.path.clone(), name })
    }

    /// The place that properties name, or the defaults where they name none that
    /// is valid: for Delete and for what came before, which nothing may block (C35).
    pub fn from_traces(properties: &Map<String, Value>, home: &Home, defaults: &Defaults) -> Option<Self> {
        let p = Properties::unchecked(properties);
        Some(Self {
            account: home.account.clone(),
            path: p.parsed("Path").ok().flatten().unwrap_or_else(|| defaults.path.clone()),
            name: p.parsed("RoleName").ok().flatten().or_else(|| ROLE_NAME.parse().ok())?,
            policy_name: p.parsed("PolicyName").ok().flatten().or_else(|| POLICY_NAME.parse().ok())?,
            tags: p.tag_keys("Tags"),
            principals: traced(&p, home),
            remove_adopted: p.removes_adopted().unwrap_or(false),
            trust_is_lost: false,
            evidence: Evidence::of(defaults),
        })
    }
}

/// A valid wish: nothing in it can be refused by its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSpec {
    pub place: RolePlace,
    pub trust: Trust,
    /// Principals of the trust, or of the one before, that IAM does not take any more.
    pub gone: BTreeSet<String>,
    pub actions: Vec<String>,
    /// The ARNs of endpoints and inference components.
    pub resources: BTreeSet<String>,
    /// Where there are several, the resources name none of them, so that a grant does
    /// not grow with its regions; else empty.
    pub regions: BTreeSet<String>,
    pub endpoint_arns: Vec<String>,
    pub max_session: i32,
    pub boundary: PolicyArn,
    pub tags: BTreeMap<String, String>,
    /// Set when an entity that nobody owns may be taken over.
    pub adopt: Option<Adoption>,
    pub dry_run: bool,
}

impl RoleSpec {
    pub fn parse(properties: &Map<String, Value>, home: &Home, defaults: &Defaults) -> Result<Self, String> {
        let p = Properties::read(properties, &KNOWN)?;
        let trust = trust(&p, home)?;
        let place = RolePlace {
            account: home.account.clone(),
            path: p.path(defaults)?,
            name: p.parsed_or("RoleName", ROLE_NAME)?,
            policy_name: p.parsed_or("PolicyName", POLICY_NAME)?,
            tags: p.tag_keys("Tags"),
            principals: trust.principals.clone(),
            remove_adopted: p.removes_adopted()?,
            trust_is_lost: false,
            evidence: Evidence::of(defaults),
        };
        let regions = regions(&p, home)?;
        let (resources, endpoint_arns) = resources(&p, home, &regions)?;
        Ok(Self {
            place,
            trust,
            gone: BTreeSet::new(),
            actions: operations(&p)?,
            resources,
            regions: if is_split(&regions) { regions } else { BTreeSet::new() },
            endpoint_arns,
            max_session: p.seconds("MaxSessionDuration", 3_600, 3_600, 43_200)?,
            boundary: boundary(&p, defaults)?,
            tags: p.tags("Tags", 50 - TAG_COUNT, TAG_PREFIX)?,
            adopt: p.adoption(defaults)?,
            dry_run: p.flag("DryRun")?,
        })
    }

    /// Whether a role, and the first of its policies, may be adopted there.
    pub fn may_adopt_at(&self, there: &RolePlace) -> bool {
        let (role, policy) = (there.role_arn().to_string(), there.policy_arn(0).map(|arn| arn.to_string()));
        let allows = |adopt: &Adoption| {
            let beside = policy.iter().all(|policy| adopt.allow_new(policy, &there.path).is_ok());
            adopt.allow_existing(&role).is_ok() && beside
        };
        self.adopt.as_ref().is_some_and(allows)
    }

    /// The permission document for some of the wish's resources.
    pub fn permissions(&self, resources: &BTreeSet<String>) -> Document<PermissionStatement> {
        let condition =
            (!self.regions.is_empty()).then(|| RegionCondition::new(self.regions.iter().cloned().collect()));
        Document::new(vec![PermissionStatement {
            sid: None,
            effect: Effect::Allow,
            action: self.actions.clone(),
            resource: resources.iter().cloned().collect(),
            condition,
        }])
    }
}

/// The provisioner's own. IAM lets it make roles with no other, so another one is refused
/// here rather than half-way, by a denied call.
fn boundary(p: &Properties<'_>, defaults: &Defaults) -> Result<PolicyArn, String> {
    match (p.parsed::<PolicyArn>("PermissionsBoundary")?, &defaults.boundary) {
        (Some(asked), Some(own)) if asked != *own => Err(format!(
            "PermissionsBoundary: {asked} is not this provisioner's own boundary, {own}, without which it makes no role; leave the property out"
        )),
        (asked, own) => asked
            .or_else(|| own.clone())
            .ok_or_else(|| "PermissionsBoundary: set it; this provisioner has no boundary of its own".to_owned()),
    }
}

fn operations(p: &Properties<'_>) -> Result<Vec<String>, String> {
    let mut wanted = p.list("Operations")?;
    if wanted.is_empty() {
        wanted = OPERATIONS.iter().take(2).map(|&o| o.to_owned()).collect();
    }
    if let Some(other) = wanted.iter().find(|o| !OPERATIONS.contains(&o.as_str())) {
        let other = sagemaker_external::name::excerpt(other);
        return Err(format!("Operations: \"{other}\" is not an operation; use {}", OPERATIONS.join(", ")));
    }
    let wanted: BTreeSet<String> = wanted.into_iter().collect();
    Ok(wanted.into_iter().map(|operation| format!("sagemaker:{operation}")).collect())
}

fn regions(p: &Properties<'_>, home: &Home) -> Result<BTreeSet<String>, String> {
    match p.list("Regions")? {
        list if list.is_empty() => Ok(BTreeSet::from([home.region.to_string()])),
        list => list.into_iter().map(region_or_any).collect(),
    }
}

/// Several regions, and not all of them.
fn is_split(regions: &BTreeSet<String>) -> bool {
    regions.len() > 1 && !regions.contains(ANY)
}

/// The resource ARNs of the permissions, and those of the endpoints, region by region.
fn resources(
    p: &Properties<'_>,
    home: &Home,
    regions: &BTreeSet<String>,
) -> Result<(BTreeSet<String>, Vec<String>), String> {
    let any = p.flag("AllowAnyEndpoint")?;
    let endpoints = p.list("EndpointNames")?;
    if endpoints.is_empty() {
        return Err("EndpointNames: at least one endpoint name is required".to_owned());
    }
    let components = p.list("InferenceComponentNames")?;
    let account = &home.account;
    let endpoints_of = |region: &str| {
        let mut arns = BTreeSet::new();
        for name in &endpoints {
            if name == ANY {
                arns.insert(wildcard("EndpointNames", any, account, region, "endpoint")?);
            } else {
                let name: EndpointName = name.parse().map_err(|e| format!("EndpointNames: {e}"))?;
                arns.extend(arn::endpoint_arns(account, region, &name));
            }
        }
        Ok::<_, String>(arns)
    };
    let components_of = |region: &str| {
        let mut arns = BTreeSet::new();
        for name in &components {
            if name == ANY {
                arns.insert(wildcard("InferenceComponentNames", any, account, region, "inference-component")?);
            } else {
                let name: InferenceComponentName = name.parse().map_err(|e| format!("InferenceComponentNames: {e}"))?;
                arns.extend(arn::inference_component_arns(account, region, &name));
            }
        }
        Ok::<_, String>(arns)
    };
    let any_region = BTreeSet::from([ANY.to_owned()]);
    let granted = if is_split(regions) { &any_region } else { regions };
    let mut all = BTreeSet::new();
    for region in granted {
        all.extend(endpoints_of(region)?);
        all.extend(components_of(region)?);
    }
    let mut endpoint_arns = BTreeSet::new();
    for region in regions {
        endpoint_arns.extend(endpoints_of(region)?);
    }
    Ok((all, endpoint_arns.into_iter().collect()))
}

fn wildcard(key: &str, any: bool, account: &Account, region: &str, kind: &str) -> Result<String, String> {
    if any {
        return Ok(sagemaker_arn(account, region, kind, "*"));
    }
    Err(format!("{key}: \"*\" grants everything of this account; name the endpoints, or set AllowAnyEndpoint to true"))
}

/// `*` stands for every region, as in the recipe, for those who ask for it.
fn region_or_any(text: String) -> Result<String, String> {
    if text == ANY {
        return Ok(text);
    }
    text.parse().map(|region: Region| region.to_string()).map_err(|e| format!("Regions: {e}, or *"))
}

#[cfg(test)]
#[path = "role_tests.rs"]
mod tests;
