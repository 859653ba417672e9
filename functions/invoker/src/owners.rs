//! Owners in a service's own words: its errors name accounts and ARNs, which are the
//! parent's business (S16).

use sagemaker_external::failure::as_code;
use serde_json::{Map, Value};

const HIDDEN: &str = "[hidden]";
/// Of an account's id.
const DIGITS: usize = 12;

/// A service's own text without ARNs and account ids, however they are written: in capitals,
/// with dashes, or percent-encoded. SageMaker says "Endpoint iris of account 111122223333
/// not found."
pub(crate) fn hide_owners(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let (mut at, mut copied) = (0, 0);
    while at < text.len() {
        let found = match arn(text, at) {
            Some(end) => Some((at, end)),
            None => account(text, at),
        };
        match found {
            Some((start, end)) => {
                shown.extend([text.get(copied..start).unwrap_or_default(), HIDDEN]);
                (at, copied) = (end, end);
            }
            // A run of digits is looked at once, as a whole.
            None => at += digits(text, at).max(1),
        }
    }
    shown.push_str(text.get(copied..).unwrap_or_default());
    shown
}

/// A service's code, if it looks like one and names no owner: what does is some other text.
pub(crate) fn as_code_without_owners(text: &str) -> Option<String> {
    as_code(text).filter(|code| hide_owners(code) == *code)
}

/// An error's members with [`hide_owners`] done to every text in them, names included. What
/// a member of an account's name holds is hidden in any spelling: a number has lost its
/// leading zeros.
pub(crate) fn hide_in_members(members: &Map<String, Value>) -> Map<String, Value> {
    let hide = |(name, value): (&String, &Value)| (hide_owners(name), hide_in(value, is_of_account(name)));
    members.iter().map(hide).collect()
}

fn hide_in(value: &Value, is_account: bool) -> Value {
    match value {
        Value::String(text) if is_account && is_numeric(text) => HIDDEN.into(),
        Value::String(text) => hide_owners(text).into(),
        Value::Array(items) => items.iter().map(|item| hide_in(item, is_account)).collect(),
        Value::Object(members) => hide_in_members(members).into(),
        Value::Number(_) if is_account => HIDDEN.into(),
        Value::Number(number) => {
            let shown = number.to_string();
            if hide_owners(&shown) == shown { value.clone() } else { HIDDEN.into() }
        }
        Value::Null | Value::Bool(_) => value.clone(),
    }
}

/// `AccountId`, `account_id`, `OwnerAccount`, `Accounts` and the like.
fn is_of_account(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase());
    let letters: String = letters.collect();
    ["account", "accounts", "accountid", "accountids", "accountnumber"].iter().any(|end| letters.ends_with(end))
}

fn is_numeric(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c.is_whitespace() || is_dash(c))
}

/// Where an ARN that begins at `at` ends.
fn arn(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes().get(at..)?;
    let rest = strip_ignoring_case(bytes, b"arn").and_then(strip_colon)?;
    let is_inside_a_word =
        at.checked_sub(1).and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_alphanumeric);
    // A partition's name tells an ARN from the end of "warn:".
    if is_inside_a_word && strip_ignoring_case(rest, b"aws").is_none() {
        return None;
    }
    let is_end = |c: char| c.is_whitespace() || "\"'`,;()<>[]{}\\&|".contains(c);
    // A `\u003a` for its colon is no end.
    let begun = bytes.len() - rest.len();
    let length = text.get(at + begun..)?.find(is_end).map_or(bytes.len(), |end| begun + end);
    Some(at + length)
}

fn strip_ignoring_case<'b>(bytes: &'b [u8], prefix: &[u8]) -> Option<&'b [u8]> {
    let (head, rest) = bytes.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// A colon, also percent-encoded any number of times, or as an escape of JSON.
fn strip_colon(bytes: &[u8]) -> Option<&[u8]> {
    if let Some(mut rest) = bytes.strip_prefix(b"%") {
        while let Some(inner) = rest.strip_prefix(b"25") {
            rest = inner;
        }
        return strip_ignoring_case(rest, b"3a");
    }
    bytes.strip_prefix(b":").or_else(|| strip_ignoring_case(bytes, b"\\u003a"))
}

/// The account id in the run of digits at `at`, if one begins there: 12 digits alone, or
/// three times four with dashes between them.
fn account(text: &str, at: usize) -> Option<(usize, usize)> {
    let length = digits(text, at);
    let (end, is_escaped) = (at + length, is_after_escape(text, at));
    // An escape such as %20 may end on digits, which then look like the id's.
    if length == DIGITS || (length > DIGITS && is_escaped) {
        return Some((end - DIGITS, end));
    }
    let start = end.checked_sub(4).filter(|start| *start == at || (length > 4 && is_escaped))?;
    let third = dashed(text, end).and_then(|second| dashed(text, second))?;
    (!is_in_uuid(text, start, third)).then_some((start, third))
}

/// How many digits there are from `at` on.
fn digits(text: &str, at: usize) -> usize {
    text.as_bytes().iter().skip(at).take_while(|byte| byte.is_ascii_digit()).count()
}

/// The end of a dash and exactly four digits.
fn dashed(text: &str, at: usize) -> Option<usize> {
    let dash = text.get(at..)?.chars().next().filter(|c| is_dash(*c))?;
    let start = at + dash.len_utf8();
    (digits(text, start) == 4).then_some(start + 4)
}

fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// Whether what stands before `at` is the beginning of an escape, such as `%20`, `%C2%A`,
/// `%252`, `\u0022` or `\x22`, whose last digits the run at `at` may begin with.
fn is_after_escape(text: &str, at: usize) -> bool {
    const LONGEST: usize = 6;
    let before = text.as_bytes().get(..at).unwrap_or_default();
    let letters = before.iter().rev().take(LONGEST).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let before = before.get(..at - letters).unwrap_or_default();
    before.ends_with(b"%") || before.ends_with(b"\\u") || before.ends_with(b"\\x")
}

/// Whether `start..end` are the three middle parts of a UUID.
fn is_in_uuid(text: &str, start: usize, end: usize) -> bool {
    let bytes = text.as_bytes();
    let hex = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_hexdigit);
    let before = start.checked_sub(9).and_then(|from| bytes.get(from..start));
    let after = bytes.get(end..end + 13);
    before.is_some_and(|part| part.ends_with(b"-") && hex(part.get(..8).unwrap_or_default()))
        && after.is_some_and(|part| part.starts_with(b"-") && hex(part.get(1..).unwrap_or_default()))
}

#[cfg(test)]
#[path = "owners_tests.rs"]
mod tests;
