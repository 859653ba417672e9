"""SECURITY.md's table names a test for each security case, and each test that it names exists."""

import re
from functools import cache

import pytest

from tests.template.expansion import ROOT

CASES = [f"S{number:02}" for number in range(1, 25)]
ROW = re.compile(r"^\| (S\d\d) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"^\s*(?:async )?(?:def|fn) (\w+)\(", re.MULTILINE)


@cache
def rows() -> dict[str, list[str]]:
    table = ROW.findall((ROOT / "SECURITY.md").read_text())
    assert len(table) == len({case for case, _, _ in table}), "a case stands twice"
    return {case: re.findall(r"`(\w+)`", tests) for case, _, tests in table}


@cache
def existing() -> set[str]:
    """Each function in a file with tests; what is no test has no case's number in its name."""
    rust = (file for folder in ("functions", "shared", "tests", "fuzz") for file in ROOT.glob(f"{folder}/**/*.rs"))
    files = [*ROOT.glob("tests/**/test_*.py"), *rust]
    return {name for file in files for name in TEST.findall(file.read_text())}


def test_every_security_case_is_in_the_table():
    assert list(rows()) == CASES


@pytest.mark.parametrize("case", CASES)
def test_the_tests_of_each_case_exist_and_name_it(case: str):
    tests = rows()[case]
    assert tests, f"{case} has no test"
    assert not [test for test in tests if test not in existing()]
    numbers = {number for test in tests for number in re.findall(r"(?:^|_)(s\d\d)(?=_)", test)}
    assert case.lower() in numbers, f"no test of {case} is named after it"
