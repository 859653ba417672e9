//! Create, Update and Delete, the same for both halves: read what is there, plan
//! the difference, carry it out, and clean up after oneself.

use std::time::Duration;

use sagemaker_external::failure::{Failure, Kind};
use serde_json::{Map, Value};

use crate::apply::{is_invalid_principal, is_surprise};
use crate::authority::Authority;
use crate::code::Code;
use crate::error::Error;
use crate::half::{Data, Half, Plan};
use crate::iam::{Iam, Made};
use crate::owner::Owner;
use crate::progress::{Progress, Trace};
use crate::removal::Known;
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
    pub authority: &'a Authority,
    pub owner: Owner,
    pub progress: &'a Progress,
    /// Whether an answer with this id and this data is one that CloudFormation takes.
    pub fits: &'a (dyn Fn(&str, &Data) -> bool + Sync),
}

/// A wish, and what is known of the one before it.
struct Wish<H: Half> {
    spec: H::Spec,
    /// What the properties of the wish before name; `None` where there was no wish.
    old: Option<H::Place>,
    before: Option<H::Spec>,
    /// The wish before where it is about the same entity: as it should have been left.
    left: Option<H::Spec>,
}

/// A physical id, and what Fn::GetAtt reads.
pub type Done = (String, Data);

impl Lifecycle<'_> {
    pub async fn create<H: Half>(&self, properties: &Map<String, Value>) -> Result<Done, Error> {
        // Before anything is read: the rights to read it go with the operator's word.
        if let Some(why) = H::barred(&self.owner, self.authority) {
            return Err(Error::Refused(Code::NotPermitted, format!("Type: {why}")));
        }
        let spec = self.wish::<H>(properties, None).await?;
        let wish = self.wish_after::<H>(spec, &Map::new(), DRY_RUN);
        if H::dry_run(&wish.spec) {
            self.progress.set(|inner| inner.trace = Trace::Nothing);
            return self.dry_run::<H>(&wish, DRY_RUN).await;
        }
        self.converge::<H>(wish).await
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
        let wish = self.wish_after::<H>(spec, old, id);
        if H::dry_run(&wish.spec) {
            return self.dry_run::<H>(&wish, id).await;
        }
        let place = &H::place(&wish.spec).clone();
        // Properties that were refused, or a dry run's, made nothing.
        let made = wish.before.as_ref().is_some_and(|before| !H::dry_run(before));
        let result = self.converge::<H>(wish).await;
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
        if let Some(stray) = traced(old).filter(|stray| result.is_ok() && made && !known(stray)) {
            match self.retire::<H>(&H::giving_back(&stray), Known::AsStray).await {
                Ok(_) => {}
                Err(Error::Refused(_, why)) => tracing::warn!(id = H::id(&stray), why, "left over by a failed update"),
                // No later event names it: the rollback has to be tried again.
                Err(error) => return Err(error),
            }
        }
        result
    }

    async fn wish<H: Half>(&self, properties: &Map<String, Value>, id: Option<&str>) -> Result<H::Spec, Error> {
        let spec = H::parse(properties, self.home, self.defaults)
            .map_err(|why| Error::Refused(Code::InvalidProperties, why))?;
        // From here on, until IAM says otherwise: an earlier delivery may have been cut off.
        self.progress.set(|inner| inner.trace = Trace::Unknown);
        let located = self.patiently(async || H::located(self.iam, spec.clone(), &self.owner, id).await);
        located.await.map_err(|failure| self.unread::<H>(failure))
    }

    /// What `old` adds to a wish; `None` of it where there was no wish before.
    fn wish_after<H: Half>(&self, spec: H::Spec, old: &Map<String, Value>, id: &str) -> Wish<H> {
        let place = H::place(&spec);
        let traced = H::traced(old, self.home, self.defaults).filter(|_| !old.is_empty());
        let before = H::parse(old, self.home, self.defaults).ok().filter(|_| !old.is_empty());
        let left = before.as_ref().filter(|before| H::id(place) == id && !H::dry_run(before));
        let left = left.and_then(|before| H::moved(before, place));
        Wish { spec, old: traced, before, left }
    }

    /// What is there, and the steps from it to the wish.
    async fn plan<H: Half>(&self, wish: &Wish<H>) -> Result<(H::State, Result<Plan, Error>), Error> {
        let place = H::place(&wish.spec);
        let observed = self.patiently(async || H::observe(self.iam, place, wish.old.as_ref(), &self.owner).await);
        let state = observed.await.map_err(|failure| self.unread::<H>(failure))?;
        let permit = H::permit(&wish.spec, &self.owner, &state, self.authority, self.defaults);
        let permit = permit.map_err(|why| Error::Refused(Code::NotPermitted, why));
        let unnamed = H::unnamed(&state, &self.owner, &self.defaults.adopt_arns);
        // Nothing of it was written since it was named: no read can lag behind that.
        let before = wish.before.as_ref().filter(|_| unnamed.is_none());
        let plan = H::converge(&wish.spec, &self.owner, &state, wish.old.as_ref(), before);
        let plan = match unnamed {
            Some(why) if !plan.as_ref().is_ok_and(|plan| plan.steps.is_empty()) => Err(why),
            _ => plan,
        };
        let plan = plan
            .map_err(|why| Error::Refused(Code::PlanRefused, why))
            .and_then(|plan| self.check::<H>(&wish.spec, plan));
        Ok((state, permit.and(plan)))
    }

    /// Why IAM could not be read. Where the operator allows no such entity, the rights to read
    /// it are not there either.
    pub(crate) fn unread<H: Half>(&self, failure: Failure) -> Error {
        match H::barred(&self.owner, self.authority) {
            Some(why) if failure.kind == Kind::Denied => {
                Error::Refused(Code::ReadDenied, format!("{}: {why}", Error::Read(failure)))
            }
            _ => Error::Read(failure),
        }
    }

    /// Into the log, before anything is done: what others did to the entity.
    fn report<H: Half>(&self, wish: &Wish<H>, state: &H::State) {
        let left = wish.left.as_ref();
        let drift = left.and_then(|left| H::converge(left, &self.owner, state, wish.old.as_ref(), None).ok());
        for step in drift.iter().flat_map(|plan| &plan.steps) {
            tracing::warn!(step = %step, "not as the wish before left it: changed by others, or by a run cut off");
        }
        let foreign = H::foreign(&wish.spec, &self.owner, state, wish.old.as_ref());
        if !foreign.is_empty() {
            let (id, foreign) = (H::id(H::place(&wish.spec)), foreign.join(", "));
            tracing::warn!(id, foreign, "others put this there too; it is left alone");
        }
    }

    /// The plan into the log, a line a step, and its counts into `Plan`; no write.
    async fn dry_run<H: Half>(&self, wish: &Wish<H>, id: &str) -> Result<Done, Error> {
        let (state, plan) = self.plan::<H>(wish).await?;
        let plan = plan?;
        self.report::<H>(wish, &state);
        for step in &plan.steps {
            tracing::info!(step = %step, "planned");
        }
        let removals = plan.steps.iter().filter(|step| step.is_removal()).count();
        let creations = plan.steps.iter().filter(|step| step.is_creation()).count();
        let changes = plan.steps.len() - removals - creations;
        let place = H::place(&wish.spec);
        let made = plan.existing.unwrap_or_else(|| Made { arn: H::id(place), id: String::new() });
        let mut data = H::data(&wish.spec, &made, &plan.policies);
        data.insert(PLAN, format!("create {creations}, change {changes}, remove {removals}"));
        Ok((id.to_owned(), data))
    }

    async fn converge<H: Half>(&self, wish: Wish<H>) -> Result<Done, Error> {
        let result = self.approach::<H>(wish).await;
        if result.is_err() {
            self.tidy().await;
        }
        result
    }

    /// Plans and carries out, anew as long as IAM turns out otherwise than read.
    async fn approach<H: Half>(&self, mut wish: Wish<H>) -> Result<Done, Error> {
        let id = H::id(H::place(&wish.spec));
        let mut waits = REPLAN.iter();
        let mut first = true;
        loop {
            let (state, plan) = self.plan::<H>(&wish).await?;
            let begun = H::is_begun(&state, &self.owner);
            if H::is_owned(&state, &self.owner) {
                self.progress.set(|inner| inner.trace = Trace::Entity(id.clone()));
            }
            let plan = plan.map_err(|refusal| self.nothing_made(begun, refusal))?;
            if self.progress.get().confirmed && plan.steps.iter().any(Step::is_claim) {
                // Made in this run, and not seen: a copy that lags, or else someone has
                // removed it, most likely a Delete of the same resource, which must not
                // be undone.
                let Some(wait) = waits.next() else {
                    return Err(Error::Refused(Code::RemovedMeanwhile, REMOVED.to_owned()));
                };
                tokio::time::sleep(*wait).await;
                continue;
            }
            if std::mem::take(&mut first) {
                self.report::<H>(&wish, &state);
            }
            for step in &plan.steps {
                tracing::info!(step = %step, "planned");
            }
            match self.carry_out(&plan.steps, &id).await {
                Ok(made) => {
                    let made = made.or(plan.existing).unwrap_or_else(|| Made { arn: id, id: String::new() });
                    let mut data = H::data(&wish.spec, &made, &plan.policies);
                    data.insert(PLAN, "carried out".to_owned());
                    return Ok((made.arn, data));
                }
                // IAM is not as it was read (another run, a lost answer): read again.
                Err(Error::Step { step, failure }) if is_surprise(&step, &failure) => {
                    let Some(wait) = waits.next() else { return Err(Error::Step { step, failure }) };
                    tracing::info!(step = %step, code = failure.code, "planning anew");
                    tokio::time::sleep(*wait).await;
                }
                Err(Error::Step { step, failure }) if is_invalid_principal(&failure) => {
                    let Some((spec, gone)) = H::without_refused(&wish.spec, &step, &failure) else {
                        return Err(self.nothing_made(begun, Error::Step { step, failure }));
                    };
                    let gone = gone.join(", ");
                    tracing::warn!(step = %step, gone, "trusted before, and no principal any more: left out of the trust");
                    wish.spec = spec;
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
    fn check<H: Half>(&self, spec: &H::Spec, plan: Plan) -> Result<Plan, Error> {
        let id = H::id(H::place(spec));
        let made = Made { arn: id.clone(), id: "x".repeat(ID_LENGTH) };
        let mut data = H::data(spec, &made, &plan.policies);
        data.insert(PLAN, "carried out".to_owned());
        if (self.fits)(&id, &data) {
            return Ok(plan);
        }
        let reason = "the attributes of the resource would pass CloudFormation's 4096 bytes; use shorter names or path";
        Err(Error::Refused(Code::AttributesTooLong, reason.to_owned()))
    }
}
