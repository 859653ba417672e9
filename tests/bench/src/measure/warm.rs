//! Requests of one size, one environment for each contestant.

use std::time::Duration;

use super::{KB, MB, Stage, order};
use crate::Result;
use crate::environment::Environment;
use crate::events::Event;
use crate::results::{Transport, Warm};
use crate::stats::{median, micros, percentile};

/// A contestant in the game.
struct Player {
    environment: Environment,
    turn: usize,
    first_connections: usize,
    samples: Vec<f64>,
    rounds: Vec<f64>,
    processor: Duration,
    requests: u32,
}

pub(super) fn measure(stage: &Stage, transport: Transport, bytes: usize) -> Result<Vec<Warm>> {
    let event = Event::of(bytes)?;
    let (rounds, turn, python_turn) = match bytes {
        0..MB if bytes <= KB => (60, 50, 10),
        0..MB => (60, 20, 5),
        MB => (60, 10, 4),
        _ => (30, 6, 3),
    };
    let (rounds, turn, python_turn) = (stage.times(rounds, 2), stage.times(turn, 3), stage.times(python_turn, 2));
    let mut players = Vec::new();
    for contestant in &stage.contestants {
        let (mut environment, _) = Environment::ready(contestant, &stage.setting(transport), &event)?;
        let first_connections = environment.tally().connections;
        let turn = if contestant.kind.is_python() { python_turn } else { turn };
        environment.ask(&event, 2 * turn)?;
        let (samples, rounds) = (Vec::new(), Vec::new());
        let processor = Duration::ZERO;
        players.push(Player { environment, turn, first_connections, samples, rounds, processor, requests: 0 });
    }
    for round in 0..rounds {
        for place in order(round, players.len()) {
            let Some(player) = players.get_mut(place) else { continue };
            // The first of a turn finds the others' data in the processor's caches.
            player.environment.ask(&event, 1)?;
            let before = player.environment.processor()?;
            let taken = player.environment.ask(&event, player.turn)?;
            player.processor += player.environment.processor()?.saturating_sub(before);
            player.requests += u32::try_from(taken.len())?;
            let taken: Vec<f64> = taken.iter().map(|sample| micros(sample.taken)).collect();
            player.rounds.push(median(&taken));
            player.samples.extend(taken);
        }
    }
    stage
        .contestants
        .iter()
        .zip(players)
        .map(|(contestant, player)| {
            player.environment.check_calls(false)?;
            Ok(Warm {
                contestant: contestant.kind,
                transport,
                bytes,
                p50: median(&player.samples),
                p99: percentile(&player.samples, 0.99),
                samples: player.samples.len(),
                rounds: player.rounds,
                processor: micros(player.processor) / f64::from(player.requests.max(1)),
                peak_kib: player.environment.memory()?.peak,
                late_connections: player.environment.tally().connections - player.first_connections,
            })
        })
        .collect()
}
