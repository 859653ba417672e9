//! Requests of one size, one environment at a time for each contestant.

use std::sync::Arc;
use std::time::Duration;

use super::{KB, MB, Stage, order};
use crate::Result;
use crate::contestants::Contestant;
use crate::environment::Environment;
use crate::events::Event;
use crate::results::{Transport, Warm};
use crate::stats::{median, micros, percentile};

/// Each contestant is started anew so many times: how a process happens to lie in
/// memory changes what it takes by some percent.
const LIVES: usize = 4;

/// A contestant in the game.
struct Player<'a> {
    contestant: &'a Contestant,
    turn: usize,
    samples: Vec<f64>,
    rounds: Vec<f64>,
    processor: Duration,
    peak_kib: u64,
    late_connections: usize,
}

/// One of its processes.
struct Life {
    environment: Environment,
    first_connections: usize,
}

pub(super) fn measure(stage: &Stage, transport: Transport, bytes: usize) -> Result<Vec<Warm>> {
    let event = Event::of(bytes)?;
    let (rounds, turn, python_turn) = match bytes {
        0..MB if bytes <= KB => (15, 50, 10),
        0..MB => (15, 20, 5),
        MB => (15, 10, 4),
        _ => (8, 6, 3),
    };
    let (rounds, turn, python_turn) = (stage.times(rounds, 2), stage.times(turn, 3), stage.times(python_turn, 2));
    let mut players: Vec<_> = stage
        .contestants
        .iter()
        .map(|contestant| Player {
            contestant,
            turn: if contestant.kind.is_python() { python_turn } else { turn },
            samples: Vec::new(),
            rounds: Vec::new(),
            processor: Duration::ZERO,
            peak_kib: 0,
            late_connections: 0,
        })
        .collect();
    for life in 0..stage.times(LIVES, 1) {
        let mut lives = Vec::new();
        for player in &players {
            let (mut environment, _) = Environment::ready(player.contestant, &stage.setting(transport), &event)?;
            let first_connections = environment.tally().connections;
            environment.ask(&event, 2 * player.turn)?;
            lives.push(Life { environment, first_connections });
        }
        for round in 0..rounds {
            for place in order(life * rounds + round, players.len()) {
                if let (Some(player), Some(life)) = (players.get_mut(place), lives.get_mut(place)) {
                    player.play(&mut life.environment, &event)?;
                }
            }
        }
        for (player, life) in players.iter_mut().zip(lives) {
            player.end(&life)?;
        }
    }
    Ok(players.into_iter().map(|player| player.result(transport, bytes)).collect())
}

impl Player<'_> {
    fn play(&mut self, environment: &mut Environment, event: &Arc<Event>) -> Result<()> {
        // The first of a turn finds the others' data in the processor's caches.
        environment.ask(event, 1)?;
        let before = environment.processor()?;
        let taken = environment.ask(event, self.turn)?;
        self.processor += environment.processor()?.saturating_sub(before);
        let taken: Vec<f64> = taken.iter().map(|sample| micros(sample.taken)).collect();
        self.rounds.push(median(&taken));
        self.samples.extend(taken);
        Ok(())
    }

    fn end(&mut self, life: &Life) -> Result<()> {
        life.environment.check_calls(false)?;
        self.peak_kib = self.peak_kib.max(life.environment.memory()?.peak);
        self.late_connections += life.environment.tally().connections - life.first_connections;
        Ok(())
    }

    fn result(self, transport: Transport, bytes: usize) -> Warm {
        Warm {
            contestant: self.contestant.kind,
            transport,
            bytes,
            p50: median(&self.samples),
            p99: percentile(&self.samples, 0.99),
            samples: self.samples.len(),
            rounds: self.rounds,
            processor: micros(self.processor) / self.samples.len().max(1) as f64,
            peak_kib: self.peak_kib,
            late_connections: self.late_connections,
        }
    }
}
