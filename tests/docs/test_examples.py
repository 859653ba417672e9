"""The templates of the examples are ones that CloudFormation takes. Deployed: tests/e2e/test_examples.py."""

import subprocess
import sys
from pathlib import Path

from tests.template.expansion import ROOT


def test_the_templates_of_the_examples_are_valid():
    templates = sorted((ROOT / "examples").rglob("*.yaml"))
    assert templates
    done = subprocess.run(
        [Path(sys.executable).parent / "cfn-lint", *templates],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
