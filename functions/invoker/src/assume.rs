//! AssumeRole: the only file that calls STS.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use aws_smithy_xml::decode::{Document, try_data};
use bytes::Bytes;
use http::Uri;
use http::header::{CONTENT_TYPE, HeaderName};
use http_body_util::{BodyExt, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sagemaker_external::arn::RoleArn;
use sagemaker_external::failure::Kind;
use sagemaker_external::name::{ExternalId, SessionName};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::attribution::Attribution;
use crate::aws::{Aws, Service};
use crate::deadline::Deadline;
use crate::owners::as_code_without_owners;
use crate::pace::Pace;
use crate::payload::Payload;
use crate::transport::{Answered, Sending};

/// The shortest session that STS gives (900–43200, and 3600 at most for a role
/// that assumes a role, as this one does: R07): one request needs no more.
pub const SHORTEST: Duration = Duration::from_secs(900);
/// STS answers in milliseconds; an attempt that takes this long is lost, and
/// another one is better than waiting.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Of one request.
const ATTEMPTS: u32 = 3;
/// STS's answers have some 2 KB.
const ANSWER_MAX: usize = 64 * 1024;

/// All that goes into one AssumeRole.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    pub role: &'a RoleArn,
    /// Absent, or another one, only where the doctor sees whether the parent insists on
    /// it (S02).
    pub external_id: Option<&'a ExternalId>,
    pub session: &'a SessionName,
    pub attribution: Option<&'a Attribution>,
    /// The session policy.
    pub policy: &'a str,
    /// How long the session lasts: whole seconds, 900 to 3600 (R07).
    pub duration: Duration,
}

/// Why there are no credentials, and what the service called it (for the log).
pub struct NotAssumed {
    pub why: Why,
    pub code: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The trust, the ExternalId or our own permission is missing.
    Denied,
    /// The parent's account has STS turned off in this region.
    RegionDisabled,
    Throttled,
    /// STS could not be reached, or fails.
    Unavailable,
    /// Our own deadline came first.
    Deadline,
    /// The session's policy and tags together are larger than STS packs.
    TooLarge,
    /// STS refuses what we sent: a fault of ours.
    Fault,
}

/// STS, as one kind of calls uses it.
pub struct Sts {
    aws: Aws,
    service: Option<Service>,
    /// Absent where there is one attempt, at once.
    pace: Option<Mutex<Pace>>,
}

impl Sts {
    /// For all invocations, at the function's own region's endpoint.
    pub fn new(aws: &Aws) -> Self {
        Self { aws: aws.clone(), service: aws.sts(), pace: Some(Mutex::default()) }
    }

    /// The doctor's, which asks once: whoever examines endpoints neither uses up nor
    /// slows down the calls of invocations.
    pub fn of_doctor(aws: &Aws) -> Self {
        Self { pace: None, ..Self::new(aws) }
    }

    /// Where its connections lead.
    pub fn uri(&self) -> Option<&Uri> {
        self.service.as_ref().map(Service::uri)
    }

    /// Credentials for one session under the role.
    ///
    /// # Errors
    /// [`NotAssumed`], after the retries that the deadline allows. AccessDenied
    /// is not modelled for AssumeRole; the code tells it (R09).
    pub async fn assume(&self, ask: Ask<'_>, deadline: Deadline) -> Result<Credentials, NotAssumed> {
        if deadline.is_over() {
            return Err(NotAssumed::late());
        }
        let form = Bytes::from(form(&ask));
        let Some(pace) = &self.pace else { return self.attempt(&form, Instant::now(), deadline).await };
        let pace = || pace.lock().unwrap_or_else(PoisonError::into_inner);
        let mut attempts = 0;
        let mut not = NotAssumed::new(Why::Throttled, "Throttled");
        loop {
            let now = Instant::now();
            let Some(turn) = pace().turn(now, deadline.at()) else { return Err(not) };
            if turn > now {
                sleep_until(turn).await;
            }
            not = match self.attempt(&form, turn, deadline).await {
                Ok(credentials) => {
                    pace().succeeded(attempts);
                    return Ok(credentials);
                }
                Err(not) => not,
            };
            attempts += 1;
            if not.why == Why::Throttled {
                pace().was_throttled(Instant::now());
            }
            let may_pass = attempts < ATTEMPTS && matches!(not.why, Why::Throttled | Why::Unavailable);
            match may_pass.then(|| pace().again(attempts, Instant::now(), fastrand::f64())).flatten() {
                Some(then) if then < deadline.at() => sleep_until(then).await,
                _ => return Err(not),
            }
        }
    }

    async fn attempt(&self, form: &Bytes, began: Instant, deadline: Deadline) -> Result<Credentials, NotAssumed> {
        match timeout_at(deadline.at().min(began + ATTEMPT), self.ask_once(form)).await {
            Ok(outcome) => outcome,
            Err(_) if deadline.is_over() => Err(NotAssumed::new(Why::Deadline, "Timeout")),
            Err(_) => Err(NotAssumed::new(Why::Unavailable, "Timeout")),
        }
    }

    async fn ask_once(&self, form: &Bytes) -> Result<Credentials, NotAssumed> {
        let service = self.service.as_ref().ok_or_else(|| NotAssumed::fault("NoEndpoint"))?;
        let own = self.aws.own.as_ref().ok_or_else(|| NotAssumed::fault("NoOwnCredentials"))?;
        let headers = [(&CONTENT_TYPE as &HeaderName, "application/x-www-form-urlencoded")];
        let payload = Payload::from(form.clone());
        let request = service.post("/", headers.into_iter(), payload, own, &self.aws.clock);
        let request = request.ok_or_else(|| NotAssumed::fault("Request"))?;
        answer(self.aws.http.send(request, &Sending::default()).await).await
    }
}

impl NotAssumed {
    /// Our own deadline came before STS was asked.
    pub(crate) fn late() -> Self {
        Self::new(Why::Deadline, "Deadline")
    }

    fn fault(code: &str) -> Self {
        Self::new(Why::Fault, code)
    }

    fn new(why: Why, code: &str) -> Self {
        Self { why, code: code.to_owned() }
    }
}

/// What a form leaves as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The parameters, as the query protocol has them.
fn form(ask: &Ask<'_>) -> String {
    let mut form = "Action=AssumeRole&Version=2011-06-15".to_owned();
    let mut add = |key: &str, value: &str| {
        form.extend(["&", key, "="]);
        form.extend(utf8_percent_encode(value, KEPT));
    };
    add("RoleArn", &ask.role.to_string());
    add("RoleSessionName", ask.session.as_str());
    add("DurationSeconds", &ask.duration.as_secs().to_string());
    add("Policy", ask.policy);
    if let Some(external_id) = ask.external_id {
        add("ExternalId", external_id.expose());
    }
    if let Some(attribution) = ask.attribution {
        add("SourceIdentity", &attribution.source_identity);
        for (number, (key, value)) in (1..).zip(&attribution.tags) {
            add(&format!("Tags.member.{number}.Key"), key);
            add(&format!("Tags.member.{number}.Value"), value);
        }
    }
    form
}

async fn answer(answered: Answered) -> Result<Credentials, NotAssumed> {
    let response = answered.map_err(|lost| NotAssumed::new(Why::Unavailable, lost.code()))?;
    let (parts, body) = response.into_parts();
    let unreadable = || NotAssumed::new(Why::Unavailable, "Response");
    let body = Limited::new(body, ANSWER_MAX).collect().await.map_err(|_| unreadable())?.to_bytes();
    let xml = std::str::from_utf8(&body).map_err(|_| unreadable())?;
    if parts.status.is_success() {
        let missing = || if is_an_answer(xml) { NotAssumed::fault("NoCredentials") } else { unreadable() };
        return credentials(xml).ok_or_else(missing);
    }
    Err(not_assumed(&code(xml).unwrap_or_else(|| "Unknown".to_owned()), parts.status.as_u16()))
}

/// Whether it is STS that speaks, and not a page of somebody on the way.
fn is_an_answer(xml: &str) -> bool {
    let mut document = Document::new(xml);
    document.root_element().is_ok_and(|root| root.start_el().matches("AssumeRoleResponse"))
}

/// `AssumeRoleResponse/AssumeRoleResult/Credentials`, each member once.
fn credentials(xml: &str) -> Option<Credentials> {
    let mut document = Document::new(xml);
    let mut root = document.root_element().ok()?;
    let (mut id, mut secret, mut token, mut expiration) = (None, None, None, None);
    while let Some(mut result) = root.next_tag() {
        if !result.start_el().matches("AssumeRoleResult") {
            continue;
        }
        while let Some(mut part) = result.next_tag() {
            if !part.start_el().matches("Credentials") {
                continue;
            }
            while let Some(mut member) = part.next_tag() {
                let place = match member.start_el().local() {
                    "AccessKeyId" => &mut id,
                    "SecretAccessKey" => &mut secret,
                    "SessionToken" => &mut token,
                    "Expiration" => &mut expiration,
                    _ => continue,
                };
                *place = try_data(&mut member).ok().filter(|text| !text.is_empty()).map(Cow::into_owned);
            }
        }
    }
    let expiration = DateTime::from_str(&expiration?, Format::DateTime).ok()?;
    Some(Credentials::new(id?, secret?, Some(token?), SystemTime::try_from(expiration).ok(), "AssumeRole"))
}

/// `ErrorResponse/Error/Code`.
fn code(xml: &str) -> Option<String> {
    let mut document = Document::new(xml);
    let mut root = document.root_element().ok()?;
    while let Some(mut error) = root.next_tag() {
        while let Some(mut member) = error.next_tag() {
            if member.start_el().matches("Code") {
                return try_data(&mut member).ok().and_then(|code| as_code_without_owners(&code));
            }
        }
    }
    None
}

fn not_assumed(code: &str, status: u16) -> NotAssumed {
    let why = match (code, Kind::of(code, status)) {
        ("AccessDenied" | "AccessDeniedException", _) => Why::Denied,
        ("RegionDisabledException", _) => Why::RegionDisabled,
        ("PackedPolicyTooLarge" | "PackedPolicyTooLargeException", _) => Why::TooLarge,
        (_, Kind::Throttled) => Why::Throttled,
        (_, Kind::Transient) => Why::Unavailable,
        // Among them MalformedPolicyDocument, ValidationError, and the codes for wrong or
        // expired credentials of the function itself.
        _ => Why::Fault,
    };
    NotAssumed::new(why, code)
}

#[cfg(test)]
#[path = "assume_tests.rs"]
mod tests;
