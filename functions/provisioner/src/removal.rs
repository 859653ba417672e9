//! The end of a role or a group: after a Delete, and of what a failed Update made.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::Error;
use crate::half::Half;
use crate::lifecycle::{Lifecycle, REPLAN, is_surprise};

/// Waits before something that should be there is believed to be gone.
const GONE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

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
        let expected = named.is_some();
        match named.or_else(traced) {
            Some(place) => self.retire::<H>(&place, expected).await,
            None => Ok(vec!["nothing: no entity could be told from the event".to_owned()]),
        }
    }

    /// `expected`: CloudFormation names the entity by the id that we gave, so one read
    /// that does not find it may be of a copy that lags.
    pub(crate) async fn retire<H: Half>(&self, place: &H::Place, expected: bool) -> Result<Vec<String>, Error> {
        let (mut waits, mut gone) = (REPLAN.iter(), GONE.iter());
        loop {
            let state = H::observe(self.iam, place, None, &self.owner).await.map_err(Error::Read)?;
            if expected
                && H::is_absent(&state)
                && let Some(wait) = gone.next()
            {
                tokio::time::sleep(*wait).await;
                continue;
            }
            let (steps, mut left) = H::retire(place, &self.owner, &state).map_err(Error::Refused)?;
            if expected && H::is_absent(&state) {
                left.push(format!("{}, which is not there: others removed or renamed it", H::id(place)));
            }
            match self.carry_out(&steps, &H::id(place)).await {
                Ok(_) => return Ok(left),
                Err(Error::Step { step, failure }) if is_surprise(&step, &failure) => match waits.next() {
                    Some(wait) => tokio::time::sleep(*wait).await,
                    None => return Err(Error::Step { step, failure }),
                },
                Err(error) => return Err(error),
            }
        }
    }

    /// As `retire`, where the answer is about something else: a failure is logged. What
    /// was adopted is given back: `OnDelete` is about a Delete, which nobody asked for.
    pub(crate) async fn undo<H: Half>(&self, place: &H::Place) {
        if let Err(error) = self.retire::<H>(&H::giving_back(place), false).await {
            tracing::error!(id = H::id(place), error = %error, "could not remove what a failed update made");
        }
    }
}
