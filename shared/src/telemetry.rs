//! JSON logs to standard output, one object a line, and a panic hook that keeps
//! messages to itself.
//!
//! Secrets cannot come in through a dependency: only this project's own targets
//! are written, at any level. The SDK's debug lines hold whole requests, and a
//! runtime's error line may hold an event.

use std::io::Write;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The crates whose lines are written.
const TARGETS: [&str; 3] = ["provisioner", "invoker", "sagemaker_external"];

/// Starts logging at the level that Lambda's `LoggingConfig` puts into
/// `AWS_LAMBDA_LOG_LEVEL` (`TRACE` … `FATAL`; `INFO` without it), and installs
/// the panic hook. To be called once, first thing.
pub fn init() {
    init_with(std::env::var("AWS_LAMBDA_LOG_LEVEL").ok().as_deref(), std::io::stdout);
}

/// As [`init`], at a given level and to another place.
pub fn init_with<W>(level: Option<&str>, writer: W)
where
    W: for<'a> MakeWriter<'a> + Clone + Send + Sync + 'static,
{
    let place = writer.clone();
    // A line that cannot be written is lost, as tracing's are.
    let write = move |line: &[u8]| place.make_writer().write_all(line).unwrap_or_default();
    let _ = OUTPUT.set(Output { quietest: quietest_of(level), write: Box::new(write) });
    let lines =
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    // A second call (two tests in one process) keeps the first subscriber.
    let _ = tracing_subscriber::registry().with(lines.with_writer(writer)).with(filter(level)).try_init();
    std::panic::set_hook(Box::new(on_panic));
}

/// How much a line of [`crate::line`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// What happened.
    Info,
    /// What went wrong, and not by the caller's mistake.
    Error,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Error => "ERROR",
        }
    }
}

/// Where lines go that are not tracing's: to the same place.
struct Output {
    quietest: &'static str,
    write: Box<WriteLine>,
}

type WriteLine = dyn Fn(&[u8]) + Send + Sync;

static OUTPUT: OnceLock<Output> = OnceLock::new();

/// Writes one line, whatever the level; nothing before [`init`].
pub(crate) fn write(line: &[u8]) {
    if let Some(output) = OUTPUT.get() {
        (output.write)(line);
    }
}

/// Whether lines of this level are written.
pub(crate) fn is_shown(level: Level) -> bool {
    let quiet: &[&str] = match level {
        Level::Info => &["WARN", "ERROR", "FATAL"],
        Level::Error => &["FATAL"],
    };
    !quiet.contains(&quietest())
}

/// The level of the function, in Lambda's word.
pub(crate) fn quietest() -> &'static str {
    OUTPUT.get().map_or("INFO", |output| output.quietest)
}

fn quietest_of(level: Option<&str>) -> &'static str {
    let level = level.map(str::to_ascii_uppercase);
    let known = ["TRACE", "DEBUG", "WARN", "ERROR", "FATAL"];
    known.into_iter().find(|known| level.as_deref() == Some(known)).unwrap_or("INFO")
}

/// A panic's place, never its message: that may hold whatever was at hand (C31).
fn on_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(target: "sagemaker_external", place, "panicked");
}

fn filter(level: Option<&str>) -> Targets {
    let level = match quietest_of(level) {
        "TRACE" => LevelFilter::TRACE,
        "DEBUG" => LevelFilter::DEBUG,
        "WARN" => LevelFilter::WARN,
        "ERROR" | "FATAL" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    };
    Targets::new().with_targets(TARGETS.map(|target| (target, level)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn c31_only_our_own_lines_are_written_even_at_trace() {
        let filter = filter(Some("TRACE"));
        assert!(filter.would_enable("invoker::handler", &Level::TRACE));
        for other in ["aws_smithy_runtime::client", "hyper", "lambda_runtime", "aws_config", "rustls"] {
            assert!(!filter.would_enable(other, &Level::ERROR), "{other} would be written");
        }
    }

    #[test]
    fn levels_follow_lambdas_variable() {
        assert!(!filter(None).would_enable("invoker", &Level::DEBUG));
        assert!(filter(Some("debug")).would_enable("invoker", &Level::DEBUG));
        assert!(!filter(Some("FATAL")).would_enable("invoker", &Level::WARN));
    }
}
