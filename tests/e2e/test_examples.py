"""Each example as its README says it: the blocks of shell are run as they stand, by whom they name, one after another.

Of the examples' tools Terraform alone is not run: its file is parsed, and its stack deployed.
"""

import os
import re
import subprocess
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import hcl2
import pytest
from hcl2.utils import SerializationOptions

from tests import deploy, iris, people
from tests.cloud.client import Caller, Cloud
from tests.cloud.endpoints import CHILD, PARENT, REGION, Endpoint
from tests.deploy import ROOT
from tests.e2e.world import LAB, World, refused

EXAMPLES = ROOT / "examples"
CDK = ROOT / "target" / "cdk-venv"
PATIENCE = ROOT / "tests" / "e2e" / "patience"
# Accounts that no other test deploys to.
SEVERAL, FLOWERS, WINES = "333344445555", "888899990000", "666677778888"
ROW, SPECIES = iris.ROWS[0]
WHOSE = r"# with (?:the )?(?P<whose>[a-z ]+?)(?:'s)? credentials\b.*"
BLOCK = re.compile(rf"^```sh\n{WHOSE}\n(?P<script>(?s:.*?))^```$", re.M)


class Readme:
    """The shell of an example's README, to be run block by block."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        text = (EXAMPLES / name / "README.md").read_text()
        self._cloud = cloud
        self._left = [(match["whose"], match["script"]) for match in BLOCK.finditer(text)]
        assert len(self._left) == text.count("```sh"), "a block of shell begins with whose credentials it is for"

    def run(self, whose: str, caller: Caller | None, **variables: str) -> str:
        """Run the next block, which must be for `whose`, and return what it printed."""
        says, script = self._left.pop(0)
        assert says == whose
        environment = {**deploy.shell(self._cloud, CHILD), "PYTHONPATH": str(PATIENCE), **variables}
        del environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
        if caller is not None:
            environment |= {"AWS_ACCESS_KEY_ID": caller.access_key, "AWS_SECRET_ACCESS_KEY": caller.secret_key}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=deploy.DEADLINE_SECONDS,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    def end(self) -> None:
        assert not self._left, "a block was not run"


@pytest.fixture
def readme(world: World, request: pytest.FixtureRequest) -> Iterator[Readme]:
    """That of the example after which the test is named."""
    reading = Readme(world.cloud, request.node.name.removeprefix("test_").replace("_", "-"))
    yield reading
    reading.end()


Made = Callable[[str, str], None]


@pytest.fixture
def made(world: World) -> Iterator[Made]:
    """Notes a stack; those noted are deleted in the reverse order, and that leaves exactly what was there before."""
    stacks: list[tuple[str, str]] = []
    accounts = (PARENT, CHILD, LAB, SEVERAL, FLOWERS, WINES)
    before = {account: people.entities(world.cloud, account) for account in accounts}
    yield lambda account, name: stacks.append((account, name))
    for account, name in reversed(stacks):
        if deploy.status(world.cloud, account, name):
            deploy.delete(world.cloud, account, name)
    assert {account: people.entities(world.cloud, account) for account in accounts} == before


def ask(api: Any, endpoint: str, row: str = ROW) -> str:
    return api.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=row)["Body"].read().decode().strip()


def test_every_example_is_deployed():
    named = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    assert named
    assert {f"test_{name.replace('-', '_')}" for name in named} <= globals().keys()


def test_custom_resources(world: World, readme: Readme, made: Made):
    dana = people.user(world.cloud, CHILD, "dana")
    made(PARENT, "iris-for-partner")
    readme.run("parent", world.cloud.admin(PARENT))
    made(CHILD, "iris-testers")
    readme.run("child", world.cloud.admin(CHILD))
    with world.cloud.recording() as seen:
        assert readme.run("member", dana).strip() == SPECIES
    (invoked,) = seen.invocations
    assert invoked["endpoint"] == "iris"
    # The role is for the one endpoint, and for members of the group.
    role = deploy.outputs(world.cloud, PARENT, "iris-for-partner")["RoleArn"]
    session = dana.assume(role, ExternalId=PARENT, RoleSessionName="dana")
    with refused(403, "AccessDeniedException"):
        ask(session.client("sagemaker-runtime"), "echo")
    with refused(403, "AccessDenied"):
        world.nobody.assume(role, ExternalId=PARENT, RoleSessionName="nobody")


def test_several_children(world: World, readme: Readme, made: Made):
    made(PARENT, "customers")
    readme.run("parent", world.cloud.admin(PARENT))
    roles = deploy.outputs(world.cloud, PARENT, "customers")
    dana = people.user(world.cloud, LAB, "dana")
    made(LAB, "sagemaker-external-child")
    readme.run("lab", world.cloud.admin(LAB))
    lab = deploy.outputs(world.cloud, LAB, "sagemaker-external-child")
    assert lab["RoleArn"] == roles["LabRoleArn"]
    with world.cloud.recording() as seen:
        assert ask(dana.api(lab["ApiUrl"]), "echo") == ROW
    (assumed,) = seen.assumed
    assert assumed["params"]["SourceIdentity"] == "dana"
    # The retailer, as the recipe does it.
    retailer = people.user(world.cloud, CHILD, "erin", people.allow("sts:AssumeRole"))
    session = retailer.assume(roles["RetailerRoleArn"], ExternalId="retailer-4f1c", RoleSessionName="erin")
    assert ask(session.client("sagemaker-runtime"), "iris") == SPECIES
    with refused(403, "AccessDeniedException"):
        ask(session.client("sagemaker-runtime"), "echo")
    # Neither account gets into the other's role, even with its ExternalId.
    somebody = people.user(world.cloud, LAB, "somebody", people.allow("sts:AssumeRole"))
    for caller, role, external_id in (
        (somebody, "RetailerRoleArn", "retailer-4f1c"),
        (retailer, "LabRoleArn", "lab-9b02"),
        (retailer, "RetailerRoleArn", "lab-9b02"),
    ):
        with refused(403, "AccessDenied"):
            caller.assume(roles[role], ExternalId=external_id, RoleSessionName="example")
    assert "retailer-4f1c" not in str(roles) and "lab-9b02" not in str(roles)


def test_several_parents(world: World, readme: Readme, made: Made):
    world.cloud.put_endpoint(Endpoint(FLOWERS, REGION, "iris", "iris"))
    for name in ("wine-red", "wine-white", "wine-rose"):
        world.cloud.put_endpoint(Endpoint(WINES, "eu-west-1", name, "echo"))
    dana = people.user(world.cloud, SEVERAL, "dana")
    made(FLOWERS, "sagemaker-external-parent")
    readme.run("first parent", world.cloud.admin(FLOWERS))
    made(WINES, "sagemaker-external-parent")
    readme.run("second parent", world.cloud.admin(WINES))
    made(SEVERAL, "several-parents-child")
    readme.run("child", world.cloud.admin(SEVERAL))
    child = deploy.outputs(world.cloud, SEVERAL, "several-parents-child")
    roles = {deploy.outputs(world.cloud, a, "sagemaker-external-parent")["RoleArn"] for a in (FLOWERS, WINES)}
    assert set(child["RoleArn"].split(",")) == roles
    api = dana.api(child["ApiUrl"])
    for endpoint, account, region, said in (
        ("iris", FLOWERS, REGION, SPECIES),
        ("wine-red", WINES, "eu-west-1", ROW),
        ("wine-white", WINES, "eu-west-1", ROW),
    ):
        with world.cloud.recording() as seen:
            assert ask(api, endpoint) == said
        (invoked,) = seen.invocations
        assert (invoked["account"], invoked["region"], invoked["endpoint"]) == (account, region, endpoint)
    # The child's pattern covers it, the parent's grant does not.
    with refused(403, "AccessDeniedException"):
        ask(api, "wine-rose")


def test_cognito(world: World, readme: Readme, made: Made):
    """In the account in which the local cloud looks for the pool of who signs in."""
    # The parent's part, which the README leaves to that other example.
    template = (EXAMPLES / "custom-resources" / "parent.yaml").read_text()
    made(PARENT, "grant-for-pool")
    deploy.deploy_template(world.cloud, PARENT, "grant-for-pool", template, ChildAccountId=CHILD)
    password = "Long-enough-1"
    made(CHILD, "endpoint-users")
    made(CHILD, "endpoint-users-api")
    readme.run("child", world.cloud.admin(CHILD), POOL_PASSWORD=password)
    api_url = world.cloud.local_url(deploy.outputs(world.cloud, CHILD, "endpoint-users-api")["ApiUrl"])
    client = deploy.outputs(world.cloud, CHILD, "endpoint-users")["ClientId"]
    with world.cloud.recording() as seen:
        said = readme.run("no", None, CLIENT_ID=client, API_URL=api_url, POOL_PASSWORD=password)
    assert said.strip() == SPECIES
    (assumed,) = seen.assumed
    assert assumed["params"]["RoleSessionName"].startswith("carol-")
    # A member of another stack's group has no token.
    with refused(401, "UnauthorizedException"):
        ask(world.client(world.tester, api_url), "iris")


def test_cdk(world: World, readme: Readme, made: Made):
    # As `make` does it for whoever runs the tests from there; takes a moment when the lock has changed.
    subprocess.run(["make", "--silent", "target/cdk-venv/.ready"], cwd=ROOT, check=True)
    synthesizer = f"{CDK / 'bin'}{os.pathsep}{os.environ['PATH']}"
    readme.run("no", None, PATH=synthesizer)
    made(PARENT, "partners")
    readme.run("parent", world.cloud.admin(PARENT))
    granted(world, deploy.outputs(world.cloud, PARENT, "partners"), "IrisForPartnerByCdk")


def test_the_stack_of_the_reference(world: World, made: Made):
    """The template at the head of docs/custom-resources.md, as it stands."""
    template = (ROOT / "docs" / "custom-resources.md").read_text().split("```yaml\n")[1].split("```")[0]
    made(PARENT, "of-the-reference")
    deployed = deploy.deploy_template(world.cloud, PARENT, "of-the-reference", template)
    granted(world, {"ExternalId": PARENT, **deployed.outputs}, "IrisForPartner")


def test_terraform(world: World, made: Made):
    """What is kept of Terraform's own work: variables are filled in, and the heredoc is unindented."""
    file = hcl2.loads(
        (EXAMPLES / "terraform" / "main.tf").read_text(),
        serialization_options=SerializationOptions(
            strip_string_quotes=True, explicit_blocks=False, with_comments=False
        ),
    )
    defaults = {name: of.get("default") for block in file["variable"] for name, of in block.items()}
    variables = {**defaults, "child_account_id": CHILD}
    (resource,) = file["resource"]
    ((name, stack),) = resource["aws_cloudformation_stack"].items()
    parameters = {
        key: variables[value.removeprefix("${var.").removesuffix("}")] for key, value in stack["parameters"].items()
    }
    opening, *lines, closing = stack["template_body"].splitlines()
    assert (opening, closing.strip()) == ("<<-YAML", "YAML")
    made(PARENT, stack["name"])
    deployed = deploy.deploy_template(
        world.cloud, PARENT, stack["name"], textwrap.dedent("\n".join(lines)), **parameters
    )
    granted(world, deployed.outputs, "IrisForPartnerByTerraform")
    outputs = {output["value"] for block in file["output"] for output in block.values()}
    assert outputs == {f'${{aws_cloudformation_stack.{name}.outputs["{key}"]}}' for key in deployed.outputs}


def granted(world: World, outputs: Mapping[str, str], role: str) -> None:
    """The role is this one, and what the example says about it lets the child call iris and nothing else."""
    assert outputs["RoleArn"] == f"arn:aws:iam::{PARENT}:role/sagemaker-external/{role}"
    caller = people.user(world.cloud, CHILD, f"caller-of-{role}", people.allow("sts:AssumeRole"))
    session = caller.assume(outputs["RoleArn"], ExternalId=outputs["ExternalId"], RoleSessionName="example")
    assert ask(session.client("sagemaker-runtime"), "iris") == SPECIES
    with refused(403, "AccessDeniedException"):
        ask(session.client("sagemaker-runtime"), "echo")
    with refused(403, "AccessDenied"):
        caller.assume(outputs["RoleArn"], ExternalId="another", RoleSessionName="example")
