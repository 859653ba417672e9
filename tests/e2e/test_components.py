"""Inference components through the API (R11): IAM must allow the endpoint and the component that a request names."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cloud.endpoints import PARENT
from tests.e2e.world import World, refused


def whole(api: Any, **given: str) -> bytes:
    return api.invoke_endpoint(EndpointName="echo", Body=b"x", **given)["Body"].read()


def streamed(api: Any, **given: str) -> bytes:
    answer = api.invoke_endpoint_with_response_stream(EndpointName="echo", Body=b"x", **given)
    return b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"])


OPERATIONS = pytest.mark.parametrize("invoke", [whole, streamed], ids=["InvokeEndpoint", "ResponseStream"])


@pytest.fixture(scope="module", autouse=True)
def components(world: World) -> Iterator[None]:
    """The endpoint has two components, and adapter-a alone is granted."""
    with world.cloud.altered("echo", components=("adapter-a", "adapter-b")):
        yield


@OPERATIONS
def test_r11_a_granted_component_is_served(world: World, invoke: Callable[..., bytes]):
    with world.cloud.recording() as seen:
        assert invoke(world.api, InferenceComponentName="adapter-a") == b"x"
    (called,) = seen.invocations
    assert called["received"]["x-amzn-sagemaker-inference-component"] == "adapter-a"


@OPERATIONS
def test_r11_a_component_that_is_not_granted_is_refused_by_iam(world: World, invoke: Callable[..., bytes]):
    with world.cloud.recording() as seen, refused(403, "AccessDeniedException") as refusal:
        invoke(world.api, InferenceComponentName="adapter-b")
    # SageMaker was asked once and said no; the endpoint that is granted does not carry the component along.
    assert [call["status"] for call in seen.of("sagemaker")] == [403]
    assert seen.invocations == []
    for hidden in (PARENT, "arn:"):
        assert hidden not in refusal.message
