"""The SAM CLI that is needed: said alike wherever it is said, and asked for before anything is built."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.template.expansion import ROOT

OLDEST = re.search(r"^OLDEST_SAM := (.+)$", (ROOT / "Makefile").read_text(), re.M)


def test_readme_and_samconfig_say_what_the_makefile_asks_for():
    assert OLDEST is not None
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert f") {OLDEST[1]} or newer" in readme
    assert f"SAM CLI {OLDEST[1]} or newer" in (ROOT / "samconfig.toml").read_text()


@pytest.mark.parametrize(
    ("version", "is_taken"),
    [("1.155.9", False), ("1.99.0", False), ("1.156.0", True), ("1.170.0", True), ("2.0.0", True)],
)
def test_make_refuses_an_older_sam_and_says_what_to_do(tmp_path: Path, version: str, is_taken: bool):
    """`sam` is looked for where make installs it first; here that is a folder with this version alone."""
    (tmp_path / "bin").mkdir()
    (tmp_path / ".ready").touch()
    sam = tmp_path / "bin" / "sam"
    sam.write_text(f"#!/bin/sh\necho SAM CLI, version {version}\n")
    sam.chmod(0o755)
    asked = ["make", "--silent", "--assume-old", str(tmp_path / ".ready"), "checked-sam", f"VENV={tmp_path}"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode == 0) == is_taken, done.stdout + done.stderr
    if not is_taken:
        assert f"SAM CLI {version} is too old: install 1.156 or newer" in done.stdout
