//! The doctor: whether a granted endpoint's role can be assumed as invocations do,
//! whether the parent insists on the ExternalId (S02), and what to do about what is
//! not as it should be. The endpoint itself is not invoked.
//!
//! The role is assumed three times at a time: with the grant's ExternalId, without
//! one and with another one; nothing else differs, so that a refusal of the latter
//! can only mean the ExternalId. Where the first is refused, or too large, and carries a
//! source identity and tags, all are tried again without these. The credentials are dropped
//! at once.
//!
//! No ARN, no account and no ExternalId is in a report.

use std::time::Duration;

use sagemaker_external::arn::Region;
use sagemaker_external::name::{EndpointName, ExternalId};
use serde_json::json;

use crate::assume::{Ask, Sts, Why};
use crate::deadline::Deadline;
use crate::finding::{Finding, Side};

/// What assuming the role came to.
pub type Outcome = Result<(), Why>;

/// One try each with the ExternalId, without any, and with another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    pub with: Outcome,
    pub without: Outcome,
    pub other: Outcome,
}

impl Tries {
    fn is_enforced(self) -> Option<bool> {
        match self {
            Self { without: Ok(()), .. } | Self { other: Ok(()), .. } => Some(false),
            Self { with: Ok(()), without: Err(Why::Denied), other: Err(Why::Denied) } => Some(true),
            // Only what works with the ExternalId can show anything without it.
            _ => None,
        }
    }
}

/// Everything that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probes {
    /// As invocations ask, source identity and tags included if these are on.
    pub asked: Tries,
    /// The same without source identity and tags; only if these are on, and refused or too
    /// large for STS.
    pub plain: Option<Tries>,
}

/// Tries to assume the role as `ask` says. `other` is an ExternalId that no parent
/// can mean; without it, it stays unknown whether any is accepted.
pub async fn probe(sts: &Sts, ask: Ask<'_>, other: Option<&ExternalId>, deadline: Deadline) -> Probes {
    let asked = tries(sts, ask, other, deadline).await;
    let plain = match (asked.with, ask.attribution) {
        (Err(Why::Denied | Why::TooLarge), Some(_)) => {
            Some(tries(sts, Ask { attribution: None, ..ask }, other, deadline).await)
        }
        _ => None,
    };
    Probes { asked, plain }
}

async fn tries(sts: &Sts, ask: Ask<'_>, other: Option<&ExternalId>, deadline: Deadline) -> Tries {
    let outcome =
        async |external_id| sts.assume(Ask { external_id, ..ask }, deadline).await.map(drop).map_err(|not| not.why);
    let with_other = async {
        match other {
            Some(_) => outcome(other).await,
            None => Err(Why::Fault),
        }
    };
    let (with, without, other) = tokio::join!(outcome(ask.external_id), outcome(None), with_other);
    Tries { with, without, other }
}

/// What was found out about one endpoint.
pub struct Report {
    pub endpoint: EndpointName,
    pub region: Region,
    /// How long the sessions of invocations last.
    pub session: Duration,
    pub diagnosis: Diagnosis,
}

impl Report {
    pub fn to_json(&self) -> String {
        let Diagnosis { assumable, external_id_enforced, attribution, findings } = &self.diagnosis;
        json!({
            "Endpoint": self.endpoint.as_str(),
            "Region": self.region.as_str(),
            "Assumable": assumable,
            "ExternalIdEnforced": external_id_enforced,
            "SessionSeconds": self.session.as_secs(),
            "CallerAttribution": format!("{attribution:?}"),
            "Invoked": false,
            "Note": NOTE,
            "Findings": findings.iter().map(|finding| finding.to_json()).collect::<Vec<_>>(),
        })
        .to_string()
    }
}

const NOTE: &str = "the endpoint was not invoked: only an invocation shows whether the grant's policy allows it and \
                    whether the endpoint is in service";

/// What the probes mean; `None` is "not known".
#[derive(Debug, PartialEq, Eq)]
pub struct Diagnosis {
    pub assumable: Option<bool>,
    pub external_id_enforced: Option<bool>,
    pub attribution: Attributed,
    pub findings: Vec<Finding>,
}

/// Whether the parent takes source identity and tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attributed {
    /// The grant does not ask for them.
    Off,
    Accepted,
    Refused,
    Unknown,
}

/// What is known of a grant without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantFacts {
    /// Whether source identity and tags are on.
    pub is_attributed: bool,
    /// Whether the ExternalId is the account id in the role's ARN.
    pub is_external_id_the_account: bool,
    /// Whether this API has other grants.
    pub is_one_of_several: bool,
}

/// What the probes of a grant mean.
pub fn diagnose(probes: Probes, facts: GrantFacts) -> Diagnosis {
    let Probes { asked, plain } = probes;
    let is_attributed = facts.is_attributed;
    let assumable = match asked.with {
        Ok(()) => Some(true),
        Err(Why::Denied | Why::RegionDisabled | Why::TooLarge) => Some(false),
        Err(_) => None,
    };
    let attribution = match (is_attributed, asked.with, plain.map(|plain| plain.with)) {
        (false, ..) => Attributed::Off,
        (true, Ok(()), _) => Attributed::Accepted,
        (true, Err(Why::Denied), Some(Ok(()))) => Attributed::Refused,
        (true, ..) => Attributed::Unknown,
    };
    let external_id_enforced = match asked.is_enforced() {
        Some(false) => Some(false),
        enforced => plain.map_or(enforced, Tries::is_enforced),
    };
    let needs_none = [Some(asked), plain].into_iter().flatten().any(|tries| tries.without == Ok(()));

    let both = |finding: fn(Side) -> Finding| vec![finding(Side::Parent), finding(Side::Child)];
    let mut findings = match asked.with {
        Ok(()) => vec![],
        Err(Why::Denied) if attribution == Attributed::Refused => both(Finding::CallerAttributionDenied),
        Err(Why::Denied) => both(Finding::AssumeRoleDenied),
        Err(Why::RegionDisabled) => vec![Finding::RegionDisabled],
        Err(Why::Throttled) => vec![Finding::StsThrottled],
        Err(Why::Unavailable) => vec![Finding::StsUnavailable],
        Err(Why::Deadline) => vec![Finding::DeadlineExceeded],
        Err(Why::TooLarge) => both(Finding::PackedPolicyTooLarge),
        Err(Why::Fault) => vec![Finding::AssumeRoleFailed],
    };
    match external_id_enforced {
        Some(true) => {}
        Some(false) if needs_none => findings.push(Finding::ExternalIdNotEnforced),
        Some(false) => findings.push(Finding::AnyExternalIdAccepted),
        None => findings.push(Finding::ExternalIdUnknown),
    }
    if facts.is_external_id_the_account {
        findings.push(Finding::ExternalIdIsAccountId { is_one_of_several: facts.is_one_of_several });
    }
    Diagnosis { assumable, external_id_enforced, attribution, findings }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const OUTCOMES: [Outcome; 8] = [
        Ok(()),
        Err(Why::Denied),
        Err(Why::RegionDisabled),
        Err(Why::Throttled),
        Err(Why::Unavailable),
        Err(Why::Deadline),
        Err(Why::TooLarge),
        Err(Why::Fault),
    ];
    const SOUND: Tries = Tries { with: Ok(()), without: Err(Why::Denied), other: Err(Why::Denied) };

    fn each() -> impl Iterator<Item = Tries> {
        OUTCOMES.into_iter().flat_map(|with| {
            let both = move |without| OUTCOMES.into_iter().map(move |other| Tries { with, without, other });
            OUTCOMES.into_iter().flat_map(both)
        })
    }

    /// Everything that `probe` can come to.
    fn all() -> impl Iterator<Item = (Probes, bool)> {
        each().flat_map(|asked| {
            let tried_again = matches!(asked.with, Err(Why::Denied | Why::TooLarge));
            let off = std::iter::once((Probes { asked, plain: None }, false));
            let on = (!tried_again).then_some((Probes { asked, plain: None }, true));
            let again =
                each().filter(move |_| tried_again).map(move |plain| (Probes { asked, plain: Some(plain) }, true));
            off.chain(on).chain(again)
        })
    }

    /// With an ExternalId that somebody chose.
    fn diagnose(probes: Probes, is_attributed: bool) -> Diagnosis {
        super::diagnose(probes, GrantFacts { is_attributed, ..CHOSEN })
    }

    const CHOSEN: GrantFacts =
        GrantFacts { is_attributed: false, is_external_id_the_account: false, is_one_of_several: false };

    /// All that can be found.
    fn every_finding() -> Vec<Finding> {
        let guessable = [false, true].into_iter().flat_map(|is_one_of_several| {
            let granted = GrantFacts { is_external_id_the_account: true, is_one_of_several, ..CHOSEN };
            super::diagnose(Probes { asked: SOUND, plain: None }, granted).findings
        });
        let mut seen = Vec::new();
        for finding in all().flat_map(|(probes, on)| diagnose(probes, on).findings).chain(guessable) {
            if !seen.contains(&finding) {
                seen.push(finding);
            }
        }
        seen
    }

    /// The codes of all that can be found.
    pub(crate) fn codes() -> BTreeSet<&'static str> {
        every_finding().into_iter().map(Finding::code).collect()
    }

    /// It is a fact of the grant, whatever STS says.
    #[test]
    fn s02_an_external_id_that_can_be_guessed_is_always_found_and_nothing_else_by_it() {
        for (probes, on) in all() {
            let chosen = diagnose(probes, on);
            let granted = GrantFacts { is_attributed: on, is_external_id_the_account: true, is_one_of_several: on };
            let mut guessable = super::diagnose(probes, granted);
            let last = guessable.findings.pop();
            assert_eq!(last, Some(Finding::ExternalIdIsAccountId { is_one_of_several: on }), "{probes:?}");
            assert_eq!(guessable, chosen, "{probes:?}");
        }
    }

    /// S02: nothing is called healthy that was not seen to be.
    #[test]
    fn s02_no_finding_means_assumable_and_refused_without_that_external_id() {
        let mut healthy = 0;
        for (probes, on) in all() {
            let Diagnosis { assumable, external_id_enforced, attribution, findings } = diagnose(probes, on);
            assert_eq!(findings.is_empty(), probes.asked == SOUND, "{probes:?}");
            assert_eq!(assumable == Some(true), probes.asked.with == Ok(()), "{probes:?}");
            if external_id_enforced == Some(true) {
                let telling = probes.plain.unwrap_or(probes.asked);
                assert_eq!(telling, SOUND, "{probes:?}");
            }
            let tried = || [Some(probes.asked), probes.plain].into_iter().flatten();
            let needs_none = tried().any(|tries| tries.without == Ok(()));
            let takes_any = tried().any(|tries| tries.other == Ok(()));
            assert_eq!(external_id_enforced == Some(false), needs_none || takes_any, "{probes:?}");
            assert_eq!(findings.contains(&Finding::ExternalIdNotEnforced), needs_none, "{probes:?}");
            assert_eq!(findings.contains(&Finding::AnyExternalIdAccepted), takes_any && !needs_none, "{probes:?}");
            assert_eq!(attribution == Attributed::Off, !on);
            healthy += usize::from(findings.is_empty());
        }
        assert_eq!(healthy, 2, "with and without attribution");
    }

    #[test]
    fn attribution_is_blamed_only_when_it_works_without() {
        let denied = Tries { with: Err(Why::Denied), ..SOUND };
        let found = diagnose(Probes { asked: denied, plain: Some(SOUND) }, true);
        assert_eq!(
            found,
            Diagnosis {
                assumable: Some(false),
                external_id_enforced: Some(true),
                attribution: Attributed::Refused,
                findings: vec![
                    Finding::CallerAttributionDenied(Side::Parent),
                    Finding::CallerAttributionDenied(Side::Child)
                ],
            }
        );
        let found = diagnose(Probes { asked: denied, plain: Some(denied) }, true);
        assert_eq!(found.attribution, Attributed::Unknown);
        assert_eq!(found.findings[..1], [Finding::AssumeRoleDenied(Side::Parent)]);
    }

    /// S16: no ARN, no account; every finding says what to do, in its own words.
    #[test]
    fn s16_no_finding_names_an_owner() {
        let seen = every_finding();
        assert_eq!(seen.len(), 16, "{seen:?}");
        let mut texts = std::collections::BTreeSet::new();
        for finding in seen {
            let json = finding.to_json();
            for member in ["Code", "Severity", "Message", "Remedy", "Side"] {
                assert!(json[member].as_str().is_some_and(|text| !text.is_empty()), "{json}");
            }
            let text = json.to_string();
            let text_without_command = text.replace("openssl rand -hex 16", "");
            assert!(!text.contains("arn:") && !text_without_command.contains(|c: char| c.is_ascii_digit()), "{text}");
            assert!(texts.insert(text));
        }
    }
}
