//! Endpoint names with `*` in them, as a grant may give them.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::str::FromStr;

use crate::name::{EndpointName, Invalid};

/// An endpoint name with at least one `*`, each standing for any run of
/// characters, also none. Whatever it is, some valid endpoint name matches it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointPattern(String);

impl EndpointPattern {
    /// The text, as it was parsed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern covers the whole name, case included.
    pub fn matches(&self, name: &EndpointName) -> bool {
        covers(self.0.as_bytes(), name.as_str().as_bytes())
    }

    /// A shortest endpoint name that both patterns match, if there is one.
    pub fn common(&self, other: &Self) -> Option<EndpointName> {
        common(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl FromStr for EndpointPattern {
    type Err = Invalid;

    fn from_str(value: &str) -> Result<Self, Invalid> {
        let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'*';
        // The length bounds the search for a common name; no longer one is of use.
        let good = value.contains('*') && value.len() <= 63 && value.bytes().all(is_part);
        let pattern = Self(value.to_owned());
        if good && pattern.common(&pattern).is_some() {
            Ok(pattern)
        } else {
            let rule = "an endpoint name of 1 to 63 ASCII letters, digits and inner hyphens in which * stands for any \
                        run of them";
            Err(Invalid::new("endpoint pattern", value, rule))
        }
    }
}

impl fmt::Display for EndpointPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Each literal piece is looked for as early as it can stand, which is enough for
/// patterns whose only wildcard is `*`.
fn covers(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    // Where to go on if the piece after the last `*` does not fit here.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, name) {
            ([b'*', rest @ ..], _) => {
                retry = Some((rest, name));
                pattern = rest;
            }
            ([p, more @ ..], [n, left @ ..]) if p == n => (pattern, name) = (more, left),
            ([], []) => return true,
            _ => {
                let Some((rest, [_, left @ ..])) = retry else { return false };
                retry = Some((rest, left));
                (pattern, name) = (rest, left);
            }
        }
    }
}

/// A breadth-first walk through both patterns and the rule of names at once: a
/// place is how much of each pattern is used up, and whether a name may end here.
fn common(a: &[u8], b: &[u8]) -> Option<EndpointName> {
    let mut seen = BTreeSet::new();
    let mut queue = VecDeque::from([(a, b, String::new())]);
    while let Some((a, b, name)) = queue.pop_front() {
        let ends = |rest: &[u8]| rest.iter().all(|byte| *byte == b'*');
        if ends(a)
            && ends(b)
            && let Ok(name) = name.parse()
        {
            return Some(name);
        }
        for next in candidates(a, b) {
            // A name begins with a letter or a digit.
            if name.len() == 63 || (name.is_empty() && next == b'-') {
                continue;
            }
            for (a, b) in steps(a, next).flat_map(|a| steps(b, next).map(move |b| (a, b))) {
                if seen.insert((a.len(), b.len(), next == b'-')) {
                    queue.push_back((a, b, format!("{name}{}", char::from(next))));
                }
            }
        }
    }
    None
}

/// The characters worth trying next: those that a pattern asks for, and one letter
/// for all that none asks for.
fn candidates(a: &[u8], b: &[u8]) -> BTreeSet<u8> {
    let asked = |pattern: &[u8]| pattern.iter().copied().find(|byte| *byte != b'*');
    [Some(b'x'), asked(a), asked(b)].into_iter().flatten().collect()
}

/// What can be left of a pattern after one more character.
fn steps(pattern: &[u8], next: u8) -> impl Iterator<Item = &[u8]> {
    let stars = pattern.iter().take_while(|byte| **byte == b'*').count();
    let after = pattern.get(stars..).unwrap_or_default();
    let literal = after.split_first().filter(|(first, _)| **first == next).map(|(_, rest)| rest);
    // Any run takes it, or it is the next literal.
    let run = (stars > 0).then_some(pattern);
    run.into_iter().chain(literal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> EndpointPattern {
        text.parse().expect("a pattern")
    }

    fn name(text: &str) -> EndpointName {
        text.parse().expect("a name")
    }

    #[test]
    fn a_star_is_any_run_also_none() {
        for (text, good, bad) in [
            ("*", &["a", "Iris-2"][..], &[][..]),
            ("iris-*", &["iris-2", "iris-a-b"], &["iris", "Iris-2", "xiris-2"]),
            ("iris*", &["iris", "iris2"], &["iri", "wine"]),
            ("*-prod", &["a-prod", "a-b-prod"], &["prod", "a-prod-b"]),
            ("a*b*c", &["abc", "axbxc", "abbcc"], &["ab", "acb", "abcx"]),
            ("**a**", &["a", "bab"], &["b"]),
        ] {
            for matching in good {
                assert!(pattern(text).matches(&name(matching)), "{text} {matching}");
            }
            for other in bad {
                assert!(!pattern(text).matches(&name(other)), "{text} {other}");
            }
        }
    }

    /// S06: a pattern is letters, digits, hyphens and `*`, and never one that no
    /// endpoint can have.
    #[test]
    fn s06_what_is_no_pattern_is_refused() {
        let long = format!("{}*", "a".repeat(63));
        for bad in ["", "iris", "a?*", "${x}*", "a/*", "a:*", "-*", "*-", "-*-", "é*", "a *", "*\n", &long] {
            assert!(bad.parse::<EndpointPattern>().is_err(), "{bad:?} was accepted");
        }
        for good in ["*", "***", "a*", "*a", "a-*-b", "a--*", &"a*".repeat(31)] {
            assert!(good.parse::<EndpointPattern>().is_ok(), "{good:?} was refused");
        }
    }

    #[test]
    fn patterns_that_meet_have_a_common_name() {
        for (a, b, met) in [
            ("a*", "*b", Some("ab")),
            ("a*", "b*", None),
            ("*", "*", Some("x")),
            ("iris-*", "iris*", Some("iris-x")),
            ("iris-*", "*-prod", Some("iris-prod")),
            ("a*c", "ab*", Some("abc")),
            ("a*a", "a*b", None),
            ("a*A", "a*a", None),
            ("a-*", "a*-b", Some("a-b")),
        ] {
            let common = pattern(a).common(&pattern(b));
            assert_eq!(common.as_ref().map(EndpointName::as_str), met, "{a} {b}");
        }
        // Only longer names than there are would match both.
        let (front, back) = (format!("{}*", "a".repeat(40)), format!("*{}", "b".repeat(40)));
        assert_eq!(pattern(&front).common(&pattern(&back)), None);
    }

    proptest! {
        /// The walk finds a common name exactly when one exists: all names of up to
        /// five of the letters in play are tried.
        #[test]
        fn common_agrees_with_trying_all_names(a in "[ab*-]{1,4}", b in "[ab*-]{1,4}") {
            let (Ok(a), Ok(b)) = (a.parse::<EndpointPattern>(), b.parse::<EndpointPattern>()) else { return Ok(()) };
            let mut names: Vec<String> = vec![String::new()];
            let mut tried = false;
            for _ in 0..5 {
                names = names.iter().flat_map(|name| "abx-".chars().map(move |c| format!("{name}{c}"))).collect();
                tried |= names.iter().filter_map(|n| n.parse().ok()).any(|n| a.matches(&n) && b.matches(&n));
            }
            let common = a.common(&b);
            prop_assert!(common.as_ref().is_none_or(|name| a.matches(name) && b.matches(name)));
            prop_assert_eq!(common.is_some_and(|name| name.as_str().len() <= 5), tried);
        }

        #[test]
        fn covers_agrees_with_the_plain_rule(text in "[ab*]{1,6}", name in "[ab]{1,6}") {
            fn plain(pattern: &[u8], name: &[u8]) -> bool {
                match pattern {
                    [] => name.is_empty(),
                    [b'*', rest @ ..] => (0..=name.len()).any(|from| plain(rest, &name[from..])),
                    [first, rest @ ..] => name.first() == Some(first) && plain(rest, &name[1..]),
                }
            }
            prop_assert_eq!(covers(text.as_bytes(), name.as_bytes()), plain(text.as_bytes(), name.as_bytes()));
        }
    }
}
