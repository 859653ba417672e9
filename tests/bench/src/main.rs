//! `bench --out FILE NAME=PATH…`: measures what is named and writes the results as JSON.
//!
//! `invoker`, `floor` and `noop` are executables; `python`, if it is there, is an
//! interpreter that has boto3 and awslambdaric. `--quick` plays a few rounds only, and
//! `--only warm` (or `cold`) measures that alone, at 1 KB, and prints its medians.

#![expect(clippy::print_stderr, reason = "progress goes to whoever runs the bench")]

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bench::contestants::{Contestant, Kind};
use bench::measure::Stage;
use bench::{Error, Result};

const USAGE: &str =
    "usage: bench [--quick] [--only warm|cold] --out FILE invoker=PATH floor=PATH noop=PATH [python=PATH]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let options = Options::read(std::env::args().skip(1))?;
    let directory = options.out.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let stage = Stage::new(options.contestants()?, &directory.canonicalize()?, options.quick)?;
    if let Some(only) = options.only {
        for line in stage.measure_only(&only)? {
            eprintln!("{line}");
        }
        return Ok(());
    }
    let results = stage.measure(&|what| eprintln!("bench: {what}"))?;
    serde_json::to_writer_pretty(File::create(&options.out)?, &results)?;
    Ok(())
}

struct Options {
    quick: bool,
    only: Option<String>,
    out: PathBuf,
    programs: HashMap<String, PathBuf>,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let (mut quick, mut only, mut out, mut programs) = (false, None, None, HashMap::new());
        while let Some(argument) = arguments.next() {
            match (argument.as_str(), argument.split_once('=')) {
                ("--quick", _) => quick = true,
                ("--only", _) => only = Some(arguments.next().ok_or(USAGE)?),
                ("--out", _) => out = arguments.next().map(PathBuf::from),
                (_, Some((name, path))) => drop(programs.insert(name.to_owned(), PathBuf::from(path))),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(Self { quick, only, out: out.ok_or(USAGE)?, programs })
    }

    /// In the order of the report.
    fn contestants(&self) -> Result<Vec<Contestant>> {
        let program = |name: &str| self.programs.get(name).map(std::path::absolute).transpose().map_err(Error::from);
        let mut contestants = Vec::new();
        for (kind, name) in
            [(Kind::Invoker, "invoker"), (Kind::Floor, "floor"), (Kind::Signed, "floor"), (Kind::Noop, "noop")]
        {
            contestants.push(Contestant::bootstrap(kind, program(name)?.ok_or(USAGE)?));
        }
        if let Some(python) = program("python")? {
            let handlers = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
            for (kind, handler) in [(Kind::Recipe, "recipe.handler"), (Kind::Kept, "kept.handler")] {
                contestants.push(Contestant::python(kind, python.clone(), handlers.clone(), handler));
            }
        }
        Ok(contestants)
    }
}
