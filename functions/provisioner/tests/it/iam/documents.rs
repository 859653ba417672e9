//! Policy documents as IAM takes them, refused with IAM's own sentences.

use serde_json::{Map, Value};

use super::Refusal;

/// IAM's quotas of documents, in characters that are no white space.
const TRUST: usize = 2_048;
const MANAGED: usize = 6_144;
pub(super) const GROUP_INLINE: usize = 5_120;

/// A trust: who may assume the role; it has principals and no resources.
pub(super) fn trust(text: &str, mut unknown: impl FnMut(&str) -> bool) -> Result<(), Refusal> {
    for statement in statements(text)? {
        if statement.contains_key("Resource") {
            return malformed("Has prohibited field Resource");
        }
        let Some(principal) = statement.get("Principal") else {
            return malformed("Missing required field Principal");
        };
        let refused = strings(principal.get("AWS").unwrap_or(principal)).find(|who| !is_principal(who) || unknown(who));
        if let Some(who) = refused {
            return malformed(&format!("Invalid principal in policy: \"AWS\":\"{who}\""));
        }
    }
    if size(text) > TRUST {
        return Err(quota(&format!("ACLSizePerRole: {TRUST}")));
    }
    Ok(())
}

/// A managed policy: what may be done to which resources; it names no principals.
pub(super) fn managed(text: &str, partition: &str) -> Result<(), Refusal> {
    permissions_of(text, partition)?;
    if size(text) > MANAGED {
        return Err(quota(&format!("PolicySize: {MANAGED}")));
    }
    Ok(())
}

/// As `permissions`, for a policy of an account of this partition: IAM takes no ARN of another.
pub(super) fn permissions_of(text: &str, partition: &str) -> Result<(), Refusal> {
    permissions(text)?;
    for statement in statements(text)? {
        let resources = statement.get("Resource").into_iter().flat_map(strings);
        let foreign = resources.filter_map(|arn| Some((arn, arn.strip_prefix("arn:")?.split(':').next()?)));
        if let Some((arn, other)) = foreign.into_iter().find(|(_, other)| *other != partition) {
            return malformed(&format!("Partition \"{other}\" is not valid for resource \"{arn}\"."));
        }
    }
    Ok(())
}

fn permissions(text: &str) -> Result<(), Refusal> {
    let mut sids = Vec::new();
    for statement in statements(text)? {
        if statement.contains_key("Principal") {
            return malformed("Policy document should not specify a principal.");
        }
        let Some(resources) = statement.get("Resource") else {
            return malformed("Policy statement must contain resources.");
        };
        if let Some(bad) = strings(resources).find(|arn| *arn != "*" && arn.split(':').count() < 6) {
            return malformed(&format!("Resource {bad} must be in ARN format or \"*\"."));
        }
        if let Some(sid) = statement.get("Sid").and_then(Value::as_str) {
            if !sid.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return malformed("Statement IDs (SID) must be alpha-numeric.");
            }
            sids.push(sid.to_owned());
        }
    }
    sids.sort();
    let all = sids.len();
    sids.dedup();
    if sids.len() < all { malformed("Statement IDs (SID) in a single policy must be unique.") } else { Ok(()) }
}

pub(super) fn size(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

pub(super) fn quota(named: &str) -> Refusal {
    (409, "LimitExceeded", format!("Cannot exceed quota for {named}"))
}

/// The statements of a document whose form is right so far.
fn statements(text: &str) -> Result<Vec<Map<String, Value>>, Refusal> {
    if text.chars().any(|c| !matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}')) {
        let text =
            "The specified value for policyDocument is invalid. It must contain only printable ASCII characters.";
        return Err((400, "ValidationError", text.to_owned()));
    }
    let Ok(Value::Object(document)) = serde_json::from_str(text) else {
        return malformed("This policy contains invalid Json");
    };
    let statements: Vec<Map<String, Value>> = match document.get("Statement") {
        Some(Value::Array(items)) => items.iter().filter_map(|item| item.as_object().cloned()).collect(),
        Some(Value::Object(one)) => vec![one.clone()],
        _ => Vec::new(),
    };
    let version = document.get("Version").is_none_or(|version| version == "2012-10-17" || version == "2008-10-17");
    let effects =
        statements.iter().all(|s| s.get("Effect").is_some_and(|effect| effect == "Allow" || effect == "Deny"));
    if statements.is_empty() || !version || !effects {
        return malformed("Syntax errors in policy.");
    }
    let actions = |s: &Map<String, Value>| s.get("Action").is_some_and(|action| strings(action).next().is_some());
    if !statements.iter().all(actions) {
        return malformed("Policy statement must contain actions.");
    }
    Ok(statements)
}

/// A string, or those of a list.
fn strings(value: &Value) -> impl Iterator<Item = &str> {
    let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    items.iter().filter_map(Value::as_str)
}

/// `*`, an account, or the ARN of its root, a role or a user.
fn is_principal(text: &str) -> bool {
    let account = |id: &str| id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit());
    match text.split(':').collect::<Vec<_>>().as_slice() {
        ["*"] => true,
        [id] => account(id),
        ["arn", _, "iam", "", id, who] => {
            account(id) && (*who == "root" || who.starts_with("role/") || who.starts_with("user/"))
        }
        _ => false,
    }
}

fn malformed<T>(text: &str) -> Result<T, Refusal> {
    Err((400, "MalformedPolicyDocument", text.to_owned()))
}
