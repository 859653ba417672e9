//! What the values of members may be.
//!
//! The models' own patterns are anchored at the start only, if at all, and no
//! client library checks them (wire traps 4 and 5), so every rule here covers the
//! whole value and is ASCII.

use std::fmt;

use sagemaker_external::name::is_sagemaker_name;

/// What a value must be, from the service's model.
pub enum Rule {
    /// `\p{ASCII}*` without control characters, at most so many.
    Text { max: usize },
    /// `.*` without control characters, 1 to so many.
    SomeText { max: usize },
    /// `\A\S[\p{Print}]*\z`, 1 to so many.
    Token { max: usize },
    /// `\A[a-zA-Z0-9](-*[a-zA-Z0-9])*\z`, 1–63.
    Name,
    /// A name of 1–256, or NEW_SESSION where the model may open one.
    Session { may_be_new: bool },
    /// `\A(https|s3)://([^/]+)/?(.*)\z`, at most so many.
    Location { max: usize },
    /// `\A[a-zA-Z0-9!_.*'()/-]+\z`, at most so many.
    PathExtension { max: usize },
    /// `\A(?!.*\..*\.)[a-zA-Z0-9][a-zA-Z0-9-_\.]*\z`, at most so many.
    Filename { max: usize },
    /// Decimal digits within a range.
    Integer { min: u32, max: u32 },
}

impl Rule {
    pub(crate) fn admits(&self, value: &str) -> bool {
        // Nothing can end the header or start another one (S17), and a tab would be
        // signed otherwise than it is sent.
        is_printable(value)
            && match self {
                Self::Text { max } => value.len() <= *max,
                Self::SomeText { max } => (1..=*max).contains(&value.len()),
                Self::Token { max } => (1..=*max).contains(&value.len()) && !value.starts_with(' '),
                Self::Name => is_sagemaker_name(value),
                Self::Session { may_be_new } => (*may_be_new && value == "NEW_SESSION") || is_session_id(value),
                Self::Location { max } => value.len() <= *max && is_location(value),
                Self::PathExtension { max } => (1..=*max).contains(&value.len()) && value.bytes().all(is_in_extension),
                Self::Filename { max } => value.len() <= *max && is_filename(value),
                Self::Integer { min, max } => {
                    value.bytes().all(|b| b.is_ascii_digit())
                        && value.parse().is_ok_and(|number| (*min..=*max).contains(&number))
                }
            }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { max } => write!(f, "at most {max} printable ASCII characters"),
            Self::SomeText { max } => write!(f, "1 to {max} printable ASCII characters"),
            Self::Token { max } => write!(f, "1 to {max} printable ASCII characters and not start with a space"),
            Self::Name => f.write_str("1 to 63 ASCII letters, digits and inner hyphens"),
            Self::Session { may_be_new } => {
                let new = if *may_be_new { "NEW_SESSION or " } else { "" };
                write!(f, "{new}1 to 256 ASCII letters, digits and inner hyphens")
            }
            Self::Location { max } => {
                write!(f, "s3://BUCKET/KEY or https://HOST/PATH in at most {max} printable ASCII characters")
            }
            Self::PathExtension { max } => {
                write!(f, "1 to {max} ASCII letters, digits and characters of !_.*'()/-")
            }
            Self::Filename { max } => write!(
                f,
                "1 to {max} ASCII letters, digits, hyphens, underscores and at most one dot, and start with a letter \
                 or digit"
            ),
            Self::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
        }
    }
}

fn is_printable(value: &str) -> bool {
    value.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// As the rule of names, but with a session's 256 characters.
fn is_session_id(value: &str) -> bool {
    let ends = [value.bytes().next(), value.bytes().last()];
    value.len() <= 256
        && ends.iter().all(|end| end.is_some_and(|b| b.is_ascii_alphanumeric()))
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_location(value: &str) -> bool {
    let rest = value.strip_prefix("https://").or_else(|| value.strip_prefix("s3://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

fn is_in_extension(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!_.*'()/-".contains(&byte)
}

fn is_filename(value: &str) -> bool {
    let inside = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    value.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && value.bytes().all(inside)
        && value.bytes().filter(|b| *b == b'.').count() <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_inclusive_and_whole_string() {
        let long = |n: usize| "a".repeat(n);
        let cases = [
            (Rule::Text { max: 1024 }, String::new(), true),
            (Rule::Text { max: 1024 }, long(1024), true),
            (Rule::Text { max: 1024 }, long(1025), false),
            (Rule::SomeText { max: 64 }, String::new(), false),
            (Rule::SomeText { max: 64 }, long(64), true),
            (Rule::SomeText { max: 64 }, long(65), false),
            (Rule::Token { max: 64 }, " a".to_owned(), false),
            (Rule::Token { max: 64 }, "a b".to_owned(), true),
            (Rule::Token { max: 64 }, String::new(), false),
            (Rule::Name, long(63), true),
            (Rule::Name, long(64), false),
            (Rule::Name, "a/../b".to_owned(), false),
            (Rule::Name, "a-".to_owned(), false),
            (Rule::Session { may_be_new: true }, "NEW_SESSION".to_owned(), true),
            (Rule::Session { may_be_new: true }, "OLD_SESSION".to_owned(), false),
            (Rule::Session { may_be_new: true }, "NEW_SESSION\n".to_owned(), false),
            (Rule::Session { may_be_new: true }, long(256), true),
            (Rule::Session { may_be_new: true }, long(257), false),
            (Rule::Session { may_be_new: true }, String::new(), false),
            (Rule::Session { may_be_new: true }, "-a".to_owned(), false),
            (Rule::Session { may_be_new: false }, "NEW_SESSION".to_owned(), false),
            (Rule::Session { may_be_new: false }, "NEW-SESSION".to_owned(), true),
            (Rule::Location { max: 20 }, "s3://bucket/key a".to_owned(), true),
            (Rule::Location { max: 20 }, "https://host".to_owned(), true),
            (Rule::Location { max: 20 }, format!("s3://{}", long(15)), true),
            (Rule::Location { max: 20 }, format!("s3://{}", long(16)), false),
            (Rule::Location { max: 20 }, "s3:///key".to_owned(), false),
            (Rule::Location { max: 20 }, "s3://".to_owned(), false),
            (Rule::Location { max: 20 }, "http://host/x".to_owned(), false),
            (Rule::Location { max: 20 }, " s3://bucket".to_owned(), false),
            (Rule::Location { max: 20 }, String::new(), false),
            (Rule::PathExtension { max: 512 }, "a/B-0!_.*'()".to_owned(), true),
            (Rule::PathExtension { max: 512 }, long(512), true),
            (Rule::PathExtension { max: 512 }, long(513), false),
            (Rule::PathExtension { max: 512 }, "s3:a".to_owned(), false),
            (Rule::PathExtension { max: 512 }, "a b".to_owned(), false),
            (Rule::PathExtension { max: 512 }, String::new(), false),
            (Rule::Filename { max: 32 }, "out-1_b.csv".to_owned(), true),
            (Rule::Filename { max: 32 }, long(32), true),
            (Rule::Filename { max: 32 }, long(33), false),
            (Rule::Filename { max: 32 }, "a.tar.gz".to_owned(), false),
            (Rule::Filename { max: 32 }, ".csv".to_owned(), false),
            (Rule::Filename { max: 32 }, "a/b".to_owned(), false),
            (Rule::Filename { max: 32 }, String::new(), false),
            (Rule::Integer { min: 60, max: 21_600 }, "59".to_owned(), false),
            (Rule::Integer { min: 60, max: 21_600 }, "60".to_owned(), true),
            (Rule::Integer { min: 60, max: 21_600 }, "21600".to_owned(), true),
            (Rule::Integer { min: 60, max: 21_600 }, "21601".to_owned(), false),
            (Rule::Integer { min: 60, max: 21_600 }, "+60".to_owned(), false),
            (Rule::Integer { min: 60, max: 21_600 }, "60.0".to_owned(), false),
            (Rule::Integer { min: 60, max: 21_600 }, " 60".to_owned(), false),
            (Rule::Integer { min: 60, max: 21_600 }, "99999999999999999999".to_owned(), false),
            (Rule::Integer { min: 60, max: 21_600 }, String::new(), false),
        ];
        for (rule, value, admitted) in cases {
            assert_eq!(rule.admits(&value), admitted, "{rule}: {value:?}");
        }
    }
}
