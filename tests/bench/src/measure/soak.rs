//! Fifty thousand requests to one environment of the invoker: does it grow?

use super::{KB, Stage};
use crate::Result;
use crate::contestants::Kind;
use crate::environment::Environment;
use crate::events::Event;
use crate::results::{Soak, Transport};

const TURN: usize = 1000;

pub(super) fn measure(stage: &Stage) -> Result<Option<Soak>> {
    let Some(invoker) = stage.contestant(Kind::Invoker) else { return Ok(None) };
    let event = Event::of(KB)?;
    let (mut environment, _) = Environment::ready(invoker, &stage.setting(Transport::Plain), &event)?;
    let first_connections = environment.tally().connections;
    let (requests, turn) = (stage.times(50 * TURN, 100), stage.times(TURN, 20));
    environment.ask(&event, turn)?;
    let start_kib = environment.memory()?.resident;
    for _ in 1..requests / turn {
        environment.ask(&event, turn)?;
    }
    environment.check_calls(false)?;
    let memory = environment.memory()?;
    Ok(Some(Soak {
        requests,
        start_kib,
        end_kib: memory.resident,
        peak_kib: memory.peak,
        late_connections: environment.tally().connections - first_connections,
    }))
}
