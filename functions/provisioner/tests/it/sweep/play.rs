//! One scenario: an event with a fault in it, then CloudFormation's next moves.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::operations::{Ends, Operation, held};
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
    pub silence: Silence,
    /// For how many uses what was just made is not seen, within one invocation.
    pub hidden: usize,
}

/// A resource as the stack has it: id and properties.
pub type Held = Option<(String, Value)>;

/// CloudFormation, moving one stack's resources.
pub struct CloudFormation<'a> {
    pub stage: &'a Stage,
    /// What goes wrong with the next events, one after the other.
    pub faults: VecDeque<Option<(usize, Fault)>>,
    /// How often an event is sent that must go well.
    pub tries: usize,
    /// Whether a fault was meant for a call that never came.
    pub missed: bool,
}

impl CloudFormation<'_> {
    /// Sends one event, and checks the time of its one answer. A minute has passed since
    /// the last one: copies of IAM have caught up.
    async fn deliver(&mut self, event: &Value) -> Option<Value> {
        {
            let mut world = self.stage.iam.world();
            world.settle();
            (world.seen, world.fault_at) = (0, self.faults.pop_front().flatten());
        }
        let start = Instant::now();
        let answer = self.stage.try_send(event).await;
        let left = TIMEOUT.saturating_sub(start.elapsed());
        assert!(left >= Duration::from_secs(3), "C27: {left:?} were left: {answer:?}");
        self.missed |= self.stage.iam.world().fault_at.take().is_some();
        answer
    }

    /// Sends one event until it goes well, as a person does who wants a stack to move on.
    async fn insist(&mut self, event: &Value) -> Value {
        let mut last = None;
        for _ in 0..self.tries {
            last = self.deliver(event).await;
            if let Some(answer) = last.take_if(|answer| answer["Status"] == "SUCCESS") {
                return answer;
            }
        }
        panic!("it did not go well: {last:?}\nevent: {event}")
    }

    /// Takes a resource from `old` to `new` (none: it is not there), whatever comes in
    /// between. Returns what the stack has in the end.
    pub async fn operate(&mut self, old: Held, new: Option<&Value>, silence: Silence, fate: Fate) -> Held {
        let answer = self.begin(&old, new, silence).await;
        self.follow(old, new, answer, fate).await
    }

    /// The operation's own event.
    async fn begin(&mut self, old: &Held, new: Option<&Value>, silence: Silence) -> Option<Value> {
        let event = event(old, new)?;
        let answer = self.deliver(&event).await;
        if answer.is_none() && silence == Silence::Redelivered && !self.missed {
            return self.deliver(&event).await;
        }
        answer
    }

    /// The events after it.
    async fn follow(&mut self, old: Held, new: Option<&Value>, answer: Option<Value>, fate: Fate) -> Held {
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
                assert!(succeeded || now == id, "a failed Update keeps its id");
                let answer = self.insist(&update(&now, new, &old)).await;
                assert_eq!(answer["PhysicalResourceId"], id.as_str(), "the rollback is back at the first id");
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
/// after it. Returns how many scenarios that were: none when there was no such call.
pub async fn play(operation: &Operation, ends: &Ends, at: usize, shock: &Shock) -> usize {
    if at > 0 && shock.fault.is_none() {
        return 0;
    }
    captured::start();
    let Operation { name, old, new } = operation;
    let stage = Stage::new();
    let case = Case(format!("{name}: call {at}, {shock:?}"));
    *stage.iam.world() = ends.world.clone();
    stage.iam.world().lag.hidden = shock.hidden;
    // The first event takes the fault; the moves after it must go well at once.
    let faults = VecDeque::from([shock.fault.clone().map(|fault| (at, fault))]);
    let mut cloud = CloudFormation { stage: &stage, faults, tries: 1, missed: false };
    let before = old.clone().map(|old| (ends.id.clone(), old));
    let answer = cloud.begin(&before, new.as_ref(), shock.silence).await;
    if cloud.missed {
        return 0;
    }
    let world = stage.iam.world().clone();
    let both = is_success(answer.as_ref()) && new.is_some();
    let fates: &[Fate] = if both { &[Fate::Kept, Fate::RolledBack] } else { &[Fate::Kept] };
    for fate in fates {
        *stage.iam.world() = world.clone();
        let after = cloud.follow(before.clone(), new.as_ref(), answer.clone(), *fate).await;
        let stayed = after.as_ref().map(|(_, properties)| properties) == old.as_ref();
        let wanted = if stayed { &ends.before } else { &ends.after };
        assert_eq!(&held(&stage), wanted, "{}, {fate:?}", case.0);
    }
    fates.len()
}

/// Names the scenario when something in it panics.
struct Case(String);

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in the scenario: {}", self.0);
        }
    }
}

/// Plays the event alone with a call that never ends, if there is such a call: the answer
/// is a failure that says which step was running.
pub async fn hang(operation: &Operation, ends: &Ends, at: usize, fault: &Fault) {
    let Operation { name, old, new } = operation;
    let stage = Stage::new();
    *stage.iam.world() = ends.world.clone();
    stage.iam.take_calls();
    let faults = VecDeque::from([Some((at, fault.clone()))]);
    let mut cloud = CloudFormation { stage: &stage, faults, tries: 1, missed: false };
    let before = old.clone().map(|old| (ends.id.clone(), old));
    let answer = cloud.begin(&before, new.as_ref(), Silence::TimedOut).await;
    if cloud.missed {
        return;
    }
    let answer = answer.unwrap_or_else(|| panic!("{name}: call {at}: no answer"));
    let calls = stage.iam.take_calls();
    let hung = calls.iter().find_map(|call| call.strip_suffix(" !Hangs")).unwrap_or_default();
    let action = hung.split(' ').next().unwrap_or_default();
    let step = if action.starts_with("Get") || action.starts_with("List") { "reading IAM" } else { action };
    let reason = answer["Reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with(&format!("timed out during {step}")), "{name}: call {at}, {hung}: {reason}");
}
