//! The invoker without and with credential reuse, at 1 KB. Nothing if this build
//! assumes for each request whatever it is told.

use std::time::Duration;

use super::{KB, Stage, order};
use crate::Result;
use crate::contestants::Kind;
use crate::environment::{Environment, Setting};
use crate::events::Event;
use crate::results::{Reuse, Transport};
use crate::stats::{median, micros};

const SECONDS: u32 = 600;

struct Player {
    environment: Environment,
    samples: Vec<f64>,
    processor: Duration,
}

pub(super) fn measure(stage: &Stage) -> Result<Option<Reuse>> {
    let (Some(invoker), Some(noop)) = (stage.contestant(Kind::Invoker), stage.contestant(Kind::Noop)) else {
        return Ok(None);
    };
    let event = Event::of(KB)?;
    let off = stage.setting(Transport::Plain);
    let on = Setting { reuse_seconds: SECONDS, ..stage.setting(Transport::Plain) };
    let mut players = Vec::new();
    for (contestant, setting) in [(invoker, &off), (invoker, &on), (noop, &off)] {
        let (environment, _) = Environment::ready(contestant, setting, &event)?;
        players.push(Player { environment, samples: Vec::new(), processor: Duration::ZERO });
    }
    let turn = stage.times(50, 4);
    for round in 0..stage.times(40, 2) {
        for place in order(round, players.len()) {
            let Some(player) = players.get_mut(place) else { continue };
            player.environment.ask(&event, 1)?;
            let before = player.environment.processor()?;
            let taken = player.environment.ask(&event, turn)?;
            player.processor += player.environment.processor()?.saturating_sub(before);
            player.samples.extend(taken.iter().map(|sample| micros(sample.taken)));
        }
    }
    let [off, on, noop] = players.as_slice() else { return Ok(None) };
    off.environment.check_calls(false)?;
    on.environment.check_calls(true)?;
    let samples = on.samples.len();
    let assumed_with_reuse = on.environment.tally().assumed;
    Ok((assumed_with_reuse <= samples / 2).then(|| Reuse {
        off: median(&off.samples),
        on: median(&on.samples),
        noop: median(&noop.samples),
        processor_on: micros(on.processor) / samples as f64,
        samples,
        assumed_with_reuse,
    }))
}
