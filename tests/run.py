"""`make test`: every check in order, what each took, and the test counts at the end."""

import argparse
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Check:
    group: str
    name: str
    command: tuple[str, ...]
    # Whether its output closes on counts of tests.
    counts: bool = False


# What cargo-deny tells from Cargo.lock and the crates' own manifests, with no database.
DENIED = ("bans", "licenses", "sources")

CHECKS = (
    Check("lint", "rustfmt", ("cargo", "fmt", "--all", "--check")),
    Check("lint", "ruff check", ("ruff", "check", ".")),
    Check("lint", "ruff format", ("ruff", "format", "--check", ".")),
    Check("lint", "clippy", ("cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings")),
    Check("rust", "cargo test", ("cargo", "test", "--workspace", "--locked", "--no-fail-fast"), counts=True),
    Check("e2e", "build", ("make", "build")),
    Check("e2e", "pytest", (sys.executable, "-m", "pytest"), counts=True),
    Check("e2e", "load", (sys.executable, "-m", "tests.load", "--quick")),
    Check("e2e", "bench smoke", (sys.executable, "-m", "tests.bench", "--quick")),
    Check("e2e", "demo", (sys.executable, "-m", "tests.demo", "demo")),
    Check("lint", "sam validate", ("sam", "validate", "--lint")),
    Check("lint", "cfn-lint", ("cfn-lint", "template.yaml")),
    Check("lint", "checkov, guard", (sys.executable, "-m", "tests.security.scan")),
    # RustSec's database of advisories is not to be had without its repository: `make advisories`.
    Check("lint", "cargo deny", ("cargo-deny", "--locked", "check", "--hide-inclusion-graph", *DENIED)),
    Check("lint", "cargo shear", ("cargo-shear", "--deny-warnings", "--locked")),
    # Offline: what it would look up on GitHub (are the pinned commits those of their tags) it leaves out.
    Check("lint", "zizmor", ("zizmor", "--offline", "--no-progress", "--persona=auditor", ".github")),
)

# What tests and checks say of themselves, told again at the end.
SAID = ("conformance: ", "upgrade: ", "leaks: ", "load: ", "checkov: ", "cfn-guard: ")

# cargo's line for a test binary, and pytest's closing line.
CARGO = re.compile(r"^test result: \w+\. (?P<passed>\d+) passed; (?P<failed>\d+) failed; (?P<skipped>\d+) ignored")
PYTEST = re.compile(r"(\d+) (passed|failed|errors?|skipped)\b")


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    # What the conformance tests and the upgrade came to, in their own words.
    said: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        if match := CARGO.match(line):
            self.passed += int(match["passed"])
            self.failed += int(match["failed"])
            self.skipped += int(match["skipped"])
        elif line.startswith(SAID):
            self.said.append(line.strip())
        elif re.match(r"^=+ .* in [\d.]+s", line):
            for number, kind in PYTEST.findall(line):
                kind = "failed" if kind.startswith("error") else kind
                setattr(self, kind, getattr(self, kind) + int(number))

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclass(frozen=True)
class Result:
    check: Check
    ok: bool
    seconds: float
    counts: Counts


def run(check: Check) -> Result:
    print(f"\n--- {check.name}: {' '.join(Path(part).name for part in check.command)}", flush=True)
    start, counts = time.monotonic(), Counts()
    with subprocess.Popen(
        check.command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            counts.add(line)
    # A runner that found no test at all has not passed.
    ok = process.returncode == 0 and (not check.counts or counts.passed > 0)
    return Result(check, ok, time.monotonic() - start, counts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted({check.group for check in CHECKS}), help="one group of checks")
    only = parser.parse_args().only
    results = [run(check) for check in CHECKS if only in (None, check.group)]
    total = Counts()
    print("\n--- summary")
    for result in results:
        counts = f"  {result.counts}" if result.check.counts else ""
        print(f"{'ok' if result.ok else 'FAILED':7} {result.check.name:14} {result.seconds:7.1f} s{counts}")
        total.passed += result.counts.passed
        total.failed += result.counts.failed
        total.skipped += result.counts.skipped
        total.said += result.counts.said
    for line in total.said:
        print(line)
    if only in (None, "rust", "e2e"):
        print(f"tests: {total}")
    return 0 if all(result.ok for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
