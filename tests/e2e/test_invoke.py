"""InvokeEndpoint through the API, with a stock boto3 client."""

import hashlib
import json
import re
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from tests import iris
from tests.cloud.endpoints import PARENT
from tests.cloud.models.echo import DESCRIBE
from tests.e2e.world import GRANTED, OUTSIDE, World, as_list

ALL_BYTES = bytes(range(256))

# Every member of InvokeEndpoint's input that travels as a header: its header, and a value.
REQUEST_MEMBERS = {
    "ContentType": ("Content-Type", "application/x-thing; charset=utf-8"),
    "Accept": ("Accept", DESCRIBE),
    "CustomAttributes": ("X-Amzn-SageMaker-Custom-Attributes", "trace=1; note=a b"),
    "TargetModel": ("X-Amzn-SageMaker-Target-Model", "model-7.tar.gz"),
    "TargetVariant": ("X-Amzn-SageMaker-Target-Variant", "Canary"),
    "TargetContainerHostname": ("X-Amzn-SageMaker-Target-Container-Hostname", "container-2"),
    "InferenceId": ("X-Amzn-SageMaker-Inference-Id", "inference 42"),
    "EnableExplanations": ("X-Amzn-SageMaker-Enable-Explanations", "`true`"),
    "SessionId": ("X-Amzn-SageMaker-Session-Id", "session-9"),
}


def test_iris_rows_get_their_species(world: World):
    answer = world.api.invoke_endpoint(EndpointName="iris", ContentType="text/csv", Accept="text/csv", Body=iris.CSV)
    assert answer["Body"].read().decode().split() == iris.LABELS
    assert answer["ContentType"] == "text/csv"


def test_accept_reaches_the_model(world: World):
    answer = world.api.invoke_endpoint(
        EndpointName="iris", ContentType="text/csv", Accept="application/json", Body=iris.CSV
    )
    predictions = json.loads(answer["Body"].read())["predictions"]
    assert [prediction["label"] for prediction in predictions] == iris.LABELS
    assert answer["ContentType"] == "application/json"


@pytest.mark.parametrize("member", REQUEST_MEMBERS)
def test_r01_each_request_member_reaches_the_model_under_its_header(world: World, member: str):
    header, value = REQUEST_MEMBERS[member]
    with world.cloud.recording() as seen:
        world.api.invoke_endpoint(EndpointName="echo", Body=b"x", **{member: value})
    (invocation,) = seen.invocations
    assert invocation["headers"][header] == value


def test_r01_all_request_members_together_reach_the_model(world: World):
    given = {member: value for member, (_, value) in REQUEST_MEMBERS.items()}
    with world.cloud.recording() as seen:
        world.api.invoke_endpoint(EndpointName="echo", Body=b"x", **given)
    (invocation,) = seen.invocations
    assert invocation["headers"] == dict(REQUEST_MEMBERS.values())
    assert invocation["variant"] == "Canary"


def test_each_response_member_comes_back(world: World):
    answer = world.api.invoke_endpoint(
        EndpointName="echo",
        Body=b"x",
        ContentType="text/plain",
        CustomAttributes="trace=1",
        TargetVariant="Canary",
        SessionId="NEW_SESSION",
    )
    assert answer["ContentType"] == "text/plain"
    assert answer["InvokedProductionVariant"] == "Canary"
    assert answer["CustomAttributes"] == "trace=1"
    assert re.fullmatch(r"[0-9a-f-]{36}; Expires=2099-01-01T00:00:00Z", answer["NewSessionId"])
    assert "ClosedSessionId" not in answer


def test_a_closed_session_comes_back(world: World):
    answer = world.api.invoke_endpoint(
        EndpointName="echo", Body=b"x", SessionId="session-9", CustomAttributes="close-session"
    )
    assert answer["ClosedSessionId"] == "session-9"
    assert "NewSessionId" not in answer


@pytest.mark.parametrize(
    "body",
    [ALL_BYTES, ALL_BYTES * 4096, b"", b"\0" * 8 + b"{}", "Grüße, 世界".encode()],
    ids=["all-256-values", "1-MB", "empty", "nuls-first", "utf-8"],
)
@pytest.mark.parametrize("content_type", ["application/octet-stream", "text/csv", "application/json"])
def test_r05_bodies_pass_byte_for_byte_both_ways(world: World, body: bytes, content_type: str):
    with world.cloud.recording() as seen:
        answer = world.api.invoke_endpoint(EndpointName="echo", ContentType=content_type, Body=body)
    (invocation,) = seen.invocations
    assert invocation["sha256"] == hashlib.sha256(body).hexdigest()
    assert answer["Body"].read() == body
    assert answer["ContentType"] == content_type


def test_r05_4_5_mb_pass(world: World):
    body = ALL_BYTES * (4_500_000 // 256)
    assert world.api.invoke_endpoint(EndpointName="echo", Body=body)["Body"].read() == body


def test_r10_each_request_assumes_the_role_for_exactly_this_endpoint(world: World):
    with world.cloud.recording() as seen:
        world.api.invoke_endpoint(EndpointName="echo", Body=b"x")
        world.api.invoke_endpoint(EndpointName="iris", ContentType="text/csv", Body=iris.CSV)
    assert [call["status"] for call in seen.assumed] == [200, 200]
    for call, endpoint in zip(seen.assumed, ("echo", "iris"), strict=True):
        params = call["params"]
        assert params["RoleArn"] == world.role
        assert params["ExternalId"] == PARENT
        assert params["DurationSeconds"] == "900"
        (statement,) = json.loads(params["Policy"])["Statement"]
        assert (statement["Effect"], as_list(statement["Action"])) == ("Allow", ["sagemaker:InvokeEndpoint"])
        arn = f"arn:aws:sagemaker:{world.cloud.region}:{PARENT}:endpoint/{endpoint}"
        assert as_list(statement["Resource"]) == [arn]


def test_r08_session_names_come_from_the_caller_and_the_request(world: World):
    with world.cloud.recording() as seen:
        world.api.invoke_endpoint(EndpointName="echo", Body=b"x")
        world.api.invoke_endpoint(EndpointName="echo", Body=b"x")
    names = [call["params"]["RoleSessionName"] for call in seen.assumed]
    assert len(set(names)) == 2
    for name in names:
        assert re.fullmatch(r"[\w+=,.@-]{2,64}", name, re.ASCII)
        assert "tester" in name


def test_no_attribution_unless_it_is_asked_for(world: World):
    with world.cloud.recording() as seen:
        world.api.invoke_endpoint(EndpointName="echo", Body=b"x")
    (call,) = seen.assumed
    assert not [name for name in call["params"] if name.startswith(("SourceIdentity", "Tags", "TransitiveTagKeys"))]


def test_s01_no_header_of_the_caller_chooses_role_or_external_id(world: World):
    smuggled = {"X-External-Id": "evil", "X-Amzn-SageMaker-External-Id": "evil", "X-Role-Arn": "arn:aws:iam::1:role/e"}

    def smuggle(request, **_):
        for name, value in smuggled.items():
            request.headers[name] = value

    client = world.api
    client.meta.events.register("before-sign.sagemaker-runtime", smuggle)
    with world.cloud.recording() as seen:
        client.invoke_endpoint(EndpointName="echo", Body=b"x")
    (call,) = seen.assumed
    assert (call["params"]["RoleArn"], call["params"]["ExternalId"]) == (world.role, PARENT)


def test_an_endpoint_name_with_capitals_is_allowed_whichever_spelling_aws_evaluates(world: World):
    answer = world.api.invoke_endpoint(EndpointName="Echo-Capital", Body=b"x")
    assert answer["Body"].read() == b"x"


def test_server_timing_tells_both_steps(world: World):
    answer = world.api.invoke_endpoint(EndpointName="echo", Body=b"x")
    timing = answer["ResponseMetadata"]["HTTPHeaders"]["server-timing"]
    assert re.match(r"assume;dur=[0-9.]+, invoke;dur=[0-9.]+(, |$)", timing)


def test_the_granted_endpoints_are_listed_without_role_account_or_external_id(world: World):
    request = AWSRequest("GET", f"{world.api_url}/endpoints")
    SigV4Auth(world.tester.session.get_credentials(), "execute-api", world.cloud.region).add_auth(request)
    with world.nothing_called():
        with urllib.request.urlopen(urllib.request.Request(request.url, headers=dict(request.headers))) as answer:
            text = answer.read().decode()
    json.loads(text)
    for name in (*GRANTED, world.cloud.region):
        assert f'"{name}"' in text
    for hidden in ("arn:", PARENT, OUTSIDE, "SageMakerExternal"):
        assert hidden not in text
