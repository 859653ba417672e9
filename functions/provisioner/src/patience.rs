//! How long an event waits while IAM denies it something. IAM learns of a change of the
//! provisioner's own policy (`AdoptArns`, `IamPath`) seconds after the deployment is done, and
//! denies until then.

use std::time::Duration;

use sagemaker_external::failure::{Failure, Kind};
use tokio::time::Instant;

use crate::lifecycle::Lifecycle;

/// All waiting of one event for its denials, from the first of them on. A denial that lasts is
/// told in good time before Lambda's end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Doubled after each try.
const FIRST_WAIT: Duration = Duration::from_secs(1);

impl Lifecycle<'_> {
    /// Tries again what is denied, until the event's patience is at its end.
    pub(crate) async fn patiently<T>(
        &self,
        mut attempt: impl AsyncFnMut() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut wait = FIRST_WAIT;
        loop {
            let failure = match attempt().await {
                Err(failure) if failure.kind == Kind::Denied => failure,
                other => return other,
            };
            let left = PATIENCE.saturating_sub(self.progress.denied_since(Instant::now()).elapsed());
            if left.is_zero() {
                return Err(failure);
            }
            tracing::info!(code = failure.code, "denied; waiting for IAM to know the provisioner's permissions");
            tokio::time::sleep(wait.min(left)).await;
            wait *= 2;
        }
    }
}
