//! `Custom::SageMakerExternalGrants`: an invoker's `GRANTS` setting, checked before a
//! deployment changes anything that relies on it, and the roles that it names. It
//! stands for nothing in AWS, so no event of it calls IAM. Pure.

use std::collections::BTreeSet;

use sagemaker_external::grants::Grants;
use serde_json::{Map, Value};

use crate::code::Code;
use crate::error::Error;
use crate::half::Data;
use crate::properties::Properties;
use crate::request::Home;

/// The properties, besides CloudFormation's own.
pub const KNOWN: [&str; 1] = ["Grants"];

/// The id of every such resource: nothing is ever found or removed by it.
pub const ID: &str = "SageMakerExternal::Grants";

/// The id and the attribute `RoleArns`: each role of `Grants` once, sorted, joined by
/// commas. Sorted, so that grants in another order change nothing that is built on it.
///
/// # Errors
/// One sentence, without any ExternalId (S03), when the properties are not the one
/// required `Grants`, or the invoker could not use it.
pub fn check(properties: &Map<String, Value>, home: &Home) -> Result<(String, Data), Error> {
    let roles = roles(properties, home).map_err(|why| Error::Refused(Code::InvalidProperties, why))?;
    let joined = roles.into_iter().collect::<Vec<_>>().join(",");
    Ok((ID.to_owned(), Data::from([("RoleArns", joined)])))
}

fn roles(properties: &Map<String, Value>, home: &Home) -> Result<BTreeSet<String>, String> {
    let text: String = Properties::read(properties, &KNOWN)?
        .parsed("Grants")?
        .ok_or("Grants: it is required, a JSON list such as [{\"RoleArn\":\"arn:...\",\"EndpointNames\":[\"...\"]}]")?;
    let grants = Grants::parse(Some(&text), home.region.as_str()).map_err(|broken| broken.of("Grants"))?;
    Ok(grants.roles().map(ToString::to_string).collect())
}
