//! The function's settings, from its environment.

use std::fmt;
use std::time::Duration;

use sagemaker_external::name::excerpt;

use crate::grants::{Broken, Grant, Grants};

/// The longest that credentials may be reused: with the margin before their expiry
/// that makes 3600 s, all that STS gives a role that assumes a role (R07).
const REUSE_MAX: u64 = 3000;

pub struct Settings {
    pub grants: Grants,
    /// How long credentials are reused (`CREDENTIAL_REUSE_SECONDS`); nothing when
    /// every request assumes the role.
    pub reuse: Option<Duration>,
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
    /// From `GRANTS`, `CREDENTIAL_REUSE_SECONDS` (0), `CALLER_ATTRIBUTION` (false) and
    /// `AWS_REGION`; `variable` looks one up.
    ///
    /// # Errors
    /// [`Wrong`] for the first variable that is missing or wrong.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Wrong> {
        let region = variable("AWS_REGION").unwrap_or_default();
        let grants = Grants::parse(variable("GRANTS").as_deref(), &region)?;
        let reuse = reuse(variable(REUSE).unwrap_or_default().trim())?;
        let caller_attribution = flag(variable(ATTRIBUTION).unwrap_or_default().trim())?;
        Ok(Self { grants, reuse, caller_attribution })
    }

    /// Whether this grant's sessions carry a source identity and tags.
    pub fn is_attributed(&self, grant: &Grant) -> bool {
        grant.caller_attribution.unwrap_or(self.caller_attribution)
    }
}

const REUSE: &str = "CREDENTIAL_REUSE_SECONDS";
const ATTRIBUTION: &str = "CALLER_ATTRIBUTION";

fn reuse(text: &str) -> Result<Option<Duration>, Wrong> {
    // No sign: `parse` would take a plus.
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        _ if text.is_empty() => Ok(None),
        Ok(0) if digits => Ok(None),
        Ok(seconds) if digits && seconds <= REUSE_MAX => Ok(Some(Duration::from_secs(seconds))),
        _ => {
            let text = excerpt(text);
            Err(Wrong(format!("{REUSE} is \"{text}\": it must be a whole number of seconds from 0 to {REUSE_MAX}")))
        }
    }
}

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
    fn credentials_are_reused_for_as_long_as_is_said() {
        let seconds = |value| settings(&[(REUSE, value)]).expect("good").reuse.map(|reuse| reuse.as_secs());
        assert_eq!(settings(&[]).expect("good").reuse, None);
        for (value, wanted) in [("", None), ("0", None), ("00", None), (" 1 ", Some(1)), ("3000", Some(3000))] {
            assert_eq!(seconds(value), wanted, "{value}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_variable() {
        for value in ["3001", "-1", "+1", "1.5", "1 0", "ten", "18446744073709551616"] {
            assert_eq!(
                settings(&[(REUSE, value)]).err(),
                Some(format!(
                    "CREDENTIAL_REUSE_SECONDS is \"{value}\": it must be a whole number of seconds from 0 to 3000"
                ))
            );
        }
        assert_eq!(
            settings(&[(ATTRIBUTION, "yes")]).err().as_deref(),
            Some("CALLER_ATTRIBUTION is \"yes\": it must be true or false")
        );
        assert_eq!(settings(&[("GRANTS", "")]).err().as_deref(), Some("GRANTS is not set"));
    }
}
