"""What the API answers when it cannot answer as asked."""

import urllib.error
import urllib.request

import pytest

from tests import deploy
from tests.cloud.endpoints import CHILD, PARENT, REGION, Fault
from tests.e2e.world import OUTSIDE, World, refused

LOGS = f"arn:aws:logs:{REGION}:{PARENT}:log-group:/aws/sagemaker/Endpoints"


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_r02_r04_a_failing_model_raises_the_typed_error_and_is_asked_once(world: World, status: int):
    api = world.api
    with world.cloud.recording() as seen, pytest.raises(api.exceptions.ModelError) as raised:
        api.invoke_endpoint(EndpointName="echo", Body=b"no room", CustomAttributes=f"status={status}")
    error = raised.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert error["OriginalStatusCode"] == status
    assert error["OriginalMessage"] == "no room"
    assert error["LogStreamArn"] == f"{LOGS}/echo"
    assert f"({status})" in error["Message"]
    assert len(seen.invocations) == 1


def test_a_model_that_is_not_ready_says_when_to_try_again(world: World):
    cold = Fault("ModelNotReadyException", 429, {"Message": "The model is not ready for inference requests."})
    with world.cloud.altered("echo", fault=cold), refused(429, "ModelNotReadyException") as error:
        world.api.invoke_endpoint(EndpointName="echo", Body=b"x")
    assert int(error.headers["retry-after"]) > 0


def test_a_granted_endpoint_that_does_not_exist_is_sagemakers_own_validation_error(world: World):
    with refused(400, "ValidationError") as error:
        world.api.invoke_endpoint(EndpointName="gone", Body=b"x")
    assert "not found" in error.message


def test_an_endpoint_outside_the_grant_is_404_and_says_what_to_ask_for(world: World):
    with world.nothing_called(), refused(404, "ValidationError") as error:
        world.api.invoke_endpoint(EndpointName=OUTSIDE, Body=b"x")
    assert OUTSIDE in error.message


@pytest.mark.parametrize(
    "name", ["-a", "a-", "a_b", "a.b", "a*", "a" * 64, "a b", "a:b", "${aws:username}", "ä", "a\n", "a%2Fb"]
)
def test_s06_a_wrong_endpoint_name_is_refused_before_any_aws_call(world: World, name: str):
    with world.nothing_called(), refused(400, "ValidationError"):
        world.api.invoke_endpoint(EndpointName=name, Body=b"x")


@pytest.mark.parametrize(
    "wrong",
    [
        {"CustomAttributes": "a" * 1025},
        {"CustomAttributes": "é"},
        {"ContentType": "a" * 1025},
        {"TargetVariant": "a_b"},
        {"TargetModel": "a" * 1025},
        {"InferenceId": "a" * 65},
        {"SessionId": "a/b"},
        {"InferenceComponentName": "a" * 64},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_s17_a_wrong_member_is_refused_before_any_aws_call(world: World, wrong: dict):
    with world.nothing_called(), refused(400, "ValidationError"):
        world.api.invoke_endpoint(EndpointName="echo", Body=b"x", **wrong)


@pytest.mark.parametrize(("method", "path"), [("POST", "/endpoints/iris/invocations"), ("GET", "/endpoints")])
def test_s20_an_unsigned_call_is_refused(world: World, method: str, path: str):
    request = urllib.request.Request(f"{world.api_url}{path}", method=method)
    with world.nothing_called(), pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request)
    assert raised.value.code == 403
    assert raised.value.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"


def test_a_caller_without_execute_api_invoke_is_refused(world: World):
    with world.nothing_called(), refused(403, "AccessDeniedException"):
        world.client(world.nobody).invoke_endpoint(EndpointName="iris", Body=b"x")


def test_a_caller_of_another_account_is_refused(world: World):
    with world.nothing_called(), refused(403, "AccessDeniedException"):
        world.client(world.parent.admin).invoke_endpoint(EndpointName="iris", Body=b"x")


def test_a_signature_for_sagemaker_is_refused(world: World):
    """A stock client signs for sagemaker, and API Gateway accepts only execute-api: callers must say so."""
    client = world.tester.client("sagemaker-runtime", endpoint_url=world.api_url)
    with refused(403, "InvalidSignatureException"):
        client.invoke_endpoint(EndpointName="iris", Body=b"x")


def test_r09_a_wrong_external_id_is_403_and_tells_nothing_of_the_parent(world: World):
    wrong = deploy.deploy(
        world.cloud,
        CHILD,
        "child",
        {
            "RoleArn": world.role,
            "EndpointNames": ["iris"],
            "UserNames": ["tester"],
            "GroupName": "WrongTesters",
            "ExternalId": "not-the-right-one",
        },
        "wrong-external-id",
    )
    try:
        client = world.client(world.tester, world.cloud.local_url(wrong.outputs["ApiUrl"]))
        with world.cloud.recording() as seen, refused(403, "AccessDeniedException") as error:
            client.invoke_endpoint(EndpointName="iris", Body=b"x")
    finally:
        wrong.delete()
    assert [call["status"] for call in seen.assumed] == [403]
    assert seen.invocations == []
    assert "iris" in error.message
    for hidden in ("arn:", PARENT, "not-the-right-one", "SageMakerExternal"):
        assert hidden not in error.message
