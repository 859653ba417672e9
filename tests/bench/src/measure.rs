//! The measurements. Each plays its contestants in turns, in an order that changes
//! from round to round, so that what else the machine does meets all of them.

mod cold;
mod concurrent;
mod reuse;
mod soak;
mod streams;
mod warm;

use std::path::Path;

use crate::Result;
use crate::contestants::{Contestant, Kind};
use crate::environment::Setting;
use crate::results::{Results, Transport, Warm};
use crate::tls::Tls;

const KB: usize = 1 << 10;
const MB: usize = 1 << 20;

/// What every measurement works with.
pub struct Stage {
    pub contestants: Vec<Contestant>,
    pub tls: Tls,
    /// A few rounds only: shows that all of it works, and measures nothing.
    pub quick: bool,
}

impl Stage {
    /// # Errors
    /// When no certificate can be made in `directory`.
    pub fn new(contestants: Vec<Contestant>, directory: &Path, quick: bool) -> Result<Self> {
        Ok(Self { contestants, tls: Tls::make(directory)?, quick })
    }

    /// Everything.
    ///
    /// # Errors
    /// The first request or answer that was wrong.
    pub fn measure(&self, progress: &dyn Fn(&str)) -> Result<Results> {
        let mut warm = Vec::new();
        for (transport, bytes) in self.bodies() {
            progress(&format!("warm, {} KB, {transport:?}", bytes / KB));
            warm.extend(warm::measure(self, transport, bytes)?);
        }
        progress("8 environments at once");
        let concurrent = concurrent::measure(self)?;
        progress("cold starts");
        let cold = cold::measure(self)?;
        progress("credential reuse");
        let reuse = reuse::measure(self)?;
        progress("streamed answers");
        let streams = streams::measure(self)?;
        progress("soak");
        let soak = soak::measure(self)?;
        Ok(Results { quick: self.quick, warm, concurrent, cold, reuse, streams, soak })
    }

    /// One measurement at 1 KB, a line for each contestant: for trying things out.
    ///
    /// # Errors
    /// As [`Stage::measure`], and when there is no measurement of this name.
    pub fn measure_only(&self, name: &str) -> Result<Vec<String>> {
        match name {
            "warm" => {
                let sizes = [(Transport::Plain, KB), (Transport::Plain, MB)];
                let measured = sizes.into_iter().map(|(transport, bytes)| warm::measure(self, transport, bytes));
                let measured = measured.collect::<Result<Vec<_>>>()?.into_iter().flatten();
                Ok(measured
                    .map(|warm| {
                        let Warm { contestant, bytes, p50, processor, peak_kib, .. } = warm;
                        format!("{contestant:?} {bytes} B: {p50:.1} us, processor {processor:.1} us, {peak_kib} KiB")
                    })
                    .collect())
            }
            "cold" => Ok(cold::measure(self)?
                .into_iter()
                .map(|cold| format!("{:?} {:?}: {:.0} us", cold.contestant, cold.transport, cold.p50))
                .collect()),
            _ => Err(format!("there is no measurement of the name {name}").into()),
        }
    }

    fn bodies(&self) -> Vec<(Transport, usize)> {
        let mut bodies = vec![(Transport::Plain, KB), (Transport::Tls, KB)];
        let large: &[usize] = if self.quick { &[100 * KB] } else { &[100 * KB, MB, 4 * MB] };
        bodies.extend(large.iter().map(|bytes| (Transport::Plain, *bytes)));
        bodies
    }

    fn setting(&self, transport: Transport) -> Setting<'_> {
        Setting { tls: &self.tls, is_tls: transport == Transport::Tls, reuse_seconds: 0 }
    }

    fn contestant(&self, kind: Kind) -> Option<&Contestant> {
        self.contestants.iter().find(|contestant| contestant.kind == kind)
    }

    /// `full`, or a few when nothing is measured.
    fn times(&self, full: usize, few: usize) -> usize {
        if self.quick { few } else { full }
    }
}

/// The places `0..count` in the order of a round: each contestant comes first, and
/// after each other, as often as any.
fn order(round: usize, count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).map(|place| (place + round) % count).collect();
    if round / count % 2 == 1 {
        places.reverse();
    }
    places
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn each_comes_first_as_often() {
        let mut firsts = [0; 5];
        for round in 0..10 {
            let mut places = order(round, 5);
            firsts[places[0]] += 1;
            places.sort_unstable();
            assert_eq!(places, [0, 1, 2, 3, 4]);
        }
        assert_eq!(firsts, [2; 5]);
    }
}
