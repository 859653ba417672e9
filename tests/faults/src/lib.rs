//! Load and faults: 64 environments of the packaged invoker at once, each a process with
//! a Runtime API and a backend (STS and SageMaker Runtime) of its own, which fail as
//! real ones do. What every request must come to is known before it is sent.
//!
//! Which faults there are stands in [`plan`], what is held against each answer in
//! [`verdict`]. Servers and HTTP are the bench's: plain threads, blocking sockets.

pub mod backend;
pub mod environment;
pub mod model;
pub mod plan;
pub mod report;
pub mod runtime_api;
pub mod sts;
pub mod verdict;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use bench::{Error, Result};

/// A thread that panicked has said so; what it held is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
