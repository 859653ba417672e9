//! Steps carried out one after the other, and what a failure among them means.

use futures_util::{StreamExt, stream};
use sagemaker_external::failure::{Failure, Kind};

use crate::error::Error;
use crate::iam::Made;
use crate::lifecycle::Lifecycle;
use crate::progress::{Inner, Trace};
use crate::step::Step;

/// How many steps that do not wait for each other are carried out at once.
const AT_ONCE: usize = 5;

impl Lifecycle<'_> {
    /// The steps one after the other, those beside each other at once, up to the first that
    /// fails.
    pub(crate) async fn carry_out(&self, steps: &[Step], id: &str) -> Result<Option<Made>, Error> {
        let mut entity = None;
        let mut fresh = false;
        for together in steps.chunk_by(Step::is_beside) {
            let before = self.progress.get();
            self.progress.set(|inner| {
                inner.step = named(together);
                inner.trace = Trace::Entity(id.to_owned());
                inner.wrote = true;
                inner.made |= together.iter().any(Step::is_claim);
            });
            let tries = together.iter().map(async |step| {
                // A missing user is no sign of a copy that lags: nobody just made it.
                let waits = fresh && !matches!(step, Step::AddUser { .. });
                (step, self.patiently(async || self.iam.apply(step, waits).await).await)
            });
            let tried: Vec<_> = stream::iter(tries).buffered(AT_ONCE).collect().await;
            let mut failures = Vec::new();
            for (step, result) in tried {
                match result {
                    Err(failure) if is_left_out(step, &failure) && !self.iam.is_gone(step).await => {
                        tracing::warn!(step = %step, code = failure.code, "a member of before cannot be added, and is left out");
                    }
                    Ok(made) => {
                        tracing::info!(step = %step, "applied");
                        fresh |= step.opens();
                        self.progress.set(|inner| inner.note(step));
                        if !matches!(step, Step::CreatePolicy { .. }) {
                            entity = entity.or(made);
                        }
                    }
                    Err(failure) => failures.push((step, failure)),
                }
            }
            let nothing_done = failures.len() == together.len() && failures.iter().all(|(_, f)| is_certain(f));
            let Some((step, failure)) = failures.into_iter().next() else { continue };
            if nothing_done {
                // As if it had not been tried.
                self.progress.set(|inner| *inner = Inner { step: inner.step.take(), denied: inner.denied, ..before });
            } else if failure.kind == Kind::Exists && step.is_claim() {
                // This run's own, of a lost first try, or a stranger's: that it stands there
                // proves nothing.
                self.progress.set(|inner| (inner.trace, inner.made) = (before.trace, before.made));
            } else if failure.kind == Kind::Throttled {
                // What a lost first try made is for the next event to find: undone here, it
                // might be the live entity that a read did not show.
                self.progress.set(|inner| inner.made = before.made);
            }
            return Err(Error::Step { step: Box::new(step.clone()), failure });
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

/// What is being carried out, for the reason of a run that is cut off.
fn named(together: &[Step]) -> Option<String> {
    let first = together.first()?;
    Some(match together.len() {
        1 => first.to_string(),
        count => format!("{first}, and {} more at once", count - 1),
    })
}

/// Refused, and so without effect. All else may be the SDK's second try, and the first one
/// may have taken effect.
fn is_certain(failure: &Failure) -> bool {
    matches!(failure.kind, Kind::Denied | Kind::NotFound | Kind::Other)
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

/// A member of the wish before who cannot be one any more: the user is deleted, or in as many
/// groups as IAM allows. What was accepted once must not fail for what others did since.
fn is_left_out(step: &Step, failure: &Failure) -> bool {
    let lost = failure.kind == Kind::NotFound || failure.code.starts_with("LimitExceeded");
    lost && matches!(step, Step::AddUser { optional: true, .. })
}

/// A trust names a principal that is not there.
pub(crate) fn is_invalid_principal(failure: &Failure) -> bool {
    failure.code.starts_with("MalformedPolicyDocument") && failure.message.contains("Invalid principal")
}
