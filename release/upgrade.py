"""`make upgrade FROM=TAG`: deploy what a tag or commit was, then this tree, on the local cloud, and serve throughout.

The tag is checked out beside this tree, built and packaged; tests/e2e/test_upgrade.py does the rest. Without a tag it
begins from the kept template (tests/upgrade), as in `make test`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from release import package
from release.package import ARCHITECTURES, ROOT

# Kept from one run to the next: most of the time goes into compiling dependencies.
TARGET = ROOT / "target" / "upgrade"


def package_of(commit: str, folder: Path) -> Path:
    """The package that the commit made; its template needs nothing of this tree."""
    tree = folder / "tree"
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], cwd=ROOT, check=True)
    try:
        # Not its own make: the first commits had no such target, and what is packaged is the same.
        environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET)}
        subprocess.run(["sam", "build"], cwd=tree, env=environment, check=True)
        return package.package(ARCHITECTURES[0], folder / "dist", tree)[0].parent
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m release.upgrade", description=__doc__)
    parser.add_argument("commit", nargs="?", help="a tag or commit of this repository")
    commit = parser.parse_args().commit
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ)
        if commit:
            environment["UPGRADE_FROM"] = str(package_of(commit, Path(folder)))
        test = [sys.executable, "-m", "pytest", "tests/e2e/test_upgrade.py"]
        return subprocess.run(test, cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
