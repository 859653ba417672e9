//! Log capture for the tests of both functions. One subscriber for the whole test
//! program, in place before anything logs (tracing keeps what a line's first thread
//! found out about it); each test's thread has lines of its own.
//!
//! Every line of every test is searched for what the tests plant where a secret would
//! stand ([`PLANTED`], S15, C31); one that holds it ends the test program at once,
//! because a panic could be caught and answered by the code under test.

mod leaks;

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use sagemaker_external::telemetry;
use serde_json::Value;

pub use leaks::{Leak, assert_none, leaks};

/// What stands in the place of every secret in the tests of both functions: session
/// keys and tokens, ExternalIds, signatures of URLs, bodies, custom attributes and
/// messages of panics are canaries; the rest are the function's own credentials.
pub const PLANTED: [&str; 3] = ["canary", "own-secret", "own-token"];

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct ThisThread;

impl Write for ThisThread {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        end_at_a_leak(bytes);
        LINES.with_borrow_mut(|lines| lines.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn end_at_a_leak(line: &[u8]) {
    let found = leaks(&String::from_utf8_lossy(line), PLANTED);
    if !found.is_empty() {
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        // Not captured by the test harness, as what `eprintln` writes is.
        let _ = writeln!(std::io::stderr(), "{test}: a secret is logged: {found:?}");
        std::process::abort();
    }
}

/// As in the functions (their own targets only, their panic hook), at every level,
/// into the lines of the thread that logs.
pub fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default = std::panic::take_hook();
        telemetry::init_with(Some("TRACE"), || ThisThread);
        let ours = std::panic::take_hook();
        // A failing test still says why, which the functions' own hook would not.
        std::panic::set_hook(Box::new(move |info| {
            ours(info);
            default(info);
        }));
    });
}

/// Forgets what an earlier test on this thread has logged.
pub fn start() {
    LINES.take();
}

/// What has been logged since.
pub fn text() -> String {
    LINES.with_borrow(|lines| String::from_utf8_lossy(lines).into_owned())
}

/// The same, line by line; what is no JSON becomes null.
pub fn json() -> Vec<Value> {
    text().lines().map(|line| serde_json::from_str(line).unwrap_or_default()).collect()
}
