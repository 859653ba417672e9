"""`python -m tests.security.scan`: checkov and cfn-guard on template.yaml and on what the SAM transform makes of it.

checkov's checks are its own; cfn-guard's are AWS Control Tower's proactive controls. Neither asks the network.
"""

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.security.accepted import CFN_GUARD, CHECKOV, Accepted
from tests.template.expansion import ROOT, expanded

VENV = ROOT / "target" / "scan-venv"
DIRECTORY = ROOT / "target" / "scan"
TEMPLATE = ROOT / "template.yaml"
EXPANDED = DIRECTORY / "expanded.json"

# (rule, the resource's logical id)
Finding = tuple[str, str]


def checkov() -> tuple[int, set[Finding]]:
    """How many checks passed, and what did not."""
    command = [VENV / "bin" / "checkov", "--framework", "cloudformation", "--skip-download", "--output", "json"]
    report = _json([*command, "-f", TEMPLATE, "-f", EXPANDED])
    assert not report["results"]["parsing_errors"], report["results"]["parsing_errors"]
    scanned = {Path(check["file_path"]).name for check in report["results"]["passed_checks"]}
    assert scanned == {TEMPLATE.name, EXPANDED.name}, f"only {scanned} were scanned"
    failed = report["results"]["failed_checks"]
    return report["summary"]["passed"], {(check["check_id"], check["resource"].split(".")[-1]) for check in failed}


def cfn_guard() -> tuple[int, set[Finding]]:
    package = _unpacked()
    command = [
        package / "bin" / "ubuntu" / "x86_64" / "cfn-guard",
        "validate",
        "--structured",
        "--output-format",
        "json",
    ]
    rules = package / "rules" / "control-tower" / "cfn-guard"
    [report] = _json([*command, "--show-summary", "none", "--rules", rules, "--data", EXPANDED])
    found = set()
    for rule in (failed["Rule"] for failed in report["not_compliant"]):
        resources = set(re.findall(r"/Resources/(\w+)", json.dumps(rule)))
        assert resources, f"{rule['name']} is said of no resource"
        found |= {(rule["name"], resource) for resource in resources}
    return len(report["compliant"]), found


def _unpacked() -> Path:
    """cfn-guard and its rules, out of the package's own archive."""
    [archive] = VENV.glob("lib/python*/site-packages/cdklabs/cdk_validator_cfnguard/_jsii/*.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(DIRECTORY, filter="data")
    return DIRECTORY / "package"


def _json(command: Iterable[str | Path]) -> Any:
    # Both exit with something else than 0 when they found something.
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, env=_environment())
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        raise SystemExit(f"{Path(next(iter(command))).name} failed:\n{done.stdout}{done.stderr}") from None


def _environment() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BC_", "CKV_", "PRISMA_"))
    }


def judge(scanner: str, passed: int, found: set[Finding], accepted: tuple[Accepted, ...]) -> bool:
    """Print what was found and why it is accepted; whether all of it is, and nothing is that was not found."""
    reasons = {(entry.rule, resource): entry.reason for entry in accepted for resource in entry.resources}
    for entry in accepted:
        if resources := sorted(resource for resource in entry.resources if (entry.rule, resource) in found):
            print(f"{scanner}: accepted {entry.rule} ({', '.join(resources)}): {entry.reason}")
    for rule, resource in sorted(found - reasons.keys()):
        print(f"{scanner}: {rule} fails for {resource}; mend it, or say in tests/security/accepted.py why it is so")
    stale = [entry.rule for entry in accepted if not any(rule == entry.rule for rule, _ in found)]
    for rule in stale:
        print(f"{scanner}: {rule} is found no more; take it out of tests/security/accepted.py")
    print(f"{scanner}: {passed} passed, {len(found & reasons.keys())} accepted, {len(found - reasons.keys())} failed")
    # An older or broken scanner that checks nothing has found nothing.
    return not stale and found <= reasons.keys() and passed > 0


def main() -> int:
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    EXPANDED.write_text(json.dumps(expanded(), indent=1))
    judged = [judge("checkov", *checkov(), CHECKOV), judge("cfn-guard", *cfn_guard(), CFN_GUARD)]
    return 0 if all(judged) else 1


if __name__ == "__main__":
    sys.exit(main())
