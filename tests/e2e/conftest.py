"""The local cloud and both halves, once for all end-to-end tests."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests import deploy, leaks, people
from tests.cloud import process
from tests.cloud.canaries import MOST
from tests.cloud.client import Cloud
from tests.cloud.endpoints import CHILD, PARENT, REGION, Endpoint
from tests.e2e.world import GRANTED, LAB, ROTATING, World

DIRECTORY = deploy.ROOT / "target" / "e2e"


_CLOUD_RAN = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def cloud(pytestconfig: pytest.Config) -> Iterator[Cloud]:
    process.stop(DIRECTORY)
    running = process.start(0, DIRECTORY)
    pytestconfig.stash[_CLOUD_RAN] = True
    try:
        yield Cloud(running.url)
    finally:
        process.stop(DIRECTORY)


@pytest.fixture(scope="session")
def world(cloud: Cloud) -> World:
    cloud.put_endpoint(Endpoint(PARENT, REGION, "Echo-Capital", "echo"))
    parent = deploy.deploy(
        cloud,
        PARENT,
        "parent",
        {
            "EndpointNames": GRANTED,
            "TrustedAccountIds": [CHILD],
            "InferenceComponentNames": ["adapter-a"],
            "AsyncInvocations": "true",
            "GrantableAccountIds": [LAB, ROTATING],
            # What is printed at any level is searched for secrets at the end.
            "LogLevel": "TRACE",
        },
    )
    tester = people.user(cloud, CHILD, "tester")
    nobody = people.user(cloud, CHILD, "nobody")
    given = {"RoleArn": parent.outputs["RoleArn"], "EndpointNames": GRANTED, "UserNames": ["tester"]}
    child = deploy.deploy(cloud, CHILD, "child", {**given, "GroupsForOtherStacks": "true", "LogLevel": "TRACE"})
    return World(cloud, parent, child, tester, nobody)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """Show what the functions printed during a test that failed."""
    report = yield
    if report.when == "setup":
        item.stash[_LENGTHS] = _printed_lengths()
    if report.failed:
        for file, before in ((f, item.stash.get(_LENGTHS, {}).get(f.name, 0)) for f in _logs()):
            printed = file.read_bytes()[before:].decode("utf-8", "replace")
            if printed:
                report.sections.append((file.name, printed))
    return report


_LENGTHS = pytest.StashKey[dict[str, int]]()


def _logs() -> list:
    return sorted(DIRECTORY.glob("function-*.log"))


def _printed_lengths() -> dict[str, int]:
    return {file.name: file.stat().st_size for file in _logs()}


_SEARCH = pytest.StashKey[leaks.Search]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """S15, C31: a session in which a function printed or answered a secret has failed, whatever its tests say."""
    # Not where no test needed the cloud: what lies there is another session's.
    if session.config.stash.get(_CLOUD_RAN, False):
        searched = leaks.search(DIRECTORY)
        session.config.stash[_SEARCH] = searched
        # A search for nothing, or through nothing, has shown nothing.
        if searched.leaks or not (0 < searched.secrets < MOST and searched.size):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What the search for secrets and the conformance tests came to (whatever did not pass is missing), and what tests
    say of themselves.
    """
    if searched := terminalreporter.config.stash.get(_SEARCH, None):
        terminalreporter.write_line(str(searched))
        for leak in dict.fromkeys(searched.leaks):
            terminalreporter.write_line(f"LEAK: {leak}")
    reports = {
        outcome: [r.nodeid for r in terminalreporter.stats.get(outcome, []) if "test_conformance.py::" in r.nodeid]
        for outcome in ("passed", "failed", "error")
    }
    if any(reports.values()):
        members = sum("_member[" in test for test in reports["passed"])
        errors = sum("_error[" in test for test in reports["passed"])
        missing = len({*reports["failed"], *reports["error"]})
        terminalreporter.write_line(f"conformance: {members} members, {errors} errors, {missing} missing")
    for report in terminalreporter.stats.get("passed", []) + terminalreporter.stats.get("failed", []):
        for name, value in report.user_properties:
            if name == "summary" and report.when == "call":
                terminalreporter.write_line(value)
