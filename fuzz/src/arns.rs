//! ARNs, and what they are made of: what parses prints back, letter by letter.

use std::fmt::Display;
use std::str::FromStr;

use sagemaker_external::Invalid;
use sagemaker_external::api_arn::ApiArn;
use sagemaker_external::arn::{AccountId, GroupArn, Partition, PolicyArn, PrincipalArn, Region, RoleArn};

use crate::{is_sentence, text};

pub(crate) fn any(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let iam = [
        printed::<RoleArn>(text, "role"),
        printed::<GroupArn>(text, "group"),
        printed::<PolicyArn>(text, "policy"),
        printed::<PrincipalArn>(text, "role").or_else(|| printed::<PrincipalArn>(text, "user")),
    ];
    for arn in iam.into_iter().flatten() {
        assert!(arn.starts_with("arn:aws") && arn.contains(":iam::"), "{arn}");
        assert!(is_literal(&arn), "{arn}");
        assert!(!arn.contains("//") && !arn.ends_with('/'), "{arn}");
    }
    if let Some(arn) = printed::<ApiArn>(text, "") {
        let fields: Vec<&str> = arn.splitn(6, ':').collect();
        let [head @ .., route] = &fields[..] else { panic!("{arn}") };
        assert!(head.iter().all(|field| is_literal(field)), "{arn}");
        // API, stage, method and the first segment are literal; a later segment may be `*` alone.
        for (index, segment) in route.split('/').enumerate() {
            assert!(is_literal(segment) || (index > 3 && segment == "*"), "{arn}");
        }
    }
    let plain = [printed::<AccountId>(text, ""), printed::<Partition>(text, ""), printed::<Region>(text, "")];
    assert!(plain.iter().flatten().all(|part| is_literal(part) && !part.contains(':')));
}

/// What the text parses to, printed, if it parses as an ARN of this kind of entity.
fn printed<T: FromStr<Err = Invalid> + Display>(text: &str, kind: &str) -> Option<String> {
    match text.parse::<T>() {
        Ok(parsed) => {
            let printed = parsed.to_string();
            assert_eq!(printed, text, "it prints back");
            (kind.is_empty() || text.contains(&format!(":{kind}/"))).then_some(printed)
        }
        Err(invalid) => {
            assert!(is_sentence(&invalid.to_string()), "{invalid}");
            None
        }
    }
}

/// Nothing that IAM, a path or a template would read as more than a letter.
pub(crate) fn is_literal(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic()) && !text.contains(['*', '?', '$', '{', '}', '%', '"', '\\', '\'', '<'])
}
