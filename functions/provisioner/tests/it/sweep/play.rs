//! One scenario: an event with a fault in it, then CloudFormation's next moves.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::operations::{Ends, Operation, held, stage};
use super::tally::Trouble;
use crate::iam::Fault;
use crate::stage::{Stage, TIMEOUT, create, delete, update};

/// What CloudFormation does when a process ends without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// Lambda delivers the event once more, and CloudFormation still waits.
    Redelivered,
    /// CloudFormation gives up waiting and rolls back.
    TimedOut,
}

/// What becomes of the stack after the event went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Kept,
    /// Another resource of the stack fails: this one is rolled back.
    RolledBack,
}

/// What goes wrong, and how CloudFormation takes it.
#[derive(Debug, Clone)]
pub struct Shock {
    /// Nothing, with a lag alone.
    pub fault: Option<Fault>,
    /// What goes wrong with the next event, at each of its calls; none: nothing.
    pub second: Option<Fault>,
    pub silence: Silence,
    /// For how many uses what was just made is not seen.
    pub hidden: usize,
    /// Whether the copies catch up between two events.
    pub settles: bool,
}

impl Shock {
    pub fn of(fault: Option<Fault>) -> Self {
        Self { fault, second: None, silence: Silence::Redelivered, hidden: 0, settles: true }
    }
}

/// A resource as the stack has it: id and properties.
pub type Held = Option<(String, Value)>;

/// CloudFormation, moving one stack's resources.
pub struct CloudFormation<'a> {
    stage: &'a Stage,
    /// What goes wrong with the next events, one after the other.
    faults: VecDeque<Option<(usize, Fault)>>,
    settles: bool,
    /// Whether a fault was meant for a call that never came.
    missed: bool,
    /// The calls of the first event.
    first: Option<Vec<String>>,
    pub troubles: Vec<Trouble>,
}

impl<'a> CloudFormation<'a> {
    pub fn new(stage: &'a Stage, faults: impl IntoIterator<Item = Option<(usize, Fault)>>, settles: bool) -> Self {
        Self { stage, faults: faults.into_iter().collect(), settles, missed: false, first: None, troubles: Vec::new() }
    }

    /// Sends one event, and checks its one answer and the time of it.
    async fn deliver(&mut self, event: &Value) -> Option<Value> {
        let made = {
            let mut world = self.stage.iam.world();
            if self.settles {
                // A minute has passed since the last event.
                world.settle();
            }
            (world.seen, world.fault_at) = (0, self.faults.pop_front().flatten());
            world.calls.len()
        };
        let start = Instant::now();
        let answer = self.stage.attempt(event).await;
        let left = TIMEOUT.saturating_sub(start.elapsed());
        self.missed = self.stage.iam.world().fault_at.take().is_some();
        self.first.get_or_insert_with(|| self.stage.iam.world().calls[made..].to_vec());
        if left < Duration::from_secs(3) {
            self.troubles.push(Trouble::Unanswered(format!("C27: {left:?} were left: {answer:?}")));
        }
        answer.unwrap_or_else(|why| {
            self.troubles.push(Trouble::Unanswered(why));
            None
        })
    }

    /// Sends one event until it goes well, as a person does who wants a stack to move on.
    /// It may fail only where something was made to go wrong.
    async fn insist(&mut self, event: &Value) -> Value {
        loop {
            let disturbed = self.faults.front().is_some_and(Option::is_some);
            let answer = self.deliver(event).await;
            if is_success(answer.as_ref()) || !disturbed || self.missed {
                if !is_success(answer.as_ref()) {
                    self.troubles.push(Trouble::Wrong(format!("it did not go well: {answer:?}, event {event}")));
                }
                return answer.unwrap_or_default();
            }
        }
    }

    /// Takes a resource from `old` to `new` (none: it is not there), whatever comes in
    /// between. Returns what the stack has in the end.
    pub async fn operate(&mut self, old: Held, new: Option<&Value>, silence: Silence, fate: Fate) -> Held {
        let answer = self.begin(&old, new).await;
        self.follow(old, new, answer, silence, fate).await
    }

    /// The operation's own event.
    async fn begin(&mut self, old: &Held, new: Option<&Value>) -> Option<Value> {
        self.deliver(&event(old, new)?).await
    }

    /// The events after it.
    async fn follow(
        &mut self,
        old: Held,
        new: Option<&Value>,
        mut answer: Option<Value>,
        silence: Silence,
        fate: Fate,
    ) -> Held {
        if answer.is_none() && silence == Silence::Redelivered {
            answer = self.begin(&old, new).await;
        }
        let succeeded = is_success(answer.as_ref());
        let answered = answer.as_ref().and_then(|answer| answer["PhysicalResourceId"].as_str()).map(str::to_owned);
        let kept = succeeded && fate == Fate::Kept;
        match (old, new) {
            // A Create that did not go well, or whose stack did not, is deleted under the
            // id it gave, or under one that CloudFormation invents.
            (None, Some(new)) if !kept => {
                let id = answered.unwrap_or_else(|| "stack-Resource-1ABCDEFGHIJKL".to_owned());
                self.insist(&delete(&id, new)).await;
                None
            }
            (Some((id, old)), Some(new)) if !kept => {
                let now = answered.unwrap_or_else(|| id.clone());
                let answer = self.insist(&update(&now, new, &old)).await;
                if answer["PhysicalResourceId"] != id.as_str() {
                    self.troubles.push(Trouble::Wrong(format!("the rollback is not back at {id}: {answer}")));
                }
                if now != id {
                    self.insist(&delete(&now, new)).await;
                }
                Some((id, old))
            }
            // CloudFormation's clean-up after a replacement.
            (Some((id, old)), Some(new)) => {
                if answered.as_ref() != Some(&id) {
                    self.insist(&delete(&id, &old)).await;
                }
                answered.map(|id| (id, new.clone()))
            }
            // A failed Delete is asked for again.
            (Some((id, old)), None) => {
                if !succeeded {
                    self.insist(&delete(&id, &old)).await;
                }
                None
            }
            (None, new) => answered.zip(new.cloned()),
        }
    }
}

fn event(old: &Held, new: Option<&Value>) -> Option<Value> {
    Some(match (old, new) {
        (None, Some(new)) => create(new),
        (Some((id, old)), Some(new)) => update(id, old, new),
        (Some((id, old)), None) => delete(id, old),
        (None, None) => return None,
    })
}

fn is_success(answer: Option<&Value>) -> bool {
    answer.is_some_and(|answer| answer["Status"] == "SUCCESS")
}

/// Plays an operation with a shock at call `at`, and each fate that the stack can have
/// after it. Returns how many scenarios that were, `None` when there was no such call.
pub async fn play(
    operation: &Operation,
    ends: &Ends,
    at: usize,
    shock: &Shock,
    found: &mut Vec<(String, Trouble)>,
) -> Option<usize> {
    if at > 0 && shock.fault.is_none() {
        return None;
    }
    let every = operation.is_main() && shock.second.is_none() || shock.hidden > 0;
    if !every && ends.calls.get(at).is_some() && !is_turn(&ends.calls, at) {
        return Some(0);
    }
    captured::start();
    let (old, new) = (operation.old(), operation.new.as_ref());
    let stage = stage();
    *stage.iam.world() = ends.world.clone();
    stage.iam.world().calls.clear();
    stage.iam.world().lag.hidden = shock.hidden;
    // The first event takes the fault; the moves after it must go well at once.
    let mut cloud = CloudFormation::new(&stage, [shock.fault.clone().map(|fault| (at, fault))], shock.settles);
    let before = old.cloned().map(|old| (ends.id.clone(), old));
    let answer = cloud.begin(&before, new).await;
    if cloud.missed {
        return None;
    }
    let case = format!("{}: call {at}, {shock:?}", operation.name);
    found.extend(cloud.troubles.into_iter().map(|trouble| (case.clone(), trouble)));
    let world = stage.iam.world().clone();
    let again = answer.is_none() && shock.silence == Silence::Redelivered && shock.second.is_none();
    let both = new.is_some() && (is_success(answer.as_ref()) || again);
    let fates: &[Fate] = if both { &[Fate::Kept, Fate::RolledBack] } else { &[Fate::Kept] };
    let mut played = 0;
    for fate in fates {
        let go_on = async |fault: Option<(usize, Fault)>| {
            *stage.iam.world() = world.clone();
            let mut cloud = CloudFormation::new(&stage, [fault], shock.settles);
            let after = cloud.follow(before.clone(), new, answer.clone(), shock.silence, *fate).await;
            (cloud, after)
        };
        let mut next: Vec<Option<(usize, Fault)>> = vec![None];
        if let Some(fault) = &shock.second {
            let calls = go_on(None).await.0.first.unwrap_or_default();
            next = (0..calls.len()).filter(|at| is_turn(&calls, *at)).map(|at| Some((at, fault.clone()))).collect();
        }
        for fault in next {
            let case = format!("{case}, then {fault:?}, {fate:?}");
            let (cloud, after) = go_on(fault).await;
            let stayed = after.as_ref().map(|(_, properties)| properties) == old;
            let wanted = if stayed { &ends.before } else { &ends.after };
            let troubles = cloud.troubles.into_iter().chain(held(&stage).differences(wanted, &ends.foreign));
            found.extend(troubles.map(|trouble| (case.clone(), trouble)));
            played += 1;
        }
    }
    Some(played)
}

/// Whether a crash at this call finds another state, or other knowledge of it, than one
/// at the call before: not after one of many reads in a row.
fn is_turn(calls: &[String], at: usize) -> bool {
    let reads = |at: usize| calls.get(at).is_some_and(|call| call.starts_with("Get") || call.starts_with("List"));
    at == 0 || !reads(at) || !reads(at - 1)
}

/// Plays the event alone with a call that never ends, if there is such a call: the answer
/// is a failure that says which step was running.
pub async fn hang(
    operation: &Operation,
    ends: &Ends,
    at: usize,
    fault: &Fault,
    found: &mut Vec<(String, Trouble)>,
) -> bool {
    let stage = stage();
    *stage.iam.world() = ends.world.clone();
    stage.iam.take_calls();
    let mut cloud = CloudFormation::new(&stage, [Some((at, fault.clone()))], true);
    let before = operation.old().cloned().map(|old| (ends.id.clone(), old));
    let answer = cloud.begin(&before, operation.new.as_ref()).await;
    if cloud.missed {
        return false;
    }
    let case = format!("{}: call {at}, {fault:?}", operation.name);
    found.extend(cloud.troubles.into_iter().map(|trouble| (case.clone(), trouble)));
    let calls = stage.iam.take_calls();
    let hung = calls.iter().find_map(|call| call.strip_suffix(" !Hangs")).unwrap_or_default();
    let action = hung.split(' ').next().unwrap_or_default();
    let step = if action.starts_with("Get") || action.starts_with("List") { "reading IAM" } else { action };
    let reason = answer.as_ref().and_then(|answer| answer["Reason"].as_str()).unwrap_or_default();
    if !reason.starts_with(&format!("timed out during {step}")) {
        found.push((case, Trouble::Unanswered(format!("C27: {hung}: {answer:?}"))));
    }
    true
}
