"""The recipes of docs/calling.md as they stand there, in the shell of a member of the group.

What of them needs no more than the tools of this project is in test_clients.py.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import iris, people
from tests.cloud.client import Caller
from tests.cloud.endpoints import CHILD
from tests.deploy import ROOT
from tests.e2e.recipes import javascript_sdk, make, recipes, run
from tests.e2e.world import World

SPECIES = iris.ROWS[0][1]
# What the model of words says after the prompt of the recipes.
WORDS = ("is", "better", "than")


@pytest.fixture
def words(world: World) -> Iterator[None]:
    """The endpoint that streams is not granted here: one that is has its model for a while."""
    with world.cloud.altered("echo", container="words"):
        yield


def granted(recipe: str) -> str:
    changed = recipe.replace("/words/", "/echo/").replace('"words"', '"echo"')
    assert changed != recipe
    return changed


@pytest.mark.usefixtures("words")
def test_the_stream_by_curl_prints_what_the_model_says(world: World):
    (stream,) = (recipe for recipe in recipes("curl") if "response-stream" in recipe)
    said = run("bash", "-ec", granted(stream), world=world)
    assert said.split()[:6] == [word for follower in WORDS for word in ("data:", follower)]


def test_temporary_credentials_work_with_curl(world: World):
    """Those of a role of the child's account that may call the API."""
    (listing,) = (recipe for recipe in recipes("curl") if "security-token" in recipe)
    session = role_session(world)
    variables = {
        "AWS_ACCESS_KEY_ID": session.access_key,
        "AWS_SECRET_ACCESS_KEY": session.secret_key,
        "AWS_SESSION_TOKEN": session.session_token or "",
    }
    assert '"iris"' in run("bash", "-ec", listing, world=world, **variables)


def role_session(world: World) -> Caller:
    made = people.role(world.cloud, CHILD, "caller-by-role", people.allow("execute-api:Invoke"))
    user = people.user(world.cloud, CHILD, "who-assumes", people.allow("sts:AssumeRole", made))
    return user.assume(made, RoleSessionName="recipe")


@pytest.mark.usefixtures("words")
def test_a_stream_by_boto3(world: World):
    first, second = recipes("Python", "python")
    said = run(sys.executable, "-", world=world, text=granted(first.partition("answer =")[0] + second))
    assert tuple(said.split()[:3]) == WORDS


def test_boto3_with_the_patience_that_the_page_asks_for(world: World):
    whole, patient = recipes("Python", "python")[0], recipes("Wait long enough", "python")[0]
    (usual,) = (line for line in whole.splitlines() if line.startswith("client = "))
    said = run(
        sys.executable, "-", world=world, text=whole.replace(usual, patient) + "print(client.meta.config.read_timeout)"
    )
    assert said.split() == [SPECIES, "100"]


def test_requests_with_botocores_signature(world: World):
    (recipe,) = recipes("requests", "python")
    assert run(sys.executable, "-", world=world, text=recipe).strip() == SPECIES


@pytest.fixture(scope="module")
def clients() -> Path:
    """A Python with LangChain and the SageMaker SDK."""
    make("target/clients-venv/.ready")
    return ROOT / "target" / "clients-venv" / "bin" / "python"


@pytest.mark.usefixtures("words")
def test_langchain(world: World, clients: Path):
    (recipe,) = recipes("LangChain", "python")
    assert tuple(run(clients, "-", world=world, text=granted(recipe)).split()[:3]) == WORDS


def test_the_sagemaker_python_sdk(world: World, clients: Path):
    (recipe,) = recipes("SageMaker Python SDK", "python")
    with world.cloud.recording() as seen:
        assert run(clients, "-", world=world, text=recipe).strip() == SPECIES
    assert [invocation["endpoint"] for invocation in seen.invocations] == ["iris"]
    # The page warns of how often it tries, and says what bounds it.
    asked = (
        recipe.partition("answer =")[0]
        + "print(endpoint._get_client('sagemaker-runtime', session).meta.config.retries)"
    )
    assert "'total_max_attempts': 11" in run(clients, "-", world=world, text=asked)
    assert "'total_max_attempts': 2" in run(clients, "-", world=world, text=asked, AWS_MAX_ATTEMPTS="2")


@pytest.mark.usefixtures("words")
def test_javascript(world: World):
    whole, stream = recipes("JavaScript", "js")
    program = javascript_sdk() / "recipe.mjs"
    program.write_text(whole)
    assert run("node", program, world=world).strip() == SPECIES
    program.write_text(granted(whole.partition("const row")[0] + stream))
    assert tuple(run("node", program, world=world).split()[:3]) == WORDS
