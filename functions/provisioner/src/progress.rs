//! What an event has done so far.

use std::sync::Mutex;

use sagemaker_external::arn::PolicyArn;
use tokio::time::Instant;

use crate::step::Step;

/// What has happened so far, for whoever has to answer in the end: also after a
/// panic or a timeout in the middle.
#[derive(Debug, Default)]
pub struct Progress(Mutex<Inner>);

/// What a Delete would have to look for after this event.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum Trace {
    /// Nothing: nothing of ours was there and nothing was written.
    #[default]
    Nothing,
    /// Whatever the properties name and is ours for certain: nothing was read yet, and an
    /// earlier delivery may have been cut off.
    Unknown,
    /// What this run, or an earlier one that was cut off, may have made under this id.
    Entity(String),
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Inner {
    pub(crate) step: Option<String>,
    pub(crate) trace: Trace,
    /// Whether a write may have taken effect in this run.
    pub(crate) wrote: bool,
    /// Whether the entity itself may have been made in this run.
    pub(crate) made: bool,
    /// Whether it was, for certain.
    pub(crate) confirmed: bool,
    /// Policies that were made in this run and hang on no role yet.
    pub(crate) loose: Vec<PolicyArn>,
    /// How many steps went well.
    pub(crate) steps: usize,
    /// When IAM denied something first.
    pub(crate) denied: Option<Instant>,
}

impl Inner {
    /// A step that went well.
    pub(crate) fn note(&mut self, step: &Step) {
        self.steps += 1;
        self.confirmed |= step.is_claim();
        match step {
            Step::CreatePolicy { policy, .. } => self.loose.push(policy.clone()),
            Step::Attach { policy, .. } => self.loose.retain(|loose| loose.to_string() != *policy),
            _ => {}
        }
    }
}

impl Progress {
    /// The step that is running, or ran last.
    pub fn step(&self) -> Option<String> {
        self.get().step
    }

    /// How many changes IAM has taken.
    pub fn steps(&self) -> usize {
        self.get().steps
    }

    /// What a Delete would have to look for.
    pub fn trace(&self) -> Trace {
        self.get().trace
    }

    /// Whether the role or the group itself may have been made in this run.
    pub(crate) fn made(&self) -> bool {
        self.get().made
    }

    /// When IAM denied something first, which is `now` unless it did before.
    pub(crate) fn denied_since(&self, now: Instant) -> Instant {
        self.0.lock().map(|mut inner| *inner.denied.get_or_insert(now)).unwrap_or(now)
    }

    pub(crate) fn get(&self) -> Inner {
        self.0.lock().map(|inner| inner.clone()).unwrap_or_default()
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Inner)) {
        if let Ok(mut inner) = self.0.lock() {
            change(&mut inner);
        }
    }
}
