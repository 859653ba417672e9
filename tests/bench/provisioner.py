"""The provisioner's part: how long CloudFormation waits for it on the local cloud, and which calls of IAM it makes."""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import deploy
from tests.cloud import process
from tests.cloud.client import Cloud
from tests.cloud.endpoints import CHILD, PARENT

STACK = "bench"
RESOURCE = "Ours"
READS = ("Get", "List")
# The first round also starts the function's process.
ROUNDS = 6


def measure(directory: Path) -> list[dict[str, Any]]:
    """One entry for each kind of request: medians over the rounds, and the counts of the last."""
    process.stop(directory)
    cloud = Cloud(process.start(0, directory).url)
    try:
        deploy.deploy(cloud, PARENT, "parent", {"EndpointNames": ["iris"], "TrustedAccountIds": [CHILD]})
        rounds = [_round(cloud) for _ in range(ROUNDS)][1:]
    finally:
        process.stop(directory)
    return [
        {**steps[-1], "seconds": statistics.median(step["seconds"] for step in steps)}
        for steps in zip(*rounds, strict=True)
    ]


def _round(cloud: Cloud) -> list[dict[str, Any]]:
    def put(**properties: Any) -> str:
        deploy.deploy_template(cloud, PARENT, STACK, _template(**properties))
        return cloud.admin(PARENT).client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["StackId"]

    def delete() -> str:
        deploy.delete(cloud, PARENT, STACK)
        return made["stack"]

    made = _step(cloud, "Create of the recipe's role and policy", put)
    steps = [
        made,
        # Nothing of the role depends on this property, but CloudFormation sends an Update.
        _step(cloud, "Update that changes nothing", lambda: put(ServiceTimeout=301)),
        _step(cloud, "Update: one more endpoint", lambda: put(EndpointNames=["iris", "echo"])),
        _step(cloud, "Delete", delete),
    ]
    return [{name: value for name, value in step.items() if name != "stack"} for step in steps]


def _step(cloud: Cloud, name: str, act: Callable[[], str]) -> dict[str, Any]:
    """`act` returns the id of the stack, which a deleted stack can still be asked for by."""
    with cloud.recording() as seen:
        stack = act()
    # The function's role makes them; nobody else calls IAM meanwhile.
    calls = [call["action"] for call in seen.of("iam") if ":assumed-role/" in call["caller"]]
    reads = sum(call.startswith(READS) for call in calls)
    taken = {"reads": reads, "writes": len(calls) - reads, "calls": calls, "seconds": _waited(cloud, stack)}
    return {"step": name, "stack": stack, **taken}


def _waited(cloud: Cloud, stack: str) -> float:
    """From the custom resource's newest event IN_PROGRESS to the end of it."""
    began, ended = [e for e in deploy.events(cloud, PARENT, stack) if e["LogicalResourceId"] == RESOURCE][-2:]
    if not (began["ResourceStatus"].endswith("_IN_PROGRESS") and ended["ResourceStatus"].endswith("_COMPLETE")):
        raise deploy.DeployFailed(f"unexpected events of {RESOURCE}: {began}, {ended}")
    return (ended["Timestamp"] - began["Timestamp"]).total_seconds()


def _template(**properties: Any) -> str:
    ours = {
        "ServiceToken": {"Fn::ImportValue": "sagemaker-external-parent-ProvisionerArn"},
        "ServiceTimeout": 300,
        "EndpointNames": ["iris"],
        "TrustedAccountIds": [CHILD],
        "RoleName": "Bench",
        "PolicyName": "BenchInvoke",
        **properties,
    }
    return json.dumps({"Resources": {RESOURCE: {"Type": "Custom::SageMakerExternalRole", "Properties": ours}}})
