"""SageMaker Runtime as the installed botocore describes it: one test for each member and for each modelled error.

Each goes through a stock boto3 client and the real API. A test is made from the service's model when the tests are
collected, so a newer botocore shows what is missing: what no value can be found for, or what does not pass, fails.
conftest.py counts them and prints the summary.
"""

import base64
import json
import re
from typing import Any

import botocore.session
import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import EventStreamError
from botocore.model import OperationModel, Shape, StructureShape

from tests import plain
from tests.cloud.endpoints import Fault
from tests.e2e.world import World

MODEL = botocore.session.get_session().get_service_model("sagemaker-runtime")
OPERATIONS = {name: MODEL.operation_model(name) for name in MODEL.operation_names}

# What the local endpoint has, where any other value would be refused.
SAMPLES: dict[str, Any] = {"EndpointName": "echo", "TargetVariant": "Canary", "InferenceComponentName": "adapter-a"}
# Where a call needs one of several members, none of which the model calls required.
ONE_OF = {"InvokeEndpointAsync": ("InputLocation", "Body")}
# Two lines, which the model is told to answer in two parts.
BODY = b"first\nsecond\xff\x00"
PARTS = BODY.splitlines(keepends=True)
IN_PARTS = "lines"


def missing(what: str) -> Any:
    pytest.fail(f"missing: {what}")


def sample(member: str, shape: Shape) -> Any:
    """A value that the shape's constraints admit and that tells whose it is."""
    limits = shape.metadata
    if member in SAMPLES:
        return SAMPLES[member]
    match shape.type_name:
        case "blob":
            return BODY
        case "integer":
            return (limits.get("min", 1) + limits.get("max", 999)) // 2
        case "string":
            pattern = limits.get("pattern", ".*")
            # Of Java's classes those that the models use, in Python's words.
            pattern = pattern.replace(r"\p{ASCII}", "[ -~]").replace(r"\p{Print}", " -~").replace(r"\z", r"\Z")
            for text in (f"{member}; q=0.5, of a b", f"{member}-1", f"s3://bucket/{member}", _expiring(member)):
                fits = limits.get("min", 0) <= len(text) <= limits.get("max", len(text))
                if fits and re.fullmatch(pattern, text, re.ASCII):
                    return text
    return missing(f"a sample value of {member}, which is {shape.type_name} with {dict(limits)}")


def _expiring(member: str) -> str:
    return f"{member}-1; Expires=2099-01-01T00:00:00Z"


def given(operation: OperationModel, member: str | None = None) -> dict[str, Any]:
    """Valid input: what is required, and the member."""
    shape = operation.input_shape
    names = {*shape.required_members, *([member] if member else [])}
    one_of = ONE_OF.get(operation.name, ())
    if one_of and not names.intersection(one_of):
        names.add(one_of[0])
    return {name: sample(name, shape.members[name]) for name in names}


def call(world: World, operation: OperationModel, **members: Any) -> dict[str, Any]:
    method = botocore.xform_name(operation.name)
    return getattr(world.api, method)(**members)


def test_what_no_value_is_known_for_is_missing():
    for newer in ({"type": "string", "pattern": "^[0-9]{9}$"}, {"type": "timestamp"}):
        with pytest.raises(pytest.fail.Exception, match="missing: a sample value of Newer"):
            sample("Newer", Shape("NewerShape", newer))


def members_of(side: str) -> list[tuple[str, str]]:
    return [
        (name, member)
        for name, operation in OPERATIONS.items()
        for member in getattr(operation, f"{side}_shape").members
    ]


@pytest.mark.parametrize(("name", "member"), members_of("input"))
def test_r01_input_member(world: World, name: str, member: str):
    operation = OPERATIONS[name]
    members = given(operation, member)
    value = members[member]
    with world.cloud.recording() as seen:
        call(world, operation, **members)
    (invocation,) = seen.invocations
    assert invocation["operation"] == name
    where = operation.input_shape.members[member].serialization
    if member == operation.input_shape.serialization.get("payload"):
        assert base64.b64decode(invocation["body"]) == value
    elif where.get("location") == "uri":
        assert invocation["path"] == operation.http["requestUri"].replace(f"{{{where['name']}}}", value)
    elif where.get("location") == "header":
        found = [header for header, received in invocation["received"].items() if received == str(value)]
        assert found == [where["name"].lower()]
    else:
        missing(f"a way to see {member} in a request, where it is {dict(where)}")


@pytest.mark.parametrize(("name", "member"), members_of("output"))
def test_r01_output_member(world: World, name: str, member: str):
    operation = OPERATIONS[name]
    shape = operation.output_shape.members[member]
    where = shape.serialization
    if where.get("eventstream"):
        answer = call(world, operation, **given(operation), CustomAttributes=IN_PARTS)
        assert list(answer[member]) == [{"PayloadPart": {"Bytes": part}} for part in PARTS]
    elif member == operation.output_shape.serialization.get("payload"):
        assert call(world, operation, **given(operation))[member].read() == BODY
    else:
        value = sample(member, shape)
        in_header = where.get("location") == "header"
        in_body = not where.get("location") and "payload" not in operation.output_shape.serialization
        if not in_header and not in_body:
            missing(f"a way to answer with {member}, where it is {dict(where)}")
        extra = {"headers": {where["name"]: str(value)}} if in_header else {"members": {member: value}}
        with world.cloud.altered("echo", **extra):
            assert call(world, operation, **given(operation))[member] == value


def events() -> list[tuple[str, str, str]]:
    """The members of the events that are no errors, of every event stream."""
    return [
        (name, event, member)
        for name, operation in OPERATIONS.items()
        if operation.has_event_stream_output
        for event, shape in operation.get_event_stream_output().members.items()
        if not shape.metadata.get("exception")
        for member in shape.members
    ]


@pytest.mark.parametrize(("name", "event", "member"), events())
def test_r01_event_member(world: World, name: str, event: str, member: str):
    operation = OPERATIONS[name]
    if (event, member) != ("PayloadPart", "Bytes"):
        missing(f"a way to answer with {event}.{member}")
    answer = call(world, operation, **given(operation), CustomAttributes=IN_PARTS)
    stream = answer[operation.output_shape.serialization["payload"]]
    assert [part[event][member] for part in stream] == PARTS


def errors() -> list[tuple[str, str]]:
    return [(name, error.name) for name, operation in OPERATIONS.items() for error in operation.error_shapes]


@pytest.mark.parametrize(("name", "error"), errors())
def test_r02_r03_error(world: World, name: str, error: str):
    operation = OPERATIONS[name]
    shape = next(known for known in operation.error_shapes if known.name == error)
    members = {member: sample(member, of) for member, of in shape.members.items()}
    status = shape.metadata.get("error", {}).get("httpStatusCode")
    with world.cloud.altered("echo", fault=Fault(shape.error_code, status, members)):
        if status is None:
            in_mid_stream(world, operation, shape, members)
            return
        typed = getattr(world.api.exceptions, error)
        with world.cloud.recording() as seen, pytest.raises(typed) as raised:
            call(world, operation, **given(operation))
    response = raised.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert {member: response[member] for member in members} == members
    assert len(seen.of("sagemaker")) == 1


def in_mid_stream(world: World, operation: OperationModel, shape: StructureShape, members: dict[str, Any]) -> None:
    """An error without a status of its own comes after the parts. boto3 keeps its code and its message."""
    stream = operation.get_event_stream_output() if operation.has_event_stream_output else None
    if stream is None or shape.name not in stream.members:
        missing(f"a place for {shape.name}, which has no status and is no event of a stream")
    answer = call(world, operation, **given(operation), CustomAttributes=IN_PARTS)
    delivered = []
    with pytest.raises(EventStreamError) as raised:
        for event in answer[operation.output_shape.serialization["payload"]]:
            delivered.append(event)
    assert delivered == [{"PayloadPart": {"Bytes": part}} for part in PARTS]
    assert raised.value.response["Error"] == {"Code": shape.error_code, "Message": members["Message"]}
    assert last_frame(world, operation) == (shape.error_code, members)


def last_frame(world: World, operation: OperationModel) -> tuple[str, dict[str, Any]]:
    """The type and the members of the error that ends a stream, from its bytes."""
    path = operation.http["requestUri"].replace("{EndpointName}", "echo")
    attributes = {"X-Amzn-SageMaker-Custom-Attributes": IN_PARTS}
    with plain.sent(world.tester, operation.http["method"], f"{world.api_url}{path}", BODY, attributes) as answer:
        frames = EventStreamBuffer()
        frames.add_data(answer.read())
    *_, last = frames
    return last.headers[":exception-type"], json.loads(last.payload)
