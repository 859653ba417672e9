//! Request headers by name, each at most once, each held to its member's rule.
//!
//! The models' own patterns are anchored at the start only, if at all, and no
//! client library checks them (wire traps 4 and 5), so every rule here covers the
//! whole value and is ASCII. No message repeats a value.

use std::fmt;

use sagemaker_external::name::is_sagemaker_name;

use crate::error::Invalid;
use crate::event::Event;

/// A member of an operation's input that travels in a header.
pub struct Member {
    pub header: &'static str,
    pub name: &'static str,
    pub rule: Rule,
}

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
    /// `NEW_SESSION`, or a name of 1–256.
    Session,
}

impl Rule {
    fn admits(&self, value: &str) -> bool {
        // Printable ASCII throughout: nothing can end the header or start another
        // one (S17), and a tab would be signed otherwise than it is sent.
        let printable = value.bytes().all(|b| (b' '..=b'~').contains(&b));
        printable
            && match self {
                Self::Text { max } => value.len() <= *max,
                Self::SomeText { max } => (1..=*max).contains(&value.len()),
                Self::Token { max } => (1..=*max).contains(&value.len()) && !value.starts_with(' '),
                Self::Name => is_sagemaker_name(value),
                Self::Session => value == "NEW_SESSION" || is_session_id(value),
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
            Self::Session => f.write_str("NEW_SESSION or 1 to 256 ASCII letters, digits and inner hyphens"),
        }
    }
}

/// As the rule of names, but with a session's 256 characters.
fn is_session_id(value: &str) -> bool {
    let ends = [value.bytes().next(), value.bytes().last()];
    value.len() <= 256
        && ends.iter().all(|end| end.is_some_and(|b| b.is_ascii_alphanumeric()))
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

impl Member {
    /// The member's value, absent when its header is.
    ///
    /// # Errors
    /// [`Invalid`] when the header comes more than once (S23) or breaks
    /// the rule.
    pub fn read(&self, event: &Event<'_>) -> Result<Option<String>, Invalid> {
        let Self { header, name, rule } = self;
        match the_one(event, header) {
            Ok(None) => Ok(None),
            Ok(Some(value)) if rule.admits(value) => Ok(Some(value.to_owned())),
            Ok(Some(_)) => Err(Invalid(format!("header {header} ({name}) must be {rule}"))),
            Err(Repeated) => Err(Invalid(format!("header {header} ({name}) must be given at most once"))),
        }
    }
}

struct Repeated;

/// The header's one value. `multiValueHeaders` holds what the client sent and
/// `headers` the last of each name; a name in several cases, several values of one
/// name, or two maps that disagree are all a repeated header.
fn the_one<'e>(event: &'e Event<'_>, name: &str) -> Result<Option<&'e str>, Repeated> {
    let named = |key: &str| key.eq_ignore_ascii_case(name);
    let listed = event.multi_value_headers.0.iter().filter(|(key, _)| named(key));
    let mut listed = listed.flat_map(|(_, values)| values.0.iter().filter_map(|value| value.any()));
    let single = event.headers.0.iter().filter(|(key, _)| named(key));
    let mut single = single.filter_map(|(_, value)| value.any());
    match (listed.next(), listed.next(), single.next(), single.next()) {
        (first, None, None, None) | (None, None, first, None) => Ok(first),
        (Some(listed), None, Some(single), None) if listed == single => Ok(Some(listed)),
        _ => Err(Repeated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(event: &str, member: &Member) -> Result<Option<String>, String> {
        let event = Event::read(event.as_bytes()).expect("an event");
        member.read(&event).map_err(|Invalid(sentence)| sentence)
    }

    const ACCEPT: Member = Member { header: "Accept", name: "Accept", rule: Rule::Text { max: 1024 } };

    #[test]
    fn s23_a_header_is_found_in_either_map_in_any_case() {
        for event in [
            r#"{"headers":{"accept":"a/b"}}"#,
            r#"{"multiValueHeaders":{"ACCEPT":["a/b"]}}"#,
            r#"{"headers":{"Accept":"a/b"},"multiValueHeaders":{"accept":["a/b"]}}"#,
            r#"{"headers":{"Accept":"a/b","Other":null},"multiValueHeaders":null}"#,
        ] {
            assert_eq!(read(event, &ACCEPT), Ok(Some("a/b".to_owned())), "{event}");
        }
        assert_eq!(read(r#"{"headers":{"Accept-Encoding":"x"}}"#, &ACCEPT), Ok(None));
    }

    #[test]
    fn s23_a_repeated_header_is_refused() {
        for event in [
            r#"{"multiValueHeaders":{"Accept":["a","b"]}}"#,
            r#"{"multiValueHeaders":{"Accept":["a","a"]}}"#,
            r#"{"multiValueHeaders":{"Accept":["a"],"accept":["a"]}}"#,
            r#"{"headers":{"Accept":"a","accept":"a"}}"#,
            r#"{"headers":{"Accept":"a"},"multiValueHeaders":{"Accept":["b"]}}"#,
        ] {
            let expected = Err("header Accept (Accept) must be given at most once".to_owned());
            assert_eq!(read(event, &ACCEPT), expected, "{event}");
        }
    }

    #[test]
    fn s17_what_could_split_or_garble_a_header_is_refused() {
        let rules =
            [Rule::Text { max: 64 }, Rule::SomeText { max: 64 }, Rule::Token { max: 64 }, Rule::Name, Rule::Session];
        for bad in ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "a\r\n folded", "a\tb", "a\x7f", "é", "a\u{2028}b"] {
            for rule in &rules {
                assert!(!rule.admits(bad), "{rule} admitted {bad:?}");
            }
        }
    }

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
            (Rule::Session, "NEW_SESSION".to_owned(), true),
            (Rule::Session, "OLD_SESSION".to_owned(), false),
            (Rule::Session, "NEW_SESSION\n".to_owned(), false),
            (Rule::Session, long(256), true),
            (Rule::Session, long(257), false),
            (Rule::Session, String::new(), false),
            (Rule::Session, "-a".to_owned(), false),
        ];
        for (rule, value, admitted) in cases {
            assert_eq!(rule.admits(&value), admitted, "{rule}: {value:?}");
        }
    }

    proptest! {
        #[test]
        fn s17_whatever_is_admitted_is_one_printable_line(value in "\\PC{0,80}|[ -~\r\n\t\0]{0,80}") {
            for rule in [Rule::Text { max: 64 }, Rule::SomeText { max: 64 }, Rule::Token { max: 64 }, Rule::Session] {
                if rule.admits(&value) {
                    prop_assert!(value.bytes().all(|b| (0x20..0x7f).contains(&b)));
                    prop_assert!(http::HeaderValue::from_str(&value).is_ok());
                }
            }
        }

        /// A refusal never holds the value, whatever it is.
        #[test]
        fn s15_a_refusal_repeats_no_value(value in "canary[\\PC\r\n]{0,40}\u{e9}") {
            let event = serde_json::json!({ "headers": { "Accept": value } }).to_string();
            let refusal = read(&event, &ACCEPT).expect_err("not ASCII");
            prop_assert!(!refusal.contains("canary"));
        }
    }
}
