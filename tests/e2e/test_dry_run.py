"""`DryRun`: the plan in the attribute Plan and in the log, and no write."""

import json
from collections.abc import Iterator

import pytest

from tests import deploy, people
from tests.cloud.client import Seen
from tests.cloud.endpoints import CHILD, PARENT
from tests.deploy import DeployFailed, Stack
from tests.e2e.world import PATH, World
from tests.holdings import holdings

STACK = "dry"
ROLE = ("SageMakerExternalRole", "parent", PARENT)
GROUP = ("SageMakerExternalGroup", "child", CHILD)
HALVES = pytest.mark.parametrize("half", [ROLE, GROUP], ids=["role", "group"])
# How each half is changed in place, and what that takes.
CHANGES = {ROLE: {"EndpointNames": ["iris", "echo"]}, GROUP: {"UserNames": ["tester", "nobody"]}}


@pytest.fixture(autouse=True)
def leaves_nothing(world: World) -> Iterator[None]:
    before = {account: people.entities(world.cloud, account, PATH) for account in (PARENT, CHILD)}
    yield
    for account in (PARENT, CHILD):
        if deploy.status(world.cloud, account, STACK):
            deploy.delete(world.cloud, account, STACK)
        assert people.entities(world.cloud, account, PATH) == before[account]


def run(world: World, half: tuple[str, str, str], **properties: object) -> Stack:
    kind, side, account = half
    given = {
        ROLE: {"RoleName": "Dry", "PolicyName": "DryPolicy", "EndpointNames": ["iris"], "TrustedAccountIds": [CHILD]},
        GROUP: {"GroupName": "Dry", "RoleArns": [world.role], "UserNames": ["tester"]},
    }[half]
    token = {"Fn::ImportValue": f"sagemaker-external-{side}-ProvisionerArn"}
    ours = {"Type": f"Custom::{kind}", "Properties": {"ServiceToken": token, **given, **properties}}
    outputs = {"Plan": {"Value": {"Fn::GetAtt": ["Ours", "Plan"]}}, "Id": {"Value": {"Ref": "Ours"}}}
    template = json.dumps({"Resources": {"Ours": ours}, "Outputs": outputs})
    return deploy.deploy_template(world.cloud, account, STACK, template)


def called(seen: Seen) -> list[str]:
    """The IAM actions that functions called."""
    return [call["action"] for call in seen.of("iam") if ":assumed-role/" in call["caller"]]


def assert_reads_only(seen: Seen) -> None:
    assert called(seen), "it looks before it plans"
    assert [action for action in called(seen) if not action.startswith(("Get", "List"))] == []


@HALVES
def test_a_first_dry_run_says_what_would_be_made_and_makes_nothing(world: World, half):
    account = half[2]
    function = getattr(world, half[1]).physical_id("ProvisionerFunction")
    before, printed = holdings(world.cloud, account), len(world.cloud.logs(account, function))
    with world.cloud.recording() as seen:
        stack = run(world, half, DryRun="true")
    assert stack.outputs["Plan"] == ("create 2, change 1, remove 0" if half is ROLE else "create 1, change 2, remove 0")
    assert_reads_only(seen)
    assert holdings(world.cloud, account) == before
    lines = world.cloud.logs(account, function)[printed:].splitlines()
    assert len([line for line in lines if '"planned"' in line]) == 3, "a line a step"
    assert not [line for line in lines if '"applied"' in line]
    # In earnest.
    stack = run(world, half, DryRun="false")
    assert stack.outputs["Plan"] == "carried out"
    assert stack.outputs["Id"] in holdings(world.cloud, account)


@HALVES
def test_a_dry_update_plans_the_difference_and_keeps_what_is_there(world: World, half):
    account = half[2]
    made = run(world, half)
    before = holdings(world.cloud, account)
    with world.cloud.recording() as seen:
        planned = run(world, half, DryRun="true", **CHANGES[half])
    assert planned.outputs == {"Id": made.outputs["Id"], "Plan": "create 0, change 1, remove 0"}
    assert_reads_only(seen)
    assert holdings(world.cloud, account) == before
    # The same change in earnest takes as many writes.
    with world.cloud.recording() as seen:
        run(world, half, **CHANGES[half])
    assert len([action for action in called(seen) if not action.startswith(("Get", "List"))]) == 1


def test_a_dry_run_refuses_what_a_real_one_would(world: World):
    """Our own deployment's role stands under this name."""
    with pytest.raises(DeployFailed, match="was made by another resource"):
        run(world, ROLE, DryRun="true", RoleName="SageMakerExternal")


@HALVES
def test_the_stack_of_a_dry_run_is_deleted_without_a_call(world: World, half):
    run(world, half, DryRun="true")
    with world.cloud.recording() as seen:
        deploy.delete(world.cloud, half[2], STACK)
    assert called(seen) == []
