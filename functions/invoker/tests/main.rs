//! The invoker against a cloud of its own: real SDK clients over mocked HTTP, and
//! in `process` the real program over real sockets.
#![cfg(test)]

mod attribution;
mod denials;
mod doctor;
mod errors;
mod event_streams;
mod events;
mod first_byte;
mod leaks;
mod logs;
mod members;
mod metrics;
mod once;
mod pacing;
mod prepared;
mod process;
mod refusals;
mod retries;
mod reuse;
mod setup;
mod stalls;
mod streams;
mod support;
mod wire;
