"""Build what is measured, measure it, and write target/bench/report.md, cost.md, cost.svg and results.json.

`--quick` plays a few rounds with debug builds of the bench's own programs, to show that all of it works; it measures
nothing. `--docs` writes the pages in docs from the last whole run.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests import deploy
from tests.bench import cost, provisioner, report
from tests.bench.report import Results

ROOT = deploy.ROOT
OUT = ROOT / "target" / "bench"
DOCS = ROOT / "docs"
# Made by the Makefile from python/requirements.txt.
VENV = ROOT / "target" / "bench-venv"
BUILT = {name.lower(): ROOT / ".aws-sam" / "build" / f"{name}Function" for name in ("Invoker", "Provisioner")}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--quick", action="store_true", help="a few rounds, to show that the bench works")
    mode.add_argument("--docs", action="store_true", help="write docs/bench.md, docs/cost.md and docs/cost.svg")
    options = parser.parse_args()
    try:
        if options.docs:
            write_pages(json.loads((OUT / "results.json").read_text()), DOCS, "bench.md")
            return 0
        results = smoke() if options.quick else whole()
    except (subprocess.CalledProcessError, deploy.DeployFailed, FileNotFoundError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    directory = OUT / "quick" if options.quick else OUT
    (directory / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(write_pages(results, directory, "report.md"))
    return 0


def whole() -> Results:
    """Release builds, all contestants, the provisioner."""
    deploy.build()
    # As the shipped functions are built: same profile, same linker, same C library.
    run("cargo", "lambda", "build", "--release", "--locked", "--package", "bench", "--bin", "floor", "--bin", "noop")
    run("cargo", "build", "--release", "--locked", "--package", "bench", "--bin", "bench")
    programs = {name: ROOT / "target" / "lambda" / name / "bootstrap" for name in ("floor", "noop")}
    results = measure(ROOT / "target" / "release" / "bench", OUT, programs, ())
    print("bench: the provisioner on the local cloud", file=sys.stderr)
    results["provisioner"] = provisioner.measure(OUT / "cloud")
    return results


def smoke() -> Results:
    """The packaged invoker beside debug builds of the rest; Python only where it is installed."""
    run("cargo", "build", "--workspace", "--locked")
    debug = ROOT / "target" / "debug"
    return measure(debug / "bench", OUT / "quick", {name: debug / name for name in ("floor", "noop")}, ("--quick",))


def measure(bench: Path, out: Path, programs: dict[str, Path], options: Sequence[str]) -> Results:
    out.mkdir(parents=True, exist_ok=True)
    programs = {"invoker": BUILT["invoker"] / "bootstrap", **programs}
    python = VENV / "bin" / "python"
    if (VENV / ".ready").exists():
        programs["python"] = python
    for path in programs.values():
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing, run `make build` first")
    load_before = os.getloadavg()[0]
    raw = out / "measured.json"
    run(bench, *options, "--out", raw, *(f"{name}={path}" for name, path in programs.items()))
    return {
        "quick": bool(options),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "machine": {
            **machine(),
            "load_before": load_before,
            "load_after": os.getloadavg()[0],
            "boto3": boto3_version(),
        },
        "measured": json.loads(raw.read_text()),
        "zips": {} if options else zips(out),
        "provisioner": [],
    }


def write_pages(results: Results, directory: Path, name: str) -> str:
    """The report, which is returned as well, and the cost page with its plot."""
    directory.mkdir(parents=True, exist_ok=True)
    text = report.report(results)
    (directory / name).write_text(text)
    (directory / "cost.md").write_text(cost.page(results))
    (directory / "cost.svg").write_text(cost.plot(results))
    return text


def zips(out: Path) -> dict[str, int]:
    """Bytes of each package, compressed as `sam deploy` does it."""
    sizes = {name: zipped(out / f"{name}.zip", folder) for name, folder in BUILT.items()}
    if boto3_version():
        (packages,) = VENV.glob("lib/python3*/site-packages")
        sizes["Python"] = zipped(out / "python.zip", packages, without=("pip", "setuptools", "__pycache__"))
    return sizes


def zipped(file: Path, folder: Path, without: Sequence[str] = ()) -> int:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(folder).parts
            if path.is_file() and not any(part.split("-")[0] in without for part in parts):
                archive.write(path, Path(*parts))
    return file.stat().st_size


def machine() -> dict[str, Any]:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "system": f"Linux {platform.release()}",
        "python": platform.python_version(),
    }


def boto3_version() -> str | None:
    found = [path.name.split("-")[1] for path in VENV.glob("lib/python3*/site-packages/boto3-*.dist-info")]
    return found[0].removesuffix(".dist") if (VENV / ".ready").exists() and found else None


def commit() -> str:
    git = ("git", "describe", "--always", "--dirty")
    return subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
