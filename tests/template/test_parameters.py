"""What may be typed in (parameters, samconfig.toml) and sent (events/). The rules between parameters: test_rules.py."""

import base64
import json
import tomllib

import pytest

from tests.template.expansion import ROOT, Stack, is_list, parameters, source
from tests.template.rules import fits, refusal
from tests.template.sides import BOTH, CHILD, PARENT, PARENT_ROLE, POOL, ROUTES, SEVERAL, TOPIC

# Other stacks and scripts use these names.
PARAMETERS = {
    "Side",
    "EndpointNames",
    "InferenceComponentNames",
    "AsyncInvocations",
    "CallerAttribution",
    "TrustedAccountIds",
    "TrustedPrincipalArns",
    "UserNames",
    "CreateGroup",
    "GrantableAccountIds",
    "GroupsForOtherStacks",
    "AllowAnyEndpoint",
    "ExternalId",
    "EndpointRegion",
    "RoleArn",
    "Grants",
    "CognitoUserPoolArn",
    "ApiKeyRequired",
    "UsagePlanRateLimit",
    "UsagePlanBurstLimit",
    "ThrottlingRateLimit",
    "ThrottlingBurstLimit",
    "ReservedConcurrency",
    "CredentialReuseSeconds",
    "RoleName",
    "PolicyName",
    "GroupName",
    "IamPath",
    "AdoptArns",
    "Architecture",
    "LogRetentionDays",
    "LogLevel",
    "AlarmTopicArn",
    "AlarmErrorPercent",
    "AlarmP99Milliseconds",
    "AlarmThrottles",
    "CreateDashboard",
    "XRayTracing",
    "AccessLogs",
}
LISTS = {
    "EndpointNames",
    "InferenceComponentNames",
    "TrustedAccountIds",
    "TrustedPrincipalArns",
    "UserNames",
    "GrantableAccountIds",
    "AdoptArns",
}


def test_parameters_have_their_names_and_defaults():
    assert source()["Parameters"].keys() == PARAMETERS
    assert {name for name in PARAMETERS if is_list(name)} == LISTS
    defaults = {name: value for name, value in parameters().items() if value not in ("", [""])}
    assert defaults == {
        "Side": "Both",
        "AsyncInvocations": "false",
        "CallerAttribution": "false",
        "ApiKeyRequired": "false",
        "CreateGroup": "true",
        "GroupsForOtherStacks": "false",
        "AllowAnyEndpoint": "false",
        "ThrottlingRateLimit": "150",
        "ThrottlingBurstLimit": "35",
        "CredentialReuseSeconds": "0",
        "RoleName": "SageMakerExternal",
        "PolicyName": "SageMakerExternalInvokeEndpoint",
        "GroupName": "SagemakerTester",
        "IamPath": "/sagemaker-external/",
        "Architecture": "x86_64",
        "LogRetentionDays": "30",
        "LogLevel": "INFO",
        "AlarmErrorPercent": "5",
        "AlarmP99Milliseconds": "10000",
        "AlarmThrottles": "1",
        "CreateDashboard": "false",
        "XRayTracing": "false",
        "AccessLogs": "Off",
    }


def test_each_parameter_is_shown_described_and_checked():
    groups = source()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    shown = [name for group in groups for name in group["Parameters"]]
    assert sorted(shown) == sorted(PARAMETERS)
    for name, declared in source()["Parameters"].items():
        assert declared["Description"], name
        if "AllowedValues" not in declared:
            pattern = declared["AllowedPattern"]
            assert pattern.startswith("^") and pattern.endswith("$"), name
            assert declared["ConstraintDescription"].startswith("must "), name


ARN = "arn:aws:iam::111122223333"
VALUES = [
    (
        "EndpointNames",
        ["iris", "A", "a-b-1", "a" * 63],
        [
            "*",
            "a*",
            "a?",
            "${aws:username}",
            "a/../b",
            "a:b",
            "..",
            "a" * 64,
            "-a",
            "a-",
            "a\n",
            "a\0",
            "a b",
            "ä",
            "١",
        ],
    ),
    (
        "TrustedAccountIds",
        ["012345678901"],
        ["1" * 11, "1" * 13, "*", "*" * 12, "123456789012:root/..", "١" * 12, f"{ARN}:root", "123456789012\n"],
    ),
    (
        "TrustedPrincipalArns",
        [f"{ARN}:role/a", f"{ARN}:user/path/a.b@c", "arn:aws-cn:iam::111122223333:role/a"],
        [
            "*",
            f"{ARN}:root",
            f"{ARN}:role/*",
            f"{ARN}:group/a",
            f"{ARN}:role/",
            f"{ARN}:root/a",
            "arn:aws:sts::111122223333:assumed-role/a/b",
        ],
    ),
    ("CreateGroup", ["true", "false"], ["", "True", "no"]),
    ("GrantableAccountIds", ["", "012345678901"], ["1" * 11, "*", f"{ARN}:root", "123456789012\n"]),
    ("GroupsForOtherStacks", ["true", "false"], ["", "True", "yes"]),
    ("AllowAnyEndpoint", ["true", "false"], ["", "True", "yes"]),
    ("UserNames", ["alice", "a.b@c"], ["*", "a/b", "a" * 65, "a b", "${aws:username}"]),
    ("ExternalId", ["", "11", "a_+=,.@:/-b", "a" * 1224], ["1", "a" * 1225, "a b", '"},{"', "ä1", "a\\b", "${x}"]),
    ("EndpointRegion", ["", "eu-west-1", "us-gov-west-1", "ap-southeast-2"], ["*", "eu", "eu-west-1a", "EU-WEST-1"]),
    (
        "RoleArn",
        ["", PARENT_ROLE],
        ["*", f"{ARN}:role/*", f"{ARN}:user/a", f"{PARENT_ROLE},{PARENT_ROLE}", f"{PARENT_ROLE},", '"'],
    ),
    ("Grants", ["", "[]", '[\n{"RoleArn":"x"}]'], ["{}", "x", "[", "[]x"]),
    ("RoleName", ["R", "a" * 64], ["", "*", "a/b", "a" * 65, "a,b", "a\n"]),
    ("PolicyName", ["P", "a" * 128], ["", "*", "a/b", "a" * 129]),
    ("GroupName", ["G", "a" * 128], ["", "*", "a/b", "a" * 129]),
    (
        "IamPath",
        ["/a/", "/a/b.c/", "/.a/b./", "/.../"],
        [
            "",
            "/",
            "//",
            "a/",
            "/a",
            "/*/",
            "/a//b/",
            "/service-role/",
            "/service-role/x/",
            "/aws-service-role/",
            "/aws-reserved/",
            "/a?/",
            "/../",
            "/a/../b/",
            "/a/./",
            "/${x}/",
            "/" + "a" * 63 + "/",
        ],
    ),
    (
        "AdoptArns",
        ["", f"{ARN}:role/a", f"{ARN}:policy/path/a.b@c", f"{ARN}:group/a", "arn:aws-cn:iam::111122223333:role/a"],
        [
            "*",
            f"{ARN}:*",
            f"{ARN}:role/*",
            f"{ARN}:role/a?",
            f"{ARN}:role/",
            f"{ARN}:role/a/",
            f"{ARN}:role//a",
            f"{ARN}:user/a",
            f"{ARN}:root",
            "arn:aws:iam::aws:policy/AdministratorAccess",
            "arn:aws:iam::*:role/a",
            f"{ARN}:role/${{x}}",
            f"{ARN}:role/a\n",
        ],
    ),
    ("InferenceComponentNames", ["", "adapter-a", "A" * 63], ["*", "a*", "a/b", "a" * 64, "-a", "a\n", "ä"]),
    ("AsyncInvocations", ["true", "false"], ["", "True", "yes"]),
    ("CallerAttribution", ["true", "false"], ["", "True", "yes"]),
    (
        "CognitoUserPoolArn",
        ["", POOL, "arn:aws-cn:cognito-idp:cn-north-1:444455556666:userpool/cn-north-1_a"],
        [
            "*",
            POOL.replace("us-east-1:", "*:"),
            POOL.replace("444455556666", "*"),
            POOL[:-1] + "*",
            f"{POOL},{POOL}",
            f"{POOL}\n",
            POOL.replace("cognito-idp", "cognito-identity"),
            "us-east-1_Ab12Cd34E",
        ],
    ),
    ("ApiKeyRequired", ["true", "false"], ["", "True", "yes"]),
    ("UsagePlanRateLimit", ["", "1", "99999"], ["0", "-1", "1.5", "01", "100000", "a"]),
    ("UsagePlanBurstLimit", ["", "1", "99999"], ["0", "-1", "1.5", "01", "100000", "a"]),
    ("ThrottlingRateLimit", ["1", "99999"], ["", "0", "-1", "1.5", "01", "100000"]),
    ("ThrottlingBurstLimit", ["1", "99999"], ["", "0", "-1", "1.5", "01", "100000"]),
    ("ReservedConcurrency", ["", "1", "99999"], ["0", "-1", "1.5", "01", "100000", "a"]),
    ("CredentialReuseSeconds", ["0", "9", "900", "2999", "3000"], ["", "-1", "3001", "3600", "1.5", "00", "1e3"]),
    ("Side", ["Parent", "Child", "Both"], ["", "parent"]),
    ("Architecture", ["x86_64", "arm64"], ["", "x86"]),
    ("LogRetentionDays", ["1", "3653"], ["0", "", "8"]),
    ("LogLevel", ["TRACE", "FATAL"], ["", "info"]),
    (
        "AlarmTopicArn",
        ["", TOPIC, "arn:aws-us-gov:sns:us-gov-west-1:444455556666:a_b-1"],
        [
            "*",
            f"{TOPIC}*",
            f"{TOPIC}.fifo",
            f"{TOPIC},{TOPIC}",
            TOPIC.replace("sns", "sqs"),
            f"{TOPIC}:sub",
            f"{TOPIC}\n",
        ],
    ),
    ("AlarmErrorPercent", ["1", "99", "100"], ["", "0", "101", "1.5", "-1", "05"]),
    ("AlarmP99Milliseconds", ["1", "999999"], ["", "0", "1000000", "1.5", "1s"]),
    ("AlarmThrottles", ["1", "99999"], ["", "0", "100000", "1.5"]),
    ("CreateDashboard", ["true", "false"], ["", "True", "yes"]),
    ("XRayTracing", ["true", "false"], ["", "Active"]),
    ("AccessLogs", ["Off", "On", "OnAndSetUpAccount"], ["", "on", "true"]),
]


@pytest.mark.parametrize(("name", "good", "bad"), VALUES, ids=[name for name, _, _ in VALUES])
def test_s05_s06_s08_values_are_checked_before_anything_is_made(name, good, bad):
    wrap = (lambda value: [value]) if is_list(name) else (lambda value: value)
    assert [value for value in good if not fits(name, wrap(value))] == []
    assert [value for value in bad if fits(name, wrap(value))] == []


def test_every_parameter_stands_among_the_checked_values():
    assert {name for name, _, _ in VALUES} == PARAMETERS


def overrides(environment):
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    given = config[environment]["deploy"]["parameters"]["parameter_overrides"]
    # As sam does it: lists are joined by commas.
    return {name: ",".join(value) if isinstance(value, list) else str(value) for name, value in given.items()}


@pytest.mark.parametrize(
    ("environment", "filled", "stack"),
    [
        ("default", BOTH, "sagemaker-external"),
        ("parent", PARENT, "sagemaker-external-parent"),
        ("child", CHILD, "sagemaker-external-child"),
    ],
)
def test_samconfig_is_refused_until_it_is_filled_in(environment, filled, stack):
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())[environment]["deploy"]["parameters"]
    assert (config["stack_name"], config["capabilities"]) == (stack, "CAPABILITY_IAM")
    assert config["resolve_s3"] is True and config["confirm_changeset"] is False
    shipped = overrides(environment)
    assert shipped["Side"] == filled["Side"]
    assert filled.keys() <= shipped.keys(), "the lines to fill in are there"
    assert "set " in (refusal(**shipped) or "")
    assert refusal(**{**shipped, **filled}) is None


def events(pattern):
    found = {path.stem: json.loads(path.read_text()) for path in (ROOT / "events").glob(pattern)}
    assert found
    return found


def test_events_for_the_provisioner_are_what_this_template_would_send():
    found = events("provisioner-*.json")
    acts = ("create", "update", "delete")
    resources = {
        "role": ("ExternalRole", PARENT),
        "group": ("ExternalGroup", CHILD),
        "grants": ("ExternalGrants", SEVERAL),
    }
    assert found.keys() == {f"provisioner-{kind}-{act}" for kind in resources for act in acts}
    for name, event in found.items():
        _, kind, act = name.split("-")
        logical, given = resources[kind]
        resource = Stack(**given).resources[logical]
        assert (event["LogicalResourceId"], event["ResourceType"]) == (logical, resource["Type"]), name
        assert event["RequestType"] == act.capitalize()
        assert ("PhysicalResourceId" in event, "OldResourceProperties" in event) == (act != "create", act == "update")
        sent = [event["ResourceProperties"], *([event["OldResourceProperties"]] if act == "update" else [])]
        for properties in sent:
            assert properties.keys() == resource["Properties"].keys(), name
            assert properties["ServiceToken"] == event["ServiceToken"]
            assert all(isinstance(value, (str, list)) for value in properties.values()), name
        # One account and region in all of it, so that a handler which compares them is satisfied.
        assert event["StackId"].split(":")[3:5] == event["ServiceToken"].split(":")[3:5]
        assert event["ResponseURL"].startswith(
            "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/"
        ), name


def test_events_for_the_invoker_are_authorized_calls_of_its_routes():
    found = events("invoker-*.json")
    assert {(event["resource"], event["httpMethod"].lower()) for event in found.values()} == ROUTES
    for name, event in found.items():
        signer, authorizer = event["requestContext"]["identity"]["userArn"], event["requestContext"].get("authorizer")
        if authorizer:
            assert signer is None and authorizer["claims"]["iss"].startswith("https://cognito-idp."), name
        else:
            assert signer.split(":")[4] == "444455556666", name
        assert event["multiValueHeaders"] == {key: [value] for key, value in event["headers"].items()}, name
        path = event["resource"].format(**(event["pathParameters"] or {}))
        assert (event["path"], event["requestContext"]["path"]) == (path, f"/v1{path}"), name
    body = base64.b64decode(found["invoker-invocations"]["body"], validate=True)
    assert found["invoker-invocations"]["isBase64Encoded"] is True
    assert [float(number) for number in body.decode().strip().split(",")] == [5.1, 3.5, 1.4, 0.2]
