"""How often stock clients make the model run when its answer is lost, and that they do try again when it has not run.

Each client as it comes, with its own retries: boto3 in its three modes, and AWS's SDKs for Rust and JavaScript.
"""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.cloud.client import sign_for_api_gateway
from tests.cloud.endpoints import Fault, LostAnswer
from tests.e2e.recipes import CALL_SECONDS, environment, javascript_sdk, recipes, rust_sdk
from tests.e2e.world import World

LOST = {
    "500-without-a-code": LostAnswer(500, "application/json", "{}"),
    "500-of-html": LostAnswer(500, body="<html><h1>Internal Server Error</h1></html>"),
    "502-of-html": LostAnswer(502, body="<html><h1>Bad Gateway</h1></html>"),
    "503-without-a-code": LostAnswer(503, "text/plain", "busy"),
    "504-of-html": LostAnswer(504, body="<html><h1>Gateway Timeout</h1></html>"),
    "reset": LostAnswer(None),
    # Short enough for the API to read it before it answers.
    "cut": LostAnswer(200, "text/plain", "begun", is_cut=True),
}
REFUSED = Fault("ServiceUnavailable", 503, {"Message": "Try again."})
THROTTLED = Fault("ThrottlingException", 429, {"Message": "Rate exceeded"})
# The shortest that Lambda takes; the API answers half a second before its end.
FUNCTION_SECONDS = 3


@dataclass(frozen=True)
class Client:
    name: str
    # How often it sends a call that fails in passing.
    attempts: int
    # Calls InvokeEndpoint of `echo`, and does not mind how that ends.
    call: Callable[[World], None]


def boto3_client(mode: str, attempts: int, operation: str = "invoke_endpoint") -> Client:
    def call(world: World) -> None:
        client = sdk(world, Config(retries={"mode": mode}))  # type: ignore[typeddict-item]
        with contextlib.suppress(ClientError):
            list(getattr(client, operation)(EndpointName="echo", Body=b"x")["Body"])

    return Client(f"boto3-{mode}", attempts, call)


def sdk(world: World, config: Config) -> Any:
    client = world.tester.client("sagemaker-runtime", endpoint_url=world.api_url, config=config)
    client.meta.events.register("before-sign.sagemaker-runtime", sign_for_api_gateway)
    return client


def rust(world: World) -> None:
    """The example ends with the first of its calls that fails: InvokeEndpoint."""
    command = [rust_sdk(), "echo", "x"]
    subprocess.run(command, env=environment(world), capture_output=True, timeout=CALL_SECONDS)


def javascript(world: World) -> None:
    program = javascript_sdk() / "once.mjs"
    program.write_text(recipes("JavaScript", "js")[0].replace('"iris"', '"echo"'))
    subprocess.run(["node", program], env=environment(world), capture_output=True, timeout=CALL_SECONDS)


CLIENTS = (
    boto3_client("legacy", 5),
    boto3_client("standard", 3),
    boto3_client("adaptive", 3),
    Client("rust", 3, rust),
    Client("javascript", 3, javascript),
)
each_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)


@each_client
@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
def test_r04_a_model_whose_answer_is_lost_has_run_once(world: World, client: Client, lost: LostAnswer):
    with world.cloud.altered("echo", lost=lost), world.cloud.recording() as seen:
        client.call(world)
    assert len(seen.invocations) == 1


@pytest.mark.parametrize("lost", [pytest.param(lost, id=name) for name, lost in LOST.items() if not lost.is_cut])
def test_r04_a_model_whose_stream_is_lost_before_it_begins_has_run_once(world: World, lost: LostAnswer):
    """By the client that tries most often."""
    with world.cloud.altered("echo", lost=lost), world.cloud.recording() as seen:
        boto3_client("legacy", 5, "invoke_endpoint_with_response_stream").call(world)
    assert len(seen.invocations) == 1


@pytest.fixture
def short_of_time(world: World) -> Iterator[None]:
    """The invoker has so little time that the API's own deadline comes before an answer that takes its time."""
    function = world.child.physical_id("InvokerFunction")
    settings = world.child.admin.client("lambda")
    usual = settings.get_function_configuration(FunctionName=function)["Timeout"]
    settings.update_function_configuration(FunctionName=function, Timeout=FUNCTION_SECONDS)
    yield
    settings.update_function_configuration(FunctionName=function, Timeout=usual)


@each_client
@pytest.mark.usefixtures("short_of_time")
def test_r13_a_model_that_does_not_answer_in_time_has_run_once(world: World, client: Client):
    late = LostAnswer(None, after_seconds=FUNCTION_SECONDS + 2)
    with world.cloud.altered("echo", lost=late), world.cloud.recording() as seen:
        client.call(world)
    assert len(seen.invocations) == 1


@each_client
def test_what_sagemaker_itself_says_has_not_run_is_tried_again(world: World, client: Client):
    """Else the tests above would hold for a client that never tries again."""
    with world.cloud.altered("echo", fault=REFUSED), world.cloud.recording() as seen:
        client.call(world)
    assert len(seen.of("sagemaker")) == client.attempts
    assert seen.invocations == []


@pytest.mark.parametrize("client", CLIENTS[1:2], ids=lambda client: client.name)
def test_a_throttled_assume_role_is_tried_again_and_nothing_is_sent(world: World, client: Client):
    with world.cloud.sts_failing(THROTTLED), world.cloud.recording() as seen:
        client.call(world)
    assert len(seen.of("execute-api")) == client.attempts
    assert (seen.of("sagemaker"), seen.invocations) == ([], [])
    assert len(seen.assumed) >= client.attempts


def test_a_client_that_leaves_too_early_makes_the_model_run_again(world: World):
    """As docs/calling.md warns: nobody tells the function, nor the model, that the caller has gone."""
    slow = LostAnswer(200, "text/plain", "late", after_seconds=3)
    client = sdk(world, Config(read_timeout=1, retries={"total_max_attempts": 2}))
    with world.cloud.altered("echo", lost=slow), world.cloud.recording() as seen, pytest.raises(ReadTimeoutError):
        client.invoke_endpoint(EndpointName="echo", Body=b"x")
    assert len(seen.invocations) == 2
