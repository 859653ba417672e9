"""One child's API in front of two parents: which grant serves which endpoint, and what a wrong grant does."""

import json
from collections.abc import Iterator

import pytest

from tests import deploy
from tests.cloud.endpoints import CHILD, PARENT, REGION, Endpoint
from tests.e2e.world import World, refused

SECOND = "777788889999"
CHILD_STACK, SECOND_STACK = "several-child", "second-parent"
EXTERNAL_ID = "tenant-of-the-second"


@pytest.fixture(scope="module")
def second(world: World) -> Iterator[deploy.Stack]:
    """Another parent, with an ExternalId of its own and endpoints by a common prefix."""
    for name in ("wine-red", "wine-white"):
        world.cloud.put_endpoint(Endpoint(SECOND, REGION, name, "echo"))
    granted = {"EndpointNames": ["wine-red"], "TrustedAccountIds": [CHILD], "ExternalId": EXTERNAL_ID}
    yield deploy.deploy(world.cloud, SECOND, "parent", granted, SECOND_STACK)
    deploy.delete(world.cloud, SECOND, SECOND_STACK)


def grants(world: World, second: deploy.Stack, **of_second: object) -> str:
    first = {"RoleArn": world.role, "EndpointNames": ["echo"]}
    other = {"RoleArn": second.outputs["RoleArn"], "ExternalId": EXTERNAL_ID, "EndpointNames": ["wine-*"], **of_second}
    return json.dumps([first, other])


def deploy_child(world: World, text: str) -> deploy.Stack:
    given = {
        "RoleArn": "",
        "Grants": text,
        "EndpointNames": "",
        "UserNames": ["tester"],
        "GroupName": "SeveralTesters",
    }
    return deploy.deploy(world.cloud, CHILD, "child", given, CHILD_STACK)


@pytest.fixture(scope="module")
def child(world: World, second: deploy.Stack) -> Iterator[deploy.Stack]:
    yield deploy_child(world, grants(world, second))
    deploy.delete(world.cloud, CHILD, CHILD_STACK)


def invoke(world: World, child: deploy.Stack, name: str) -> bytes:
    client = world.client(world.tester, world.cloud.local_url(child.outputs["ApiUrl"]))
    return client.invoke_endpoint(EndpointName=name, Body=b"x")["Body"].read()


def test_each_endpoint_is_called_in_its_own_parents_account(world: World, child: deploy.Stack):
    for name, account in (("echo", PARENT), ("wine-red", SECOND)):
        with world.cloud.recording() as seen:
            assert invoke(world, child, name) == b"x"
        (called,) = seen.invocations
        assert (called["account"], called["endpoint"]) == (account, name)
    # The child's pattern covers it, the parent's policy does not.
    with refused(403, "AccessDeniedException") as refusal:
        invoke(world, child, "wine-white")
    assert SECOND not in refusal.message
    # Of the first parent, granted to the child's other stack and not to this one.
    with refused(404, "ValidationError"):
        invoke(world, child, "iris")


def test_members_and_outputs_have_every_role_once(world: World, second: deploy.Stack, child: deploy.Stack):
    roles = sorted([world.role, second.outputs["RoleArn"]])
    assert child.outputs["RoleArn"].split(",") == roles
    policy = world.child.admin.client("iam").get_group_policy(
        GroupName="SeveralTesters", PolicyName="AssumeSageMakerExternal"
    )
    assert policy["PolicyDocument"]["Statement"][0]["Resource"] == roles


WRONG = pytest.mark.parametrize(
    ("of_second", "says"),
    [
        ({"EndpointNames": ["echo"]}, 'Grants: grants 1 and 2 both name endpoint "echo"'),
        ({"ExternalID": EXTERNAL_ID}, 'Grants: grant 2 has the unknown member "ExternalID"'),
    ],
    ids=["overlap", "member"],
)


@WRONG
def test_s03_wrong_grants_change_nothing_of_a_child_that_serves(
    world: World, second: deploy.Stack, child: deploy.Stack, of_second: dict, says: str
):
    before = len(deploy.events(world.cloud, CHILD, CHILD_STACK))
    with pytest.raises(deploy.DeployFailed) as failed:
        deploy_child(world, grants(world, second, **of_second))
    assert says in str(failed.value)
    assert EXTERNAL_ID not in str(failed.value)
    # Refused first: the update reached nothing that relies on the grants, so there was nothing to take back either.
    touched = {event["LogicalResourceId"] for event in deploy.events(world.cloud, CHILD, CHILD_STACK)[before:]}
    assert "ExternalGrants" in touched
    assert not touched & {"InvokerGrants", "InvokerFunction", "Api", "ExternalGroup"}
    for name in ("echo", "wine-red"):
        assert invoke(world, child, name) == b"x"


@WRONG
def test_s03_wrong_grants_make_no_child(world: World, second: deploy.Stack, of_second: dict, says: str):
    name = "mistaken-child"
    given = {"RoleArn": "", "Grants": grants(world, second, **of_second), "EndpointNames": "", "GroupName": "Mistaken"}
    try:
        with pytest.raises(deploy.DeployFailed) as failed:
            deploy.deploy(world.cloud, CHILD, "child", given, name)
        assert says in str(failed.value)
        assert EXTERNAL_ID not in str(failed.value)
        made = {event["LogicalResourceId"] for event in deploy.events(world.cloud, CHILD, name)}
        assert not made & {"InvokerGrants", "InvokerFunction", "Api", "ExternalGroup"}
    finally:
        if deploy.status(world.cloud, CHILD, name):
            deploy.delete(world.cloud, CHILD, name)
