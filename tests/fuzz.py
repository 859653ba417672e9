"""`make fuzz`: libFuzzer on every target of fuzz/, and what it found.

Needs a C++ compiler besides what the tests need. An input that breaks a target is kept below target/fuzz/found; copy it
into fuzz/corpus/TARGET, where the tests play it, and mend what it shows.
"""

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests import programs

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "fuzz" / "corpus"
WORK = ROOT / "target" / "fuzz"
EVENTS = {"cloudformation_event": "provisioner-*.json", "api_gateway_event": "invoker-*.json"}
# Longer inputs are slower and say nothing new, but a frame or a list of endpoints needs some room.
LONGEST = 4096


@dataclass(frozen=True)
class Outcome:
    target: str
    executions: int
    covered: int
    findings: tuple[Path, ...]
    # libFuzzer's last words, where it ended with an error.
    words: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at a time (one a processor)")
    parser.add_argument("--keep", action="store_true", help="put what reaches new code into fuzz/corpus, made small")
    parser.add_argument("targets", nargs="*", help="some of fuzz/src/lib.rs (all)")
    options = parser.parse_args()
    engine = build()
    known = re.findall(r'name: "(\w+)"', (ROOT / "fuzz" / "src" / "lib.rs").read_text())
    if unknown := set(options.targets) - set(known):
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    targets = options.targets or known
    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = list(pool.map(lambda target: fuzz(engine, target, options.seconds), targets))
    if options.keep:
        for target in targets:
            keep(engine, target)
    return report(outcomes)


def build() -> Path:
    """The engine with all targets. Only the workspace's crates are compiled anew, beside what other builds keep."""
    wrapper = {"RUSTC_WORKSPACE_WRAPPER": str(ROOT / "fuzz" / "instrumented.sh"), "CARGO_INCREMENTAL": "0"}
    return programs.build("fuzz", "--features", "fuzz/libfuzzer", env=wrapper)


def fuzz(engine: Path, target: str, seconds: int) -> Outcome:
    grown, found = folder(WORK / "corpus" / target), folder(WORK / "found" / target)
    before = set(found.iterdir())
    corpora = [grown, folder(CORPUS / target)]
    if pattern := EVENTS.get(target):
        events = folder(WORK / "events" / target)
        for event in (ROOT / "events").glob(pattern):
            (events / event.name).write_bytes(event.read_bytes())
        corpora.append(events)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-artifact_prefix={found}/",
        f"-dict={ROOT / 'fuzz' / 'words.dict'}",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]
    ended = run(engine, target, options, corpora)
    executions = re.findall(r"stat::number_of_executed_units: (\d+)", ended.stderr) or re.findall(
        r"^#(\d+)", ended.stderr, re.MULTILINE
    )
    covered = re.findall(r"cov: (\d+)", ended.stderr)
    findings = tuple(sorted(set(found.iterdir()) - before))
    words = "" if ended.returncode == 0 else "\n".join(ended.stderr.splitlines()[-40:])
    return Outcome(
        target, int(executions[-1]) if executions else 0, int(covered[-1]) if covered else 0, findings, words
    )


def keep(engine: Path, target: str) -> None:
    """Add to the committed corpus the smallest of the grown one that reach what it does not."""
    # By edges alone: how often one is run says little of a parser, and makes the corpus ten times as large.
    options = ["-set_cover_merge=1", "-use_counters=0", f"-max_len={LONGEST}"]
    run(engine, target, options, [CORPUS / target, WORK / "corpus" / target])


def run(engine: Path, target: str, options: list[str], corpora: list[Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (engine, *options, *corpora),
        cwd=WORK,
        env={"FUZZ_TARGET": target, "PATH": os.environ["PATH"], "RUST_BACKTRACE": "0"},
        capture_output=True,
        text=True,
        errors="replace",
    )


def folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def report(outcomes: list[Outcome]) -> int:
    for outcome in outcomes:
        failed = outcome.words or outcome.findings
        print(
            f"{'FAILED' if failed else 'ok':7} {outcome.target:22} {outcome.executions:10,} executions, "
            f"{outcome.covered:6,} edges, {len(outcome.findings)} findings"
        )
        if failed:
            print(outcome.words, *outcome.findings, sep="\n")
    executions = sum(outcome.executions for outcome in outcomes)
    findings = sum(bool(outcome.words) or len(outcome.findings) for outcome in outcomes)
    print(f"fuzz: {len(outcomes)} targets, {executions:,} executions, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
