//! The ARN of a route of an API Gateway API, as IAM policies for `execute-api` name it.

use std::fmt;
use std::str::FromStr;

use crate::arn::{Account, Region};
use crate::name::Invalid;

/// `arn:PARTITION:execute-api:REGION:ACCOUNT:API_ID/STAGE/METHOD/PATH`: one method of
/// one stage, never a wildcard in any of these. In PATH a whole segment but the first
/// may be `*`, which is how a policy names a path parameter such as `{name}`. IAM's `*`
/// is any run of characters, slashes among them: at the end it stands for every longer
/// path as well, so the first segment, the collection, is always literal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiArn {
    /// The account that owns the API.
    pub account: Account,
    /// Where the API is.
    pub region: Region,
    /// `API_ID/STAGE/METHOD/PATH`.
    route: String,
}

const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

impl FromStr for ApiArn {
    type Err = Invalid;

    fn from_str(value: &str) -> Result<Self, Invalid> {
        parse(value).ok_or_else(|| {
            let rule = "of the form arn:aws:execute-api:us-east-1:111122223333:API_ID/STAGE/METHOD/PATH, \
                        where only a whole segment of PATH after the first may be *";
            Invalid::new("API ARN", value, rule)
        })
    }
}

fn parse(arn: &str) -> Option<ApiArn> {
    let mut parts = arn.splitn(6, ':');
    let head = (parts.next()?, parts.next()?, parts.next()?);
    let ("arn", partition, "execute-api") = head else { return None };
    let region = parts.next()?.parse().ok()?;
    let account = Account { partition: partition.parse().ok()?, id: parts.next()?.parse().ok()? };
    let route = parts.next()?;
    let mut segments = route.split('/');
    let (api, stage, method) = (segments.next()?, segments.next()?, segments.next()?);
    let path: Vec<&str> = segments.collect();
    // The root of an API is one empty segment, METHOD and a slash; elsewhere none is empty.
    let good_path = match path.as_slice() {
        [""] => true,
        [first, rest @ ..] => is_literal(first) && rest.iter().all(|segment| *segment == "*" || is_literal(segment)),
        [] => false,
    };
    let good = is_word(api, 64, |b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && is_word(stage, 128, |b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        && METHODS.contains(&method)
        && good_path
        && route.len() <= 512;
    good.then(|| ApiArn { account, region, route: route.to_owned() })
}

/// What API Gateway lets stand in a path; never a policy variable, nor a wildcard.
fn is_literal(segment: &str) -> bool {
    is_word(segment, 512, |b| b.is_ascii_alphanumeric() || b"-._~:,".contains(&b))
}

fn is_word(text: &str, longest: usize, inside: impl Fn(u8) -> bool) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(inside)
}

impl fmt::Display for ApiArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Account { partition, id } = &self.account;
        write!(f, "arn:{partition}:execute-api:{}:{id}:{}", self.region, self.route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn routes_print_back_what_was_parsed() {
        for arn in [
            "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/v1/POST/endpoints/*/invocations",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/v1/GET/endpoints",
            "arn:aws-cn:execute-api:cn-north-1:111122223333:a1b2c3d4e5/Prod_1-x/GET/endpoints/*",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/v1/GET/",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/v1/DELETE/a.b-c_d/x:y",
        ] {
            assert_eq!(arn.parse::<ApiArn>().map(|a| a.to_string()).as_deref(), Ok(arn));
        }
    }

    /// S07: nothing but a later segment of the path is ever a wildcard.
    #[test]
    fn s07_wider_and_foreign_shapes_are_refused() {
        for arn in [
            "",
            "*",
            "arn:aws:execute-api:*:111122223333:a1b2/v1/GET/endpoints",
            "arn:aws:execute-api:us-east-1:*:a1b2/v1/GET/endpoints",
            "arn:aws:execute-api:us-east-1::a1b2/v1/GET/endpoints",
            "arn:aws:execute-api:us-east-1:111122223333:*",
            "arn:aws:execute-api:us-east-1:111122223333:*/v1/GET/endpoints",
            "arn:aws:execute-api:us-east-1:111122223333:a1*/v1/GET/endpoints",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2/*",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2/*/GET/endpoints",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2/v1/*",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2/v1/*/endpoints",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2/v1/get/endpoints",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2/v1/GET",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2/v1/GET//endpoints",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2/v1/GET/endpoints/",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2/v1/GET/end*",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2/v1/GET/**",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2/v1/GET/*",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2/v1/GET/*/invocations",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2/v1/GET/endpoints/**",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2/v1/GET/endpoint?",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2/v1/GET/{name}",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2/v1/GET/${aws:username}",
            "arn:aws:execute-api:us-east-1:111122223333:a1b2/v1/GET/a\n",
            "arn:evil:execute-api:us-east-1:111122223333:a1b2/v1/GET/endpoints",
            "arn:aws:apigateway:us-east-1::/restapis/a1b2",
            "arn:aws:iam::111122223333:role/R",
        ] {
            assert!(arn.parse::<ApiArn>().is_err(), "{arn:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn every_parsed_route_prints_back_and_widens_nothing(
            text in "arn:aws:execute-api:(us-east-1|\\*):(111122223333|\\*):[a-z0-9*]{1,4}/[a-z*]{1,2}/(GET|POST|\\*)(/[a-z*?$]{0,3}){0,3}"
        ) {
            if let Ok(arn) = text.parse::<ApiArn>() {
                prop_assert_eq!(arn.to_string(), text.clone());
                let (head, path) = text.split_at(text.match_indices('/').nth(2).map_or(0, |(at, _)| at));
                prop_assert!(!head.contains('*'), "{}", text);
                prop_assert!(path.split('/').all(|segment| segment == "*" || !segment.contains(['*', '?', '$'])));
                prop_assert!(path.split('/').nth(1) != Some("*"), "{}", text);
            }
        }
    }
}
