//! Until when an answer has to be on its way.

use std::time::{Duration, SystemTime};

use lambda_runtime::Context;
use tokio::time::Instant;

/// What is kept of the function's time: enough to write an error (R13), or to cut
/// an answer, before Lambda ends the process.
const MARGIN: Duration = Duration::from_millis(500);
/// What is kept of it when an answer has to be posted: enough for its line in the log.
const POSTING_MARGIN: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// Lambda's own deadline, less the margin.
    pub fn of(context: &Context) -> Self {
        Self(Instant::now() + left(context).saturating_sub(MARGIN))
    }

    /// Until when an answer that is there has to be posted: what [`Deadline::of`] cuts has a
    /// moment to say so, and so has an answer that comes past it.
    pub fn of_posting(context: &Context) -> Self {
        Self(Instant::now() + left(context).saturating_sub(POSTING_MARGIN).max(MARGIN - POSTING_MARGIN))
    }

    /// The same, but no later than so long from now.
    pub fn within(self, longest: Duration) -> Self {
        Self(self.0.min(Instant::now() + longest))
    }

    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    pub fn is_over(self) -> bool {
        self.left().is_zero()
    }

    pub fn at(self) -> Instant {
        self.0
    }
}

/// What Lambda leaves the function.
fn left(context: &Context) -> Duration {
    context.deadline().duration_since(SystemTime::now()).unwrap_or_default()
}
