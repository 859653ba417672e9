"""The GitHub workflows call make targets that exist, with actions pinned by commit and no right that is not used.

zizmor (in tests/run.py) audits the rest.
"""

import re

import pytest
import yaml

from release.version import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
EACH = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)


def jobs(file) -> dict:
    return yaml.safe_load(file.read_text())["jobs"]


def steps(file) -> list[dict]:
    return [step for job in jobs(file).values() for step in job["steps"]]


def test_there_is_one_for_changes_one_for_releases_and_one_for_advisories():
    assert [file.stem for file in WORKFLOWS] == ["advisories", "ci", "release"]


def test_advisories_are_asked_for_when_the_crates_change_and_each_day():
    text = (ROOT / ".github" / "workflows" / "advisories.yml").read_text()
    # YAML 1.1 reads the key `on` as true.
    when = yaml.safe_load(text)[True]
    assert all("Cargo.lock" in when[event]["paths"] for event in ("push", "pull_request"))
    (daily,) = when["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* \*", daily["cron"])
    assert "run: make advisories" in text
    assert re.search(r"^advisories:.*\n\tcargo-deny .*check.* advisories$", (ROOT / "Makefile").read_text(), re.M)


@EACH
def test_actions_are_githubs_own_and_pinned_by_commit_with_their_version(file):
    lines = re.findall(r"uses: (.*)", file.read_text())
    assert len(lines) == sum("uses" in step for step in steps(file))
    for line in lines:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


@EACH
def test_what_they_run_is_make(file):
    called = []
    for command in (step["run"] for step in steps(file) if "run" in step):
        targets = re.findall(r"\bmake (?:--silent )?([a-z]+)", command)
        assert targets or command.startswith("gh release create"), command
        called += targets
    assert called and set(called) <= TARGETS


@EACH
def test_nothing_is_allowed_but_what_a_job_names(file):
    assert yaml.safe_load(file.read_text())["permissions"] == {}
    for name, job in jobs(file).items():
        writes = {right for right, level in job["permissions"].items() if level == "write"}
        assert writes == ({"contents", "id-token", "attestations"} if name == "release" else set())
        assert job["timeout-minutes"] <= 90


@EACH
def test_no_script_has_an_expression_in_it(file):
    """What somebody names a branch or a tag would be run; it comes by the environment instead."""
    assert not [step["run"] for step in steps(file) if "${{" in step.get("run", "")]


def test_a_release_is_tested_reproduced_upgraded_to_packaged_for_both_architectures_and_attested():
    made = jobs(ROOT / ".github" / "workflows" / "release.yml")
    assert {entry["architecture"] for entry in made["package"]["strategy"]["matrix"]["include"]} == {"x86_64", "arm64"}
    assert set(made["release"]["needs"]) == {"notes", "test", "advisories", "reproduce", "upgrade", "package"}
    assert made["advisories"]["steps"][-1]["run"] == "make advisories"
    used = [step.get("uses", step.get("run", "")) for step in made["release"]["steps"]]
    attest = next(i for i, what in enumerate(used) if what.startswith("actions/attest-build-provenance@"))
    publish = next(i for i, what in enumerate(used) if what.startswith("gh release create"))
    assert attest < publish
    assert made["release"]["steps"][attest]["with"] == {"subject-path": "dist/*"}


def test_what_writes_waits_for_whoever_protects_the_environment():
    """A tag alone publishes nothing where the repository's settings ask a reviewer for this environment."""
    for file in WORKFLOWS:
        for name, job in jobs(file).items():
            writes = "write" in job["permissions"].values()
            assert job.get("environment") == ("release" if writes else None), (file.name, name)
