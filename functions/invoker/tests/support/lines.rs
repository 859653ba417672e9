//! Log capture. One subscriber for the whole test program, in place before
//! anything logs (tracing keeps what a line's first thread found out about it);
//! each test's thread has lines of its own.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use serde_json::Value;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct ThisThread;

impl Write for ThisThread {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything of ours is kept, at every level.
pub(crate) fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(|| ThisThread);
        let filter = Targets::new().with_target("invoker", LevelFilter::TRACE);
        tracing_subscriber::registry().with(layer).with(filter).init();
    });
}

/// Forgets what an earlier test on this thread has logged.
pub(crate) fn start() {
    LINES.take();
}

/// What this test has logged so far.
pub(crate) fn text() -> String {
    LINES.with_borrow(|lines| String::from_utf8(lines.clone()).unwrap())
}

pub(crate) fn json() -> Vec<Value> {
    text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
