#!/bin/sh
# Stands in for rustc when cargo builds this workspace's own crates (`RUSTC_WORKSPACE_WRAPPER`):
# the same compiler, with counters that libFuzzer reads. Its passes are in stable LLVM, so no
# nightly compiler is needed; dependencies are built as ever and shared with other builds.
exec "$@" -Cpasses=sancov-module -Ccodegen-units=1 \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares
