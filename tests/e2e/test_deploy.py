"""What stands after `sam deploy` on both sides."""

import pytest

from release import version
from tests import deploy
from tests.cloud.endpoints import CHILD, PARENT
from tests.e2e.world import GRANTED, PATH, World, as_list


def test_parent_outputs(world: World):
    function = world.parent.physical_id("ProvisionerFunction")
    assert world.parent.outputs == {
        "Version": version.of_workspace(),
        "RoleArn": f"arn:aws:iam::{PARENT}:role{PATH}SageMakerExternal",
        "ExternalId": PARENT,
        "PolicyArns": f"arn:aws:iam::{PARENT}:policy{PATH}SageMakerExternalInvokeEndpoint",
        "ProvisionerArn": f"arn:aws:lambda:{world.cloud.region}:{PARENT}:function:{function}",
    }


def test_child_outputs(world: World):
    function, api = world.child.physical_id("ProvisionerFunction"), world.child.physical_id("Api")
    invoker = world.child.physical_id("InvokerRole")
    assert world.child.outputs == {
        "Version": version.of_workspace(),
        "RoleArn": world.role,
        "ExternalId": PARENT,
        "GroupArn": f"arn:aws:iam::{CHILD}:group{PATH}SagemakerTester",
        "InvokerRoleArn": f"arn:aws:iam::{CHILD}:role/{invoker}",
        "ProvisionerArn": f"arn:aws:lambda:{world.cloud.region}:{CHILD}:function:{function}",
        "ApiUrl": f"https://{api}.execute-api.{world.cloud.region}.amazonaws.com/v1",
    }


@pytest.mark.parametrize("side", ["parent", "child"])
def test_provisioner_is_exported_for_other_stacks(world: World, side: str):
    stack = getattr(world, side)
    exports = stack.admin.client("cloudformation").list_exports()["Exports"]
    assert {e["Name"]: e["Value"] for e in exports}[f"{stack.name}-ProvisionerArn"] == stack.outputs["ProvisionerArn"]


def test_the_role_trusts_only_the_child_and_only_with_the_external_id(world: World):
    role = world.parent.admin.client("iam").get_role(RoleName="SageMakerExternal")["Role"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert (statement["Effect"], as_list(statement["Action"])) == ("Allow", ["sts:AssumeRole"])
    assert {kind: as_list(who) for kind, who in statement["Principal"].items()} == {
        "AWS": [f"arn:aws:iam::{CHILD}:root"]
    }
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": PARENT}}
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == world.parent.physical_id("Boundary")


def test_the_policy_names_what_is_granted_and_nothing_else(world: World):
    iam = world.parent.admin.client("iam")
    arn = world.parent.outputs["PolicyArns"]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    resources = {resource for statement in document["Statement"] for resource in as_list(statement["Resource"])}
    base = f"arn:aws:sagemaker:{world.cloud.region}:{PARENT}"
    endpoints = {f"{base}:endpoint/{name}" for granted in GRANTED for name in (granted, granted.lower())}
    assert resources == endpoints | {f"{base}:inference-component/adapter-a"}


def test_the_tester_is_in_the_group_which_may_assume_the_role_and_call_the_api_and_nothing_else(world: World):
    iam = world.child.admin.client("iam")
    assert [user["UserName"] for user in iam.get_group(GroupName="SagemakerTester")["Users"]] == ["tester"]
    assert iam.list_group_policies(GroupName="SagemakerTester")["PolicyNames"] == ["AssumeSageMakerExternal"]
    document = iam.get_group_policy(GroupName="SagemakerTester", PolicyName="AssumeSageMakerExternal")["PolicyDocument"]
    api = f"arn:aws:execute-api:{world.cloud.region}:{CHILD}:{world.child.physical_id('Api')}/v1"
    allowed = {action: as_list(s["Resource"]) for s in document["Statement"] for action in as_list(s["Action"])}
    assert {statement["Effect"] for statement in document["Statement"]} == {"Allow"}
    assert allowed == {
        "sts:AssumeRole": [world.role],
        "execute-api:Invoke": [
            f"{api}/GET/endpoints",
            f"{api}/GET/endpoints/*",
            f"{api}/POST/endpoints/*/async-invocations",
            f"{api}/POST/endpoints/*/invocations",
            f"{api}/POST/endpoints/*/invocations-response-stream",
        ],
    }


@pytest.mark.parametrize(
    ("side", "filled_in", "says"),
    [
        ("parent", {"EndpointNames": ["iris"]}, "set TrustedAccountIds"),
        ("child", {"EndpointNames": ["iris"]}, "set RoleArn"),
        ("default", {}, "set EndpointNames"),
    ],
)
def test_a_half_filled_configuration_is_refused_before_anything_is_made(world: World, side: str, filled_in, says: str):
    name = f"half-filled-{side}"
    with pytest.raises(deploy.DeployFailed, match=says):
        deploy.deploy(world.cloud, PARENT, side, filled_in, name)
    assert deploy.status(world.cloud, PARENT, name) in (None, "REVIEW_IN_PROGRESS")
