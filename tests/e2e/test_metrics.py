"""A stack with all that can be seen of it: what its dashboard and alarms show is what its functions write."""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError

from tests import deploy
from tests.cloud.endpoints import CHILD, REGION
from tests.dashboard import Metric, alarmed, shown
from tests.e2e.world import OUTSIDE, World

NAMESPACE = "SageMakerExternal"
TOPIC = f"arn:aws:sns:{REGION}:{CHILD}:alarms"
# AWS's own metrics of the functions ("Types of metrics for Lambda functions").
OF_LAMBDA = {"Errors", "Invocations", "Throttles", "AsyncEventsDropped"}
# The values of ErrorCode: tests of both functions hold the page against their types.
CODES = set(re.findall(r"^#### `(\w+)`$", (deploy.ROOT / "docs" / "errors.md").read_text(), re.MULTILINE))


@dataclass(frozen=True)
class Seen:
    stack: deploy.Stack
    # Every metric that a function has written, with the values of its dimensions.
    written: set[Metric]
    body: str
    alarms: list[dict]


@pytest.fixture(scope="module")
def seen(world: World) -> Iterator[Seen]:
    stack = deploy.deploy(
        world.cloud,
        CHILD,
        "child",
        {
            "RoleArn": world.role,
            "EndpointNames": ["iris", "echo"],
            "GroupName": "SeenTesters",
            "UserNames": ["tester"],
            "CredentialReuseSeconds": "300",
            "AlarmTopicArn": TOPIC,
            "CreateDashboard": "true",
            "XRayTracing": "true",
            "AccessLogs": "OnAndSetUpAccount",
        },
        "seen-child",
    )
    try:
        client = world.client(world.tester, world.cloud.local_url(stack.outputs["ApiUrl"]))
        for name, more in (("echo", {}), ("echo", {}), (OUTSIDE, {}), ("echo", {"CustomAttributes": "status=500"})):
            with contextlib.suppress(ClientError):
                client.invoke_endpoint(EndpointName=name, Body=b"x", **more)
        provisioner = stack.physical_id("ProvisionerFunction")
        # One that cannot be answered is a failure and changes nothing.
        stack.admin.client("lambda").invoke(FunctionName=provisioner, Payload=b'{"Records":[]}')
        printed = [
            line for name in (stack.physical_id("InvokerFunction"), provisioner) for line in lines(world, CHILD, name)
        ]
        cloudwatch = stack.admin.client("cloudwatch")
        body = cloudwatch.get_dashboard(DashboardName=f"seen-child-{REGION}")["DashboardBody"]
        alarms = cloudwatch.describe_alarms()["MetricAlarms"]
        yield Seen(stack, set(written(printed)), body, alarms)
    finally:
        deploy.delete(world.cloud, CHILD, "seen-child")


def lines(world: World, account: str, function: str) -> list[dict]:
    found = (line for line in world.cloud.logs(account, function).splitlines() if line.startswith("{"))
    return [json.loads(line) for line in found]


def written(printed: list[dict]) -> Iterator[Metric]:
    """What CloudWatch takes out of the lines, by the format's specification."""
    for line in printed:
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            for dimensions in directive["Dimensions"]:
                for metric in directive["Metrics"]:
                    assert isinstance(line[metric["Name"]], int | float), line
                    values = tuple(sorted((name, line[name]) for name in dimensions))
                    yield Metric(directive["Namespace"], metric["Name"], values)


def test_what_the_dashboard_shows_is_what_the_functions_write_and_the_reverse(seen: Seen):
    ours = {metric for metric in shown(seen.body) if metric.namespace == NAMESPACE}
    views = {metric.view for metric in seen.written}
    assert {metric.view for metric in ours} - views == set(), "shown and written by no function"
    # Per endpoint, the rest is for whoever looks into one.
    unseen = {view for view in views - {metric.view for metric in ours} if "EndpointName" not in view[1]}
    assert unseen == set(), "written and shown nowhere"


def test_what_is_shown_is_of_this_stacks_functions_and_known_codes(seen: Seen):
    functions = {seen.stack.physical_id(f"{name}Function") for name in ("Invoker", "Provisioner")}
    looked_at = shown(seen.body).union(*map(alarmed, seen.alarms))
    assert {dict(metric.dimensions)["FunctionName"] for metric in looked_at} == functions
    codes = {dict(metric.dimensions).get("ErrorCode") for metric in looked_at | seen.written}
    assert codes - {None} <= CODES
    assert {metric.name for metric in looked_at if metric.namespace != NAMESPACE} == OF_LAMBDA
    assert {metric.namespace for metric in looked_at} == {NAMESPACE, "AWS/Lambda"}


def test_the_documentation_lists_what_is_written(seen: Seen):
    page = (deploy.ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| (\w+) \| (?:count|ms|bytes) \| .* \| ?(\w*) ?\|$", page, re.MULTILINE)
    documented = {(name, frozenset(["FunctionName", *filter(None, [by])])) for name, also in rows for by in ("", also)}
    assert documented == {metric.view for metric in seen.written}


def test_alarms_look_at_metrics_that_are_written(seen: Seen):
    assert len(seen.alarms) == 4
    views = {metric.view for metric in seen.written}
    for alarm in seen.alarms:
        assert alarm["AlarmActions"] == [TOPIC]
        ours = {metric for metric in alarmed(alarm) if metric.namespace == NAMESPACE}
        assert ours and {metric.view for metric in ours} <= views, alarm["AlarmName"]


def test_endpoints_and_codes_are_those_of_the_calls(seen: Seen):
    values = {value for metric in seen.written for value in metric.dimensions}
    assert {value for name, value in values if name == "EndpointName"} == {"echo"}, "no name that a caller made up"
    assert {value for name, value in values if name == "ErrorCode"} == {
        "EndpointNotGranted",
        "ModelError",
        "EventNotAnswerable",
    }


def test_the_accounts_api_gateway_may_write_logs(seen: Seen):
    settings = seen.stack.admin.client("apigateway").get_account()
    assert settings["cloudwatchRoleArn"].endswith(f"/{seen.stack.physical_id('ApiLogsRole')}")
    assert seen.stack.outputs["DashboardUrl"].endswith(f"#dashboards:name=seen-child-{REGION}")
