"""What is seen of a deployment: alarms, the dashboard, traces and the API's access log.

Whether the functions write the metrics that are shown here: tests/e2e/test_metrics.py.
"""

import itertools
import json
import re

import pytest

from tests.dashboard import Metric, alarmed, expressions, shown, widgets
from tests.template.expansion import PSEUDO, Stack, source
from tests.template.sides import BOTH, CHILD, PARENT, SEVERAL, SIDES, TOPIC
from tests.template.test_template import needed

OURS = "SageMakerExternal"
OF_INVOKER = {"ErrorAlarm", "LatencyAlarm", "ThrottleAlarm"}


@SIDES
def test_nothing_of_it_is_made_unless_it_is_asked_for(given):
    kinds = {made["Type"] for made in Stack(**given).resources.values()}
    assert not {kind for kind in kinds if kind.startswith("AWS::CloudWatch::")}
    assert "AWS::ApiGateway::Account" not in kinds


@SIDES
def test_alarms_come_with_a_topic_and_tell_it_both_ways(given):
    alarms = Stack(**given, AlarmTopicArn=TOPIC).of_type("AWS::CloudWatch::Alarm")
    assert alarms.keys() == ({"ProvisionerAlarm"} if given is PARENT else OF_INVOKER | {"ProvisionerAlarm"})
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [TOPIC], name
        assert alarm["TreatMissingData"] == "notBreaching", name
        assert alarm["AlarmDescription"], name
        # One that an operator could not tell from another stack's would carry a name of its own.
        assert "AlarmName" not in alarm, name


def test_alarms_watch_what_they_say_by_the_thresholds_given():
    given = {"AlarmErrorPercent": "7", "AlarmP99Milliseconds": "1234", "AlarmThrottles": "9"}
    alarms = Stack(**CHILD, AlarmTopicArn=TOPIC, **given).of_type("AWS::CloudWatch::Alarm")
    invoker, provisioner = (("FunctionName", f"<{name}Function>") for name in ("Invoker", "Provisioner"))
    found = {name: alarmed(alarm) for name, alarm in alarms.items()}

    def throttled(code):
        return Metric(OURS, "Errors", (("ErrorCode", code), invoker))

    assert found == {
        "ErrorAlarm": {
            Metric(namespace, name, (invoker,))
            for namespace, name in (
                (OURS, "Faults"),
                (OURS, "Requests"),
                ("AWS/Lambda", "Errors"),
                ("AWS/Lambda", "Invocations"),
            )
        },
        "LatencyAlarm": {Metric(OURS, "Latency", (invoker,))},
        "ThrottleAlarm": {
            throttled("StsThrottled"),
            throttled("EndpointThrottled"),
            Metric("AWS/Lambda", "Throttles", (invoker,)),
        },
        "ProvisionerAlarm": {
            Metric(OURS, "Failures", (provisioner,)),
            Metric("AWS/Lambda", "Errors", (provisioner,)),
            Metric("AWS/Lambda", "AsyncEventsDropped", (provisioner,)),
        },
    }
    assert {name: str(alarm["Threshold"]) for name, alarm in alarms.items()} == {
        "ErrorAlarm": "7",
        "LatencyAlarm": "1234",
        "ThrottleAlarm": "9",
        "ProvisionerAlarm": "1",
    }
    assert alarms["LatencyAlarm"]["ExtendedStatistic"] == "p99"
    for name, alarm in alarms.items():
        for result in (metric for metric in alarm.get("Metrics", []) if metric["ReturnData"]):
            ids = {metric["Id"] for metric in alarm["Metrics"]} - {result["Id"]}
            assert ids == set(re.findall(r"\b[a-z]\w*", result["Expression"])), name


@pytest.mark.parametrize(
    ("partition", "console"),
    [
        ("aws", "console.aws.amazon.com"),
        ("aws-cn", "console.amazonaws.cn"),
        ("aws-us-gov", "console.amazonaws-us-gov.com"),
        ("aws-eusc", "us-east-1.console.amazonaws-eusc.eu"),
    ],
)
def test_the_dashboard_is_in_the_partitions_own_console(partition, console):
    stack = Stack({**PSEUDO, "AWS::Partition": partition}, **CHILD, CreateDashboard="true")
    assert stack.outputs["DashboardUrl"] == (
        f"https://{console}/cloudwatch/home?region=us-east-1#dashboards:name=<Dashboard>"
    )


@pytest.mark.parametrize("partition", ["aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"])
def test_where_the_console_is_not_known_no_output_leads_to_it(partition):
    stack = Stack({**PSEUDO, "AWS::Partition": partition}, **CHILD, CreateDashboard="true")
    assert "Dashboard" in stack.resources
    assert "DashboardUrl" not in stack.outputs


def dashboard(**given):
    return Stack(**given, CreateDashboard="true").properties("Dashboard")["DashboardBody"]


@SIDES
def test_the_dashboard_is_json_of_widgets_that_do_not_overlap(given):
    places = set()
    for widget in widgets(dashboard(**given)):
        x, y, width, height = (widget[key] for key in ("x", "y", "width", "height"))
        assert 0 <= x and x + width <= 24
        cells = set(itertools.product(range(x, x + width), range(y, y + height)))
        assert not places & cells, widget
        places |= cells
        if widget["type"] != "text":
            assert widget["properties"]["region"] == "us-east-1" and widget["properties"]["title"]


def test_a_parents_dashboard_shows_its_provisioner_and_a_childs_both():
    functions = {
        name: {dict(metric.dimensions)["FunctionName"] for metric in shown(dashboard(**given))}
        for name, given in (("parent", PARENT), ("child", CHILD), ("both", BOTH), ("several", SEVERAL))
    }
    both = {"<InvokerFunction>", "<ProvisionerFunction>"}
    assert functions == {"parent": {"<ProvisionerFunction>"}, "child": both, "both": both, "several": both}


def test_expressions_name_what_stands_beside_them():
    found = list(expressions(dashboard(**CHILD)))
    assert len(found) > 4
    for expression, ids in found:
        formula = re.sub(r"'[^']*'", "", expression)
        assert set(re.findall(r"\b[a-z]\w*", formula)) <= ids, expression


def test_the_dashboard_shows_where_the_alarms_are():
    thresholds = {"AlarmErrorPercent": "7", "AlarmP99Milliseconds": "1234", "AlarmThrottles": "9"}
    lines = [
        line["value"]
        for widget in widgets(dashboard(**CHILD, **thresholds))
        for line in widget["properties"].get("annotations", {}).get("horizontal", [])
        if line["label"] == "alarm"
    ]
    assert sorted(lines) == [7, 9, 1234]


def test_traces_are_written_only_when_they_are_asked_for():
    for traced in ("false", "true"):
        stack = Stack(**CHILD, XRayTracing=traced)
        on = traced == "true"
        assert stack.properties("InvokerFunction")["TracingConfig"] == {"Mode": "Active" if on else "PassThrough"}
        assert stack.properties("Apiv1Stage")["TracingEnabled"] is on
        policies = {policy["PolicyName"]: policy for policy in stack.properties("InvokerRole")["Policies"]}
        assert policies.keys() == ({"WriteOwnLogs", "SendTraces"} if on else {"WriteOwnLogs"})
        if on:
            (statement,) = policies["SendTraces"]["PolicyDocument"]["Statement"]
            assert statement["Action"] == ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]


def test_access_logs_are_json_and_name_the_caller_and_the_request():
    assert "AccessLogSetting" not in Stack(**CHILD).properties("Apiv1Stage")
    stack = Stack(**CHILD, AccessLogs="On", LogRetentionDays="7")
    setting = stack.properties("Apiv1Stage")["AccessLogSetting"]
    # API Gateway takes one line.
    assert "\n" not in setting["Format"]
    line = json.loads(setting["Format"])
    assert line["caller"] == "$context.identity.userArn"
    assert line["subject"] == "$context.authorizer.claims.sub"
    assert line["extended_request_id"] == "$context.extendedRequestId"
    assert line["lambda_request_id"] == "$context.integration.requestId"
    # Nothing is escaped on its way into the line. A client sets $context.requestId by sending x-amzn-RequestId.
    assert "$context.requestId" not in line.values()
    free = ("path", "userAgent", "error.message", "requestOverride", "querystring", "header", "domainName")
    assert not [value for value in line.values() if any(word in value for word in free)]
    assert setting["DestinationArn"] == "arn:aws:logs:us-east-1:444455556666:log-group:<ApiAccessLogGroup>"
    assert stack.properties("ApiAccessLogGroup")["RetentionInDays"] == "7"
    assert not stack.of_type("AWS::ApiGateway::Account")


def test_the_accounts_role_is_set_only_on_request_before_the_stage_and_for_good():
    stack = Stack(**CHILD, AccessLogs="OnAndSetUpAccount")
    assert stack.properties("ApiAccount") == {"CloudWatchRoleArn": "<ApiLogsRole.Arn>"}
    template = source()["Resources"]
    assert template["ApiAccount"]["DependsOn"] == "Api", "an account without any API has no settings"
    for name in ("ApiAccount", "ApiLogsRole"):
        assert template[name]["DeletionPolicy"] == template[name]["UpdateReplacePolicy"] == "Retain"
    # The expansion fills the reference in, so the order is read from the template itself.
    assert "${ApiAccount}" in json.dumps(template["Api"]["Properties"]["AccessLogSetting"])
    assert "ApiLogsRole" in needed(stack, "ApiAccount")
    assert stack.properties("Apiv1Stage")["AccessLogSetting"]["DestinationArn"].endswith(":<ApiAccessLogGroup>")
