//! `FUZZ_TARGET=NAME fuzz [libFuzzer's options] CORPUS…`: libFuzzer on one target.

#![no_main]
#![expect(clippy::panic, reason = "a wrong name is said to whoever wrote it")]

use std::sync::OnceLock;

use fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    static TARGET: OnceLock<&Target> = OnceLock::new();
    (TARGET.get_or_init(chosen).run)(data);
});

fn chosen() -> &'static Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        panic!("FUZZ_TARGET must be one of {}", names.join(", "))
    })
}
