//! Names: whole, ASCII, within their lengths, against rules written a second time.

use std::fmt::Display;
use std::str::FromStr;

use sagemaker_external::Invalid;
use sagemaker_external::name::{
    EndpointName, ExternalId, GroupName, IamPath, InferenceComponentName, PolicyName, RoleName, SessionName, UserName,
    excerpt,
};
use sagemaker_external::pattern::EndpointPattern;

use crate::{is_sentence, text};

pub(crate) fn any(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let word = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    let of_words = |min: usize, max: usize| (min..=max).contains(&text.len()) && text.bytes().all(word);

    let sagemaker = text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric());
    check::<EndpointName>(text, sagemaker);
    check::<InferenceComponentName>(text, sagemaker);
    check::<RoleName>(text, of_words(1, 64) && !text.starts_with("AWSServiceRole"));
    check::<PolicyName>(text, of_words(1, 128));
    check::<GroupName>(text, of_words(1, 128));
    check::<UserName>(text, of_words(1, 64));
    check::<SessionName>(text, of_words(2, 64));

    let segment = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b".,+@=_-".contains(&b));
    let inner = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    let path = text == "/" || inner.is_some_and(|inner| inner.split('/').all(segment));
    check::<IamPath>(text, path && text.len() <= 512 && !text.starts_with("/aws-service-role/"));

    let external = (2..=1224).contains(&text.len()) && text.bytes().all(|b| word(b) || b == b':' || b == b'/');
    match text.parse::<ExternalId>() {
        Ok(id) => {
            assert!(external);
            assert_eq!(id.expose(), text);
            assert_eq!(format!("{id:?}"), "ExternalId([redacted])", "S03");
        }
        Err(invalid) => {
            assert!(!external);
            // The sentence is the same whatever was refused, so it repeats nothing of it.
            let other = "\0".parse::<ExternalId>().expect_err("no ExternalId");
            assert_eq!((invalid.to_string(), format!("{invalid:?}")), (other.to_string(), format!("{other:?}")), "S03");
        }
    }

    let short = excerpt(text);
    assert!(short.chars().all(|c| !c.is_control()), "{short:?}");
    assert!(short.chars().count() <= 80 * "\\u{10ffff}".len() + 1, "{short}");
}

fn check<T: FromStr<Err = Invalid> + Display>(text: &str, good: bool) {
    match text.parse::<T>() {
        Ok(name) => {
            assert!(good, "{text:?} was accepted");
            assert_eq!(name.to_string(), text, "it prints back");
        }
        Err(invalid) => {
            assert!(!good, "{text:?} was refused");
            assert!(is_sentence(&invalid.to_string()), "{invalid}");
        }
    }
}

/// Two patterns and a name, a line each.
pub(crate) fn patterns(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let mut lines = text.splitn(3, '\n');
    let (first, second, name) = (lines.next(), lines.next(), lines.next());
    let pattern = |text: Option<&str>| text.unwrap_or_default().parse::<EndpointPattern>();
    let Ok(first) = pattern(first) else { return };
    assert_eq!(first.as_str(), first.to_string());
    assert!(first.as_str().contains('*'), "a pattern is no name");
    assert!(first.common(&first).is_some_and(|name| first.matches(&name)), "some name has it");
    let name = name.and_then(|name| name.parse::<EndpointName>().ok());
    if let Some(name) = &name {
        assert_eq!(first.matches(name), plain(first.as_str().as_bytes(), name.as_str().as_bytes()));
    }
    let Ok(second) = pattern(second) else { return };
    let (common, again) = (first.common(&second), second.common(&first));
    assert_eq!(common.as_ref().map(|n| n.as_str().len()), again.as_ref().map(|n| n.as_str().len()), "either way");
    for common in common.iter().chain(&again) {
        assert!(first.matches(common) && second.matches(common), "{first} {second} {common}");
    }
    if let Some(name) = name.filter(|name| first.matches(name) && second.matches(name)) {
        let shortest = common.expect("two patterns that meet have a common name");
        assert!(shortest.as_str().len() <= name.as_str().len(), "{first} {second} {name} {shortest}");
    }
}

/// The rule of `*`, by the table of all beginnings.
fn plain(pattern: &[u8], name: &[u8]) -> bool {
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for letter in pattern {
        if *letter == b'*' {
            let from = reached.iter().position(|is| *is).unwrap_or(reached.len());
            reached[from..].fill(true);
        } else {
            for end in (0..=name.len()).rev() {
                reached[end] = end > 0 && reached[end - 1] && name[end - 1] == *letter;
            }
        }
    }
    reached[name.len()]
}
