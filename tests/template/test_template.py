"""What a deployment makes: the API, the functions, the custom resources, their order, the outputs."""

import itertools
import json
from unittest import mock

import pytest

from tests.template.expansion import PSEUDO, ROOT, Stack, expanded, is_list, source
from tests.template.rules import refusal
from tests.template.sides import API, BOTH, CHILD, EXAMINE, PARENT, PARENT_ROLE, POOL, ROUTES, SIDES, arn_path


def document(**given):
    return Stack(**{**CHILD, **given}).properties("Api")["Body"]


def operations(**given):
    paths = document(**given)["paths"]
    return {(path, method): operation for path, methods in paths.items() for method, operation in methods.items()}


def test_the_routes_are_those_of_sagemaker_runtime_the_list_and_the_doctor():
    assert operations().keys() == ROUTES


AUTHORIZATION = {
    "CallerAttribution": ["false", "true"],
    "CredentialReuseSeconds": ["0", "900"],
    "CognitoUserPoolArn": ["", POOL],
    "ApiKeyRequired": ["false", "true"],
}


@pytest.mark.parametrize("side", [CHILD, BOTH], ids=lambda side: side["Side"])
@pytest.mark.parametrize("values", [*itertools.product(*AUTHORIZATION.values())], ids="-".join)
def test_s20_every_route_has_an_authorizer_whatever_is_chosen(side, values):
    given = {**side, **dict(zip(AUTHORIZATION, values, strict=True))}
    assert refusal(**given) is None
    schemes = document(**given)["components"]["securitySchemes"]
    found = operations(**given)
    assert found.keys() == ROUTES
    for route, operation in found.items():
        # One requirement each, and API Gateway asks for them all.
        (authorizer,), *keys = operation["security"]
        scheme = schemes[authorizer]
        cognito = given["CognitoUserPoolArn"] and route != EXAMINE
        assert scheme["x-amazon-apigateway-authtype"] == ("cognito_user_pools" if cognito else "awsSigv4"), route
        assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "Authorization"), route
        assert scheme.get("x-amazon-apigateway-authorizer") == (
            {"type": "cognito_user_pools", "providerARNs": [POOL]} if cognito else None
        ), route
        assert keys == ([{"api_key": []}] if given["ApiKeyRequired"] == "true" else []), route
    assert schemes["api_key"] == {"type": "apiKey", "in": "header", "name": "x-api-key"}


def test_s20_nothing_but_the_document_authorizes():
    """No second authority: no defaults of SAM, no method or authorizer of its own, no policy that lets others in."""
    assert "Auth" not in source()["Resources"]["Api"]["Properties"]
    assert "Policy" not in Stack(**CHILD).properties("Api")
    kinds = {resource["Type"] for resource in expanded()["Resources"].values()}
    assert not kinds & {"AWS::ApiGateway::Method", "AWS::ApiGateway::Authorizer", "AWS::Lambda::Url"}


def test_a_change_of_authorization_is_deployed():
    """A stage serves what was deployed last, and without AlwaysDeploy the same text makes no new deployment."""
    deployments = set()
    for now in (1, 2):
        with mock.patch("time.time", return_value=now):
            resources = expanded.__wrapped__()["Resources"]
        (deployment,) = (name for name, made in resources.items() if made["Type"] == "AWS::ApiGateway::Deployment")
        assert resources["Apiv1Stage"]["Properties"]["DeploymentId"] == {"Ref": deployment}
        deployments.add(deployment)
    assert len(deployments) == 2


@pytest.mark.parametrize(
    ("given", "rate", "burst"),
    [({}, 10, 20), ({"UsagePlanRateLimit": "5", "UsagePlanBurstLimit": "7"}, "5", "7")],
    ids=["default", "set"],
)
def test_keys_are_good_for_this_stage_alone_and_limited(given, rate, burst):
    stack = Stack(**CHILD, ApiKeyRequired="true", **given)
    plan = stack.properties("UsagePlan")
    assert plan["ApiStages"] == [{"ApiId": "<Api>", "Stage": "<Apiv1Stage>"}]
    assert plan["Throttle"] == {"RateLimit": rate, "BurstLimit": burst}
    assert stack.properties("UsagePlanKey") == {
        "KeyId": "<ApiKey>",
        "KeyType": "API_KEY",
        "UsagePlanId": "<UsagePlan>",
    }
    # A value that a template sets would stand in the template.
    assert "Value" not in stack.properties("ApiKey")


def test_without_keys_there_is_no_key():
    assert not {"ApiKey", "UsagePlan", "UsagePlanKey"} & Stack(**CHILD).resources.keys()


def test_every_route_streams_and_waits_longer_than_the_function():
    timeout = Stack(**CHILD).properties("InvokerFunction")["Timeout"]
    # SageMaker streams for 8 min; API Gateway for 15.
    assert 8 * 60 < timeout < 15 * 60
    for route, operation in operations().items():
        integration = operation["x-amazon-apigateway-integration"]
        assert (integration["type"], integration["httpMethod"]) == ("aws_proxy", "POST"), route
        assert integration["uri"] == (
            "arn:aws:apigateway:us-east-1:lambda:path/2021-11-15/functions/<InvokerFunction.Arn>"
            "/response-streaming-invocations"
        )
        assert integration["responseTransferMode"] == "STREAM", route
        assert timeout * 1000 < integration["timeoutInMillis"] <= 15 * 60 * 1000, route
        # The function's own role calls; a caller's credentials or an invoke role would need more rights.
        assert "credentials" not in integration, route


def test_the_api_is_regional_passes_bytes_and_has_one_stage_without_body_logs():
    stack = Stack(**CHILD)
    api = stack.properties("Api")
    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert api["BinaryMediaTypes"] == api["Body"]["x-amazon-apigateway-binary-media-types"] == ["*/*"]
    [stage] = stack.of_type("AWS::ApiGateway::Stage").values()
    assert stage["StageName"] == "v1"
    assert stage["MethodSettings"] == [
        {"ResourcePath": "/*", "HttpMethod": "*", "LoggingLevel": "OFF", "DataTraceEnabled": False},
    ]


def test_s14_only_this_api_may_invoke_and_only_the_invoker():
    permissions = Stack(**CHILD).of_type("AWS::Lambda::Permission").values()
    assert {permission["SourceArn"] for permission in permissions} == {f"{API}/*/{arn_path(r)}" for r in ROUTES}
    for permission in permissions:
        assert permission["FunctionName"] == "<InvokerFunction>"
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert permission["Action"] == "lambda:InvokeFunction"
    assert not Stack(**PARENT).of_type("AWS::Lambda::Permission")


@pytest.mark.parametrize(("pool", "routes"), [("", ROUTES), (POOL, {EXAMINE})], ids=["iam", "cognito"])
def test_members_may_call_exactly_the_routes_that_iam_authorises(pool, routes):
    arns = Stack(**CHILD, CognitoUserPoolArn=pool).properties("ExternalGroup")["ApiArns"]
    assert len(arns) == len(routes)
    assert set(arns) == {f"{API}/v1/{arn_path(route)}" for route in routes}


@SIDES
def test_functions_are_built_by_cargo_lambda(given):
    stack = Stack(**given, Architecture="arm64", LogLevel="DEBUG")
    for name, function in stack.of_type("AWS::Lambda::Function").items():
        binary = name.removesuffix("Function").lower()
        assert (function["Runtime"], function["Handler"]) == ("provided.al2023", "bootstrap")
        assert function["Architectures"] == ["arm64"]
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
        assert function["LoggingConfig"]["ApplicationLogLevel"] == "DEBUG"
        assert expanded()["Resources"][name]["Metadata"] == {
            "BuildMethod": "rust-cargolambda",
            "BuildProperties": {"Binary": binary},
        }
        assert (ROOT / "functions" / binary / "Cargo.toml").exists()


@SIDES
def test_c39_no_event_outlives_cloudformations_patience(given):
    stack = Stack(**given)
    provisioner, delivery = stack.properties("ProvisionerFunction"), stack.properties("ProvisionerDelivery")
    assert delivery["FunctionName"] == "<ProvisionerFunction>"
    last_end = delivery["MaximumEventAgeInSeconds"] + provisioner["Timeout"]
    customs = [made["Properties"] for made in stack.resources.values() if made["Type"].startswith("Custom::")]
    assert len(customs) == (2 if given is BOTH else 1)
    for custom in customs:
        assert custom["ServiceToken"] == "<ProvisionerFunction.Arn>"
        assert last_end < custom["ServiceTimeout"] <= 3600


def test_parent_passes_its_parameters_to_the_role():
    given = {**PARENT, "TrustedPrincipalArns": "arn:aws:iam::555566667777:role/a", "EndpointNames": "iris,b"}
    fixed = {"ServiceToken": "<ProvisionerFunction.Arn>", "ServiceTimeout": 300}
    assert Stack(**given).properties("ExternalRole") == {
        **fixed,
        "EndpointNames": ["iris", "b"],
        "InferenceComponentNames": [""],
        "CallerAttribution": "false",
        "Regions": [PSEUDO["AWS::Region"]],
        "TrustedAccountIds": ["555566667777"],
        "TrustedPrincipalArns": ["arn:aws:iam::555566667777:role/a"],
        "RoleName": "SageMakerExternal",
        "PolicyName": "SageMakerExternalInvokeEndpoint",
        "Path": "/sagemaker-external/",
    }
    names = {"RoleName": "R", "PolicyName": "P", "IamPath": "/p/"}
    more = {"InferenceComponentNames": "adapter-a,b", "AsyncInvocations": "true", "CallerAttribution": "true"}
    other = Stack(**given, **names, **more, ExternalId="tenant-7", EndpointRegion="eu-west-1")
    assert (
        other.properties("ExternalRole").items()
        >= {
            "ExternalId": "tenant-7",
            "Regions": ["eu-west-1"],
            "InferenceComponentNames": ["adapter-a", "b"],
            "Operations": ["InvokeEndpoint", "InvokeEndpointWithResponseStream", "InvokeEndpointAsync"],
            "CallerAttribution": "true",
            "RoleName": "R",
            "PolicyName": "P",
            "Path": "/p/",
        }.items()
    )


def test_child_passes_its_parameters_to_the_group():
    group = Stack(**CHILD, UserNames="alice,bob", GroupName="G").properties("ExternalGroup")
    assert group.pop("ApiArns")
    assert group == {
        "ServiceToken": "<ProvisionerFunction.Arn>",
        "ServiceTimeout": 300,
        "RoleArns": [PARENT_ROLE],
        "GroupName": "G",
        "UserNames": ["alice", "bob"],
        "Path": "/sagemaker-external/",
    }


def test_s04_s05_a_trial_trusts_its_invoker_by_name_and_not_its_own_account():
    role = Stack(**BOTH, TrustedPrincipalArns="arn:aws:iam::444455556666:user/alice").properties("ExternalRole")
    assert role["TrustedPrincipalArns"] == ["<InvokerRole.Arn>", "arn:aws:iam::444455556666:user/alice"]
    assert role["TrustedAccountIds"] == [""]


@pytest.mark.parametrize(
    ("given", "grant"),
    [
        (CHILD, {"RoleArn": PARENT_ROLE, "ExternalId": "", "EndpointNames": "iris", "Region": "us-east-1"}),
        (
            {**CHILD, "EndpointNames": "a,b", "ExternalId": "tenant-7", "EndpointRegion": "eu-west-1"},
            {"RoleArn": PARENT_ROLE, "ExternalId": "tenant-7", "EndpointNames": "a,b", "Region": "eu-west-1"},
        ),
        (
            BOTH,
            {
                "RoleArn": "<ExternalRole>",
                "ExternalId": "<ExternalRole.ExternalId>",
                "EndpointNames": "iris",
                "Region": "us-east-1",
            },
        ),
    ],
    ids=["child", "child-explicit", "both"],
)
def test_grants_of_one_parent_are_json(given, grant):
    assert json.loads(grants(**given)) == [grant]


def test_grants_of_several_parents_are_passed_as_they_are():
    text = '[{"RoleArn": "x"}]'
    assert grants(Side="Child", RoleArn=PARENT_ROLE, Grants=text) == text


def grants(**given):
    return Stack(**given).properties("InvokerFunction")["Environment"]["Variables"]["GRANTS"]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (PARENT, {"RoleArn", "ExternalId", "PolicyArns", "ProvisionerArn"}),
        (CHILD, {"RoleArn", "ExternalId", "GroupArn", "ProvisionerArn", "ApiUrl"}),
        (BOTH, {"RoleArn", "ExternalId", "PolicyArns", "GroupArn", "ProvisionerArn", "ApiUrl"}),
    ],
    ids=["parent", "child", "both"],
)
def test_outputs_of_each_side(given, names):
    outputs = Stack(**given).outputs
    assert outputs.keys() == names
    assert outputs["RoleArn"] == (PARENT_ROLE if given is CHILD else "<ExternalRole>")
    assert outputs["ExternalId"] == ("111122223333" if given is CHILD else "<ExternalRole.ExternalId>")
    api_url = "https://<Api>.execute-api.us-east-1.amazonaws.com/<Apiv1Stage>"
    assert outputs.get("ApiUrl", api_url) == api_url
    assert outputs["ProvisionerArn"] == "<ProvisionerFunction.Arn>"
    export = expanded()["Outputs"]["ProvisionerArn"]["Export"]
    assert export == {"Name": {"Fn::Sub": "${AWS::StackName}-ProvisionerArn"}}


def test_child_passes_its_parameters_to_the_invoker():
    variables = Stack(**CHILD).properties("InvokerFunction")["Environment"]["Variables"]
    assert (variables["CALLER_ATTRIBUTION"], variables["CREDENTIAL_REUSE_SECONDS"]) == ("false", "0")
    variables = Stack(**CHILD, CallerAttribution="true", CredentialReuseSeconds="900").properties("InvokerFunction")[
        "Environment"
    ]["Variables"]
    assert (variables["CALLER_ATTRIBUTION"], variables["CREDENTIAL_REUSE_SECONDS"]) == ("true", "900")


def test_keys_are_told_by_their_ids_and_never_by_their_values():
    outputs = Stack(**CHILD, ApiKeyRequired="true").outputs
    assert (outputs["ApiKeyId"], outputs["UsagePlanId"]) == ("<ApiKey>", "<UsagePlan>")


def test_s03_an_external_id_that_was_typed_in_is_not_printed_back():
    assert "ExternalId" not in Stack(**CHILD, ExternalId="tenant-7").outputs
    assert "ExternalId" not in Stack(Side="Child", RoleArn=PARENT_ROLE, Grants='[{"ExternalId":"tenant-7"}]').outputs
    for name in ("ExternalId", "Grants"):
        assert source()["Parameters"][name]["NoEcho"] is True


@SIDES
def test_permissions_come_before_the_custom_resources_and_go_after_them(given):
    stack = Stack(**given)
    for name, made in stack.resources.items():
        if made["Type"].startswith("Custom::"):
            before = needed(stack, name)
            assert {"ProvisionerFence", "Boundary", "ProvisionerDelivery", "ProvisionerLogGroup"} <= before, name
    if given is not PARENT:
        assert {"InvokerGrants", "InvokerLogGroup"} <= needed(stack, "InvokerFunction")


def needed(stack, name, above=()):
    """Every resource that must exist before this one. A cycle, which no deployment could resolve, fails."""
    assert name not in above, f"cycle: {[*above, name]}"
    made = stack.resources[name]
    text = json.dumps(made["Properties"])
    depends = made.get("DependsOn", [])
    direct = {other for other in stack.resources if f"<{other}>" in text or f"<{other}." in text}
    direct |= set([depends] if isinstance(depends, str) else depends)
    return direct.union(*(needed(stack, other, (*above, name)) for other in direct))


@SIDES
def test_nothing_waits_for_itself(given):
    stack = Stack(**given)
    for name in stack.resources:
        needed(stack, name)


def test_no_output_shares_its_name_with_a_list_parameter():
    # sam build and sam deploy (1.170.0) end in a TypeError on such a template.
    assert not [name for name in source()["Outputs"] if name in source()["Parameters"] and is_list(name)]


def test_the_template_is_ascii():
    # CloudFormation turns other characters in names and descriptions into question marks.
    assert (ROOT / "template.yaml").read_text().isascii()
