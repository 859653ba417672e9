//! The doctor's findings: what is not as it should be, and who has to do what about
//! it. No text names an ARN, an account or an ExternalId (S16).

use serde_json::{Value, json};

/// Each is one entry of a report, but those that either side can mend are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    AssumeRoleDenied(Side),
    CallerAttributionDenied(Side),
    ExternalIdNotEnforced,
    /// The same code: one is asked for, and its value does not matter.
    AnyExternalIdAccepted,
    ExternalIdUnknown,
    RegionDisabled,
    StsThrottled,
    StsUnavailable,
    DeadlineExceeded,
    PackedPolicyTooLarge(Side),
    AssumeRoleFailed,
    ExternalIdIsAccountId {
        is_one_of_several: bool,
    },
}

/// Who has to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Parent,
    Child,
}

impl Finding {
    pub(crate) fn to_json(self) -> Value {
        let (code, severity, message, remedy, side) = self.text();
        json!({
            "Code": code, "Severity": severity, "Message": message, "Remedy": remedy, "Side": format!("{side:?}"),
        })
    }

    /// The word for it, stable.
    pub fn code(self) -> &'static str {
        self.text().0
    }

    /// Code, severity, what is so, what to do, who has to. The severity is `Error`
    /// where invocations fail, `Risk` where they work but one guard is missing, `Advice`
    /// where a guard could be better, and `Unknown` where nothing could be found out.
    fn text(self) -> (&'static str, &'static str, &'static str, &'static str, Side) {
        use Side::{Child, Parent};
        const DENIED: &str = "the grant's role cannot be assumed";
        const ATTRIBUTION: &str = "the grant's role can be assumed, but not with the caller's name as source identity and \
                                   session tags, which CallerAttribution asks for";
        const TOO_LARGE: &str = "the session's policy and tags together are larger than STS packs";
        match self {
            Self::AssumeRoleDenied(Parent) => (
                "AssumeRoleDenied",
                "Error",
                DENIED,
                "make sure that the role exists and that its trust policy allows sts:AssumeRole to the account of this \
                 API, under the condition that sts:ExternalId equals the ExternalId of the grant",
                Parent,
            ),
            Self::AssumeRoleDenied(Child) => (
                "AssumeRoleDenied",
                "Error",
                DENIED,
                "make sure that RoleArn and ExternalId are the outputs of the parent's stack, and that the role of this \
                 API's function is allowed sts:AssumeRole on that role",
                Child,
            ),
            Self::CallerAttributionDenied(Parent) => (
                "CallerAttributionDenied",
                "Error",
                ATTRIBUTION,
                "set CallerAttribution to true, so that the role's trust policy allows sts:SetSourceIdentity and \
                 sts:TagSession as well",
                Parent,
            ),
            Self::CallerAttributionDenied(Child) => (
                "CallerAttributionDenied",
                "Error",
                ATTRIBUTION,
                "make sure that the role of this API's function is allowed sts:SetSourceIdentity and sts:TagSession on \
                 the grant's role, or set CallerAttribution to false",
                Child,
            ),
            Self::ExternalIdNotEnforced => (
                "ExternalIdNotEnforced",
                "Risk",
                "the grant's role can be assumed without an ExternalId: any service that the child lets assume roles \
                 can be tricked into using the grant (the confused deputy)",
                "add the condition StringEquals on sts:ExternalId to the role's trust policy; the console's plain \
                 choice \"Another AWS account\" writes none",
                Parent,
            ),
            Self::AnyExternalIdAccepted => (
                "ExternalIdNotEnforced",
                "Risk",
                "the grant's role can be assumed with any ExternalId: who makes one up can use the grant as well as who \
                 was given it (the confused deputy)",
                "let the role's trust policy compare sts:ExternalId by StringEquals with the ExternalId of the grant \
                 alone: Null, StringLike with a wildcard and every negated comparison let others pass",
                Parent,
            ),
            Self::ExternalIdUnknown => (
                "ExternalIdUnknown",
                "Unknown",
                "whether the parent insists on the ExternalId could not be found out",
                "mend what else was found, and examine the endpoint again",
                Child,
            ),
            Self::RegionDisabled => (
                "RegionDisabled",
                "Error",
                "the parent's account has STS turned off in the region of this API",
                "activate STS in that region, in the account settings of IAM",
                Parent,
            ),
            Self::StsThrottled => (
                "StsThrottled",
                "Unknown",
                "STS turned the question away: too many requests",
                "examine the endpoint again later; if invocations are turned away too, set CredentialReuseSeconds",
                Child,
            ),
            Self::StsUnavailable => (
                "StsUnavailable",
                "Unknown",
                "STS could not be reached",
                "examine the endpoint again later; if it stays so, see whether the function's network leads to STS",
                Child,
            ),
            Self::DeadlineExceeded => (
                "DeadlineExceeded",
                "Unknown",
                "STS gave no answer before this API's own deadline",
                "examine the endpoint again later; if it stays so, see whether the function's network leads to STS",
                Child,
            ),
            Self::PackedPolicyTooLarge(Parent) => (
                "PackedPolicyTooLarge",
                "Error",
                TOO_LARGE,
                "agree with the child to set CallerAttribution to false, or give the endpoint and its inference components \
                 shorter names",
                Parent,
            ),
            Self::PackedPolicyTooLarge(Child) => (
                "PackedPolicyTooLarge",
                "Error",
                TOO_LARGE,
                "set CallerAttribution to false: without source identity and session tags the session is smaller; or give \
                 your caller's user or role a shorter name",
                Child,
            ),
            Self::AssumeRoleFailed => (
                "AssumeRoleFailed",
                "Unknown",
                "STS refused the question itself, not the role",
                "see the log of this API for the code of STS",
                Child,
            ),
            Self::ExternalIdIsAccountId { is_one_of_several } => (
                "ExternalIdIsAccountId",
                if is_one_of_several { "Risk" } else { "Advice" },
                "the ExternalId is the account id in the ARN of the grant's role, so whoever knows the ARN knows it: with \
                 several grants it does not stop one parent from having this API use another's role (the confused deputy)",
                "choose an ExternalId for this parent alone, with openssl rand -hex 16, ask the parent to set it in the \
                 stack of the role, and set it in the grant",
                Child,
            ),
        }
    }
}
