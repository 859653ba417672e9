//! Names with one rule each, read off the services' own models.
//!
//! Two traps shape these rules. The models' patterns are not anchored at the end
//! (or at all), so a regex copied from them lets `a/../b` through; and `\w` is
//! Unicode in Rust but ASCII in AWS. The rules here are whole-string and ASCII.

use std::fmt;
use std::str::FromStr;

/// Why a value was refused, as one sentence: what it is, the value, the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    what: &'static str,
    /// `None` where the value must not be repeated (an ExternalId).
    value: Option<String>,
    rule: &'static str,
}

impl Invalid {
    /// `what` was `value`, and must be as `rule` says.
    pub fn new(what: &'static str, value: &str, rule: &'static str) -> Self {
        Self { what, value: Some(excerpt(value)), rule }
    }

    /// As [`Invalid::new`], for values that no message may repeat.
    pub fn redacted(what: &'static str, rule: &'static str) -> Self {
        Self { what, value: None, rule }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "\"{value}\" is not a valid {}: it must be {}", self.what, self.rule),
            None => write!(f, "the value is not a valid {}: it must be {}", self.what, self.rule),
        }
    }
}

impl std::error::Error for Invalid {}

/// At most 80 characters of `value`, control characters escaped, so that a
/// message stays one line whatever came in.
pub fn excerpt(value: &str) -> String {
    let mut text: String = value.chars().take(80).flat_map(char::escape_default).collect();
    if value.chars().nth(80).is_some() {
        text.push('…');
    }
    text
}

/// A string newtype whose only way in is its rule.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// The text, as it was parsed.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = Invalid;

            fn from_str(value: &str) -> Result<Self, Invalid> {
                let check: fn(&str) -> bool = $check;
                if check(value) {
                    Ok(Self(value.to_owned()))
                } else {
                    Err(Invalid::new($what, value, $rule))
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A SageMaker endpoint's name, 1–63 characters (InvokeEndpoint's
    /// `EndpointName`, anchored at both ends; case S06).
    EndpointName,
    "endpoint name",
    "1 to 63 ASCII letters, digits and inner hyphens",
    is_sagemaker_name
);
name!(
    /// A SageMaker inference component's name, 1–63 characters.
    InferenceComponentName,
    "inference component name",
    "1 to 63 ASCII letters, digits and inner hyphens",
    is_sagemaker_name
);
name!(
    /// An IAM role's name, 1–64 characters of `[\w+=,.@-]`; names that AWS keeps
    /// for service-linked roles are refused (case U21).
    RoleName,
    "role name",
    "1 to 64 characters of A-Z a-z 0-9 _ + = , . @ - and must not start with AWSServiceRole",
    |value| is_iam_name(value, 64) && !value.starts_with("AWSServiceRole")
);
name!(
    /// An IAM policy's name, 1–128 characters of `[\w+=,.@-]`.
    PolicyName,
    "policy name",
    "1 to 128 characters of A-Z a-z 0-9 _ + = , . @ -",
    |value| is_iam_name(value, 128)
);
name!(
    /// An IAM group's name, 1–128 characters of `[\w+=,.@-]`.
    GroupName,
    "group name",
    "1 to 128 characters of A-Z a-z 0-9 _ + = , . @ -",
    |value| is_iam_name(value, 128)
);
name!(
    /// An IAM user's name, 1–64 characters of `[\w+=,.@-]` (IAM's quota for user
    /// names; the group calls would take 128).
    UserName,
    "user name",
    "1 to 64 characters of A-Z a-z 0-9 _ + = , . @ -",
    |value| is_iam_name(value, 64)
);
name!(
    /// An IAM path that roles, groups and policies all accept: `/` or
    /// `/segment/…/`, 1–512 characters. The policies' rule is the narrower one
    /// (trap: `pathType` admits any printable character); `/aws-service-role/`
    /// belongs to AWS (case U21).
    IamPath,
    "path",
    "/ or /segment/ with segments of A-Z a-z 0-9 . , + @ = _ -, at most 512 characters, outside /aws-service-role/",
    is_iam_path
);
name!(
    /// An STS role session name, 2–64 characters of `[\w+=,.@-]`.
    SessionName,
    "session name",
    "2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -",
    |value| value.len() >= 2 && is_iam_name(value, 64)
);

impl IamPath {
    /// Whether a segment is `.` or `..`: a name like any other to IAM, a way up to people.
    pub fn has_dots(&self) -> bool {
        self.0.split('/').any(|segment| matches!(segment, "." | ".."))
    }
}

impl EndpointName {
    /// The spellings under which SageMaker's ARNs may name this endpoint:
    /// as given, and in lower case when that differs.
    pub fn spellings(&self) -> impl Iterator<Item = String> {
        spellings(&self.0)
    }
}

impl InferenceComponentName {
    /// As [`EndpointName::spellings`].
    pub fn spellings(&self) -> impl Iterator<Item = String> {
        spellings(&self.0)
    }
}

fn spellings(name: &str) -> impl Iterator<Item = String> {
    let lower = name.to_ascii_lowercase();
    let other = (lower != name).then_some(lower);
    std::iter::once(name.to_owned()).chain(other)
}

/// The shared word of a trust: 2–1224 ASCII characters of `[\w+=,.@:/-]`.
///
/// Not a secret by AWS's own words, yet never shown (case S03): no `Display`, and
/// `Debug` redacts. [`ExternalId::expose`] is the one way to read it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalId(String);

impl ExternalId {
    /// The text itself, for the trust policy, the AssumeRole call and the
    /// stack's own output; nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for ExternalId {
    type Err = Invalid;

    fn from_str(value: &str) -> Result<Self, Invalid> {
        let inside = |b: u8| is_iam_word(b) || b == b':' || b == b'/';
        if (2..=1224).contains(&value.len()) && value.bytes().all(inside) {
            Ok(Self(value.to_owned()))
        } else {
            Err(Invalid::redacted("ExternalId", "2 to 1224 characters of A-Z a-z 0-9 _ + = , . @ : / -"))
        }
    }
}

impl fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExternalId([redacted])")
    }
}

/// `[\w+=,.@-]`, the alphabet of IAM names and STS session names.
pub fn is_iam_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)
}

fn is_iam_name(value: &str, max: usize) -> bool {
    (1..=max).contains(&value.len()) && value.bytes().all(is_iam_word)
}

/// `\A[a-zA-Z0-9](-*[a-zA-Z0-9])*\z`, at most 63 characters: the rule of
/// endpoints, variants, container host names and inference components.
pub fn is_sagemaker_name(value: &str) -> bool {
    let bytes = value.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    bytes.len() <= 63
        && ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

fn is_iam_path(value: &str) -> bool {
    let inside = |b: u8| b.is_ascii_alphanumeric() || b".,+@=_-".contains(&b);
    let segments = match value.strip_prefix('/') {
        Some("") => return true,
        Some(rest) => rest.strip_suffix('/'),
        None => None,
    };
    value.len() <= 512
        && !value.starts_with("/aws-service-role/")
        && segments.is_some_and(|s| s.split('/').all(|part| !part.is_empty() && part.bytes().all(inside)))
}

#[cfg(test)]
#[path = "name_tests.rs"]
mod tests;
