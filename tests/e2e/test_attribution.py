"""CallerAttribution on both sides: what the parent's CloudTrail would be told of the caller, and with which rights."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests import deploy
from tests.cloud.client import Seen, session_tags
from tests.cloud.endpoints import CHILD, PARENT
from tests.e2e.world import World, refused

ATTRIBUTES = ("SourceIdentity", "Tags.", "TransitiveTagKeys")


@dataclass(frozen=True)
class Pair:
    """A parent's and a child's stack beside the world's own."""

    world: World

    def deployed(self, parent: str, child: str, grant: bool | None = None) -> deploy.Stack:
        """Both halves with these values of CallerAttribution, and one of the grant's own; the child's stack."""
        made = self.parent(CallerAttribution=parent, TrustedAccountIds=[CHILD], TrustedPrincipalArns="")
        role, grants = made.outputs["RoleArn"], ""
        if grant is not None:
            grants = json.dumps([{"RoleArn": role, "EndpointNames": ["echo"], "CallerAttribution": grant}])
        return deploy.deploy(
            self.world.cloud,
            CHILD,
            "child",
            {
                "RoleArn": "" if grants else role,
                "EndpointNames": "" if grants else ["echo"],
                "Grants": grants,
                "UserNames": ["tester"],
                "GroupName": "NamedTesters",
                "CallerAttribution": child,
            },
            "named-child",
        )

    def parent(self, **given: str | list[str]) -> deploy.Stack:
        names = {"EndpointNames": ["echo"], "RoleName": "NamedExternal", "PolicyName": "NamedInvokeEndpoint"}
        return deploy.deploy(self.world.cloud, PARENT, "parent", {**names, **given}, "named-parent")

    def invoke(self, child: deploy.Stack) -> Seen:
        client = self.world.client(self.world.tester, self.world.cloud.local_url(child.outputs["ApiUrl"]))
        with self.world.cloud.recording() as seen:
            assert client.invoke_endpoint(EndpointName="echo", Body=b"x")["Body"].read() == b"x"
        return seen


@pytest.fixture(scope="module")
def pair(world: World) -> Iterator[Pair]:
    yield Pair(world)
    for account, name in ((CHILD, "named-child"), (PARENT, "named-parent")):
        if deploy.status(world.cloud, account, name):
            deploy.delete(world.cloud, account, name)


def attributes(call: dict) -> list[str]:
    return [name for name in call["params"] if name.startswith(ATTRIBUTES)]


def test_the_parent_is_told_who_called(pair: Pair):
    child = pair.deployed(parent="true", child="true")
    first, second = (pair.invoke(child).assumed[0] for _ in range(2))
    for call in (first, second):
        assert call["status"] == 200
        assert call["params"]["SourceIdentity"] == "tester"
        assert session_tags(call) == {
            "Caller": f"arn:aws:iam::{CHILD}:user/tester",
            "ApiId": child.physical_id("Api"),
            "RequestId": call["params"]["RoleSessionName"].removeprefix("tester@"),
        }
        assert "TransitiveTagKeys" not in str(call["params"])
    assert session_tags(first)["RequestId"] != session_tags(second)["RequestId"]


def test_a_parent_that_does_not_allow_it_refuses_and_the_caller_learns_nothing(pair: Pair):
    child = pair.deployed(parent="false", child="true")
    client = pair.world.client(pair.world.tester, pair.world.cloud.local_url(child.outputs["ApiUrl"]))
    with pair.world.cloud.recording() as seen, refused(403, "AccessDeniedException") as error:
        client.invoke_endpoint(EndpointName="echo", Body=b"x")
    assert {call["status"] for call in seen.assumed} == {403}
    assert seen.invocations == []
    for hidden in (PARENT, "arn:", "NamedExternal"):
        assert hidden not in error.message


def test_a_child_that_does_not_ask_is_served_without(pair: Pair):
    child = pair.deployed(parent="true", child="false")
    (call,) = pair.invoke(child).assumed
    assert attributes(call) == []


@pytest.mark.parametrize(("child", "grant"), [("false", True), ("true", False)], ids=["named", "unnamed"])
def test_a_grant_decides_for_itself(pair: Pair, child: str, grant: bool):
    (call,) = pair.invoke(pair.deployed("true", child, grant)).assumed
    assert call["params"].get("SourceIdentity") == ("tester" if grant else None)
    assert bool(attributes(call)) == grant


def test_a_parent_may_trust_the_invoker_alone(pair: Pair):
    """Then nobody of the child's account comes under a name that API Gateway does not vouch for."""
    child = pair.deployed("true", "true")
    by_hand = {"ExternalId": PARENT, "RoleSessionName": "somebody-else"}
    role = child.outputs["RoleArn"]
    pair.world.tester.assume(role, **by_hand)
    invoker = child.outputs["InvokerRoleArn"]
    pair.parent(CallerAttribution="true", TrustedAccountIds="", TrustedPrincipalArns=[invoker])
    with refused(403, "AccessDenied"):
        pair.world.tester.assume(role, **by_hand)
    (call,) = pair.invoke(child).assumed
    assert (call["status"], call["params"]["SourceIdentity"]) == (200, "tester")
