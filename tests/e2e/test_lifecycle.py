"""What CloudFormation does to a deployed stack: replacements, failures and their rollbacks, deletion after damage."""

import json

import pytest

from tests import deploy, people
from tests.cloud.client import Caller, Cloud
from tests.cloud.endpoints import REGION, Endpoint
from tests.deploy import DeployFailed, Stack
from tests.e2e.world import PATH, refused
from tests.holdings import holdings

# Accounts of their own: each test begins and ends with nothing in them.
PARENT, CHILD = "131313131313", "141414141414"
ROLE = f"arn:aws:iam::{PARENT}:role{PATH}"
POLICY = f"arn:aws:iam::{PARENT}:policy{PATH}SageMakerExternalInvokeEndpoint"
GROUP = f"arn:aws:iam::{CHILD}:group{PATH}SagemakerTester"
# What the child's tests grant; nobody assumes it.
GRANTED = f"arn:aws:iam::{PARENT}:role{PATH}Granted"


@pytest.fixture(scope="module")
def caller(cloud: Cloud) -> Caller:
    """A user of the child's account who may assume whatever role trusts that account."""
    for name in ("iris", "echo"):
        cloud.put_endpoint(Endpoint(PARENT, REGION, name, "echo"))
    for name in ("alice", "bob"):
        people.user(cloud, CHILD, name)
    return people.user(cloud, CHILD, "caller", people.allow("sts:AssumeRole"))


@pytest.fixture(autouse=True)
def leaves_nothing(cloud: Cloud, caller: Caller):
    yield
    for account, name in ((PARENT, "parent"), (CHILD, "child"), (CHILD, "trial")):
        if deploy.status(cloud, account, name):
            deploy.delete(cloud, account, name)
    assert holdings(cloud, PARENT) == holdings(cloud, CHILD) == {}


def parent(cloud: Cloud, **given: object) -> Stack:
    return deploy.deploy(
        cloud, PARENT, "parent", {"EndpointNames": ["iris"], "TrustedAccountIds": [CHILD], **given}, "parent"
    )


def child(cloud: Cloud, **given: object) -> Stack:
    return deploy.deploy(
        cloud, CHILD, "child", {"RoleArn": GRANTED, "EndpointNames": ["iris"], "UserNames": ["alice"], **given}, "child"
    )


def ours(cloud: Cloud, account: str) -> dict:
    return {arn: held for arn, held in holdings(cloud, account).items() if PATH in arn}


def invoke(caller: Caller, role: str, endpoint: str) -> bytes:
    session = caller.assume(role, ExternalId=PARENT, RoleSessionName="caller")
    return session.client("sagemaker-runtime").invoke_endpoint(EndpointName=endpoint, Body=b"x")["Body"].read()


@pytest.mark.parametrize("endpoint", ["iris", "echo"], ids=["name-alone", "and-the-endpoint"])
def test_c15_c16_another_role_name_replaces_the_role_though_the_policys_name_stays(
    cloud: Cloud, caller: Caller, endpoint: str
):
    first = parent(cloud)
    policy = ours(cloud, PARENT)[POLICY]
    with cloud.recording() as seen:
        second = parent(cloud, RoleName="Renamed", EndpointNames=[endpoint])
    assert (first.outputs["RoleArn"], second.outputs["RoleArn"]) == (f"{ROLE}SageMakerExternal", f"{ROLE}Renamed")
    left = ours(cloud, PARENT)
    assert left.keys() == {second.outputs["RoleArn"], second.outputs["PolicyArns"]}
    if endpoint == "iris":
        assert left[POLICY] == policy, "the two roles shared it, and neither's end took it along"
    assert invoke(caller, second.outputs["RoleArn"], endpoint) == b"x"
    with refused(403, "AccessDeniedException"):
        invoke(caller, second.outputs["RoleArn"], "echo" if endpoint == "iris" else "iris")
    # U37: the old role, live until CloudFormation deletes it, never had the new one's rights.
    assert seen.of("iam", "CreatePolicyVersion") == []
    attached = [(c["params"]["RoleName"], c["params"]["PolicyArn"]) for c in seen.of("iam", "AttachRolePolicy")]
    assert ("Renamed", second.outputs["PolicyArns"]) in attached
    assert "SageMakerExternal" not in {role for role, _ in attached}


@pytest.mark.parametrize("fails", ["taken-name", "missing-user"])
def test_c12_c13_what_a_failing_create_made_is_gone_after_its_rollback(cloud: Cloud, fails: str):
    """A trial makes the role, then fails at the group: where a stranger has its name, or a user is not there."""
    iam = cloud.admin(CHILD).client("iam")
    if fails == "taken-name":
        iam.create_group(GroupName="SagemakerTester")
        iam.put_group_policy(GroupName="SagemakerTester", PolicyName="Theirs", PolicyDocument=document("s3:GetObject"))
    before = holdings(cloud, CHILD)
    with cloud.recording() as seen, pytest.raises(DeployFailed, match="ROLLBACK_COMPLETE"):
        users = ["alice", "no-such-user"] if fails == "missing-user" else ["alice"]
        deploy.deploy(cloud, CHILD, "default", {"EndpointNames": ["iris"], "UserNames": users}, "trial")
    assert [c["status"] for c in seen.of("iam", "CreateRole") if c["params"].get("Path") == PATH] == [200]
    assert holdings(cloud, CHILD) == before
    if fails == "taken-name":
        iam.delete_group_policy(GroupName="SagemakerTester", PolicyName="Theirs")
        iam.delete_group(GroupName="SagemakerTester")


def test_c17_c18_an_update_that_fails_half_way_is_rolled_back(cloud: Cloud):
    """The group's policy is written, then a user turns out to be missing."""
    first = child(cloud)
    before = holdings(cloud, CHILD)
    with cloud.recording() as seen, pytest.raises(DeployFailed, match="UPDATE_ROLLBACK_COMPLETE"):
        child(cloud, RoleArn=f"{GRANTED}2", UserNames=["bob", "no-such-user"])
    written = [call["params"]["PolicyDocument"] for call in seen.of("iam", "PutGroupPolicy")]
    assert f"{GRANTED}2" in written[0], "it was half-way"
    assert holdings(cloud, CHILD) == before
    assert deploy.outputs(cloud, CHILD, "child") == first.outputs


def test_c17_c18_a_replacement_that_fails_leaves_the_old_group(cloud: Cloud):
    child(cloud)
    before = holdings(cloud, CHILD)
    with pytest.raises(DeployFailed, match="UPDATE_ROLLBACK_COMPLETE"):
        child(cloud, GroupName="Renamed", UserNames=["bob", "no-such-user"])
    assert holdings(cloud, CHILD) == before


def detach_policy(iam) -> None:
    iam.detach_role_policy(RoleName="SageMakerExternal", PolicyArn=POLICY)


def remove_role(iam) -> None:
    detach_policy(iam)
    iam.delete_role(RoleName="SageMakerExternal")


def remove_policy(iam) -> None:
    detach_policy(iam)
    iam.delete_policy(PolicyArn=POLICY)


def add_version(iam) -> None:
    iam.create_policy_version(PolicyArn=POLICY, PolicyDocument=document("s3:GetObject"), SetAsDefault=True)


def put_inline(iam) -> None:
    iam.put_role_policy(RoleName="SageMakerExternal", PolicyName="Theirs", PolicyDocument=document("s3:GetObject"))


@pytest.mark.parametrize("damage", [detach_policy, remove_role, remove_policy, add_version, put_inline])
def test_c20_u14_the_parents_stack_is_deleted_after_damage_by_hand(cloud: Cloud, damage):
    stack = parent(cloud)
    damage(stack.admin.client("iam"))
    stack.delete()
    assert holdings(cloud, PARENT) == {}


@pytest.mark.parametrize("damage", [detach_policy, remove_role, remove_policy, add_version])
def test_u37_damage_by_hand_is_repaired_by_the_next_update_and_named(cloud: Cloud, damage):
    stack = parent(cloud)
    before = ours(cloud, PARENT)
    damage(stack.admin.client("iam"))
    # Any change makes CloudFormation send an Update; this one changes the trust as well.
    parent(cloud, ExternalId="changed-by-us")
    after = ours(cloud, PARENT)
    assert after.keys() == before.keys()
    assert after[f"{ROLE}SageMakerExternal"]["attached"] == [POLICY]
    default = after[POLICY]["versions"][after[POLICY]["default"]]
    assert default == before[POLICY]["versions"][before[POLICY]["default"]]


def remove_inline(iam) -> None:
    iam.delete_group_policy(GroupName="SagemakerTester", PolicyName="AssumeSageMakerExternal")


def remove_member(iam) -> None:
    iam.remove_user_from_group(GroupName="SagemakerTester", UserName="alice")


def remove_group(iam) -> None:
    remove_member(iam)
    remove_inline(iam)
    iam.delete_group(GroupName="SagemakerTester")


@pytest.mark.parametrize("damage", [remove_inline, remove_member, remove_group])
def test_c20_u32_the_childs_stack_is_deleted_after_damage_by_hand(cloud: Cloud, damage):
    stack = child(cloud)
    damage(stack.admin.client("iam"))
    stack.delete()
    assert holdings(cloud, CHILD) == {}


def test_a_renamed_group_does_not_block_the_deletion_of_the_stack(cloud: Cloud):
    """Its ARN is another one now, and nothing says whose it was: it stays, with all that its keeper put there."""
    stack = child(cloud)
    iam = stack.admin.client("iam")
    iam.update_group(GroupName="SagemakerTester", NewGroupName="Kept")
    before, function = ours(cloud, CHILD), stack.physical_id("ProvisionerFunction")
    stack.delete()
    assert holdings(cloud, CHILD) == before
    assert list(before) == [GROUP.replace("SagemakerTester", "Kept")]
    assert f"left alone: {GROUP}, which is not there: others removed or renamed it" in cloud.logs(CHILD, function)
    iam.remove_user_from_group(GroupName="Kept", UserName="alice")
    iam.delete_group_policy(GroupName="Kept", PolicyName="AssumeSageMakerExternal")
    iam.delete_group(GroupName="Kept")


def document(action: str) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [people.allow(action)]})
