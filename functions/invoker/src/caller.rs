//! Who called the API, from the request context only (S21), and the session name
//! under which the parent's CloudTrail shows them.
//!
//! A session name is `CALLER@REQUEST`, 2–64 characters of `[\w+=,.@-]` (R08):
//! CALLER is an IAM user's own name where that is the whole truth, else a readable
//! part and a hash of the full identity, so that no two callers share one; REQUEST
//! is Lambda's request id. API Gateway's own request id is not used: a client may
//! choose it.

use sagemaker_external::name::{SessionName, is_iam_word};
use sha2::{Digest, Sha256};

use crate::event::RequestContext;

/// `@` and a UUID take 37 of the 64 characters.
const CALLER_MAX: usize = 27;
/// Characters of the hash, 5 bits each: 60 bits, so that nobody finds a second
/// name for somebody else's session by trying.
const HASH: usize = 12;

/// An authenticated caller, whole: callers are equal only when everything that API
/// Gateway says of who they are is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    identity: Identity,
    /// The id of the API that was called, for attribution.
    pub(crate) api_id: Option<String>,
    /// The id of the API key that came on top of the identity; alone it is none (S20).
    pub(crate) api_key_id: Option<String>,
}

impl Caller {
    /// The caller, if API Gateway names one.
    pub fn of(context: &RequestContext<'_>) -> Option<Self> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let identity = Identity::of(context)?;
        Some(Self { identity, api_id: owned(context.api_id()), api_key_id: owned(context.api_key_id()) })
    }

    /// The session's name for the request with Lambda's id `request_id`.
    pub fn session_name(&self, request_id: &str) -> Option<SessionName> {
        let caller = match &self.identity {
            Identity::OwnUser { name, .. } if stands_alone(name) => name.clone(),
            other => other.hashed(),
        };
        format!("{caller}@{}", request_part(request_id)).parse().ok()
    }

    /// As in the session's name, but 2 characters at least and without the request.
    pub(crate) fn stable_part(&self) -> String {
        match &self.identity {
            Identity::OwnUser { name, .. } if stands_alone(name) && name.len() > 1 => name.clone(),
            other => other.hashed(),
        }
    }

    /// The whole identity in one text, where one says it all.
    pub(crate) fn whole(&self) -> Option<String> {
        match &self.identity {
            Identity::OwnUser { arn, .. } | Identity::Signer { arn, pool_identity: None } => Some(arn.clone()),
            Identity::Signer { arn, pool_identity: Some(id) } => Some(format!("{arn}/{id}")),
            // The last slash parts the two.
            Identity::Token { issuer, subject, .. } => {
                (!issuer.is_empty() && !subject.contains('/')).then(|| format!("{issuer}/{subject}"))
            }
        }
    }

    /// A readable part and a hash of the whole identity: at most 27 characters of
    /// `[\w+=.@-]`.
    pub(crate) fn hashed(&self) -> String {
        self.identity.hashed()
    }
}

/// The request in names and tags: Lambda's id, or a hash of what is none.
pub(crate) fn request_part(request_id: &str) -> String {
    let is_id = (1..=64 - 1 - CALLER_MAX).contains(&request_id.len())
        && request_id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if is_id { request_id.to_owned() } else { hash(&["request", request_id]) }
}

/// What API Gateway knows of a caller.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Identity {
    /// An IAM user of the API's own account; such names are unique there,
    /// whatever the user's path.
    OwnUser { arn: String, name: String },
    /// Anyone else who signed with IAM: a role's session, a user of another
    /// account, the account's root. All users of an identity pool share one
    /// session ARN: what tells them apart is the pool's own id.
    Signer { arn: String, pool_identity: Option<String> },
    /// The bearer of a user pool's token; `subject` is unique within `issuer`.
    Token { issuer: String, subject: String, name: String },
}

impl Identity {
    fn of(context: &RequestContext<'_>) -> Option<Self> {
        if let Some(arn) = context.user_arn() {
            let pool_identity = context.cognito_identity_id().map(str::to_owned);
            let own = own_user(arn, context.account_id()).filter(|_| pool_identity.is_none()).map(str::to_owned);
            let arn = arn.to_owned();
            return Some(match own {
                Some(name) => Self::OwnUser { arn, name },
                None => Self::Signer { arn, pool_identity },
            });
        }
        let name = context.claim("cognito:username").or_else(|| context.claim("username"));
        let subject = context.claim("sub").or(name)?;
        let issuer = context.claim("iss").unwrap_or_default();
        let [issuer, name, subject] = [issuer, name.unwrap_or(subject), subject].map(str::to_owned);
        Some(Self::Token { issuer, subject, name })
    }

    fn hashed(&self) -> String {
        match self {
            Self::OwnUser { name, .. } => hashed(name, &["user", name]),
            Self::Signer { arn, pool_identity } => {
                let pool_identity = pool_identity.as_deref();
                let label = pool_identity.or_else(|| arn.rsplit(['/', ':']).next()).unwrap_or_default();
                hashed(label, &["arn", arn, pool_identity.unwrap_or_default()])
            }
            Self::Token { issuer, subject, name } => hashed(name, &["token", issuer, subject]),
        }
    }
}

/// `arn:aws:iam::ACCOUNT:user/path/NAME` of the API's account, to NAME.
fn own_user<'a>(arn: &'a str, account: Option<&str>) -> Option<&'a str> {
    let mut parts = arn.splitn(6, ':');
    let head = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let ("arn", _, "iam", "") = head else { return None };
    if parts.next()? != account? {
        return None;
    }
    parts.next()?.strip_prefix("user/")?.rsplit('/').next()
}

/// Whether a user's name can be the caller part as it is, and could not be taken
/// for a hashed one.
fn stands_alone(name: &str) -> bool {
    let looks_hashed = name.rsplit_once('-').is_some_and(|(_, tail)| tail.len() == HASH && tail.bytes().all(is_digit));
    (1..=CALLER_MAX).contains(&name.len()) && name.bytes().all(is_iam_word) && !looks_hashed
}

/// What can be read of `label`, and a hash of the whole identity. No comma: session
/// tags take none.
fn hashed(label: &str, identity: &[&str]) -> String {
    let word = |c: char| if c != ',' && u8::try_from(c).is_ok_and(is_iam_word) { c } else { '-' };
    let readable: String = label.chars().map(word).take(CALLER_MAX - 1 - HASH).collect();
    format!("{readable}-{}", hash(identity))
}

const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

fn is_digit(byte: u8) -> bool {
    DIGITS.contains(&byte)
}

/// Base 32 of a hash of `parts`, which cannot run into each other.
fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let bits = hasher.finalize().iter().take(8).fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    let digit = |n: usize| DIGITS.get((bits >> (5 * n)) as usize % DIGITS.len());
    (0..HASH).filter_map(digit).map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const REQUEST: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

    fn session(context: &Value) -> Option<String> {
        let json = json!({ "requestContext": context }).to_string();
        let event = Event::read(json.as_bytes()).expect("an event");
        let caller = Caller::of(event.request_context()?)?;
        Some(caller.session_name(REQUEST).expect("a session name").to_string())
    }

    fn signer(arn: &str) -> Value {
        json!({ "accountId": "444455556666", "identity": { "userArn": arn } })
    }

    fn user(name: &str) -> Value {
        signer(&format!("arn:aws:iam::444455556666:user/{name}"))
    }

    fn token(claims: Value) -> Value {
        json!({ "identity": { "userArn": null }, "authorizer": { "claims": claims } })
    }

    #[test]
    fn r08_a_user_of_the_apis_account_is_shown_by_name() {
        for (name, shown) in [("alice", "alice"), ("team/x/alice", "alice"), ("alice@corp.com", "alice@corp.com")] {
            assert_eq!(session(&user(name)), Some(format!("{shown}@{REQUEST}")));
        }
    }

    #[test]
    fn r08_everybody_else_is_shown_with_a_hash() {
        let readable = |context: Value| {
            let name = session(&context).expect("a caller");
            let caller = name.strip_suffix(&format!("@{REQUEST}")).expect("the request").to_owned();
            let (readable, hash) = caller.rsplit_once('-').expect("a hash");
            assert!(hash.len() == HASH && hash.bytes().all(is_digit), "{caller}");
            readable.to_owned()
        };
        assert_eq!(readable(signer("arn:aws:sts::444455556666:assumed-role/Admin/alice@corp.com")), "alice@corp.com");
        assert_eq!(readable(signer("arn:aws:sts::444455556666:federated-user/bob")), "bob");
        assert_eq!(readable(signer("arn:aws:iam::444455556666:root")), "root");
        assert_eq!(readable(signer("arn:aws:iam::777788889999:user/alice")), "alice");
        assert_eq!(readable(user("a-name-of-more-than-27-letters")), "a-name-of-more");
        assert_eq!(readable(user("bob-abcdefghijkl")), "bob-abcdefghij", "looks like a hash");
        assert_eq!(readable(user("jos\u{e9} \u{2603}")), "jos---");
        assert_eq!(readable(token(json!({ "sub": "0f8fad5b-d9cb-469f", "cognito:username": "carol" }))), "carol");
        assert_eq!(readable(token(json!({ "sub": "0f8fad5b-d9cb-469f" }))), "0f8fad5b-d9cb-");
        let pool = json!({ "identity": {
            "userArn": "arn:aws:sts::444455556666:assumed-role/Pool/CognitoIdentityCredentials",
            "cognitoIdentityId": "us-east-1:0f8fad5b",
        } });
        assert_eq!(readable(pool), "us-east-1-0f8f");
    }

    #[test]
    fn r08_callers_that_look_alike_do_not_merge() {
        let alike = [
            user("alice"),
            signer("arn:aws:iam::777788889999:user/alice"),
            signer("arn:aws:sts::444455556666:assumed-role/Admin/alice"),
            signer("arn:aws:sts::444455556666:assumed-role/Reader/alice"),
            signer("arn:aws:sts::444455556666:federated-user/alice"),
            json!({ "accountId": "444455556666", "identity": {
                "userArn": "arn:aws:sts::444455556666:assumed-role/Admin/alice", "cognitoIdentityId": "alice" } }),
            json!({ "identity": { "userArn": "arn:aws:iam::444455556666:user/alice" } }),
            token(json!({ "iss": "pool-1", "sub": "alice" })),
            token(json!({ "iss": "pool-2", "sub": "alice" })),
            token(json!({ "iss": "pool-1", "sub": "1", "username": "alice" })),
            token(json!({ "iss": "pool-1", "sub": "2", "username": "alice" })),
            user("alice b"),
            user("alice_b"),
            user("alice\u{fc}b"),
        ];
        let names: std::collections::BTreeSet<_> = alike.iter().map(session).collect();
        assert_eq!(names.len(), alike.len(), "{names:#?}");
        assert!(!names.contains(&None));
    }

    /// S21: nothing but the request context names a caller.
    #[test]
    fn s21_without_an_identity_there_is_no_caller() {
        for context in [
            Value::Null,
            json!({}),
            json!({ "identity": null }),
            json!({ "identity": { "userArn": null, "apiKeyId": "key", "caller": "AIDA", "user": "AIDA" } }),
            json!({ "identity": { "userArn": "", "sourceIp": "203.0.113.10" } }),
            json!({ "authorizer": { "principalId": "somebody" } }),
            token(json!({})),
            token(json!({ "sub": "", "email": "a@b" })),
            token(json!("sub")),
        ] {
            assert_eq!(session(&context), None, "{context}");
        }
    }

    #[test]
    fn r08_an_odd_request_id_still_gives_a_name() {
        let json = json!({ "requestContext": user("alice") }).to_string();
        let event = Event::read(json.as_bytes()).expect("an event");
        let caller = Caller::of(event.request_context().expect("a context")).expect("a caller");
        for id in ["", "a@b", "a b", &"x".repeat(200)] {
            let name = caller.session_name(id).expect("a session name");
            assert!(name.as_str().starts_with("alice@") && name.as_str().len() == 6 + HASH, "{name}");
        }
    }

    proptest! {
        /// Any identity gives a valid name, always the same one (`parse` in
        /// `session_name` holds the rule).
        #[test]
        fn r08_every_caller_has_a_valid_stable_name(name in "\\PC{1,80}", id in "\\PC{0,80}", account in "[0-9]{0,12}") {
            for context in [
                user(&name),
                signer(&name),
                signer(&format!("arn:aws:iam::{account}:user/{name}")),
                token(json!({ "sub": name, "iss": id })),
            ] {
                let name = session(&context);
                prop_assert_eq!(&name, &session(&context));
                prop_assert!(name.is_some_and(|name| name.len() <= 64 && name.ends_with(REQUEST)));
            }
        }

        /// Two users never share a name, however alike.
        #[test]
        fn r08_distinct_users_have_distinct_names(
            a in "[a-d+é /-]{1,4}|[ab-]{25,29}|a{14}-[ab]{12}",
            b in "[a-d+é /-]{1,4}|[ab-]{25,29}|a{14}-[ab]{12}",
        ) {
            let last = |name: &str| name.rsplit('/').next().map(str::to_owned);
            prop_assert_eq!(last(&a) == last(&b), session(&user(&a)) == session(&user(&b)));
        }
    }
}
