//! Log capture. One subscriber for the whole test program, in place before anything
//! logs (tracing keeps what a line's first thread found out about it); each test's
//! thread has lines of its own.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

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

/// As in the function (its own targets only, its panic hook), at every level, into
/// the lines of the thread that logs.
pub fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default = std::panic::take_hook();
        sagemaker_external::telemetry::init_with(Some("TRACE"), || ThisThread);
        let ours = std::panic::take_hook();
        // A failing test still says why, which the function's own hook would not.
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
    LINES.with_borrow(|lines| String::from_utf8(lines.clone()).unwrap())
}
