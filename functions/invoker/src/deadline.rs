//! Until when an answer has to be on its way.

use std::time::{Duration, SystemTime};

use lambda_runtime::Context;
use tokio::time::Instant;

/// What is kept of the function's time: enough to write an error (R13), or to cut
/// an answer, before Lambda ends the process.
const MARGIN: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// Lambda's own deadline, less the margin.
    pub fn of(context: &Context) -> Self {
        let left = context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        Self(Instant::now() + left.saturating_sub(MARGIN))
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
