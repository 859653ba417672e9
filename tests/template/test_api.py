"""The API: its routes, who may call each of them, keys, how answers pass."""

import itertools
from unittest import mock

import pytest

from tests.template.expansion import Stack, expanded, source
from tests.template.rules import refusal
from tests.template.sides import API, BOTH, CHILD, EXAMINE, PARENT, POOL, ROUTES, arn_path


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
    everywhere, doctor = stage["MethodSettings"]
    silent = {"LoggingLevel": "OFF", "DataTraceEnabled": False}
    limits = {"ThrottlingRateLimit": "150", "ThrottlingBurstLimit": "35"}
    assert everywhere == {"ResourcePath": "/*", "HttpMethod": "*", **silent, **limits}
    # A setting of one method replaces the one for all, so it must be silent itself.
    path, method = EXAMINE
    assert doctor == {
        "ResourcePath": "/" + path.replace("/", "~1"),
        "HttpMethod": method.upper(),
        **silent,
        "ThrottlingRateLimit": 2,
        "ThrottlingBurstLimit": 5,
    }


def test_all_routes_together_stay_below_the_sts_rate_of_the_account():
    """A stage's limits hold for each method. In its worst second each serves its burst and its rate. For each answer
    the doctor asks STS three times (with the ExternalId, without one, with another), and three times more where the
    parent does not take the caller's name.
    """
    everywhere, doctor = Stack(**CHILD).properties("Apiv1Stage")["MethodSettings"]
    rate, burst = (int(everywhere[f"Throttling{kind}Limit"]) for kind in ("Rate", "Burst"))
    assuming = [path for path, method in ROUTES if method == "post"]
    assert len(assuming) == 3
    of_the_doctor = 6 * (doctor["ThrottlingRateLimit"] + doctor["ThrottlingBurstLimit"])
    assert len(assuming) * (rate + burst) + of_the_doctor < 600


def test_the_stages_limits_are_the_parameters_and_the_doctors_are_lower():
    given = {"ThrottlingRateLimit": "50", "ThrottlingBurstLimit": "70"}
    everywhere, doctor = Stack(**CHILD, **given).properties("Apiv1Stage")["MethodSettings"]
    assert everywhere.items() >= given.items()
    assert (doctor["ThrottlingRateLimit"], doctor["ThrottlingBurstLimit"]) == (2, 5), "its own are lower still"


def test_concurrency_is_reserved_only_on_request():
    assert "ReservedConcurrentExecutions" not in Stack(**CHILD).properties("InvokerFunction")
    reserved = Stack(**CHILD, ReservedConcurrency="20").properties("InvokerFunction")
    assert reserved["ReservedConcurrentExecutions"] == "20"


def test_lambda_never_repeats_a_request():
    """Whoever may invoke the function asynchronously would else have the model called three times."""
    delivery = Stack(**CHILD).properties("InvokerDelivery")
    assert (delivery["FunctionName"], delivery["Qualifier"]) == ("<InvokerFunction>", "$LATEST")
    assert delivery["MaximumRetryAttempts"] == 0
    assert "InvokerDelivery" not in Stack(**PARENT).resources


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


def test_keys_are_told_by_their_ids_and_never_by_their_values():
    outputs = Stack(**CHILD, ApiKeyRequired="true").outputs
    assert (outputs["ApiKeyId"], outputs["UsagePlanId"]) == ("<ApiKey>", "<UsagePlan>")
