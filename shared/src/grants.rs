//! `GRANTS`: what the parents give, and which grant serves an endpoint.
//!
//! A JSON list of `{"RoleArn": …, "ExternalId"?: …, "EndpointNames": list or
//! comma-joined string, "Region"?: …, "CallerAttribution"?: true or false}`. An
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
use crate::name::{EndpointName, ExternalId, excerpt};
use crate::pattern::EndpointPattern;

/// What one parent gives.
pub struct Grant {
    pub role: RoleArn,
    pub external_id: ExternalId,
    pub region: Region,
    /// Whether sessions carry a source identity and tags; absent, the child's
    /// own default holds.
    pub caller_attribution: Option<bool>,
    endpoints: Vec<EndpointName>,
    patterns: Vec<EndpointPattern>,
}

pub struct Grants {
    grants: Vec<Grant>,
    /// Which of `grants` names an endpoint.
    by_name: BTreeMap<EndpointName, usize>,
}

/// Why `GRANTS` cannot be used: one sentence for the child's operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
        let text = text.ok_or_else(|| Broken("GRANTS is not set".to_owned()))?;
        // serde_json's own message may repeat a value.
        let Ok(Value::Array(items)) = serde_json::from_str(text) else {
            return Err(Broken("GRANTS must be a JSON list of grants".to_owned()));
        };
        let parse = |(index, item): (usize, &Value)| {
            grant(item, own_region).map_err(|why| Broken(format!("GRANTS: grant {} {why}", index + 1)))
        };
        let grants = items.iter().enumerate().map(parse).collect::<Result<Vec<_>, _>>()?;
        if grants.is_empty() {
            return Err(Broken("GRANTS must hold at least one grant".to_owned()));
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

    /// The regions in which endpoints are granted, with repetition.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.grants.iter().map(|grant| &grant.region)
    }
}

impl Grant {
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
                    "GRANTS: grants {} and {} both name endpoint \"{name}\": leave it in one of them",
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
                    "GRANTS: grants {} and {} overlap: pattern \"{a}\" of the first and pattern \"{b}\" of the second \
                     both match endpoint \"{name}\"; narrow one of them",
                    first + 1,
                    second + 1
                )));
            }
        }
    }
    Ok(())
}

const MEMBERS: [&str; 5] = ["RoleArn", "ExternalId", "EndpointNames", "Region", "CallerAttribution"];

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
    Ok(Grant { role, external_id, region, caller_attribution, endpoints, patterns })
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
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/sagemaker-external/SageMakerExternal";

    fn parse(text: &str) -> Result<Grants, String> {
        Grants::parse(Some(&text.replace("ROLE", ROLE)), "us-east-1").map_err(|broken| broken.to_string())
    }

    fn endpoints(grants: &Grants) -> Vec<(&str, &str)> {
        grants.endpoints().map(|(name, region)| (name, region.as_str())).collect()
    }

    #[test]
    fn the_templates_own_grant_has_the_recipes_defaults() {
        let grants =
            parse(r#"[{"RoleArn":"ROLE","ExternalId":"","EndpointNames":"iris, wine,,","Region":""}]"#).expect("good");
        assert_eq!(endpoints(&grants), [("iris", "us-east-1"), ("wine", "us-east-1")]);
        let grant = grants.find(&"iris".parse().expect("a name")).expect("granted");
        assert_eq!(grant.external_id.expose(), "111122223333");
        assert_eq!(grant.role.to_string(), ROLE);
        assert!(grants.find(&"Iris".parse().expect("a name")).is_none(), "names are exact");
    }

    #[test]
    fn several_parents_and_regions() {
        let other = ROLE.replace("1111", "5555");
        let grants = parse(&format!(
            r#"[{{"RoleArn":"ROLE","EndpointNames":["b","b"," "]}},
                {{"RoleArn":"{other}","EndpointNames":["a"],"Region":"eu-west-1","ExternalId":"tenant-1"}}]"#
        ))
        .expect("good");
        assert_eq!(endpoints(&grants), [("a", "eu-west-1"), ("b", "us-east-1")]);
        let grant = grants.find(&"a".parse().expect("a name")).expect("granted");
        assert_eq!((grant.external_id.expose(), grant.role.to_string()), ("tenant-1", other));
    }

    const TWO: &str = "arn:aws:iam::555522223333:role/sagemaker-external/SageMakerExternal";

    /// Two parents with these endpoint names.
    fn parents(first: &str, second: &str) -> Result<Grants, String> {
        parse(&format!(
            r#"[{{"RoleArn":"ROLE","EndpointNames":"{first}"}},
                {{"RoleArn":"{TWO}","EndpointNames":"{second}","Region":"eu-west-1"}}]"#
        ))
    }

    #[test]
    fn exact_names_come_before_patterns() {
        let grants = parents("iris-*, iris-1*, wine", "iris-prod, x*").expect("no two patterns meet");
        for (name, parent) in [
            ("iris-prod", Some("5555")),
            ("iris-dev", Some("1111")),
            ("iris-12", Some("1111")),
            ("wine", Some("1111")),
            ("Iris-dev", None),
            ("wine-2", None),
        ] {
            let found = grants.find(&name.parse().expect("a name")).map(|grant| grant.role.account.id.as_str());
            assert_eq!(found.and_then(|id| id.get(..4)), parent, "{name}");
        }
    }

    #[test]
    fn patterns_are_listed_as_patterns() {
        let grants = parents("wine-*,iris", "a-*").expect("good");
        assert_eq!(endpoints(&grants), [("iris", "us-east-1"), ("a-*", "eu-west-1"), ("wine-*", "us-east-1")]);
        let regions: Vec<_> = grants.regions().map(Region::as_str).collect();
        assert_eq!(regions, ["us-east-1", "eu-west-1"]);
    }

    #[test]
    fn overlapping_grants_are_refused_with_both_named() {
        let sentence = |first, second| parents(first, second).err();
        assert_eq!(
            sentence("wine,iris-*", "iris-2,*-prod").as_deref(),
            Some(
                "GRANTS: grants 1 and 2 overlap: pattern \"iris-*\" of the first and pattern \"*-prod\" of the second \
                 both match endpoint \"iris-prod\"; narrow one of them"
            )
        );
        assert!(sentence("*", "a*").is_some() && sentence("*", "*").is_some());
        assert!(sentence("a*", "b*").is_none());
        assert!(sentence("a*,*b,ab*", "c").is_none(), "within one grant");
    }

    #[test]
    fn caller_attribution_is_a_flag_or_the_default() {
        let flag = |member: &str| {
            let grants = parse(&format!(r#"[{{"RoleArn":"ROLE","EndpointNames":"a"{member}}}]"#)).expect("good");
            grants.find(&"a".parse().expect("a name")).expect("granted").caller_attribution
        };
        assert_eq!(flag(""), None);
        assert_eq!(flag(r#","CallerAttribution":"""#), None);
        assert_eq!(flag(r#","CallerAttribution":null"#), None);
        for (member, on) in [("true", true), ("\"true\"", true), ("false", false), ("\"false\"", false)] {
            assert_eq!(flag(&format!(r#","CallerAttribution":{member}"#)), Some(on));
        }
    }

    #[test]
    fn what_is_odd_is_refused_in_one_sentence() {
        assert_eq!(Grants::parse(None, "us-east-1").err(), Some(Broken("GRANTS is not set".to_owned())));
        let cases = [
            ("  ", "GRANTS is not set"),
            ("{", "GRANTS must be a JSON list of grants"),
            (r#"{"RoleArn":"ROLE"}"#, "GRANTS must be a JSON list of grants"),
            ("[]", "GRANTS must hold at least one grant"),
            ("[7]", "GRANTS: grant 1 must be a JSON object"),
            (
                r#"[{"RoleArn":"ROLE","EndpointNames":"a","externalId":"x"}]"#,
                "GRANTS: grant 1 has the unknown member \"externalId\": it may have RoleArn, ExternalId, \
                 EndpointNames, Region, CallerAttribution",
            ),
            (r#"[{"EndpointNames":"a"}]"#, "GRANTS: grant 1 has no RoleArn"),
            (r#"[{"RoleArn":"","EndpointNames":"a"}]"#, "GRANTS: grant 1 has no RoleArn"),
            (r#"[{"RoleArn":7,"EndpointNames":"a"}]"#, "GRANTS: grant 1 has a RoleArn that is not a string"),
            (
                r#"[{"RoleArn":"arn:aws:iam::1:role/R","EndpointNames":"a"}]"#,
                "GRANTS: grant 1 is wrong: \"arn:aws:iam::1:role/R\" is not a valid role ARN: it must be of the form \
                 arn:aws:iam::111122223333:role/path/NAME",
            ),
            (
                r#"[{"RoleArn":"ROLE","EndpointNames":" , "}]"#,
                "GRANTS: grant 1 names no endpoint: EndpointNames must hold at least one",
            ),
            (r#"[{"RoleArn":"ROLE"}]"#, "GRANTS: grant 1 names no endpoint: EndpointNames must hold at least one"),
            (
                r#"[{"RoleArn":"ROLE","EndpointNames":["a",1]}]"#,
                "GRANTS: grant 1 has EndpointNames that are neither a list of strings nor a comma-joined string",
            ),
            (
                r#"[{"RoleArn":"ROLE","EndpointNames":"a?"}]"#,
                "GRANTS: grant 1 is wrong: \"a?\" is not a valid endpoint name: it must be 1 to 63 ASCII letters, \
                 digits and inner hyphens",
            ),
            (
                r#"[{"RoleArn":"ROLE","EndpointNames":"a,-*"}]"#,
                "GRANTS: grant 1 is wrong: \"-*\" is not a valid endpoint pattern: it must be an endpoint name of 1 to 63 \
                 ASCII letters, digits and inner hyphens in which * stands for any run of them",
            ),
            (
                r#"[{"RoleArn":"ROLE","EndpointNames":"a","CallerAttribution":"yes"}]"#,
                "GRANTS: grant 1 has a CallerAttribution that is neither true nor false",
            ),
            (
                r#"[{"RoleArn":"ROLE","EndpointNames":"a"},{"RoleArn":"ROLE","EndpointNames":"b,a"}]"#,
                "GRANTS: grants 1 and 2 both name endpoint \"a\": leave it in one of them",
            ),
            (
                r#"[{"RoleArn":"ROLE","EndpointNames":"a"},{"RoleArn":"ROLE","EndpointNames":"b","Region":"*"}]"#,
                "GRANTS: grant 2 is wrong: \"*\" is not a valid region: it must be a region code such as us-east-1",
            ),
        ];
        for (text, sentence) in cases {
            assert_eq!(parse(text).err().as_deref(), Some(sentence), "{text}");
        }
        assert!(Grants::parse(Some("[{}]"), "").is_err(), "without a region of its own");
    }

    /// S15: no sentence repeats an ExternalId, whatever is wrong with the rest.
    #[test]
    fn s15_an_external_id_is_never_repeated() {
        for text in [
            r#"[{"RoleArn":"ROLE","EndpointNames":"a","ExternalId":"canary id"}]"#,
            r#"[{"RoleArn":"ROLE","EndpointNames":"a","ExternalId":["canary"]}]"#,
            r#"[{"RoleArn":"ROLE","EndpointNames":"?","ExternalId":"canary"}]"#,
            r#"["canary"]"#,
            r#"[{"ExternalId":"canary" "#,
        ] {
            let sentence = parse(text).err().expect("refused");
            assert!(!sentence.contains("canary"), "{sentence}");
        }
    }
}
