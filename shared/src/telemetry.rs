//! JSON logs to standard output, one object a line, and a panic hook that keeps
//! messages to itself.
//!
//! Secrets cannot come in through a dependency: only this project's own targets
//! are written, at any level. The SDK's debug lines hold whole requests, and a
//! runtime's error line may hold an event.

use std::panic::PanicHookInfo;

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
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines =
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    // A second call (two tests in one process) keeps the first subscriber.
    let _ = tracing_subscriber::registry().with(lines.with_writer(writer)).with(filter(level)).try_init();
    std::panic::set_hook(Box::new(on_panic));
}

/// A panic's place, never its message: that may hold whatever was at hand (C31).
fn on_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(target: "sagemaker_external", place, "panicked");
}

fn filter(level: Option<&str>) -> Targets {
    let level = match level.map(str::to_ascii_uppercase).as_deref() {
        Some("TRACE") => LevelFilter::TRACE,
        Some("DEBUG") => LevelFilter::DEBUG,
        Some("WARN") => LevelFilter::WARN,
        Some("ERROR" | "FATAL") => LevelFilter::ERROR,
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
