//! `docs/custom-resources.md` against the code, both ways: every property with its
//! default, every attribute, every member of a grant.

use std::collections::BTreeSet;
use std::fmt::Debug;

use provisioner::grants;
use provisioner::group::{self, GroupSpec};
use provisioner::request::{CREATE_FAILED, CREATE_INTERRUPTED, DRY_RUN, Home, MISSING_ID};
use provisioner::role::{self, Defaults, RoleSpec};
use serde_json::{Map, Value, json};

use crate::stage::{ACCOUNT, BOUNDARY, CHILD, FUNCTION, ROLE_ARN, Stage, create, settings, with};

const DOCUMENT: &str = include_str!("../../../../docs/custom-resources.md");

/// The rows of the table with this first heading, in the section of a resource.
fn table(kind: &str, heading: &str) -> Vec<Vec<&'static str>> {
    let title = format!("\n## `Custom::SageMakerExternal{kind}`\n");
    let section = DOCUMENT.split(&title).nth(1).unwrap_or_else(|| panic!("no section{title}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let first = format!("| {heading} |");
    let rows = section.lines().skip_while(|line| !line.starts_with(&first)).skip(2);
    let rows: Vec<Vec<&str>> = rows.take_while(|line| line.starts_with('|')).map(cells).collect();
    assert!(!rows.is_empty(), "{kind} has no table of its {heading}s");
    rows
}

fn cells(row: &'static str) -> Vec<&'static str> {
    row.trim_matches('|').split(" | ").map(str::trim).collect()
}

/// What stands between backticks, where nothing but commas stands between those.
fn literals(cell: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = cell.split('`').collect();
    let between = parts.iter().step_by(2).all(|part| matches!(*part, "" | ", "));
    (parts.len() > 1 && between).then(|| parts.into_iter().skip(1).step_by(2).collect())
}

fn names(rows: &[Vec<&'static str>]) -> BTreeSet<&'static str> {
    let name = |row: &Vec<&'static str>| match literals(row[0]).as_deref() {
        Some([name]) => *name,
        _ => panic!("a row begins with one name, not with {}", row[0]),
    };
    let names: BTreeSet<&str> = rows.iter().map(name).collect();
    assert_eq!(names.len(), rows.len(), "a name stands twice");
    names
}

#[test]
fn every_property_is_documented_and_no_other() {
    for (kind, known) in [("Role", &role::KNOWN[..]), ("Group", &group::KNOWN), ("Grants", &grants::KNOWN)] {
        assert_eq!(names(&table(kind, "property")), known.iter().copied().collect(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_attribute_is_documented_and_no_other() {
    let role = json!({"ServiceToken": FUNCTION, "EndpointNames": ["iris"], "TrustedAccountIds": [CHILD]});
    let group = json!({"ServiceToken": FUNCTION, "RoleArns": [ROLE_ARN]});
    for (kind, properties) in [("Role", role), ("Group", group), ("Grants", good_grants())] {
        let answer = Stage::new().succeed(&create(&properties)).await;
        let answered: BTreeSet<&str> = answer["Data"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names(&table(kind, "attribute")), answered, "{kind}");
    }
}

/// A default that is written out wishes for the same as one that is left out, and what
/// is called required is.
#[test]
fn every_default_is_the_documented_one() {
    let parse_role = |map: &Map<String, Value>| RoleSpec::parse(map, &home(), &defaults());
    defaults_hold("Role", &json!({"EndpointNames": ["iris"], "TrustedAccountIds": [CHILD]}), parse_role);
    let parse_group = |map: &Map<String, Value>| GroupSpec::parse(map, &home(), &defaults());
    defaults_hold("Group", &json!({ "RoleArns": [ROLE_ARN] }), parse_group);
}

fn defaults_hold<T: Debug + PartialEq>(
    kind: &str,
    least: &Value,
    parse: impl Fn(&Map<String, Value>) -> Result<T, String>,
) {
    let parse = |properties: Value| parse(properties.as_object().unwrap());
    let wish = parse(least.clone()).unwrap();
    for row in table(kind, "property") {
        let (name, default) = (row[0].trim_matches('`'), row[1]);
        let value = match (literals(default).as_deref(), default) {
            (Some([one]), _) => json!(one),
            (Some(several), _) => json!(several),
            (None, "none") => json!([]),
            (None, "this account's id, as in the recipe") => json!(ACCOUNT),
            (None, "the stack's region") => json!("us-east-1"),
            (None, "the provisioner's `IamPath`") => json!(defaults().path.to_string()),
            (None, "the provisioner's own") => json!(BOUNDARY),
            (None, "required") => {
                let without = parse(with(least.clone(), json!({ name: null })));
                assert!(without.is_err_and(|why| why.starts_with(&format!("{name}: "))), "{name} is required");
                continue;
            }
            // One of two is required, as the rules of both say.
            (None, "–") => continue,
            _ => panic!("{name}: a default that this test does not know: {default}"),
        };
        assert_eq!(parse(with(least.clone(), json!({ name: value }))).as_ref(), Ok(&wish), "{name}");
    }
}

/// The members of a grant are those that a refusal names.
#[tokio::test(start_paused = true)]
async fn every_member_of_a_grant_is_documented_and_no_other() {
    let wrong = with(good_grants(), json!({"Grants": "[{\"Rolearn\":\"x\"}]"}));
    let (reason, _) = Stage::new().fail(&create(&wrong)).await;
    let members = reason.split("it may have ").nth(1).unwrap_or_else(|| panic!("{reason}"));
    assert_eq!(names(&table("Grants", "member")), members.split(", ").collect());
}

#[test]
fn the_marker_ids_are_the_codes() {
    let known = [CREATE_FAILED, CREATE_INTERRUPTED, DRY_RUN, MISSING_ID, grants::ID];
    let named: Vec<&str> = DOCUMENT.split('`').filter(|text| text.starts_with("SageMakerExternal::")).collect();
    assert!(!named.is_empty());
    assert!(named.iter().all(|id| known.contains(id)), "{named:?}");
}

fn good_grants() -> Value {
    json!({"ServiceToken": FUNCTION, "Grants": json!([{"RoleArn": ROLE_ARN, "EndpointNames": ["iris"]}]).to_string()})
}

fn home() -> Home {
    Home::of(FUNCTION).unwrap()
}

fn defaults() -> Defaults {
    settings(&[]).defaults.unwrap()
}
