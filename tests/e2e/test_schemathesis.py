"""schemathesis against the API: requests made from openapi.yaml, right ones and wrong ones, and answers held to it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import deploy
from tests.cloud.endpoints import CHILD, PARENT, REGION, Endpoint
from tests.e2e.conftest import DIRECTORY
from tests.e2e.world import World

FILE = deploy.ROOT / "openapi.yaml"
# Minutes on a busy machine; past this something hangs.
DEADLINE_SECONDS = 600


@pytest.fixture(scope="module")
def api_url(world: World) -> Iterator[str]:
    """An API of its own, for an endpoint that answers whatever is well formed: what is refused, the API refused."""
    world.cloud.put_endpoint(Endpoint(PARENT, REGION, "any", "echo", variants=("*",), components=("*",)))
    names = {"RoleName": "AnyExternal", "PolicyName": "AnyInvokeEndpoint"}
    grant = {"EndpointNames": ["any"], "TrustedAccountIds": [CHILD], "AsyncInvocations": "true", **names}
    parent = deploy.deploy(world.cloud, PARENT, "parent", grant, "any-parent")
    child = deploy.deploy(
        world.cloud,
        CHILD,
        "child",
        {
            "RoleArn": parent.outputs["RoleArn"],
            "EndpointNames": ["any"],
            "UserNames": ["tester"],
            "GroupName": "AnyTesters",
        },
        "any-child",
    )
    yield world.cloud.local_url(child.outputs["ApiUrl"])
    child.delete()
    parent.delete()


def test_schemathesis_finds_nothing(world: World, api_url: str):
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(deploy.ROOT),
        # The width of what it prints.
        "COLUMNS": "120",
        "API_URL": api_url,
        "AWS_ACCESS_KEY_ID": world.tester.access_key,
        "AWS_SECRET_ACCESS_KEY": world.tester.secret_key,
        "AWS_REGION": world.cloud.region,
    }
    config = Path(__file__).with_name("schemathesis.toml")
    program = Path(sys.executable).with_name("schemathesis")
    done = subprocess.run(
        [program, "--config-file", config, "run", FILE],
        env=variables,
        cwd=deploy.ROOT / "target",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    (DIRECTORY / "schemathesis.log").write_text(done.stdout)
    assert done.returncode == 0, done.stdout
    assert "Tested: 5" in done.stdout
