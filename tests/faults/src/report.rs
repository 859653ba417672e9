//! What a run came to.

use std::collections::BTreeMap;
use std::fmt;

use crate::verdict::{End, Verdict};

/// Beside the first requests of a run: a process that grows more than this leaks.
const GROWTH: f64 = 1.15;
/// At the start of a run the allocator still finds its size.
const SLACK_KIB: u64 = 1024;

#[derive(Default)]
pub struct Report {
    pub environments: usize,
    pub requests: u64,
    pub faults: u64,
    pub freezes: u64,
    pub hangs: u64,
    pub second_calls: u64,
    /// Requests on connections that died as they were sent, told to the caller as such.
    pub lost: Vec<String>,
    pub wrong: Vec<String>,
    pub leaks: Vec<String>,
    pub ends: BTreeMap<String, u64>,
    /// In KiB, of each environment: early in the run, and at its end.
    pub memory: Vec<(u64, u64)>,
}

impl Report {
    pub fn add(&mut self, request: &str, verdict: Verdict) {
        self.requests += 1;
        self.hangs += u64::from(verdict.hangs);
        self.second_calls += u64::from(verdict.second_call);
        self.lost.extend(verdict.is_lost.then(|| request.to_owned()));
        self.wrong.extend(verdict.wrong.into_iter().map(|what| format!("{request}: {what}")));
        if verdict.hangs {
            self.wrong.push(format!("{request}: it hangs"));
        }
        let end = match verdict.end {
            Some(End::Whole) => "whole answers".to_owned(),
            Some(End::Cut) => "answers marked as cut".to_owned(),
            Some(End::Error(status, code)) => format!("{status} {code}"),
            None => "nothing".to_owned(),
        };
        *self.ends.entry(end).or_default() += 1;
    }

    pub fn merge(&mut self, other: Self) {
        self.environments += other.environments;
        self.requests += other.requests;
        self.faults += other.faults;
        self.freezes += other.freezes;
        self.hangs += other.hangs;
        self.second_calls += other.second_calls;
        self.lost.extend(other.lost);
        self.wrong.extend(other.wrong);
        self.leaks.extend(other.leaks);
        self.memory.extend(other.memory);
        for (end, count) in other.ends {
            *self.ends.entry(end).or_default() += count;
        }
    }

    pub fn is_good(&self) -> bool {
        let is_clean = self.wrong.is_empty() && self.leaks.is_empty();
        is_clean && self.second_calls == 0 && self.hangs == 0 && !self.grows() && self.lost.len() <= self.losable()
    }

    /// A pool that did not look at its connections would lose hundreds.
    fn losable(&self) -> usize {
        3 + usize::try_from(self.requests / 1_000).unwrap_or(usize::MAX)
    }

    /// Mean of early, mean of late, and the most.
    fn resident(&self) -> (u64, u64, u64) {
        let count = u64::try_from(self.memory.len()).unwrap_or(1).max(1);
        let sum = |of: fn(&(u64, u64)) -> u64| self.memory.iter().map(of).sum::<u64>() / count;
        (sum(|m| m.0), sum(|m| m.1), self.memory.iter().map(|m| m.1).max().unwrap_or_default())
    }

    fn grows(&self) -> bool {
        self.memory.iter().any(|&(early, late)| late > SLACK_KIB + (early as f64 * GROWTH) as u64)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (end, count) in &self.ends {
            writeln!(f, "{count:>8}  {end}")?;
        }
        for wrong in self.wrong.iter().chain(&self.leaks).take(40) {
            writeln!(f, "WRONG: {wrong}")?;
        }
        for lost in &self.lost {
            writeln!(f, "lost: {lost}")?;
        }
        let (early, late, most) = self.resident();
        let megabytes = |kib: u64| kib as f64 / 1024.0;
        write!(
            f,
            "load: {} requests in {} environments, {} faults injected ({} freezes), {} wrong answers, {} hangs, \
             {} second calls, {} lost on dead connections, {} leaks, memory {:.1} → {:.1} MB (most {:.1}){}",
            self.requests,
            self.environments,
            self.faults,
            self.freezes,
            self.wrong.len(),
            self.hangs,
            self.second_calls,
            self.lost.len(),
            self.leaks.len(),
            megabytes(early),
            megabytes(late),
            megabytes(most),
            if self.grows() { ", which is growth" } else { "" }
        )
    }
}
