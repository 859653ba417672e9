"""InvokeEndpointWithResponseStream through the API: frames for SDKs, plain streams for browsers and curl."""

import json
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import EventStreamError

from tests import plain
from tests.cloud.endpoints import PARENT, Fault
from tests.e2e.world import World, as_list, refused

EVENTS, LINES = "text/event-stream", "application/jsonlines"
PATH = "/endpoints/echo/invocations-response-stream"
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


def parts(answer: dict[str, Any]) -> Iterator[bytes]:
    for event in answer["Body"]:
        yield event["PayloadPart"]["Bytes"]


def invoke(world: World, body: bytes, **members: str) -> dict[str, Any]:
    return world.api.invoke_endpoint_with_response_stream(EndpointName="echo", Body=body, **members)


def plainly(world: World, accept: str, body: bytes, attributes: str = "lines") -> Any:
    return plain.sent(world.tester, "POST", f"{world.api_url}{PATH}", body, {"Accept": accept, ATTRIBUTES: attributes})


def release(world: World, gate: str) -> None:
    world.api.invoke_endpoint(EndpointName="echo", Body=b"x", CustomAttributes=f"release={gate}")


def test_the_first_part_arrives_before_the_second_is_made(world: World):
    """The model waits for a second request, which is made only when the first part has arrived."""
    gate = uuid.uuid4().hex
    arriving = parts(invoke(world, b"one\ntwo\nthree\n", CustomAttributes=f"lines hold={gate}"))
    assert next(arriving) == b"one\n"
    release(world, gate)
    assert list(arriving) == [b"two\n", b"three\n"]


@pytest.mark.parametrize("accept", [EVENTS, LINES])
def test_the_first_part_of_a_plain_stream_arrives_before_the_second_is_made(world: World, accept: str):
    gate = uuid.uuid4().hex
    with plainly(world, accept, b"one\ntwo\n", f"lines hold={gate}") as answer:
        assert answer.readline() == b"one\n"
        release(world, gate)
        assert answer.read() == b"two\n"


def test_two_streams_run_side_by_side(world: World):
    gate = uuid.uuid4().hex
    held = parts(invoke(world, b"one\ntwo\n", CustomAttributes=f"lines hold={gate}"))
    assert next(held) == b"one\n"
    assert list(parts(invoke(world, b"a\nb\n", CustomAttributes="lines"))) == [b"a\n", b"b\n"]
    release(world, gate)
    assert list(held) == [b"two\n"]


def test_a_frame_for_each_part_whatever_its_bytes(world: World):
    body = b"\0" * 8 + b"\n" + bytes(range(256)) * 4 + b"\n\xff\n"
    answer = invoke(world, body, ContentType="application/x-thing", CustomAttributes="lines")
    assert answer["ContentType"] == "application/x-thing"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/vnd.amazon.eventstream"
    assert list(parts(answer)) == body.splitlines(keepends=True)


def test_r12_both_actions_on_exactly_this_endpoint(world: World):
    with world.cloud.recording() as seen:
        list(parts(invoke(world, b"x")))
    (call,) = seen.assumed
    (statement,) = json.loads(call["params"]["Policy"])["Statement"]
    assert sorted(as_list(statement["Action"])) == [
        "sagemaker:InvokeEndpoint",
        "sagemaker:InvokeEndpointWithResponseStream",
    ]
    assert as_list(statement["Resource"]) == [f"arn:aws:sagemaker:{world.cloud.region}:{PARENT}:endpoint/echo"]


def test_r03_a_model_that_breaks_off_raises_after_its_parts(world: World):
    delivered = []
    with pytest.raises(EventStreamError) as raised:
        for part in parts(invoke(world, b"one\ntwo\n", CustomAttributes="lines cut")):
            delivered.append(part)
    assert delivered == [b"one\n", b"two\n"]
    assert raised.value.response["Error"]["Code"] == "ModelStreamError"


def test_r03_a_model_that_breaks_off_ends_server_sent_events_with_an_error_event(world: World):
    with plainly(world, EVENTS, b"data: 1\n\ndata: 2\n\n", "lines cut") as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, EVENTS)
        before, error = answer.read().split(b"event: error\n")
    assert before == b"data: 1\n\ndata: 2\n\n"
    assert error.endswith(b"\n\n")
    said = json.loads(error.removeprefix(b"data: "))
    assert (said["Type"], said["ErrorCode"]) == ("ModelStreamError", "StreamBroken")


def test_r03_an_error_in_mid_stream_is_the_last_line_of_json_lines(world: World):
    fault = Fault("InternalStreamFailure", None, {"Message": "the stream failed"})
    with world.cloud.altered("echo", fault=fault), plainly(world, LINES, b'{"n":1}\n{"n":2}\n') as answer:
        lines = [json.loads(line) for line in answer.read().splitlines()]
    assert lines == [
        {"n": 1},
        {"n": 2},
        {"Error": {"Type": "InternalStreamFailure", "Message": "the stream failed"}},
    ]


def test_r02_r04_a_model_that_fails_at_once_raises_its_type_and_is_asked_once(world: World):
    api = world.api
    with world.cloud.recording() as seen, pytest.raises(api.exceptions.ModelError) as raised:
        api.invoke_endpoint_with_response_stream(EndpointName="echo", Body=b"no room", CustomAttributes="status=507")
    assert (raised.value.response["OriginalStatusCode"], raised.value.response["OriginalMessage"]) == (507, "no room")
    assert len(seen.invocations) == 1


@pytest.mark.parametrize("accept", [EVENTS, LINES])
def test_a_plain_stream_is_what_the_model_wrote(world: World, accept: str):
    with world.cloud.recording() as seen, plainly(world, accept, b"data: 1\n\ndata: 2\n\n") as answer:
        assert answer.headers["Content-Type"] == accept
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.read() == b"data: 1\n\ndata: 2\n\n"
    (invocation,) = seen.invocations
    # A model that can answer in several forms learns which is wanted.
    assert invocation["received"]["x-amzn-sagemaker-accept"] == accept


def test_the_model_is_asked_for_the_form_that_the_caller_names(world: World):
    headers = {"Accept": EVENTS, "X-Amzn-SageMaker-Accept": "text/x-own"}
    with world.cloud.recording() as seen:
        with plain.sent(world.tester, "POST", f"{world.api_url}{PATH}", b"data: 1\n\n", headers) as answer:
            assert (answer.headers["Content-Type"], answer.read()) == (EVENTS, b"data: 1\n\n")
    assert seen.invocations[0]["received"]["x-amzn-sagemaker-accept"] == "text/x-own"


def test_a_long_stream_passes_whole(world: World):
    body = (bytes(byte for byte in range(256) if byte not in b"\r\n") * 40 + b"\n") * 300
    answer = invoke(world, body, CustomAttributes="lines")
    assert b"".join(parts(answer)) == body


def test_an_endpoint_that_is_not_granted_is_refused_before_any_call(world: World):
    with world.nothing_called(), refused(404, "ValidationError"):
        world.api.invoke_endpoint_with_response_stream(EndpointName="churn", Body=b"x")


def test_a_client_that_leaves_does_not_hold_up_the_next(world: World):
    gate = uuid.uuid4().hex
    with plainly(world, EVENTS, b"one\ntwo\n", f"lines hold={gate}") as answer:
        assert answer.readline() == b"one\n"
    answered = threading.Event()

    def ask() -> None:
        assert list(parts(invoke(world, b"next"))) == [b"next"]
        answered.set()

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join(plain.TIMEOUT_SECONDS)
    release(world, gate)
    assert answered.is_set()
