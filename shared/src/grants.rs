//! `GRANTS`: what the parents give, and which grant serves an endpoint.
//!
//! A JSON list of `{"RoleArn": …, "ExternalId"?: …, "EndpointNames": list or
//! comma-joined string, "Region"?: …, "CallerAttribution"?: true or false,
//! "InputLocationPrefixes"?: list}`. An
//! absent or empty ExternalId is the account id of the RoleArn, as in the recipe;
//! an absent or empty Region is the child's own; blank endpoint names are skipped.
//! An endpoint name with `*` is a pattern, and exact names come before patterns.
//! Two grants may not serve one endpoint by the same name or by two patterns.
//! Everything else that is odd is refused as well, in one sentence that repeats no
//! ExternalId.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::arn::{Region, RoleArn};
use crate::location::LocationPrefix;
use crate::name::{EndpointName, ExternalId, excerpt};
use crate::pattern::EndpointPattern;

/// What one parent gives.
pub struct Grant {
    /// The role to assume.
    pub role: RoleArn,
    /// What is presented; the role's account id where the grant says nothing.
    pub external_id: ExternalId,
    /// Where the endpoints are; the function's own region where the grant says nothing.
    pub region: Region,
    /// Whether sessions carry a source identity and tags; absent, the child's
    /// own default holds.
    pub caller_attribution: Option<bool>,
    endpoints: Vec<EndpointName>,
    patterns: Vec<EndpointPattern>,
    /// Absent, an asynchronous call's input may be anywhere.
    input_locations: Option<Vec<LocationPrefix>>,
}

/// All grants of a child, no two of which share an endpoint.
pub struct Grants {
    grants: Vec<Grant>,
    /// Which of `grants` names an endpoint.
    by_name: BTreeMap<EndpointName, usize>,
}

/// Why grants cannot be used: one sentence, but for the name of the setting at its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(String);

impl Broken {
    /// The sentence under the name that its reader knows: the invoker's operator sees the
    /// variable `GRANTS`, the author of a template the property `Grants`.
    pub fn of(&self, setting: &str) -> String {
        format!("{setting}{}", self.0)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.of("GRANTS"))
    }
}

impl Grants {
    /// `text` is the JSON, `own_region` the child's region.
    ///
    /// # Errors
    /// [`Broken`] when nothing is set, when it is not JSON of the shape above,
    /// when a member is unknown or wrong, or when grants overlap.
    pub fn parse(text: Option<&str>, own_region: &str) -> Result<Self, Broken> {
        let text = text.map(str::trim).filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| Broken(" is not set".to_owned()))?;
        // serde_json's own message may repeat a value.
        let Ok(Value::Array(items)) = serde_json::from_str(text) else {
            return Err(Broken(" must be a JSON list of grants".to_owned()));
        };
        let parse = |(index, item): (usize, &Value)| {
            grant(item, own_region).map_err(|why| Broken(format!(": grant {} {why}", index + 1)))
        };
        let grants = items.iter().enumerate().map(parse).collect::<Result<Vec<_>, _>>()?;
        if grants.is_empty() {
            return Err(Broken(" must hold at least one grant".to_owned()));
        }
        let by_name = index(&grants)?;
        patterns_apart(&grants)?;
        Ok(Self { grants, by_name })
    }

    /// The grant that serves an endpoint: the one that names it, else the one with
    /// a pattern for it.
    pub fn find(&self, endpoint: &EndpointName) -> Option<&Grant> {
        let covers = |grant: &&Grant| grant.patterns.iter().any(|pattern| pattern.matches(endpoint));
        let named = self.by_name.get(endpoint).and_then(|index| self.grants.get(*index));
        named.or_else(|| self.grants.iter().find(covers))
    }

    /// Every granted endpoint with its region, by name; after them the patterns, as
    /// patterns.
    pub fn endpoints(&self) -> impl Iterator<Item = (&str, &Region)> {
        let region = |index: &usize| self.grants.get(*index).map(|grant| &grant.region);
        let named = self.by_name.iter().filter_map(move |(name, index)| Some((name.as_str(), region(index)?)));
        let mut patterns: Vec<_> = self.grants.iter().flat_map(Grant::patterns).collect();
        patterns.sort_unstable();
        named.chain(patterns)
    }

    /// Whether there is more than one.
    pub fn is_several(&self) -> bool {
        self.grants.len() > 1
    }

    /// The roles to assume, with repetition.
    pub fn roles(&self) -> impl Iterator<Item = &RoleArn> {
        self.grants.iter().map(|grant| &grant.role)
    }

    /// The regions in which endpoints are granted, with repetition.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.grants.iter().map(|grant| &grant.region)
    }
}

impl Grant {
    /// What the grant calls an endpoint that it serves: its name, or the first pattern
    /// for it. Of these there are as many as `GRANTS` lists.
    pub fn name_of<'a>(&'a self, endpoint: &EndpointName) -> &'a str {
        let named = self.endpoints.iter().find(|name| *name == endpoint).map(EndpointName::as_str);
        let pattern = || self.patterns.iter().find(|pattern| pattern.matches(endpoint)).map(EndpointPattern::as_str);
        named.or_else(pattern).unwrap_or_default()
    }

    /// Whether the endpoint may be told to read its input from there.
    pub fn admits_input(&self, location: &str) -> bool {
        self.input_locations.as_ref().is_none_or(|prefixes| prefixes.iter().any(|prefix| prefix.admits(location)))
    }

    /// Whether whoever knows the role's ARN knows what is presented, as in the recipe.
    pub fn is_external_id_the_account(&self) -> bool {
        self.external_id.expose() == self.role.account.id.as_str()
    }

    fn patterns(&self) -> impl Iterator<Item = (&str, &Region)> {
        self.patterns.iter().map(|pattern| (pattern.as_str(), &self.region))
    }
}

fn index(grants: &[Grant]) -> Result<BTreeMap<EndpointName, usize>, Broken> {
    let mut by_name = BTreeMap::new();
    for (index, grant) in grants.iter().enumerate() {
        for name in &grant.endpoints {
            if let Some(other) = by_name.insert(name.clone(), index).filter(|other| *other != index) {
                return Err(Broken(format!(
                    ": grants {} and {} both name endpoint \"{name}\": leave it in one of them",
                    other + 1,
                    index + 1
                )));
            }
        }
    }
    Ok(by_name)
}

/// No endpoint may have two grants to choose from. Within one grant patterns may
/// overlap: the answer is the same.
fn patterns_apart(grants: &[Grant]) -> Result<(), Broken> {
    let grants = grants.iter().enumerate();
    let all: Vec<_> = grants.flat_map(|(index, grant)| grant.patterns.iter().map(move |p| (index, p))).collect();
    for (at, (first, a)) in all.iter().enumerate() {
        for (second, b) in all.iter().skip(at + 1).filter(|(second, _)| second != first) {
            if let Some(name) = a.common(b) {
                return Err(Broken(format!(
                    ": grants {} and {} overlap: pattern \"{a}\" of the first and pattern \"{b}\" of the second \
                     both match endpoint \"{name}\"; narrow one of them",
                    first + 1,
                    second + 1
                )));
            }
        }
    }
    Ok(())
}

const MEMBERS: [&str; 6] =
    ["RoleArn", "ExternalId", "EndpointNames", "Region", "CallerAttribution", "InputLocationPrefixes"];

/// One grant, or the rest of a sentence that begins with "grant N".
fn grant(item: &Value, own_region: &str) -> Result<Grant, String> {
    let Value::Object(members) = item else { return Err("must be a JSON object".to_owned()) };
    if let Some(unknown) = members.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
        let unknown = excerpt(unknown);
        return Err(format!("has the unknown member \"{unknown}\": it may have {}", MEMBERS.join(", ")));
    }
    let wrong = |error: crate::Invalid| format!("is wrong: {error}");
    let role: RoleArn = text(members, "RoleArn")?.ok_or("has no RoleArn")?.parse().map_err(wrong)?;
    let external_id = text(members, "ExternalId")?.unwrap_or(role.account.id.as_str()).parse().map_err(wrong)?;
    let region = text(members, "Region")?.unwrap_or(own_region).parse().map_err(wrong)?;
    let caller_attribution = flag(members, "CallerAttribution")?;
    let (patterns, endpoints): (Vec<&str>, Vec<&str>) =
        names(members)?.into_iter().partition(|name| name.contains('*'));
    if patterns.is_empty() && endpoints.is_empty() {
        return Err("names no endpoint: EndpointNames must hold at least one".to_owned());
    }
    let endpoints = endpoints.iter().map(|name| name.parse()).collect::<Result<_, _>>().map_err(wrong)?;
    let patterns = patterns.iter().map(|name| name.parse()).collect::<Result<_, _>>().map_err(wrong)?;
    let input_locations = input_locations(members)?;
    Ok(Grant { role, external_id, region, caller_attribution, endpoints, patterns, input_locations })
}

/// An empty list is refused: it would mean no bound to one reader and a ban to another.
fn input_locations(members: &Map<String, Value>) -> Result<Option<Vec<LocationPrefix>>, String> {
    const NO_LIST: &str = "has InputLocationPrefixes that are not a list of strings";
    let items = match members.get("InputLocationPrefixes") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(NO_LIST.to_owned()),
    };
    if items.is_empty() {
        return Err("has no prefix in InputLocationPrefixes: leave the member out to allow every location".to_owned());
    }
    let parse = |item: &Value| {
        let text = item.as_str().ok_or(NO_LIST)?;
        text.trim().parse().map_err(|error: crate::Invalid| format!("is wrong: {error}"))
    };
    items.iter().map(parse).collect::<Result<_, String>>().map(Some)
}

/// True, false, or either as a string, as CloudFormation writes them.
fn flag(members: &Map<String, Value>, name: &str) -> Result<Option<bool>, String> {
    match members.get(name) {
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(Value::String(text)) if text.trim() == "true" => Ok(Some(true)),
        Some(Value::String(text)) if text.trim() == "false" => Ok(Some(false)),
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(_) => Err(format!("has a {name} that is neither true nor false")),
    }
}

/// A string member, absent when it is null, missing or blank.
fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(_) => Err(format!("has a {name} that is not a string")),
    }
}

/// EndpointNames without the blank ones, whether a list or joined by commas.
fn names(members: &Map<String, Value>) -> Result<Vec<&str>, String> {
    let wrong = || "has EndpointNames that are neither a list of strings nor a comma-joined string".to_owned();
    let listed: Vec<&str> = match members.get("EndpointNames") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(joined)) => joined.split(',').collect(),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().ok_or_else(wrong)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(wrong()),
    };
    Ok(listed.into_iter().map(str::trim).filter(|name| !name.is_empty()).collect())
}

#[cfg(test)]
#[path = "grants_tests.rs"]
mod tests;
