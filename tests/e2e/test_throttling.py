"""The stage's limits, which hold for each route and for whoever calls."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config

from tests import deploy, people
from tests.cloud.client import Caller, Cloud, sign_for_api_gateway
from tests.cloud.endpoints import REGION, Endpoint
from tests.deploy import Stack
from tests.e2e.world import refused

# An account of its own.
ACCOUNT = "252525252525"
BURST = 3


@pytest.fixture(scope="module")
def throttled(cloud: Cloud) -> Iterator[tuple[Stack, list[Caller]]]:
    cloud.put_endpoint(Endpoint(ACCOUNT, REGION, "own", "echo"))
    callers = [people.user(cloud, ACCOUNT, name) for name in ("one", "another")]
    given = {"EndpointNames": ["own"], "UserNames": ["one", "another"]}
    limits = {"ThrottlingRateLimit": "1", "ThrottlingBurstLimit": str(BURST)}
    stack = deploy.deploy(cloud, ACCOUNT, "default", {**given, **limits}, "throttled")
    yield stack, callers
    stack.delete()
    assert people.entities(cloud, ACCOUNT) == []


def test_a_route_is_used_up_for_all_callers_and_no_other_route_is(cloud: Cloud, throttled: tuple[Stack, list[Caller]]):
    stack, callers = throttled
    one, another = (client(caller, cloud.local_url(stack.outputs["ApiUrl"])) for caller in callers)
    with cloud.recording() as seen:
        with refused(429, "TooManyRequestsException"):
            for _ in range(BURST * 10):
                for api in (one, another):
                    api.invoke_endpoint(EndpointName="own", Body=b"x")
        streamed = another.invoke_endpoint_with_response_stream(EndpointName="own", Body=b"x")
        assert list(streamed["Body"]) == [{"PayloadPart": {"Bytes": b"x"}}]
    # What is turned away does not ask STS. A second that passes admits one more.
    assert BURST < len(seen.assumed) < BURST * 10


def client(caller: Caller, url: str) -> Any:
    """One that tries once."""
    api = caller.client("sagemaker-runtime", endpoint_url=url, config=Config(retries={"total_max_attempts": 1}))
    api.meta.events.register("before-sign.sagemaker-runtime", sign_for_api_gateway)
    return api


def test_lambda_is_told_to_repeat_nothing(throttled: tuple[Stack, list[Caller]]):
    stack, _ = throttled
    told = stack.admin.client("lambda").get_function_event_invoke_config(
        FunctionName=stack.physical_id("InvokerFunction"), Qualifier="$LATEST"
    )
    assert told["MaximumRetryAttempts"] == 0
