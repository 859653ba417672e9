"""One child's API in front of two parents: which grant serves which endpoint, and what a wrong grant does."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def deployed(world: World, roles: list[str], text: str) -> Iterator[deploy.Stack]:
    given = {
        "RoleArn": ",".join(roles),
        "Grants": text,
        "EndpointNames": "",
        "UserNames": ["tester"],
        "GroupName": "SeveralTesters",
    }
    try:
        yield deploy.deploy(world.cloud, CHILD, "child", given, CHILD_STACK)
    finally:
        if deploy.status(world.cloud, CHILD, CHILD_STACK):
            deploy.delete(world.cloud, CHILD, CHILD_STACK)


def test_each_endpoint_is_called_in_its_own_parents_account(world: World, second: deploy.Stack):
    roles = [world.role, second.outputs["RoleArn"]]
    with deployed(world, roles, grants(world, second)) as child:
        client = world.client(world.tester, world.cloud.local_url(child.outputs["ApiUrl"]))
        for name, account in (("echo", PARENT), ("wine-red", SECOND)):
            with world.cloud.recording() as seen:
                assert client.invoke_endpoint(EndpointName=name, Body=b"x")["Body"].read() == b"x"
            (called,) = seen.invocations
            assert (called["account"], called["endpoint"]) == (account, name)
        # The child's pattern covers it, the parent's policy does not.
        with refused(403, "AccessDeniedException") as refusal:
            client.invoke_endpoint(EndpointName="wine-white", Body=b"x")
        assert SECOND not in refusal.message
        # Of the first parent, granted to the child's other stack and not to this one.
        with refused(404, "ValidationError"):
            client.invoke_endpoint(EndpointName="iris", Body=b"x")


@pytest.mark.parametrize(
    ("role_of_second", "of_second", "says"),
    [
        (True, {"EndpointNames": ["echo"]}, 'GRANTS: grants 1 and 2 both name endpoint "echo"'),
        (True, {"ExternalID": "canary"}, 'GRANTS: grant 2 has the unknown member "ExternalID"'),
        (False, {}, "of Grants is missing; name every role that Grants names"),
    ],
)
def test_wrong_grants_fail_the_deployment(world: World, second: deploy.Stack, role_of_second, of_second, says):
    roles = [world.role, second.outputs["RoleArn"]] if role_of_second else [world.role]
    with pytest.raises(deploy.DeployFailed) as failed, deployed(world, roles, grants(world, second, **of_second)):
        pass
    assert says in str(failed.value)
    assert EXTERNAL_ID not in str(failed.value)
