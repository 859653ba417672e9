//! AssumeRole: the only file that calls STS.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::Builder;
use aws_sdk_sts::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::types::Credentials as StsCredentials;
use sagemaker_external::failure::{Failure, Kind};
use sagemaker_external::name::SessionName;

use crate::deadline::Deadline;
use crate::grants::Grant;

/// The shortest session that STS gives (900–43200, and 3600 at most for a role
/// that assumes a role, as this one does: R07): one request needs no more.
const DURATION_SECONDS: i32 = 900;
/// STS answers in milliseconds; an attempt that takes this long is lost, and
/// another one is better than waiting.
const ATTEMPT: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 3;
/// Adaptive mode would let a throttled call wait for ten tokens of its rate limiter:
/// up to 20 s at the few requests a second of one Lambda environment, when STS's rate
/// is per second. The limiter still paces the calls after that.
const BACKOFF: Duration = Duration::from_secs(1);

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
    /// One client for all requests, at the function's own region's endpoint.
    pub fn new(config: &SdkConfig) -> Self {
        let retries = RetryConfig::adaptive().with_max_attempts(ATTEMPTS).with_max_backoff(BACKOFF);
        // The default partition's rate limiter belongs to the whole process.
        let partition = RetryPartition::custom("sts").build();
        let config = Builder::from(config).retry_config(retries).retry_partition(partition);
        Self(Client::from_conf(config.build()))
    }

    /// Credentials for one session under the grant's role.
    ///
    /// # Errors
    /// [`NotAssumed`], after the retries that the deadline allows. AccessDenied
    /// is not modelled for AssumeRole; the code tells it (R09).
    pub async fn assume(
        &self,
        grant: &Grant,
        session: &SessionName,
        policy: String,
        deadline: Deadline,
    ) -> Result<Credentials, NotAssumed> {
        let left = deadline.left();
        if left.is_zero() {
            return Err(NotAssumed { why: Why::Deadline, code: "Deadline".to_owned() });
        }
        let timeouts =
            TimeoutConfig::builder().operation_timeout(left).operation_attempt_timeout(left.min(ATTEMPT)).build();
        let call = self
            .0
            .assume_role()
            .role_arn(grant.role.to_string())
            .external_id(grant.external_id.expose())
            .role_session_name(session.as_str())
            .policy(policy)
            .duration_seconds(DURATION_SECONDS)
            .customize()
            .config_override(Builder::default().timeout_config(timeouts));
        match call.send().await {
            Ok(output) => output
                .credentials
                .map(credentials)
                .ok_or_else(|| NotAssumed { why: Why::Fault, code: "NoCredentials".to_owned() }),
            Err(error) => Err(not_assumed(Failure::of(&error), deadline)),
        }
    }
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
