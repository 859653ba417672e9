//! `GRANTS` from the environment, and which grant serves an endpoint.
//!
//! A JSON list of
//! `{"RoleArn": …, "ExternalId"?: …, "EndpointNames": list or comma-joined string, "Region"?: …}`.
//! An absent or empty ExternalId is the account id of the RoleArn, as in the
//! recipe; an absent or empty Region is the function's own; blank endpoint names
//! are skipped. Everything else that is odd is refused, in one sentence that
//! repeats no ExternalId.

use std::collections::BTreeMap;
use std::fmt;

use sagemaker_external::arn::{Region, RoleArn};
use sagemaker_external::name::{EndpointName, ExternalId};
use serde_json::{Map, Value};

/// What one parent gives.
pub struct Grant {
    pub role: RoleArn,
    pub external_id: ExternalId,
    pub region: Region,
    endpoints: Vec<EndpointName>,
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
    /// `text` is the variable's value, `own_region` the function's region.
    ///
    /// # Errors
    /// [`Broken`] when nothing is set, when it is not JSON of the shape above,
    /// when a member is unknown or wrong, or when two grants name one endpoint.
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
        Ok(Self { grants, by_name })
    }

    /// The grant that serves an endpoint: the one lookup, by exact name. (Name
    /// patterns, which come after exact names, have their place here.)
    pub fn find(&self, endpoint: &EndpointName) -> Option<&Grant> {
        self.by_name.get(endpoint).and_then(|index| self.grants.get(*index))
    }

    /// Every granted endpoint with its region, by name.
    pub fn endpoints(&self) -> impl Iterator<Item = (&EndpointName, &Region)> {
        self.by_name.iter().filter_map(|(name, index)| self.grants.get(*index).map(|grant| (name, &grant.region)))
    }

    /// The regions in which endpoints are granted, with repetition.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.grants.iter().map(|grant| &grant.region)
    }
}

fn index(grants: &[Grant]) -> Result<BTreeMap<EndpointName, usize>, Broken> {
    let mut by_name = BTreeMap::new();
    for (index, grant) in grants.iter().enumerate() {
        for name in &grant.endpoints {
            if by_name.insert(name.clone(), index).is_some_and(|other| other != index) {
                return Err(Broken(format!("GRANTS: endpoint \"{name}\" stands in more than one grant")));
            }
        }
    }
    Ok(by_name)
}

const MEMBERS: [&str; 4] = ["RoleArn", "ExternalId", "EndpointNames", "Region"];

/// One grant, or the rest of a sentence that begins with "grant N".
fn grant(item: &Value, own_region: &str) -> Result<Grant, String> {
    let Value::Object(members) = item else { return Err("must be a JSON object".to_owned()) };
    if let Some(unknown) = members.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
        let unknown = sagemaker_external::name::excerpt(unknown);
        return Err(format!("has the unknown member \"{unknown}\": it may have {}", MEMBERS.join(", ")));
    }
    let wrong = |error: sagemaker_external::Invalid| format!("is wrong: {error}");
    let role: RoleArn = text(members, "RoleArn")?.ok_or("has no RoleArn")?.parse().map_err(wrong)?;
    let external_id = text(members, "ExternalId")?.unwrap_or(role.account.id.as_str()).parse().map_err(wrong)?;
    let region = text(members, "Region")?.unwrap_or(own_region).parse().map_err(wrong)?;
    let endpoints = names(members)?.iter().map(|name| name.parse().map_err(wrong)).collect::<Result<Vec<_>, _>>()?;
    if endpoints.is_empty() {
        return Err("names no endpoint: EndpointNames must hold at least one".to_owned());
    }
    Ok(Grant { role, external_id, region, endpoints })
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
        grants.endpoints().map(|(name, region)| (name.as_str(), region.as_str())).collect()
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
                 EndpointNames, Region",
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
                r#"[{"RoleArn":"ROLE","EndpointNames":"*"}]"#,
                "GRANTS: grant 1 is wrong: \"*\" is not a valid endpoint name: it must be 1 to 63 ASCII letters, \
                 digits and inner hyphens",
            ),
            (
                r#"[{"RoleArn":"ROLE","EndpointNames":"a"},{"RoleArn":"ROLE","EndpointNames":"b,a"}]"#,
                "GRANTS: endpoint \"a\" stands in more than one grant",
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
            r#"[{"RoleArn":"ROLE","EndpointNames":"*","ExternalId":"canary"}]"#,
            r#"["canary"]"#,
            r#"[{"ExternalId":"canary" "#,
        ] {
            let sentence = parse(text).err().expect("refused");
            assert!(!sentence.contains("canary"), "{sentence}");
        }
    }
}
