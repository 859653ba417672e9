//! AssumeRole: the only file that calls STS.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::Builder;
use aws_sdk_sts::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::error::BuildError;
use aws_sdk_sts::types::{Credentials as StsCredentials, Tag};
use sagemaker_external::arn::RoleArn;
use sagemaker_external::failure::{Failure, Kind};
use sagemaker_external::name::{ExternalId, SessionName};

use crate::attribution::Attribution;
use crate::deadline::Deadline;

/// The shortest session that STS gives (900–43200, and 3600 at most for a role
/// that assumes a role, as this one does: R07): one request needs no more.
pub const SHORTEST: Duration = Duration::from_secs(900);
/// STS answers in milliseconds; an attempt that takes this long is lost, and
/// another one is better than waiting.
const ATTEMPT: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 3;
/// Adaptive mode would let a throttled call wait for ten tokens of its rate limiter:
/// up to 20 s at the few requests a second of one Lambda environment, when STS's rate
/// is per second. The limiter still paces the calls after that.
const BACKOFF: Duration = Duration::from_secs(1);

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
    /// STS refuses what we sent: a fault of ours.
    Fault,
}

pub struct Sts(Client);

impl Sts {
    /// One client for all invocations, at the function's own region's endpoint.
    pub fn new(config: &SdkConfig) -> Self {
        let retries = RetryConfig::adaptive().with_max_attempts(ATTEMPTS).with_max_backoff(BACKOFF);
        Self::with(config, retries, "sts")
    }

    /// The doctor's, which asks once: whoever examines endpoints neither uses up nor
    /// slows down the calls of invocations.
    pub fn of_doctor(config: &SdkConfig) -> Self {
        Self::with(config, RetryConfig::disabled(), "doctor")
    }

    fn with(config: &SdkConfig, retries: RetryConfig, partition: &'static str) -> Self {
        // The default partition's rate limiter belongs to the whole process.
        let partition = RetryPartition::custom(partition).build();
        let config = Builder::from(config).retry_config(retries).retry_partition(partition);
        Self(Client::from_conf(config.build()))
    }

    /// Credentials for one session under the role.
    ///
    /// # Errors
    /// [`NotAssumed`], after the retries that the deadline allows. AccessDenied
    /// is not modelled for AssumeRole; the code tells it (R09).
    pub async fn assume(&self, ask: Ask<'_>, deadline: Deadline) -> Result<Credentials, NotAssumed> {
        let left = deadline.left();
        if left.is_zero() {
            return Err(NotAssumed::late());
        }
        let timeouts =
            TimeoutConfig::builder().operation_timeout(left).operation_attempt_timeout(left.min(ATTEMPT)).build();
        let call = self
            .0
            .assume_role()
            .role_arn(ask.role.to_string())
            .set_external_id(ask.external_id.map(|id| id.expose().to_owned()))
            .role_session_name(ask.session.as_str())
            .set_source_identity(ask.attribution.map(|attribution| attribution.source_identity.clone()))
            .set_tags(ask.attribution.map(tags).transpose().map_err(|_| NotAssumed::fault("Tags"))?)
            .policy(ask.policy)
            .set_duration_seconds(i32::try_from(ask.duration.as_secs()).ok())
            .customize()
            .config_override(Builder::default().timeout_config(timeouts));
        match call.send().await {
            Ok(output) => output.credentials.map(credentials).ok_or_else(|| NotAssumed::fault("NoCredentials")),
            Err(error) => Err(not_assumed(Failure::of(&error), deadline)),
        }
    }
}

impl NotAssumed {
    /// Our own deadline came before STS was asked.
    pub(crate) fn late() -> Self {
        Self { why: Why::Deadline, code: "Deadline".to_owned() }
    }

    fn fault(code: &str) -> Self {
        Self { why: Why::Fault, code: code.to_owned() }
    }
}

fn tags(attribution: &Attribution) -> Result<Vec<Tag>, BuildError> {
    attribution.tags.iter().map(|(key, value)| Tag::builder().key(*key).value(value).build()).collect()
}

fn credentials(given: StsCredentials) -> Credentials {
    let expiration = SystemTime::try_from(given.expiration).ok();
    let token = Some(given.session_token);
    Credentials::new(given.access_key_id, given.secret_access_key, token, expiration, "AssumeRole")
}

fn not_assumed(failure: Failure, deadline: Deadline) -> NotAssumed {
    let why = match (failure.code.as_str(), failure.kind) {
        ("AccessDenied" | "AccessDeniedException", _) => Why::Denied,
        ("RegionDisabledException", _) => Why::RegionDisabled,
        (_, Kind::Throttled) => Why::Throttled,
        (_, Kind::Transient) if deadline.is_over() => Why::Deadline,
        (_, Kind::Transient) => Why::Unavailable,
        // Among them PackedPolicyTooLarge, MalformedPolicyDocument, ValidationError,
        // and the codes for wrong or expired credentials of the function itself.
        _ => Why::Fault,
    };
    NotAssumed { why, code: failure.code }
}
