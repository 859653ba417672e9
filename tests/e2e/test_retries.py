"""How often stock clients make the model run when its answer is lost, and that they do try again when it has not run.

Each client as it comes, with its own retries: boto3 in its three modes, and AWS's SDKs for Rust and JavaScript.
"""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError
from urllib3.exceptions import ProtocolError

from tests.cloud.client import Seen, sign_for_api_gateway
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
# Longer than the API reads before it answers.
CUT_LATE = LostAnswer(200, "text/plain", "x" * 2_000_000, is_cut=True)
INVOKE, STREAM, QUEUE = "InvokeEndpoint", "InvokeEndpointWithResponseStream", "InvokeEndpointAsync"
INPUT = "s3://nowhere/input"
REFUSED = Fault("ServiceUnavailable", 503, {"Message": "Try again."})
# As STS says it.
THROTTLED = Fault("Throttling", 400, {"Message": "Rate exceeded"})
NOBODY_LISTENS = "http://127.0.0.1:1"
# The shortest that Lambda takes; the API answers half a second before its end.
FUNCTION_SECONDS = 3


@dataclass(frozen=True)
class Client:
    name: str
    # How often it sends a call that fails in passing.
    attempts: int
    # Calls the operation of `echo`, and does not mind how that ends.
    call_operation: Callable[[World, str], None]

    def call(self, world: World) -> None:
        self.call_operation(world, INVOKE)


def boto3_client(mode: str, attempts: int) -> Client:
    def call(world: World, operation: str) -> None:
        client = sdk(world, Config(retries={"mode": mode}))  # type: ignore[typeddict-item]
        with contextlib.suppress(ClientError, BotoCoreError, ProtocolError):
            match operation:
                case "InvokeEndpoint":
                    client.invoke_endpoint(EndpointName="echo", Body=b"x")["Body"].read()
                case "InvokeEndpointWithResponseStream":
                    list(client.invoke_endpoint_with_response_stream(EndpointName="echo", Body=b"x")["Body"])
                case "InvokeEndpointAsync":
                    client.invoke_endpoint_async(EndpointName="echo", InputLocation=INPUT)

    return Client(f"boto3-{mode}", attempts, call)


def sdk(world: World, config: Config) -> Any:
    client = world.tester.client("sagemaker-runtime", endpoint_url=world.api_url, config=config)
    client.meta.events.register("before-sign.sagemaker-runtime", sign_for_api_gateway)
    return client


def rust(world: World, operation: str) -> None:
    """The example makes all three calls one after the other, and ends with the first that fails."""
    command = [rust_sdk(), "echo", "x", INPUT]
    subprocess.run(command, env=environment(world), capture_output=True, timeout=CALL_SECONDS)


def javascript(world: World, operation: str) -> None:
    whole, stream = recipes("JavaScript", "js")
    made = whole.partition("const row")[0]
    call = f'await client.send(new InvokeEndpointAsyncCommand({{ EndpointName: "echo", InputLocation: "{INPUT}" }}));'
    program = javascript_sdk() / "once.mjs"
    program.write_text(
        {
            INVOKE: whole.replace('"iris"', '"echo"'),
            STREAM: made + stream.replace('"words"', '"echo"'),
            QUEUE: made.replace("InvokeEndpointCommand", "InvokeEndpointAsyncCommand") + call,
        }[operation]
    )
    subprocess.run(["node", program], env=environment(world), capture_output=True, timeout=CALL_SECONDS)


CLIENTS = (
    boto3_client("legacy", 5),
    boto3_client("standard", 3),
    boto3_client("adaptive", 3),
    Client("rust", 3, rust),
    Client("javascript", 3, javascript),
)
each_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)


def runs(seen: Seen, operation: str) -> int:
    """How often the model ran, or the job was put into the queue."""
    return [invocation["operation"] for invocation in seen.invocations].count(operation)


# A stream of which something came has begun: see the next test.
CASES = [
    pytest.param(operation, lost, id=f"{operation}-{name}")
    for operation in (INVOKE, STREAM, QUEUE)
    for name, lost in LOST.items()
    if not (operation == STREAM and lost.is_cut)
]


@each_client
@pytest.mark.parametrize(("operation", "lost"), CASES)
def test_r04_what_ran_and_whose_answer_is_lost_has_run_once(
    world: World, client: Client, operation: str, lost: LostAnswer
):
    lost = replace(lost, operation=operation)
    with world.cloud.altered("echo", lost=lost), world.cloud.recording() as seen:
        client.call_operation(world, operation)
    assert runs(seen, operation) == 1


@each_client
@pytest.mark.parametrize(
    ("operation", "lost", "again"),
    [(INVOKE, CUT_LATE, {"rust": 3, "javascript": 3}), (STREAM, LOST["cut"], {"javascript": 3})],
    ids=[INVOKE, STREAM],
)
def test_some_sdks_make_the_model_run_again_when_an_answer_breaks_off_that_had_begun(
    world: World, client: Client, operation: str, lost: LostAnswer, again: dict[str, int]
):
    """As docs/calling.md and docs/errors.md (AnswerBrokeOff) warn."""
    with world.cloud.altered("echo", lost=replace(lost, operation=operation)), world.cloud.recording() as seen:
        client.call_operation(world, operation)
    assert runs(seen, operation) == again.get(client.name, 1)


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


@pytest.fixture
def unreachable(world: World) -> Iterator[None]:
    """Nobody listens where the invoker looks for SageMaker Runtime."""
    function = world.child.physical_id("InvokerFunction")
    settings = world.child.admin.client("lambda")
    usual = settings.get_function_configuration(FunctionName=function)["Environment"]
    elsewhere = {**usual["Variables"], "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": NOBODY_LISTENS}
    settings.update_function_configuration(FunctionName=function, Environment={"Variables": elsewhere})
    yield
    settings.update_function_configuration(FunctionName=function, Environment=usual)


@each_client
@pytest.mark.usefixtures("unreachable")
def test_a_call_that_never_reached_sagemaker_is_tried_again(world: World, client: Client):
    with world.cloud.recording() as seen:
        client.call(world)
    assert [call["status"] for call in seen.of("execute-api")] == [503] * client.attempts
    assert (seen.of("sagemaker"), seen.invocations) == ([], [])


@each_client
def test_a_throttled_assume_role_is_tried_again_and_nothing_is_sent(world: World, client: Client):
    with world.cloud.sts_failing(THROTTLED), world.cloud.recording() as seen:
        client.call(world)
    assert [call["status"] for call in seen.of("execute-api")] == [429] * client.attempts
    assert (seen.of("sagemaker"), seen.invocations) == ([], [])
    assert len(seen.assumed) >= client.attempts


def test_a_client_that_leaves_too_early_makes_the_model_run_again(world: World):
    """As docs/calling.md warns: nobody tells the function, nor the model, that the caller has gone."""
    slow = LostAnswer(200, "text/plain", "late", after_seconds=3)
    client = sdk(world, Config(read_timeout=1, retries={"total_max_attempts": 2}))
    with world.cloud.altered("echo", lost=slow), world.cloud.recording() as seen, pytest.raises(ReadTimeoutError):
        client.invoke_endpoint(EndpointName="echo", Body=b"x")
    assert len(seen.invocations) == 2
