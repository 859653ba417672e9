//! Request headers by name, each at most once, each held to its member's rule. No
//! message repeats a value.

use std::fmt;

use http::HeaderName;

use crate::error::Invalid;
use crate::event::Event;
use crate::operation::Operation;
use crate::rule::Rule;

/// A member of an operation's input that travels in a header.
pub struct Member {
    pub header: &'static str,
    pub name: &'static str,
    pub rule: Rule,
}

impl Member {
    pub(crate) const fn new(header: &'static str, name: &'static str, rule: Rule) -> Self {
        Self { header, name, rule }
    }

    /// The member's value, absent when its header is.
    ///
    /// # Errors
    /// [`Invalid`] when the header comes more than once (S23) or breaks
    /// the rule.
    pub fn read<'e>(&self, event: &'e Event<'_>) -> Result<Option<&'e str>, Invalid> {
        let Self { header, name, rule } = self;
        held(event, header, rule, &format_args!("{header} ({name})"))
    }
}

/// The headers of a call to SageMaker: one of each name, each one printable line.
#[derive(Default)]
pub struct Headers(Vec<(HeaderName, String)>);

impl Headers {
    /// The operation's members, and what else has a name of SageMaker's: a member newer
    /// than this code need not wait for it. A member of another operation, which this
    /// one may get too, is held to the rule that is known of it.
    ///
    /// # Errors
    /// [`Invalid`] for the first header that is repeated or breaks its rule.
    pub fn read(event: &Event<'_>, operation: Operation) -> Result<Self, Invalid> {
        let mut headers = Self::default();
        for member in operation.members() {
            if let Some(value) = member.read(event)? {
                headers.set(member.header, value)?;
            }
        }
        let known = headers.0.len();
        let listed = event.multi_value_headers.0.iter().map(|(name, _)| name);
        for name in listed.chain(event.headers.0.iter().map(|(name, _)| name)) {
            let is_member = |member: &Member| name.eq_ignore_ascii_case(member.header);
            if !is_sagemakers(name) || operation.members().iter().any(is_member) || headers.get(name).is_some() {
                continue;
            }
            if headers.0.len() == known + NEWER {
                let operation = operation.name();
                return Err(Invalid(format!(
                    "besides its members, {operation} may be given at most {NEWER} {SAGEMAKER}* headers"
                )));
            }
            let value = match Operation::ALL.into_iter().flat_map(Operation::members).find(|other| is_member(other)) {
                Some(member) => member.read(event)?,
                None => {
                    let name = header_name(name)?;
                    held(event, name.as_str(), &NEWER_RULE, &name)?
                }
            };
            if let Some(value) = value {
                headers.set(name, value)?;
            }
        }
        Ok(headers)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| name.eq_ignore_ascii_case(key.as_str())).map(|(_, value)| value.as_str())
    }

    /// Adds a header that is not there yet, with a value that its rule admits.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), Invalid> {
        self.0.push((header_name(name)?, value.to_owned()));
        Ok(())
    }

    pub fn iter(&self) -> impl Iterator<Item = &(HeaderName, String)> + Clone {
        self.0.iter()
    }
}

const SAGEMAKER: &str = "X-Amzn-SageMaker-";
/// More than any operation has members.
const NEWER: usize = 16;
/// The longest known name has 42 characters.
const NAME_MAX: usize = 64;
/// Of what is no member known here: the rule of the known ones with the longest values.
const NEWER_RULE: Rule = Rule::Text { max: 1024 };

fn is_sagemakers(name: &str) -> bool {
    name.get(..SAGEMAKER.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(SAGEMAKER))
}

fn header_name(name: &str) -> Result<HeaderName, Invalid> {
    let is_whole = |name: &&str| name.len() <= NAME_MAX && !name.eq_ignore_ascii_case(SAGEMAKER);
    let read = Some(name).filter(is_whole).and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok());
    read.ok_or_else(|| {
        Invalid(format!(
            "the name of an {SAGEMAKER}* header must be a header name of at most {NAME_MAX} characters, with some in \
             place of the *"
        ))
    })
}

/// The header's one value, held to the rule; `shown` is what a refusal calls the header.
fn held<'e>(
    event: &'e Event<'_>,
    header: &str,
    rule: &Rule,
    shown: &dyn fmt::Display,
) -> Result<Option<&'e str>, Invalid> {
    match the_one(event, header) {
        Ok(None) => Ok(None),
        Ok(Some(value)) if rule.admits(value) => Ok(Some(value)),
        Ok(Some(_)) => Err(Invalid(format!("header {shown} must be {rule}"))),
        Err(Repeated) => Err(Invalid(format!("header {shown} must be given at most once"))),
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
    use serde_json::{Value, json};

    fn read(event: &str, member: &Member) -> Result<Option<String>, String> {
        let event = Event::read(event.as_bytes()).expect("an event");
        member.read(&event).map(|value| value.map(str::to_owned)).map_err(|Invalid(sentence)| sentence)
    }

    const ACCEPT: Member = Member::new("Accept", "Accept", Rule::Text { max: 1024 });

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

    fn rules() -> impl Iterator<Item = &'static Rule> {
        Operation::ALL.into_iter().flat_map(|operation| operation.members()).map(|member| &member.rule)
    }

    #[test]
    fn s17_what_could_split_or_garble_a_header_is_refused() {
        for bad in ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "a\r\n folded", "a\tb", "a\x7f", "é", "a\u{2028}b"] {
            for rule in rules() {
                assert!(!rule.admits(bad), "{rule} admitted {bad:?}");
            }
        }
    }

    fn all(event: &Value) -> Result<Vec<(String, String)>, String> {
        let json = event.to_string();
        let event = Event::read(json.as_bytes()).expect("an event");
        let headers = Headers::read(&event, Operation::InvokeEndpointAsync).map_err(|Invalid(sentence)| sentence)?;
        Ok(headers.iter().map(|(name, value)| (name.to_string(), value.clone())).collect())
    }

    #[test]
    fn r01_a_newer_header_is_read_once_from_either_map() {
        let newer = vec![("x-amzn-sagemaker-newer".to_owned(), "a b".to_owned())];
        for event in [
            json!({ "headers": { "X-Amzn-SageMaker-Newer": "a b", "X-Amzn-Trace-Id": "1", "X-Amzn-SageMaker": "1" } }),
            json!({ "multiValueHeaders": { "x-amzn-sagemaker-NEWER": ["a b"] } }),
            json!({ "headers": { "X-Amzn-SageMaker-Newer": "a b" },
                    "multiValueHeaders": { "x-amzn-sagemaker-newer": ["a b"] } }),
        ] {
            assert_eq!(all(&event), Ok(newer.clone()), "{event}");
        }
        assert_eq!(all(&json!({ "headers": { "X-Amzn-SageMaker-Newer": null } })), Ok(vec![]));
    }

    #[test]
    fn s17_s23_an_odd_newer_header_is_refused() {
        let long = "a".repeat(1025);
        for (headers, sentence) in [
            (
                json!({ "X-Amzn-SageMaker-Newer": ["1", "1"] }),
                "header x-amzn-sagemaker-newer must be given at most once",
            ),
            (
                json!({ "X-Amzn-SageMaker-Newer": ["1"], "x-amzn-sagemaker-newer": ["1"] }),
                "header x-amzn-sagemaker-newer must be given at most once",
            ),
            (
                json!({ "X-Amzn-SageMaker-Newer": ["canary\r\nX-Evil: 1"] }),
                "header x-amzn-sagemaker-newer must be at most 1024 printable ASCII characters",
            ),
            (
                json!({ "X-Amzn-SageMaker-Newer": [long] }),
                "header x-amzn-sagemaker-newer must be at most 1024 printable ASCII characters",
            ),
            (
                json!({ "X-Amzn-SageMaker-canary\r\nX-Evil": ["1"] }),
                "the name of an X-Amzn-SageMaker-* header must be a header name of at most 64 characters, with some \
                 in place of the *",
            ),
            (
                json!({ "x-amzn-sagemaker-": ["1"] }),
                "the name of an X-Amzn-SageMaker-* header must be a header name of at most 64 characters, with some \
                 in place of the *",
            ),
        ] {
            assert_eq!(all(&json!({ "multiValueHeaders": headers })), Err(sentence.to_owned()));
        }
        let many = |n: usize| (0..n).map(|n| (format!("X-Amzn-SageMaker-Newer-{n}"), json!("1"))).collect::<Value>();
        assert_eq!(all(&json!({ "headers": many(16) })).map(|headers| headers.len()), Ok(16));
        assert_eq!(
            all(&json!({ "headers": many(17) })),
            Err("besides its members, InvokeEndpointAsync may be given at most 16 X-Amzn-SageMaker-* headers"
                .to_owned())
        );
    }

    /// Of the asynchronous call these are no members.
    #[test]
    fn r01_s17_a_member_of_another_operation_is_held_to_its_rule() {
        for (name, good, bad, rule) in [
            ("X-Amzn-SageMaker-Target-Variant", "a-1", "a/b", "1 to 63 ASCII letters, digits and inner hyphens"),
            (
                "X-Amzn-SageMaker-Target-Model",
                "m 1",
                " m",
                "1 to 1024 printable ASCII characters and not start with a space",
            ),
            ("X-Amzn-SageMaker-Inference-Component", "c", "*", "1 to 63 ASCII letters, digits and inner hyphens"),
        ] {
            let read = |value: &str| all(&json!({ "headers": { name: value } }));
            assert_eq!(read(good), Ok(vec![(name.to_ascii_lowercase(), good.to_owned())]));
            let refused = read(bad).expect_err(bad);
            assert!(refused.starts_with(&format!("header {name} (")), "{refused}");
            assert!(refused.ends_with(&format!(" must be {rule}")), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn s17_whatever_is_admitted_is_one_printable_line(value in "\\PC{0,80}|[ -~\r\n\t\0]{0,80}") {
            for rule in rules() {
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
