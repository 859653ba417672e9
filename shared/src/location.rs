//! Where an asynchronous call's input may be read from: prefixes of locations in S3.
//!
//! A location is compared part by part and not as text, so that `s3://bucket` does not admit
//! `s3://bucket-evil`. What two readers could understand in two ways (an encoded character,
//! `..`, a query) is below no prefix.

use std::fmt;
use std::str::FromStr;

use crate::name::Invalid;

/// A bucket, or a folder in it, as `s3://BUCKET/KEY-PREFIX/` or `https://HOST/PATH/`. It
/// ends where a part of the key ends, whether or not a slash is written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationPrefix {
    scheme: &'static str,
    /// The bucket, or the host.
    authority: String,
    /// Without slashes at its ends; empty for the whole bucket.
    path: String,
}

impl LocationPrefix {
    /// Whether the location is this one, or below it.
    pub fn admits(&self, location: &str) -> bool {
        let Some((scheme, authority, path)) = parts(location) else { return false };
        let rest = path.strip_prefix(self.path.as_str());
        let is_below = rest.is_some_and(|rest| self.path.is_empty() || rest.is_empty() || rest.starts_with('/'));
        scheme == self.scheme && authority == self.authority && is_below
    }
}

/// Whether the location can be read in one way only, as [`UNAMBIGUOUS`] says.
pub fn is_unambiguous(location: &str) -> bool {
    parts(location).is_some()
}

/// How a location is written that can be read in one way only.
pub const UNAMBIGUOUS: &str = "s3://BUCKET/KEY or https://HOST/PATH in printable ASCII characters, without any of %+?#\\ \
                               and without a part that is empty, . or ..";

impl FromStr for LocationPrefix {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (scheme, authority, path) = parts(text).ok_or_else(|| Invalid::new("input location prefix", text, RULE))?;
        Ok(Self { scheme, authority: authority.to_owned(), path: path.trim_end_matches('/').to_owned() })
    }
}

impl fmt::Display for LocationPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.scheme, self.authority, self.path)
    }
}

const RULE: &str = "s3://BUCKET/KEY-PREFIX/ or https://HOST/PATH/ in printable ASCII characters, without any of %+?#\\ \
                    and without a part that is empty, . or ..";

/// Scheme, bucket or host, and path without the slash before it; nothing for a text that can
/// be read in two ways.
fn parts(text: &str) -> Option<(&'static str, &str, &str)> {
    let (scheme, rest) = ["s3", "https"].into_iter().find_map(|scheme| {
        let rest = text.strip_prefix(scheme)?.strip_prefix("://")?;
        Some((scheme, rest))
    })?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    let is_name = !authority.is_empty() && authority.bytes().all(is_plain);
    let is_readable = path.bytes().all(|b| (b' '..=b'~').contains(&b) && !b"%+?#\\".contains(&b));
    let folders = path.strip_suffix('/').unwrap_or(path);
    let is_direct = path.is_empty() || folders.split('/').all(|part| !["", ".", ".."].contains(&part));
    (is_name && is_readable && is_direct).then_some((scheme, authority, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix(text: &str) -> LocationPrefix {
        text.parse().expect(text)
    }

    #[test]
    fn a_prefix_ends_where_a_part_ends() {
        for written in ["s3://bucket/team-a/", "s3://bucket/team-a"] {
            let prefix = prefix(written);
            for inside in
                ["s3://bucket/team-a", "s3://bucket/team-a/", "s3://bucket/team-a/x y.csv", "s3://bucket/team-a/b/c"]
            {
                assert!(prefix.admits(inside), "{written} {inside}");
            }
            for outside in [
                "s3://bucket",
                "s3://bucket/",
                "s3://bucket/team-b/x",
                "s3://bucket/team-a-evil/x",
                "s3://bucket/Team-a/x",
                "s3://bucket-evil/team-a/x",
                "s3://bucket.evil/team-a/x",
                "s3://Bucket/team-a/x",
                "https://bucket/team-a/x",
                "S3://bucket/team-a/x",
                "s3:/bucket/team-a/x",
                "s3:///bucket/team-a/x",
                "s3://bucket//team-a/x",
                "s3://bucket/team-a//x",
                "s3://bucket/team-a/../team-b/x",
                "s3://bucket/team-a/..",
                "s3://bucket/./team-a/x",
                "s3://bucket/team-a/%2e%2e/team-b/x",
                "s3://bucket/team-a%2Fx",
                "s3://bucket/team-a/x?versionId=1",
                "s3://bucket/team-a/x#y",
                "s3://bucket/team-a\\..\\team-b",
                "s3://bucket/team-a/a+b",
                "s3://bucket@evil/team-a/x",
                "s3://bucket:443/team-a/x",
                "s3://bucket/team-a/\u{e9}",
                "",
            ] {
                assert!(!prefix.admits(outside), "{written} {outside}");
            }
        }
    }

    #[test]
    fn a_bucket_and_a_host_are_whole() {
        for written in ["s3://bucket", "s3://bucket/"] {
            assert!(prefix(written).admits("s3://bucket/x") && prefix(written).admits("s3://bucket"));
            assert!(!prefix(written).admits("s3://bucket-evil/x"));
        }
        let host = prefix("https://bucket.s3.eu-west-1.amazonaws.com/team-a/");
        assert!(host.admits("https://bucket.s3.eu-west-1.amazonaws.com/team-a/x"));
        for outside in [
            "https://bucket.s3.eu-west-1.amazonaws.com.evil.example/team-a/x",
            "https://user@bucket.s3.eu-west-1.amazonaws.com/team-a/x",
            "https://bucket.s3.eu-west-1.amazonaws.com:8443/team-a/x",
            "https://bucket.s3.amazonaws.com/team-a/x",
            "s3://bucket/team-a/x",
        ] {
            assert!(!host.admits(outside), "{outside}");
        }
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for text in ["", "bucket", "s3://", "http://host/x", "s3://b/%20", "s3://b/../c", "s3://b/c//", "s3://b/*?"] {
            assert!(text.parse::<LocationPrefix>().is_err(), "{text}");
        }
    }

    proptest! {
        /// Whatever is admitted has the prefix's own bucket and stays below its folder, also for
        /// a reader that decodes it or takes `..` for the folder above.
        #[test]
        fn nothing_outside_is_admitted(rest in "[ab./%2eE?#+\\\\-]{0,12}", start in "s3://bucket(/team|/)?|[s3:/bucket]{5,12}") {
            let location = format!("{start}{rest}");
            let prefix = prefix("s3://bucket/team/");
            if prefix.admits(&location) {
                let key = location.strip_prefix("s3://bucket/").expect("the bucket");
                prop_assert!(key == "team" || key.starts_with("team/"), "{}", location);
                prop_assert!(!key.contains(['%', '+', '?', '#', '\\']));
                prop_assert!(key.split('/').all(|part| part != ".." && part != "."));
            }
        }
    }
}
