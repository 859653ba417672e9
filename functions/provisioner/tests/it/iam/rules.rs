//! What a request must look like before IAM looks at what it asks: the shapes of
//! the service's model, whole strings and ASCII.

use super::{Refusal, Tags};
use crate::wire::Fields;

pub(super) fn check(f: &Fields) -> Result<(), Refusal> {
    let action = f.get("Action");
    for (key, longest) in [("RoleName", 64), ("GroupName", 128), ("PolicyName", 128), ("UserName", 128)] {
        present(f, key).map_or(Ok(()), |text| within(key, text, 1, longest, is_name(text), r"[\w+=,.@-]+"))?;
    }
    for key in ["PolicyArn", "PermissionsBoundary"] {
        present(f, key).map_or(Ok(()), |text| arn(key, text))?;
    }
    if let Some(path) = present(f, "Path") {
        let of_policy = action == "CreatePolicy";
        let pattern =
            if of_policy { r"((/[A-Za-z0-9\.,\+@=_-]+)*)/" } else { r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)" };
        within("Path", path, 1, 512, if of_policy { is_policy_path(path) } else { is_path(path) }, pattern)?;
    }
    if let Some(seconds) = present(f, "MaxSessionDuration") {
        let inside = seconds.parse().is_ok_and(|n: u32| (3_600..=43_200).contains(&n));
        within("MaxSessionDuration", seconds, 1, 5, inside, "a value from 3600 to 43200")?;
    }
    if let Some(version) = present(f, "VersionId") {
        let number = version.strip_prefix('v').is_some_and(|n| !n.starts_with('0') && n.parse::<u32>().is_ok());
        within("VersionId", version, 2, 20, number, "v[1-9][0-9]*")?;
    }
    tags(&f.tag_list())
}

/// Why these tags may not all stand on one entity.
pub(super) fn tags(tags: &[(String, String)]) -> Result<(), Refusal> {
    if tags.len() > 50 {
        return Err(invalid("tags", "Member must have length less than or equal to 50"));
    }
    for (index, (key, value)) in tags.iter().enumerate() {
        let inside = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
        within("tags.member.key", key, 1, 128, key.chars().all(inside), r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+")?;
        within("tags.member.value", value, 0, 256, value.chars().all(inside), r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*")?;
        if key.to_lowercase().starts_with("aws:") {
            return Err((400, "InvalidInput", "Tag keys that start with aws: are reserved.".to_owned()));
        }
        if tags.iter().take(index).any(|(other, _)| other.eq_ignore_ascii_case(key)) {
            let text = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err((400, "InvalidInput", text.to_owned()));
        }
    }
    Ok(())
}

/// Adds to a role's tags, whose keys differ in more than case: a second spelling
/// takes the first one's place.
pub(super) fn tag_role(held: &mut Tags, new: Tags) -> Result<(), Refusal> {
    let mut all = held.clone();
    untag_role(&mut all, &new.keys().cloned().collect::<Vec<_>>());
    all.extend(new);
    room(&all)?;
    *held = all;
    Ok(())
}

pub(super) fn untag_role(held: &mut Tags, keys: &[String]) {
    held.retain(|key, _| !keys.iter().any(|gone| gone.eq_ignore_ascii_case(key)));
}

/// The keys of a policy's tags differ in case too.
pub(super) fn tag_policy(held: &mut Tags, new: Tags) -> Result<(), Refusal> {
    let all: Tags = held.clone().into_iter().chain(new).collect();
    room(&all)?;
    *held = all;
    Ok(())
}

fn room(tags: &Tags) -> Result<(), Refusal> {
    let full = || Err((409, "LimitExceeded", "The number of tags has reached the maximum limit.".to_owned()));
    if tags.len() > 50 { full() } else { Ok(()) }
}

fn present<'a>(f: &'a Fields, key: &str) -> Option<&'a str> {
    f.has(key).then(|| f.get(key))
}

fn arn(key: &str, text: &str) -> Result<(), Refusal> {
    within(key, text, 20, 2048, true, "")?;
    if text.starts_with("arn:") && text.split(':').count() >= 6 {
        return Ok(());
    }
    Err((400, "ValidationError", "Invalid ARN:  Could not be parsed!".to_owned()))
}

fn within(key: &str, text: &str, min: usize, max: usize, matches: bool, pattern: &str) -> Result<(), Refusal> {
    let length = text.chars().count();
    if length < min {
        return Err(invalid(key, &format!("Member must have length greater than or equal to {min}")));
    }
    if length > max {
        return Err(invalid(key, &format!("Member must have length less than or equal to {max}")));
    }
    if !matches {
        return Err(invalid(key, &format!("Member must satisfy regular expression pattern: {pattern}")));
    }
    Ok(())
}

fn invalid(key: &str, rule: &str) -> Refusal {
    let mut member = key.to_owned();
    member.get_mut(..1).map(str::make_ascii_lowercase);
    let text = format!("1 validation error detected: Value at '{member}' failed to satisfy constraint: {rule}");
    (400, "ValidationError", text)
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

/// Wider than a policy's: a trap for a Path that both share.
fn is_path(text: &str) -> bool {
    text == "/"
        || text.len() > 2 && text.starts_with('/') && text.ends_with('/') && text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_policy_path(text: &str) -> bool {
    let segments = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    let segment = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b".,+@=_-".contains(&b));
    text == "/" || segments.is_some_and(|rest| rest.split('/').all(segment))
}
