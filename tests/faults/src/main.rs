//! `faults [--seed N] [--environments N] [--requests N] PROGRAM`: the run, and one line
//! that says what it came to.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the report goes to whoever runs it")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use faults::environment::Environment;
use faults::plan::Plan;
use faults::report::Report;
use faults::verdict::{Case, disturbs};
use faults::{Error, Result};

const USAGE: &str = "usage: faults [--seed N] [--environments N] [--requests N, of each] PROGRAM";
/// The first requests of an environment, the largest and without faults.
const PLAIN: u64 = 3;
/// Each environment has one of these (Lambda's `ApplicationLogLevel`).
const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let Options { seed, environments, requests, program } = Options::read(std::env::args().skip(1))?;
    println!("seed {seed}: {environments} environments, {requests} requests each");
    let plans: Arc<[Plan]> =
        (0..environments * requests).map(|number| Plan::of(seed, number, number % requests < PLAIN)).collect();
    let mut report = Report::default();
    let reports: Vec<Result<Report>> = thread::scope(|scope| {
        let serve = |index| {
            let (plans, program) = (Arc::clone(&plans), &program);
            scope.spawn(move || serve(index, requests, &plans, program))
        };
        let threads: Vec<_> = (0..environments).map(serve).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|joined| joined.unwrap_or_else(|_| Err("a thread of this program panicked".into()))).collect()
    });
    for one in reports {
        report.merge(one?);
    }
    println!("{report}");
    Ok(report.is_good())
}

/// All requests of one environment, one after the other, as Lambda does it.
fn serve(index: u64, requests: u64, plans: &Arc<[Plan]>, program: &Path) -> Result<Report> {
    let level = LEVELS.get(usize::try_from(index)? % LEVELS.len()).copied().unwrap_or("INFO");
    let environment = Environment::start(program, Arc::clone(plans), index % 2 == 1, level)?;
    let mut report = Report { environments: 1, ..Report::default() };
    let (mut before, mut early) = (None, 0);
    for number in 0..requests {
        let plan = plans.get(usize::try_from(index * requests + number)?).ok_or("no plan")?;
        if let Some(freeze) = plan.freeze {
            environment.freeze(freeze)?;
            report.freezes += 1;
        }
        let (outcome, ends) = environment.runtime.ask(plan);
        let trace = environment.backend.trace(plan.number);
        report.faults += trace.faults(plan);
        let before = before.replace(plan);
        // What closed while the process was frozen has to be seen when it goes on.
        let is_disturbed = before.is_some_and(disturbs) && plan.freeze.is_none();
        let case = Case { plans, plan, trace, outcome, ends, reuses: environment.reuses, is_disturbed };
        let verdict = case.judge();
        let hangs = verdict.hangs && verdict.end.is_none();
        let Plan { number: id, route, sts, model, freeze, .. } = plan;
        let before = before.map(|before| before.model);
        report.add(&format!("request {id} ({route:?}, {sts:?}, {model:?}) after {before:?} and {freeze:?}"), verdict);
        if let Some(surplus) = environment.runtime.surplus() {
            report.wrong.push(format!("request {}: a second answer, to {}", plan.number, surplus.id));
        }
        // Lambda would end it.
        if hangs {
            break;
        }
        if number == (requests / 4).max(PLAIN) {
            early = environment.resident()?;
        }
    }
    report.memory.push((early, environment.resident()?));
    for number in environment.backend.strays() {
        report.wrong.push(format!("request {number}: something reached the backend after its answer"));
    }
    let printed = environment.stop();
    let found = captured::leaks(&printed, captured::PLANTED);
    report.leaks.extend(found.iter().map(|leak| format!("environment {index} ({level}) printed {leak:?}")));
    Ok(report)
}

struct Options {
    seed: u64,
    environments: u64,
    requests: u64,
    program: PathBuf,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let (mut seed, mut environments, mut requests, mut program) = (1, 64, 12, None);
        while let Some(argument) = arguments.next() {
            let mut number = || arguments.next().and_then(|text| text.parse().ok()).ok_or(USAGE);
            match argument.as_str() {
                "--seed" => seed = number()?,
                "--environments" => environments = number()?,
                "--requests" => requests = number()?,
                path => program = Some(std::path::absolute(path)?),
            }
        }
        let program = program.ok_or_else(|| Error::from(USAGE))?;
        Ok(Self { seed, environments, requests: requests.max(PLAIN + 1), program })
    }
}
