//! The function's settings, from its environment.

use std::fmt;

use sagemaker_external::name::excerpt;

use crate::grants::{Broken, Grant, Grants};

pub struct Settings {
    pub grants: Grants,
    /// For grants that do not say it themselves (`CALLER_ATTRIBUTION`).
    caller_attribution: bool,
}

/// Why the settings cannot be used: one sentence for the child's operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Broken> for Wrong {
    fn from(broken: Broken) -> Self {
        Self(broken.to_string())
    }
}

impl Settings {
    /// From `GRANTS`, `CALLER_ATTRIBUTION` (false) and `AWS_REGION`; `variable` looks
    /// one up.
    ///
    /// # Errors
    /// [`Wrong`] for the first variable that is missing or wrong.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Wrong> {
        let region = variable("AWS_REGION").unwrap_or_default();
        let grants = Grants::parse(variable("GRANTS").as_deref(), &region)?;
        let caller_attribution = flag(variable(ATTRIBUTION).unwrap_or_default().trim())?;
        Ok(Self { grants, caller_attribution })
    }

    /// Whether this grant's sessions carry a source identity and tags.
    pub fn is_attributed(&self, grant: &Grant) -> bool {
        grant.caller_attribution.unwrap_or(self.caller_attribution)
    }
}

const ATTRIBUTION: &str = "CALLER_ATTRIBUTION";

fn flag(text: &str) -> Result<bool, Wrong> {
    match text {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        _ => Err(Wrong(format!("{ATTRIBUTION} is \"{}\": it must be true or false", excerpt(text)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(set: &[(&str, &str)]) -> Result<Settings, String> {
        let grants = r#"[{"RoleArn":"arn:aws:iam::111122223333:role/R","EndpointNames":"on","CallerAttribution":true},
                {"RoleArn":"arn:aws:iam::111122223333:role/R","EndpointNames":"off","CallerAttribution":false},
                {"RoleArn":"arn:aws:iam::111122223333:role/R","EndpointNames":"default"}]"#;
        let defaults = [("GRANTS", grants), ("AWS_REGION", "us-east-1")];
        let found = |name: &str| set.iter().chain(&defaults).find(|(key, _)| *key == name);
        Settings::of(|name| found(name).map(|(_, value)| (*value).to_owned())).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn a_grants_own_word_comes_before_the_default() {
        let attributed = |settings: &Settings| {
            ["on", "off", "default"].map(|name| {
                settings.is_attributed(settings.grants.find(&name.parse().expect("a name")).expect("granted"))
            })
        };
        for (value, wanted) in
            [("", [true, false, false]), ("false", [true, false, false]), ("true", [true, false, true])]
        {
            let settings = settings(&[(ATTRIBUTION, value)]).expect("good");
            assert_eq!(attributed(&settings), wanted, "{value}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_variable() {
        assert_eq!(
            settings(&[(ATTRIBUTION, "yes")]).err().as_deref(),
            Some("CALLER_ATTRIBUTION is \"yes\": it must be true or false")
        );
        assert_eq!(settings(&[("GRANTS", "")]).err().as_deref(), Some("GRANTS is not set"));
    }
}
