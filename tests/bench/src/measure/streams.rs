//! Streamed answers of 100 MB: their first byte, their rate, and the memory they take.

use super::{MB, Stage};
use crate::Result;
use crate::contestants::{Contestant, Kind};
use crate::environment::Environment;
use crate::events::{Event, Route};
use crate::results::{Streamed, Transport};
use crate::stats::{median, micros};

pub(super) fn measure(stage: &Stage) -> Result<Vec<Streamed>> {
    let bytes = stage.times(100, 2) * MB;
    let mut found = Vec::new();
    for kind in [Kind::Invoker, Kind::Floor] {
        let Some(contestant) = stage.contestant(kind) else { continue };
        for route in [Route::Invocations, Route::ResponseStream] {
            if serves(stage, contestant, route)? {
                found.push(stream(stage, contestant, route, bytes)?);
            }
        }
    }
    Ok(found)
}

/// Whether this build has the route: 404 says that it has not, and anything else that
/// is wrong is wrong.
fn serves(stage: &Stage, contestant: &Contestant, route: Route) -> Result<bool> {
    // The invoker reads an answer of up to 1 MB before it passes it on.
    let event = Event::streamed(route, 2 * MB)?;
    match Environment::ready(contestant, &stage.setting(Transport::Plain), &event) {
        Ok(_) => Ok(true),
        Err(error) if error.to_string().contains("UnknownOperationException") => Ok(false),
        Err(error) => Err(error),
    }
}

fn stream(stage: &Stage, contestant: &Contestant, route: Route, bytes: usize) -> Result<Streamed> {
    let event = Event::streamed(route, bytes)?;
    let (mut environment, _) = Environment::ready(contestant, &stage.setting(Transport::Plain), &event)?;
    let (mut firsts, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..stage.times(7, 1) {
        for sample in environment.ask(&event, 1)? {
            let first = sample.first_byte.ok_or("the answer was not streamed")?;
            let rest = sample.taken.saturating_sub(first).as_secs_f64();
            firsts.push(micros(first));
            rates.push(event.answer.length as f64 / MB as f64 / rest);
        }
    }
    environment.check_calls(false)?;
    Ok(Streamed {
        contestant: contestant.kind,
        operation: match route {
            Route::Invocations => "InvokeEndpoint",
            Route::ResponseStream => "InvokeEndpointWithResponseStream",
        },
        bytes: event.answer.length,
        first_byte: median(&firsts),
        megabytes_per_second: median(&rates),
        samples: firsts.len(),
        peak_kib: environment.memory()?.peak,
    })
}
