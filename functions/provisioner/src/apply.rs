//! Steps carried out one after the other, and what a failure among them means.

use sagemaker_external::failure::{Failure, Kind};

use crate::error::Error;
use crate::iam::Made;
use crate::lifecycle::Lifecycle;
use crate::progress::{Inner, Trace};
use crate::step::Step;

impl Lifecycle<'_> {
    /// The steps one after the other, up to the first that fails.
    pub(crate) async fn carry_out(&self, steps: &[Step], id: &str) -> Result<Option<Made>, Error> {
        let mut entity = None;
        let mut fresh = false;
        for step in steps {
            let before = self.progress.get();
            self.progress.set(|inner| {
                inner.step = Some(step.to_string());
                inner.trace = Trace::Entity(id.to_owned());
                inner.wrote = true;
                inner.made |= step.is_claim();
            });
            // A missing user is no sign of a copy that lags: nobody just made it.
            let waits = fresh && !matches!(step, Step::AddUser { .. });
            match self.iam.apply(step, waits).await {
                Ok(made) => {
                    tracing::info!(step = %step, "applied");
                    fresh |= step.opens();
                    self.progress.set(|inner| inner.note(step));
                    if !matches!(step, Step::CreatePolicy { .. }) {
                        entity = entity.or(made);
                    }
                }
                Err(failure) => {
                    // Refused for certain: as if it had not been tried. All else may be the
                    // SDK's second try, and the first one may have taken effect.
                    if matches!(failure.kind, Kind::Denied | Kind::NotFound | Kind::Other) {
                        self.progress.set(|inner| *inner = Inner { step: inner.step.take(), ..before });
                    } else if failure.kind == Kind::Exists && step.is_claim() {
                        // This run's own, of a lost first try, or a stranger's: that it
                        // stands there proves nothing.
                        self.progress.set(|inner| (inner.trace, inner.made) = (before.trace, before.made));
                    } else if failure.kind == Kind::Throttled {
                        // What a lost first try made is for the next event to find: undone
                        // here, it might be the live entity that a read did not show.
                        self.progress.set(|inner| inner.made = before.made);
                    }
                    return Err(Error::Step { step: Box::new(step.clone()), failure });
                }
            }
        }
        Ok(entity)
    }

    /// Deletes the policies that this run made and could not attach: under a new
    /// PolicyName, nothing but this run knows of them. As well as it goes.
    pub(crate) async fn tidy(&self) {
        for policy in self.progress.get().loose {
            let step = Step::DeletePolicy { policy };
            match self.iam.apply(&step, false).await {
                Ok(_) => tracing::info!(step = %step, "made in vain, and removed"),
                Err(failure) => tracing::error!(step = %step, code = failure.code, "made in vain, and left over"),
            }
        }
    }
}

/// IAM is not as it was read: another run, a lost answer (after which the SDK's second
/// try may meet what the first one did, a sixth version for one).
pub(crate) fn is_surprise(step: &Step, failure: &Failure) -> bool {
    let twice = matches!(step, Step::PutPolicy { .. }) && failure.code.starts_with("LimitExceeded");
    // A missing user will not come by waiting.
    let no_user = matches!(step, Step::AddUser { .. }) && failure.kind == Kind::NotFound;
    let hangs = failure.code.starts_with("DeleteConflict");
    twice || hangs || !no_user && matches!(failure.kind, Kind::Exists | Kind::NotFound | Kind::Transient)
}

/// A trust names a principal that is not there.
pub(crate) fn is_invalid_principal(failure: &Failure) -> bool {
    failure.code.starts_with("MalformedPolicyDocument") && failure.message.contains("Invalid principal")
}
