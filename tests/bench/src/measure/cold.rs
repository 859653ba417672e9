//! Cold starts: from the spawn to the first answer at 1 KB.

use super::{KB, Stage, order};
use crate::Result;
use crate::environment::Environment;
use crate::events::Event;
use crate::results::{Cold, Transport};
use crate::stats::{median, micros, percentile};

/// Python is started in each so-manieth round only: it takes some fifty times as long.
const PYTHON_ROUND: usize = 5;

pub(super) fn measure(stage: &Stage) -> Result<Vec<Cold>> {
    let event = Event::of(KB)?;
    let mut games: Vec<_> = [Transport::Plain, Transport::Tls]
        .into_iter()
        .flat_map(|transport| stage.contestants.iter().map(move |contestant| (contestant, transport, Vec::new())))
        .collect();
    for round in 0..stage.times(50, 2) {
        for place in order(round, games.len()) {
            let Some((contestant, transport, samples)) = games.get_mut(place) else { continue };
            if contestant.kind.is_python() && round % PYTHON_ROUND != 0 {
                continue;
            }
            let (environment, first) = Environment::ready(contestant, &stage.setting(*transport), &event)?;
            environment.check_calls(false)?;
            samples.push(micros(first.ended - environment.spawned));
        }
    }
    let cold = games.into_iter().map(|(contestant, transport, samples)| Cold {
        contestant: contestant.kind,
        transport,
        p50: median(&samples),
        p99: percentile(&samples, 0.99),
        samples: samples.len(),
    });
    Ok(cold.collect())
}
