//! What the parent sees of the caller beside the session's name: a source identity
//! and session tags, in its CloudTrail and for its policies' conditions.
//!
//! Sent only where a grant asks for it, because the parent's trust must allow
//! `sts:SetSourceIdentity` and `sts:TagSession`, or STS refuses the whole call. All
//! of it is made of the request context, nothing of headers (S21).
//!
//! The source identity is the caller's part of the session's name, without the
//! request: it stays the same from request to request. The tags:
//!
//! | tag | value |
//! |---|---|
//! | `Caller` | the signer's ARN (an identity pool's user: ARN/identity id), or issuer/subject of a token; where a tag cannot hold that, a readable part and a hash of it |
//! | `ApiId` | the API that was called |
//! | `RequestId` | Lambda's id of the request that assumed the role |
//! | `ApiKeyId` | the id of the API key, if the request came with one |

use sagemaker_external::session_tag;

use crate::caller::{Caller, request_part};

pub struct Attribution {
    /// 2–64 characters of `[\w+=,.@-]`, so never `aws:…`, which AWS keeps for itself
    /// (AssumeRole's `SourceIdentity`).
    pub source_identity: String,
    /// Keys and values; a value has 1–256 characters.
    pub tags: Vec<(&'static str, String)>,
}

impl Attribution {
    /// `request_id` is Lambda's.
    pub fn of(caller: &Caller, request_id: &str) -> Self {
        let whole = caller.whole().filter(|text| is_tag_value(text)).unwrap_or_else(|| caller.hashed());
        let given = |id: &Option<String>| id.clone().filter(|id| is_tag_value(id));
        let tags = [
            (session_tag::CALLER, Some(whole)),
            (session_tag::API_ID, given(&caller.api_id)),
            (session_tag::REQUEST_ID, Some(request_part(request_id))),
            (session_tag::API_KEY_ID, given(&caller.api_key_id)),
        ];
        let tags = tags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        Self { source_identity: caller.stable_part(), tags }
    }
}

/// The ASCII part of STS's `[\p{L}\p{Z}\p{N}_.:/=+\-@]*` without the space, at most
/// 256 characters, and not of AWS's own `aws:`.
fn is_tag_value(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_alphanumeric() || b"_.:/=+-@".contains(&b);
    (1..=256).contains(&text.len()) && text.bytes().all(inside) && !text.starts_with("aws:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use proptest::prelude::*;
    use sagemaker_external::name::is_iam_word;
    use serde_json::{Value, json};

    const REQUEST: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";
    const ISSUER: &str = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI";

    fn attribution(context: &Value, request_id: &str) -> Option<Attribution> {
        let json = json!({ "requestContext": context }).to_string();
        let event = Event::read(json.as_bytes()).expect("an event");
        Some(Attribution::of(&Caller::of(event.request_context()?)?, request_id))
    }

    /// Source identity and the tag Caller.
    fn caller(context: &Value) -> (String, String) {
        let Attribution { source_identity, tags } = attribution(context, REQUEST).expect("a caller");
        let (key, caller) = tags.into_iter().next().expect("a tag");
        assert_eq!(key, "Caller");
        (source_identity, caller)
    }

    fn user(name: &str) -> Value {
        json!({
            "accountId": "444455556666", "apiId": "a1b2c3d4e5",
            "identity": { "userArn": format!("arn:aws:iam::444455556666:user/{name}") },
        })
    }

    fn token(subject: &str) -> Value {
        json!({ "authorizer": { "claims": { "iss": ISSUER, "sub": subject, "cognito:username": "carol" } } })
    }

    #[test]
    fn r08_a_user_is_named_in_source_identity_and_by_arn_in_the_tag() {
        let Attribution { source_identity, tags } = attribution(&user("team/alice"), REQUEST).expect("a caller");
        assert_eq!(source_identity, "alice");
        let tags: Vec<_> = tags.iter().map(|(key, value)| (*key, value.as_str())).collect();
        assert_eq!(
            tags,
            [("Caller", "arn:aws:iam::444455556666:user/team/alice"), ("ApiId", "a1b2c3d4e5"), ("RequestId", REQUEST)]
        );
    }

    #[test]
    fn s20_the_id_of_an_api_key_is_a_tag_and_no_caller() {
        let mut with = user("alice");
        with["identity"]["apiKeyId"] = json!("k1e2y3i4d5");
        with["identity"]["apiKey"] = json!("key-canary");
        let tags = attribution(&with, REQUEST).expect("a caller").tags;
        assert_eq!(tags.last(), Some(&("ApiKeyId", "k1e2y3i4d5".to_owned())));
        assert!(tags.iter().all(|(_, value)| !value.contains("canary")));
        with["identity"]["userArn"] = Value::Null;
        assert!(attribution(&with, REQUEST).is_none(), "a key alone names nobody");
    }

    #[test]
    fn r08_the_whole_identity_is_the_tag_where_a_tag_can_hold_it() {
        let session = "arn:aws:sts::444455556666:assumed-role/Admin/alice@corp.com";
        let (source, tag) = caller(&json!({ "identity": { "userArn": session } }));
        assert_eq!(tag, session);
        assert!(source.starts_with("alice@corp.com-"), "{source}");

        let pool = "arn:aws:sts::444455556666:assumed-role/Pool/CognitoIdentityCredentials";
        let identity = json!({ "userArn": pool, "cognitoIdentityId": "us-east-1:0f8fad5b" });
        assert_eq!(caller(&json!({ "identity": identity })).1, format!("{pool}/us-east-1:0f8fad5b"));

        let (source, tag) = caller(&token("0f8fad5b-d9cb-469f"));
        assert_eq!(tag, format!("{ISSUER}/0f8fad5b-d9cb-469f"));
        assert!(source.starts_with("carol-"), "{source}");
    }

    #[test]
    fn r08_what_a_tag_cannot_hold_is_hashed() {
        for context in [
            user("a,b"),
            user(&format!("{}/alice", "p".repeat(300))),
            token("a/b"),
            token("jos\u{e9}"),
            token(&"s".repeat(300)),
            json!({ "authorizer": { "claims": { "sub": "0f8fad5b" } } }),
        ] {
            let (_, tag) = caller(&context);
            assert!(tag.len() <= 27 && is_tag_value(&tag) && !tag.contains([':', '/']), "{tag}");
        }
        assert_ne!(caller(&user("a,b")).1, caller(&user("a-b")).1);
    }

    #[test]
    fn r08_one_letter_and_reserved_names_still_give_valid_values() {
        let (source, tag) = caller(&user("a"));
        assert!(source.len() >= 2 && source.starts_with("a-"), "{source}");
        assert_eq!(tag, "arn:aws:iam::444455556666:user/a");
        assert_ne!(source, caller(&user("b")).0);
        assert!(!caller(&user("aws:x")).0.starts_with("aws:"));
    }

    proptest! {
        /// Whatever the context holds, STS's own rules are kept.
        #[test]
        fn r08_every_caller_gives_valid_values(name in "\\PC{1,80}", id in "\\PC{0,300}") {
            let mut keyed = user(&name);
            keyed["apiId"] = json!(id);
            keyed["identity"]["apiKeyId"] = json!(id);
            keyed["identity"]["cognitoIdentityId"] = json!(id);
            let bare = json!({ "identity": { "userArn": name } });
            let claims = json!({ "iss": id, "sub": name });
            for context in [user(&name), keyed, bare, json!({ "authorizer": { "claims": claims } })] {
                let Some(Attribution { source_identity, tags }) = attribution(&context, &id) else { continue };
                prop_assert!((2..=64).contains(&source_identity.len()), "{}", source_identity);
                prop_assert!(source_identity.bytes().all(is_iam_word), "{}", source_identity);
                prop_assert!(tags.iter().all(|(_, value)| is_tag_value(value)), "{:?}", tags);
                let keys: std::collections::BTreeSet<_> = tags.iter().map(|(key, _)| key).collect();
                prop_assert_eq!(keys.len(), tags.len());
            }
        }

        /// Neither value is shared by two callers, nor changes with the request.
        #[test]
        fn r08_distinct_callers_have_distinct_values(a in "[ab,/é-]{1,4}", b in "[ab,/é-]{1,4}") {
            let last = |name: &str| name.rsplit('/').next().map(str::to_owned);
            prop_assert_eq!(last(&a) == last(&b), caller(&user(&a)).0 == caller(&user(&b)).0);
            prop_assert_eq!(a == b, caller(&token(&a)).1 == caller(&token(&b)).1);
            let again = attribution(&user(&a), "another").expect("a caller");
            prop_assert_eq!(again.source_identity, caller(&user(&a)).0);
        }
    }
}
