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
    hide_in_object(members, false)
}

/// `is_account` is whether it is the value of a member of an account's name.
fn hide_in_object(members: &Map<String, Value>, is_account: bool) -> Map<String, Value> {
    let hide =
        |(name, value): (&String, &Value)| (hide_owners(name), hide_in(value, is_account || is_of_account(name)));
    members.iter().map(hide).collect()
}

fn hide_in(value: &Value, is_account: bool) -> Value {
    match value {
        Value::String(text) if is_account && is_numeric(text) => HIDDEN.into(),
        Value::String(text) => hide_owners(text).into(),
        Value::Array(items) => items.iter().map(|item| hide_in(item, is_account)).collect(),
        Value::Object(members) => Value::Object(hide_in_object(members, is_account)),
        Value::Number(_) if is_account => HIDDEN.into(),
        Value::Number(number) => {
            let shown = number.to_string();
            if hide_owners(&shown) == shown { value.clone() } else { HIDDEN.into() }
        }
        Value::Null | Value::Bool(_) => value.clone(),
    }
}

/// `AccountId`, `account_id`, `OwnerAccount`, `Accounts` and the like, but not a number per account.
fn is_of_account(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase());
    let letters: String = letters.collect();
    !letters.ends_with("peraccount")
        && ["account", "accounts", "accountid", "accountids", "accountnumber"].iter().any(|end| letters.ends_with(end))
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
    let mut end = at + bytes.len() - rest.len();
    loop {
        end += text.get(end..)?.find(is_end).unwrap_or(text.len() - end);
        // A role's name may hold a comma.
        let is_in_name =
            text.get(end..)?.strip_prefix(',').is_some_and(|rest| !rest.starts_with(is_end) && !rest.is_empty());
        if !is_in_name {
            return Some(end);
        }
        end += 1;
    }
}

fn strip_ignoring_case<'b>(bytes: &'b [u8], prefix: &[u8]) -> Option<&'b [u8]> {
    let (head, rest) = bytes.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// A colon, also percent-encoded any number of times, or as an escape of JSON.
fn strip_colon(bytes: &[u8]) -> Option<&[u8]> {
    bytes.strip_prefix(b":").or_else(|| strip_percent(bytes, b"3a")).or_else(|| strip_escape(bytes, b"003a"))
}

/// `%` and these digits, percent-encoded any number of times.
fn strip_percent<'b>(bytes: &'b [u8], digits: &[u8]) -> Option<&'b [u8]> {
    let mut rest = bytes.strip_prefix(b"%")?;
    while let Some(inner) = rest.strip_prefix(b"25") {
        rest = inner;
    }
    strip_ignoring_case(rest, digits)
}

/// `\u` and these digits, as JSON has it, perhaps with its backslash escaped.
fn strip_escape<'b>(bytes: &'b [u8], digits: &[u8]) -> Option<&'b [u8]> {
    let mut rest = bytes.strip_prefix(b"\\")?;
    while let Some(inner) = rest.strip_prefix(b"\\") {
        rest = inner;
    }
    strip_ignoring_case(rest.strip_prefix(b"u")?, digits)
}

/// The account id in the run of digits at `at`, if one begins there: 12 digits alone, or
/// three times four with dashes between them.
fn account(text: &str, at: usize) -> Option<(usize, usize)> {
    let length = digits(text, at);
    let (end, is_escaped) = (at + length, is_after_escape(text, at));
    // An escape such as %20 may end on digits, which then look like the id's.
    if length == DIGITS || (length > DIGITS && is_escaped) {
        return (!is_in_hex(text, at, end)).then_some((end - DIGITS, end));
    }
    let start = end.checked_sub(4).filter(|start| *start == at || (length > 4 && is_escaped))?;
    let third = dashed(text, end).and_then(|second| dashed(text, second))?;
    (!is_in_uuid(text, start, third) && !is_of_more_groups(text, start, third)).then_some((start, third))
}

/// How many digits there are from `at` on.
fn digits(text: &str, at: usize) -> usize {
    text.as_bytes().iter().skip(at).take_while(|byte| byte.is_ascii_digit()).count()
}

/// The end of a dash and exactly four digits.
fn dashed(text: &str, at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let after = match rest.chars().next().filter(|c| is_dash(*c)) {
        Some(dash) => rest.as_bytes().get(dash.len_utf8()..)?,
        None => strip_encoded_dash(rest.as_bytes())?,
    };
    let start = text.len() - after.len();
    (digits(text, start) == 4).then_some(start + 4)
}

/// A dash as an escape of JSON or percent-encoded, its bytes in UTF-8 each.
fn strip_encoded_dash(bytes: &[u8]) -> Option<&[u8]> {
    const DASHES: [(&[u8], &[&[u8]]); 8] = [
        (b"002d", &[b"2d"]),
        (b"2010", &[b"e2", b"80", b"90"]),
        (b"2011", &[b"e2", b"80", b"91"]),
        (b"2012", &[b"e2", b"80", b"92"]),
        (b"2013", &[b"e2", b"80", b"93"]),
        (b"2014", &[b"e2", b"80", b"94"]),
        (b"2015", &[b"e2", b"80", b"95"]),
        (b"2212", &[b"e2", b"88", b"92"]),
    ];
    let percent = |utf8: &[&[u8]]| utf8.iter().try_fold(bytes, |rest, byte| strip_percent(rest, byte));
    DASHES.iter().find_map(|(escape, utf8)| strip_escape(bytes, escape).or_else(|| percent(utf8)))
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

/// Whether the 12 digits are a part of a digest, or the last one of a UUID.
fn is_in_hex(text: &str, start: usize, end: usize) -> bool {
    /// Of MD5, the shortest.
    const DIGEST: usize = 32;
    let bytes = text.as_bytes();
    let (before, after) = (bytes.get(..start).unwrap_or_default(), bytes.get(end..).unwrap_or_default());
    let is_hex = |byte: &&u8| byte.is_ascii_hexdigit();
    let more = before.iter().rev().take_while(is_hex).count() + after.iter().take_while(is_hex).count();
    if more > 0 {
        return more + end - start >= DIGEST;
    }
    let Some(at) = start.checked_sub(24) else { return false };
    let parts = before.get(at..).unwrap_or_default().split(|byte| *byte == b'-');
    let is_alone = at.checked_sub(1).and_then(|at| bytes.get(at)).is_none_or(|byte| !byte.is_ascii_hexdigit());
    is_alone && parts.clone().map(<[u8]>::len).eq([8, 4, 4, 4, 0]) && parts.flatten().all(u8::is_ascii_hexdigit)
}

/// Whether more groups of four digits stand beside these three, as on a payment card.
fn is_of_more_groups(text: &str, start: usize, end: usize) -> bool {
    let before = text.get(..start).unwrap_or_default();
    let is_after_group = before.strip_suffix(is_dash).is_some_and(|before| {
        let digits = before.bytes().rev().take_while(u8::is_ascii_digit).count();
        digits == 4
    });
    is_after_group || dashed(text, end).is_some()
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
