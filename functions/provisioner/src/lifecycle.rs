//! Create, Update and Delete, the same for both halves: read what is there, plan
//! the difference, carry it out, and clean up after oneself.

use std::time::Duration;

use sagemaker_external::failure::{Failure, Kind};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::half::{Data, Half, Plan};
use crate::iam::{Iam, Made};
use crate::owner::Owner;
use crate::progress::{Inner, Progress, Trace};
use crate::properties::RESERVED;
use crate::request::{DRY_RUN, Home};
use crate::role::Defaults;
use crate::step::Step;

/// The attribute that says what was, or would be, done.
const PLAN: &str = "Plan";

/// Waits before a plan is made anew, because IAM turned out otherwise than read: its
/// copies lag by some seconds.
pub(crate) const REPLAN: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];
const REMOVED: &str = "it was removed while it was being made";
/// A unique id of IAM's, such as AROA… or AGPA….
const ID_LENGTH: usize = 21;

/// What one event is carried out with.
pub struct Lifecycle<'a> {
    pub iam: &'a Iam,
    pub home: &'a Home,
    pub defaults: &'a Defaults,
    pub owner: Owner,
    pub progress: &'a Progress,
    /// Whether an answer with this id and this data is one that CloudFormation takes.
    pub fits: &'a (dyn Fn(&str, &Data) -> bool + Sync),
}

/// A physical id, and what Fn::GetAtt reads.
pub type Done = (String, Data);

impl Lifecycle<'_> {
    pub async fn create<H: Half>(&self, properties: &Map<String, Value>) -> Result<Done, Error> {
        let spec = self.wish::<H>(properties, None).await?;
        if H::dry_run(&spec) {
            self.progress.set(|inner| inner.trace = Trace::Nothing);
            return self.dry_run::<H>(&spec, &Map::new(), DRY_RUN).await;
        }
        self.converge::<H>(&spec, &Map::new(), false).await
    }

    /// In place, or a replacement when the wish names another entity than `id`:
    /// then the new one is made and CloudFormation deletes the old one later.
    pub async fn update<H: Half>(
        &self,
        id: &str,
        properties: &Map<String, Value>,
        old: &Map<String, Value>,
    ) -> Result<Done, Error> {
        let spec = self.wish::<H>(properties, Some(id)).await?;
        if H::dry_run(&spec) {
            return self.dry_run::<H>(&spec, old, id).await;
        }
        let place = H::place(&spec);
        let result = self.converge::<H>(&spec, old, settings(old).eq(settings(properties))).await;
        if result.is_err() && H::id(place) != id && self.progress.made() {
            // No Delete will ever name the half-made new entity. One that was there
            // before this run stays: in a rollback it is the old, live one.
            self.undo::<H>(place).await;
        }
        // A rollback after such a failure that could not be undone: the old
        // properties name an entity that is neither the id's nor the wish's.
        let traced = |properties| H::traced(properties, self.home, self.defaults);
        let current = traced(old).and_then(|traced| H::named(id, traced));
        let known = |stray: &H::Place| {
            let same = |other: &H::Place| H::name(stray).eq_ignore_ascii_case(H::name(other));
            same(place) || current.as_ref().is_some_and(same)
        };
        if let Some(stray) = traced(old).filter(|stray| result.is_ok() && !old.is_empty() && !known(stray)) {
            match self.retire::<H>(&H::giving_back(&stray), false).await {
                Ok(_) => {}
                Err(Error::Refused(why)) => tracing::warn!(id = H::id(&stray), why, "left over by a failed update"),
                // No later event names it: the rollback has to be tried again.
                Err(error) => return Err(error),
            }
        }
        result
    }

    async fn wish<H: Half>(&self, properties: &Map<String, Value>, id: Option<&str>) -> Result<H::Spec, Error> {
        let spec = H::parse(properties, self.home, self.defaults).map_err(Error::Refused)?;
        // From here on, until IAM says otherwise: an earlier delivery may have been cut off.
        self.progress.set(|inner| inner.trace = Trace::Unknown);
        H::located(self.iam, spec, &self.owner, id).await.map_err(Error::Read)
    }

    /// The plan into the log, a line a step, and its counts into `Plan`; no write.
    async fn dry_run<H: Half>(&self, spec: &H::Spec, old: &Map<String, Value>, id: &str) -> Result<Done, Error> {
        let place = H::place(spec);
        let state = H::observe(self.iam, place, None, &self.owner).await.map_err(Error::Read)?;
        let plan = H::converge(spec, &self.owner, &state, old, None).map_err(Error::Refused)?;
        for step in &plan.steps {
            tracing::info!(step = %step, "planned");
        }
        let removals = plan.steps.iter().filter(|step| step.is_removal()).count();
        let creations = plan.steps.iter().filter(|step| step.is_creation()).count();
        let changes = plan.steps.len() - removals - creations;
        let made = plan.existing.unwrap_or_else(|| Made { arn: H::id(place), id: String::new() });
        let mut data = H::data(spec, &made, &plan.policies);
        data.insert(PLAN, format!("create {creations}, change {changes}, remove {removals}"));
        Ok((id.to_owned(), data))
    }

    /// `drift`: the wish is the old one, so whatever differs was changed by others.
    async fn converge<H: Half>(&self, spec: &H::Spec, old: &Map<String, Value>, drift: bool) -> Result<Done, Error> {
        let place = H::place(spec);
        let also = H::traced(old, self.home, self.defaults).filter(|_| !old.is_empty());
        let before = H::parse(old, self.home, self.defaults).ok().filter(|_| !old.is_empty());
        let mut waits = REPLAN.iter();
        loop {
            let state = H::observe(self.iam, place, also.as_ref(), &self.owner).await.map_err(Error::Read)?;
            let begun = H::is_begun(&state, &self.owner);
            if begun {
                self.progress.set(|inner| inner.trace = Trace::Entity(H::id(place)));
            }
            let plan = H::converge(spec, &self.owner, &state, old, before.as_ref());
            let plan = plan.map_err(|refusal| self.nothing_made(begun, Error::Refused(refusal)))?;
            if self.progress.get().confirmed && plan.steps.iter().any(Step::is_claim) {
                // Made in this run, and not seen: a copy that lags, or else someone has
                // removed it, most likely a Delete of the same resource, which must not
                // be undone.
                let Some(wait) = waits.next() else { return Err(Error::Refused(REMOVED.to_owned())) };
                tokio::time::sleep(*wait).await;
                continue;
            }
            self.check::<H>(spec, &plan).map_err(|error| self.nothing_made(begun, error))?;
            for step in &plan.steps {
                if drift {
                    tracing::warn!(step = %step, "changed by others, to be put back");
                } else {
                    tracing::info!(step = %step, "planned");
                }
            }
            match self.carry_out(&plan.steps, &H::id(place)).await {
                Ok(made) => {
                    let made = made.or(plan.existing).unwrap_or_else(|| Made { arn: H::id(place), id: String::new() });
                    let mut data = H::data(spec, &made, &plan.policies);
                    data.insert(PLAN, "carried out".to_owned());
                    return Ok((made.arn, data));
                }
                // IAM is not as it was read (another run, a lost answer): read again.
                Err(Error::Step { step, failure }) if is_surprise(&step, &failure) => {
                    let Some(wait) = waits.next() else { return Err(Error::Step { step, failure }) };
                    tracing::info!(step = %step, code = failure.code, "planning anew");
                    tokio::time::sleep(*wait).await;
                }
                Err(error) => return Err(self.nothing_made(begun, error)),
            }
        }
    }

    /// Forgets what may be there when nothing of ours was and nothing was written: then
    /// there is nothing that a Delete would have to find.
    fn nothing_made(&self, begun: bool, error: Error) -> Error {
        if !begun && !self.progress.get().wrote {
            self.progress.set(|inner| inner.trace = Trace::Nothing);
        }
        error
    }

    /// An answer that would be too long must not be found out half-way.
    fn check<H: Half>(&self, spec: &H::Spec, plan: &Plan) -> Result<(), Error> {
        let id = H::id(H::place(spec));
        let made = Made { arn: id.clone(), id: "x".repeat(ID_LENGTH) };
        let mut data = H::data(spec, &made, &plan.policies);
        data.insert(PLAN, "carried out".to_owned());
        if (self.fits)(&id, &data) {
            return Ok(());
        }
        let reason = "the attributes of the resource would pass CloudFormation's 4096 bytes; use shorter names or path";
        Err(Error::Refused(reason.to_owned()))
    }

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
                    self.progress.set(|inner| inner.confirmed |= step.is_claim());
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
                        self.progress.set(|inner| inner.trace = before.trace);
                    }
                    return Err(Error::Step { step: Box::new(step.clone()), failure });
                }
            }
        }
        Ok(entity)
    }
}

/// The properties but for CloudFormation's own.
fn settings(properties: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    properties.iter().filter(|(key, _)| !RESERVED.contains(&key.as_str()))
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
