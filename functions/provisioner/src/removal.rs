//! The end of a role or a group: after a Delete, and of what a failed Update made.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::apply::{is_invalid_principal, is_surprise};
use crate::code::Code;
use crate::error::Error;
use crate::half::Half;
use crate::lifecycle::{Lifecycle, REPLAN};
use crate::step::Step;

/// Waits before something that should be there is believed to be gone.
const GONE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// How an entity that is to go is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// By the id that we gave.
    ById,
    /// By properties, or by having been made in this run.
    ByName,
    /// By the properties of an Update that failed, and may have been cut off a moment
    /// ago: what it made last hangs on nothing yet, and nothing tells that it is unseen.
    AsStray,
}

impl Lifecycle<'_> {
    /// Removes what `id` names and this owner made; with an id that CloudFormation
    /// invented (C11), what the properties name. Says what was left alone.
    pub async fn delete<H: Half>(
        &self,
        id: Option<&str>,
        properties: &Map<String, Value>,
    ) -> Result<Vec<String>, Error> {
        let traced = || H::traced(properties, self.home, self.defaults);
        let named = id.and_then(|id| H::named(id, traced()?));
        let known = if named.is_some() { Known::ById } else { Known::ByName };
        match named.or_else(traced) {
            Some(place) => self.retire::<H>(&H::for_deletion(place, &self.owner, self.authority), known).await,
            None => Ok(vec!["nothing: no entity could be told from the event".to_owned()]),
        }
    }

    /// However the entity is known, a read that does not find all of it may be of a copy
    /// that lags: a rollback follows a Create within a second.
    pub(crate) async fn retire<H: Half>(&self, place: &H::Place, known: Known) -> Result<Vec<String>, Error> {
        let (mut waits, mut gone) = (REPLAN.iter(), GONE.iter());
        let mut place = place.clone();
        loop {
            let observed = self.patiently(async || H::observe_all(self.iam, &place, &self.owner).await);
            let state = observed.await.map_err(|failure| self.unread::<H>(failure))?;
            if !H::removes_adopted(&place)
                && let Some(why) = H::unnamed(&state, &self.owner, &self.defaults.adopt_arns)
            {
                return Err(Error::Refused(Code::DeletionRefused, why));
            }
            if (known == Known::AsStray || H::is_unseen(&state, &self.owner))
                && let Some(wait) = gone.next()
            {
                tokio::time::sleep(*wait).await;
                continue;
            }
            if let Some(contradiction) = H::contradiction(&place, &state, &self.owner) {
                let Some(wait) = waits.next() else { return Err(Error::Unsettled(contradiction)) };
                tokio::time::sleep(*wait).await;
                continue;
            }
            let (steps, mut left) =
                H::retire(&place, &self.owner, &state).map_err(|why| Error::Refused(Code::DeletionRefused, why))?;
            if known == Known::ById && H::is_absent(&state) {
                left.push(format!("{}, which is not there: others removed or renamed it", H::id(&place)));
            }
            match self.carry_out(&steps, &H::id(&place)).await {
                Ok(_) => return Ok(left),
                Err(Error::Step { step, failure }) if is_surprise(&step, &failure) => {
                    let Some(wait) = waits.next() else { return Err(Error::Step { step, failure }) };
                    if matches!(*step, Step::DeleteGroup { .. }) {
                        // Its mark is gone, and with it what told it as ours.
                        place = H::proven(&place);
                    }
                    tokio::time::sleep(*wait).await;
                }
                // The trust that an adopted role was found with names a principal that is
                // gone, and no wait brings it back.
                Err(Error::Step { step, failure })
                    if matches!(*step, Step::PutTrust { .. }) && is_invalid_principal(&failure) =>
                {
                    place = H::without_trust(&place).ok_or(Error::Step { step, failure })?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// As `retire`, where the answer is about something else: a failure is logged. What
    /// was adopted is given back: `OnDelete` is about a Delete, which nobody asked for.
    pub(crate) async fn undo<H: Half>(&self, place: &H::Place) {
        if let Err(error) = self.retire::<H>(&H::giving_back(place), Known::ByName).await {
            // Never IAM's own text: it may quote a trust, and with it an ExternalId (S03).
            let (step, iam) = match &error {
                Error::Step { step, failure } => (Some(step.to_string()), Some(&failure.code)),
                Error::Read(failure) => (None, Some(&failure.code)),
                Error::Refused(..) | Error::Unsettled(_) => (None, None),
            };
            let (id, code) = (H::id(place), error.code().name());
            tracing::error!(id, step, code, iam, "could not remove what a failed update made");
        }
    }
}
