//! Eight environments of a contestant at once, as Lambda runs them for eight callers.

use std::thread;
use std::time::{Duration, Instant};

use super::{KB, Stage, order};
use crate::Result;
use crate::contestants::Kind;
use crate::environment::Environment;
use crate::events::Event;
use crate::results::{Concurrent, Transport};
use crate::runtime_api::Sample;
use crate::stats::{median, micros, percentile};

const ENVIRONMENTS: usize = 8;

struct Team {
    kind: Kind,
    environments: Vec<Environment>,
    samples: Vec<f64>,
    busy: Duration,
}

pub(super) fn measure(stage: &Stage) -> Result<Vec<Concurrent>> {
    let event = Event::of(KB)?;
    let count = stage.times(ENVIRONMENTS, 2);
    let mut teams = Vec::new();
    for contestant in &stage.contestants {
        let ready = |_| Environment::ready(contestant, &stage.setting(Transport::Plain), &event).map(|(e, _)| e);
        let environments = (0..count).map(ready).collect::<Result<Vec<_>>>()?;
        teams.push(Team { kind: contestant.kind, environments, samples: Vec::new(), busy: Duration::ZERO });
    }
    for round in 0..stage.times(10, 1) {
        for place in order(round, teams.len()) {
            let Some(team) = teams.get_mut(place) else { continue };
            let turn = if team.kind.is_python() { stage.times(6, 2) } else { stage.times(40, 3) };
            let began = Instant::now();
            let samples = thread::scope(|scope| {
                let threads: Vec<_> =
                    team.environments.iter_mut().map(|e| scope.spawn(|| e.ask(&event, turn))).collect();
                let joined = threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread of the bench panicked".into())));
                joined.collect::<Result<Vec<Vec<Sample>>>>()
            })?;
            team.busy += began.elapsed();
            team.samples.extend(samples.iter().flatten().map(|sample| micros(sample.taken)));
        }
    }
    teams
        .iter()
        .map(|team| {
            for environment in &team.environments {
                environment.check_calls(false)?;
            }
            Ok(Concurrent {
                contestant: team.kind,
                environments: count,
                p50: median(&team.samples),
                p99: percentile(&team.samples, 0.99),
                samples: team.samples.len(),
                per_second: team.samples.len() as f64 / team.busy.as_secs_f64(),
            })
        })
        .collect()
}
