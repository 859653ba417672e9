"""What is installed from PyPI is what was reviewed: locks pin versions and hashes, and every install asks for them."""

import json
import re
import subprocess

import pytest
import yaml

from release.version import ROOT

TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
LOCKS = [file for file in TRACKED if re.search(r"(^|/)[\w-]*requirements[\w-]*\.txt$", file)]
NPM_LOCKS = [file for file in TRACKED if file.endswith("package-lock.json")]
HASHED = re.compile(r"[A-Za-z0-9][\w.-]*==[\w.]+( --hash=sha256:[0-9a-f]{64})+")


def test_the_locks_are_found():
    assert {"requirements.txt", "tests/security/requirements.txt"} < set(LOCKS)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_has_its_version_and_its_hashes(lock):
    text = re.sub(r" \\\n\s+", " ", (ROOT / lock).read_text())
    requirements = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert requirements
    assert [line[:60] for line in requirements if not HASHED.fullmatch(line)] == []


@pytest.mark.parametrize("lock", NPM_LOCKS)
def test_every_npm_package_has_its_hash_and_comes_from_whatever_registry_npm_uses(lock):
    packages = json.loads((ROOT / lock).read_text())["packages"]
    packages.pop("")
    assert packages
    assert [name for name, package in packages.items() if not package["integrity"].startswith("sha512-")] == []
    assert [name for name, package in packages.items() if "resolved" in package] == []


def test_every_install_requires_hashes():
    """A lock in which one hash is missing would else be installed all the same."""
    texts = [file for file in TRACKED if file.endswith((".md", ".yml", ".txt", ".py", "Makefile"))]
    texts.remove("tests/release/test_requirements.py")
    found = {
        (file, line.strip())
        for file in texts
        for line in (ROOT / file).read_text().splitlines()
        if re.search(r"\bpip install\b.*requirements|-m pip install\b", line)
    }
    assert found
    assert [place for place in found if "--require-hashes" not in place[1]] == []


def test_dependabot_watches_every_lock_and_every_action():
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    watched = {u["package-ecosystem"]: set(u.get("directories", [u.get("directory")])) for u in updates}
    assert watched.keys() == {"github-actions", "cargo", "pip", "npm"}
    assert watched["pip"] == {"/" + lock.rpartition("/")[0] for lock in LOCKS}
    assert watched["cargo"] == watched["github-actions"] == {"/"}, "there is one Cargo.lock"
    assert [file for file in TRACKED if file.endswith("Cargo.lock")] == ["Cargo.lock"]
    assert watched["npm"] == {"/" + lock.rpartition("/")[0] for lock in NPM_LOCKS}
    assert all(update["schedule"]["interval"] == "weekly" for update in updates)
    assert all(update["cooldown"]["default-days"] >= 7 for update in updates)
