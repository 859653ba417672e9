//! Accounts, regions and the ARNs made of them.

use std::fmt;
use std::str::FromStr;

use crate::name::{
    EndpointName, GroupName, IamPath, InferenceComponentName, Invalid, PolicyName, RoleName, is_iam_word,
};

/// A 12-digit account id, ASCII digits only (case S05).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(String);

impl AccountId {
    /// The text, as it was parsed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountId {
    type Err = Invalid;

    fn from_str(value: &str) -> Result<Self, Invalid> {
        if value.len() == 12 && value.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(value.to_owned()))
        } else {
            Err(Invalid::new("account id", value, "exactly 12 ASCII digits"))
        }
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `aws`, `aws-cn`, `aws-us-gov` or another of AWS's partitions (case U38).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(String);

impl FromStr for Partition {
    type Err = Invalid;

    fn from_str(value: &str) -> Result<Self, Invalid> {
        let suffix_ok = match value.strip_prefix("aws") {
            Some("") => true,
            Some(rest) => rest.strip_prefix('-').is_some_and(|s| {
                s.split('-').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()))
            }),
            None => false,
        };
        if suffix_ok && value.len() <= 20 {
            Ok(Self(value.to_owned()))
        } else {
            Err(Invalid::new("partition", value, "aws, aws-cn, aws-us-gov or another AWS partition"))
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A region's code, such as `us-east-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(String);

impl Region {
    /// The text, as it was parsed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Region {
    type Err = Invalid;

    fn from_str(value: &str) -> Result<Self, Invalid> {
        let parts: Vec<&str> = value.split('-').collect();
        let digits = |part: &&str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let words = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
        let good = match parts.split_last() {
            Some((last, rest)) => rest.len() >= 2 && digits(last) && rest.iter().all(words),
            None => false,
        };
        if good && value.len() <= 32 {
            Ok(Self(value.to_owned()))
        } else {
            Err(Invalid::new("region", value, "a region code such as us-east-1"))
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The account and the partition that an entity lives in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// The partition, such as `aws`.
    pub partition: Partition,
    /// Its 12 digits.
    pub id: AccountId,
}

impl Account {
    /// The account itself as a principal: `arn:…:iam::ID:root`.
    pub fn root_arn(&self) -> String {
        format!("arn:{}:iam::{}:root", self.partition, self.id)
    }
}

/// An IAM entity's ARN, `arn:PARTITION:iam::ACCOUNT:KIND/path/NAME`.
macro_rules! iam_arn {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $name:ty, $what:literal, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type {
            /// The account that owns it.
            pub account: Account,
            /// From `/` to `/`.
            pub path: IamPath,
            /// What stands behind the path.
            pub name: $name,
        }

        impl FromStr for $type {
            type Err = Invalid;

            fn from_str(value: &str) -> Result<Self, Invalid> {
                let parse = || {
                    let (account, resource) = split_iam(value)?;
                    let (path, name) = resource.strip_prefix($kind).and_then(split_path)?;
                    Some(Self { account, path, name: name.parse().ok()? })
                };
                parse().ok_or_else(|| Invalid::new($what, value, $rule))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Account { partition, id } = &self.account;
                write!(f, "arn:{partition}:iam::{id}:{}{}{}", $kind, self.path, self.name)
            }
        }
    };
}

iam_arn!(
    /// `arn:aws:iam::111122223333:role/path/NAME`.
    RoleArn, "role", RoleName, "role ARN", "of the form arn:aws:iam::111122223333:role/path/NAME"
);
iam_arn!(
    /// `arn:aws:iam::111122223333:group/path/NAME`.
    GroupArn, "group", GroupName, "group ARN", "of the form arn:aws:iam::111122223333:group/path/NAME"
);
iam_arn!(
    /// `arn:aws:iam::111122223333:policy/path/NAME`.
    PolicyArn, "policy", PolicyName, "policy ARN", "of the form arn:aws:iam::111122223333:policy/path/NAME"
);

/// A role or a user that a trust may name; never an account's root, a session,
/// a group or a wildcard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrincipalArn(String);

impl FromStr for PrincipalArn {
    type Err = Invalid;

    fn from_str(value: &str) -> Result<Self, Invalid> {
        let good = split_iam(value).is_some_and(|(_, resource)| {
            ["role", "user"]
                .iter()
                .filter_map(|kind| resource.strip_prefix(kind))
                .filter_map(split_path)
                .any(|(_, name)| (1..=64).contains(&name.len()) && name.bytes().all(is_iam_word))
        });
        if good {
            Ok(Self(value.to_owned()))
        } else {
            let rule = "a role's or a user's ARN such as arn:aws:iam::111122223333:role/NAME, without wildcards";
            Err(Invalid::new("principal ARN", value, rule))
        }
    }
}

impl fmt::Display for PrincipalArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The ARNs under which a policy must name an endpoint: SageMaker lower-cases
/// some of its own, so a name with capitals has two.
pub fn endpoint_arns<'a>(
    account: &'a Account,
    region: &'a str,
    name: &'a EndpointName,
) -> impl Iterator<Item = String> + 'a {
    name.spellings().map(move |n| sagemaker_arn(account, region, "endpoint", &n))
}

/// As [`endpoint_arns`], for an inference component.
pub fn inference_component_arns<'a>(
    account: &'a Account,
    region: &'a str,
    name: &'a InferenceComponentName,
) -> impl Iterator<Item = String> + 'a {
    name.spellings().map(move |n| sagemaker_arn(account, region, "inference-component", &n))
}

/// `arn:…:sagemaker:REGION:ACCOUNT:KIND/NAME`; only names that were parsed, or
/// the opted-in `*`, come here.
pub fn sagemaker_arn(account: &Account, region: &str, kind: &str, name: &str) -> String {
    format!("arn:{}:sagemaker:{region}:{}:{kind}/{name}", account.partition, account.id)
}

fn split_iam(arn: &str) -> Option<(Account, &str)> {
    let mut parts = arn.splitn(6, ':');
    let head = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let ("arn", partition, "iam", "") = head else { return None };
    let account = Account { partition: partition.parse().ok()?, id: parts.next()?.parse().ok()? };
    Some((account, parts.next()?))
}

/// `/path/NAME` into the path with its slashes and the name.
fn split_path(resource: &str) -> Option<(IamPath, &str)> {
    let (path, name) = resource.split_at(resource.rfind('/')? + 1);
    Some((path.parse().ok()?, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// S05: only twelve ASCII digits are an account.
    #[test]
    fn s05_account_ids() {
        for bad in
            ["11112222333", "1111222233334", "*", "123456789012:root", "１２３４５６７８９０１２", " 11112222333", ""]
        {
            assert!(bad.parse::<AccountId>().is_err(), "{bad:?} was accepted");
        }
        assert!("111122223333".parse::<AccountId>().is_ok());
    }

    #[test]
    fn arns_print_back_what_was_parsed() {
        for arn in ["arn:aws:iam::111122223333:role/SageMakerExternal", "arn:aws-us-gov:iam::111122223333:role/a/b/R"] {
            assert_eq!(arn.parse::<RoleArn>().map(|a| a.to_string()).as_deref(), Ok(arn));
        }
    }

    #[test]
    fn s08_foreign_shapes_are_refused() {
        let bad = [
            "arn:aws:iam::111122223333:user/alice",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role",
            "arn:aws:iam::111122223333:roleX",
            "arn:aws:iam:us-east-1:111122223333:role/R",
            "arn:aws:sts::111122223333:assumed-role/R/s",
            "arn:evil:iam::111122223333:role/R",
            "arn:aws:iam::*:role/R",
            "arn:aws:iam::111122223333:role/*",
            "arn:aws:iam::111122223333:role/a/../R*",
        ];
        for arn in bad {
            assert!(arn.parse::<RoleArn>().is_err(), "{arn:?} was accepted");
        }
    }

    #[test]
    fn s04_a_principal_is_a_role_or_a_user() {
        for good in ["arn:aws:iam::111122223333:role/x/R", "arn:aws:iam::111122223333:user/alice"] {
            assert!(good.parse::<PrincipalArn>().is_ok(), "{good:?} was refused");
        }
        for bad in [
            "*",
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::111122223333:group/G",
            "arn:aws:iam::111122223333:user/*",
        ] {
            assert!(bad.parse::<PrincipalArn>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn regions() {
        for good in ["us-east-1", "us-gov-west-1", "ap-southeast-12", "us-iso-east-1"] {
            assert!(good.parse::<Region>().is_ok(), "{good:?} was refused");
        }
        for bad in ["", "*", "us-east", "us-east-*", "US-EAST-1", "us--1", "us-east-1/", "east-1", "us-east-123"] {
            assert!(bad.parse::<Region>().is_err(), "{bad:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn every_parsed_arn_prints_back(text in "arn:aws(-cn)?:iam::[0-9]{11,13}:(role|group|policy)(/[a-z*]{0,3}){0,3}") {
            for printed in [
                text.parse::<RoleArn>().map(|a| a.to_string()),
                text.parse::<GroupArn>().map(|a| a.to_string()),
                text.parse::<PolicyArn>().map(|a| a.to_string()),
            ].into_iter().flatten() {
                prop_assert_eq!(&printed, &text);
                prop_assert!(!text.contains('*'));
            }
        }
    }
}
