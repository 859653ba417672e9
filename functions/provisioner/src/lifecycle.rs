//! Create, Update and Delete, the same for both halves: read what is there, plan
//! the difference, carry it out, and clean up after oneself.

use std::sync::Mutex;

use sagemaker_external::failure::{Failure, Kind};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::half::{Data, Half};
use crate::iam::{Iam, Made};
use crate::owner::Owner;
use crate::request::Home;
use crate::role::Defaults;
use crate::step::Step;

/// How often a plan is made anew because IAM turned out otherwise than read.
const ROUNDS: usize = 2;

/// What has happened so far, for whoever has to answer in the end: also after a
/// panic or a timeout in the middle.
#[derive(Debug, Default)]
pub struct Progress(Mutex<Inner>);

#[derive(Debug, Default, Clone)]
struct Inner {
    step: Option<String>,
    /// The id of what a Create may have made: set before its first write.
    id: Option<String>,
    /// Whether the entity itself may have been made in this run.
    made: bool,
}

impl Progress {
    /// The step that is running, or ran last.
    pub fn step(&self) -> Option<String> {
        self.get().step
    }

    /// The id under which a Delete finds what may have been made; `None` as long
    /// as nothing can have been.
    pub fn touched(&self) -> Option<String> {
        self.get().id
    }

    /// Whether the role or the group itself may have been made in this run.
    fn made(&self) -> bool {
        self.get().made
    }

    fn get(&self) -> Inner {
        self.0.lock().map(|inner| inner.clone()).unwrap_or_default()
    }

    fn set(&self, change: impl FnOnce(&mut Inner)) {
        if let Ok(mut inner) = self.0.lock() {
            change(&mut inner);
        }
    }
}

/// What one event is carried out with.
pub struct Lifecycle<'a> {
    pub iam: &'a Iam,
    pub home: &'a Home,
    pub defaults: &'a Defaults,
    pub owner: Owner,
    pub progress: &'a Progress,
}

/// A physical id, and what Fn::GetAtt reads.
pub type Done = (String, Data);

impl Lifecycle<'_> {
    pub async fn create<H: Half>(&self, properties: &Map<String, Value>) -> Result<Done, Error> {
        let spec = H::parse(properties, self.home, self.defaults).map_err(Error::Refused)?;
        self.converge::<H>(&spec, &Map::new()).await
    }

    /// In place, or a replacement when the wish names another entity than `id`:
    /// then the new one is made and CloudFormation deletes the old one later.
    pub async fn update<H: Half>(
        &self,
        id: &str,
        properties: &Map<String, Value>,
        old: &Map<String, Value>,
    ) -> Result<Done, Error> {
        let spec = H::parse(properties, self.home, self.defaults).map_err(Error::Refused)?;
        let wished = H::id(H::place(&spec));
        let result = self.converge::<H>(&spec, old).await;
        if result.is_err() && wished != id && self.progress.made() {
            // No Delete will ever name the half-made new entity. One that was there
            // before this run stays: in a rollback it is the old, live one.
            self.undo::<H>(H::place(&spec)).await;
        }
        // A rollback after such a failure that could not be undone: the old
        // properties name an entity that is neither the id's nor the wish's.
        let before = H::traced(old, self.home, self.defaults).filter(|_| !old.is_empty());
        if let Some(stray) = before.filter(|place| result.is_ok() && H::id(place) != id && H::id(place) != wished) {
            self.undo::<H>(&stray).await;
        }
        result
    }

    /// Removes what `id` names and this owner made; with an id that CloudFormation
    /// invented (C11), what the properties name. Says what was left alone.
    pub async fn delete<H: Half>(
        &self,
        id: Option<&str>,
        properties: &Map<String, Value>,
    ) -> Result<Vec<String>, Error> {
        let traced = || H::traced(properties, self.home, self.defaults);
        let place = id.and_then(|id| H::named(id, traced()?)).or_else(traced);
        match place {
            Some(place) => self.retire::<H>(&place).await,
            None => Ok(vec!["nothing: no entity could be told from the event".to_owned()]),
        }
    }

    async fn converge<H: Half>(&self, spec: &H::Spec, old: &Map<String, Value>) -> Result<Done, Error> {
        let place = H::place(spec);
        let also = H::traced(old, self.home, self.defaults).filter(|_| !old.is_empty());
        let mut round = 1;
        loop {
            let state = H::observe(self.iam, place, also.as_ref(), &self.owner).await.map_err(Error::Read)?;
            let plan = H::converge(spec, &self.owner, &state, old).map_err(Error::Refused)?;
            match self.carry_out(&plan.steps, &H::id(place)).await {
                Ok(made) => {
                    let made = made.or(plan.existing).unwrap_or_else(|| Made { arn: H::id(place), id: String::new() });
                    let data = H::data(spec, &made, &plan.policies);
                    return Ok((made.arn, data));
                }
                // IAM is not as it was read (another run, a lost answer): read again.
                Err(Error::Step { step, failure }) if round < ROUNDS && is_surprise(&failure) => {
                    tracing::info!(step = %step, code = failure.code, "planning anew");
                    round += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn retire<H: Half>(&self, place: &H::Place) -> Result<Vec<String>, Error> {
        let mut round = 1;
        loop {
            let state = H::observe(self.iam, place, None, &self.owner).await.map_err(Error::Read)?;
            let (steps, left) = H::retire(place, &self.owner, &state).map_err(Error::Refused)?;
            match self.carry_out(&steps, &H::id(place)).await {
                Ok(_) => return Ok(left),
                Err(Error::Step { failure, .. }) if round < ROUNDS && is_surprise(&failure) => round += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// As `retire`, where the answer is about something else: a failure is logged.
    async fn undo<H: Half>(&self, place: &H::Place) {
        if let Err(error) = self.retire::<H>(place).await {
            tracing::error!(id = H::id(place), error = %error, "could not remove what a failed update made");
        }
    }

    /// The steps one after the other, up to the first that fails.
    async fn carry_out(&self, steps: &[Step], id: &str) -> Result<Option<Made>, Error> {
        let mut entity = None;
        let mut fresh = false;
        for step in steps {
            let before = self.progress.get();
            self.progress.set(|inner| {
                inner.step = Some(step.to_string());
                inner.id.get_or_insert_with(|| id.to_owned());
                inner.made |= matches!(step, Step::CreateRole { .. } | Step::CreateGroup { .. });
            });
            // A missing user is no sign of a copy that lags: nobody just made it.
            let waits = fresh && !matches!(step, Step::AddUser { .. });
            match self.iam.apply(step, waits).await {
                Ok(made) => {
                    tracing::info!(step = %step, "applied");
                    fresh |= step.is_creation();
                    if !matches!(step, Step::CreatePolicy { .. }) {
                        entity = entity.or(made);
                    }
                }
                Err(failure) => {
                    if failure.kind != Kind::Transient {
                        // Refused for certain: as if it had not been tried.
                        self.progress.set(|inner| (inner.id, inner.made) = (before.id, before.made));
                    }
                    return Err(Error::Step { step: step.clone(), failure });
                }
            }
        }
        Ok(entity)
    }
}

fn is_surprise(failure: &Failure) -> bool {
    matches!(failure.kind, Kind::Exists | Kind::NotFound | Kind::Conflict | Kind::Transient)
}
