"""The custom resources from other people's stacks, through the exported ProvisionerArn."""

import json
from collections.abc import Iterator

import pytest

from tests import deploy, people
from tests.cloud.client import Cloud
from tests.cloud.endpoints import CHILD, PARENT, REGION, Endpoint
from tests.deploy import DeployFailed
from tests.e2e.world import PATH, World, refused

STACK = "somebody-elses"


def template(side: str, kind: str, **properties: object) -> str:
    """A stack with one custom resource named Ours, which uses the provisioner of our stack in the same account."""
    token = {"Fn::ImportValue": f"sagemaker-external-{side}-ProvisionerArn"}
    ours = {"Type": f"Custom::{kind}", "Properties": {"ServiceToken": token, **properties}}
    attribute = "RoleArn" if kind == "SageMakerExternalRole" else "GroupArn"
    outputs = {"Ref": {"Value": {"Ref": "Ours"}}, "Arn": {"Value": {"Fn::GetAtt": ["Ours", attribute]}}}
    return json.dumps({"Resources": {"Ours": ours}, "Outputs": outputs})


def role(**properties: object) -> str:
    return template(
        "parent",
        "SageMakerExternalRole",
        **{
            "TrustedAccountIds": [CHILD],
            "RoleName": "Second",
            "PolicyName": "SecondPolicy",
            "EndpointNames": ["iris"],
            **properties,
        },
    )


def group(**properties: object) -> str:
    return template("child", "SageMakerExternalGroup", **{"GroupName": "SecondGroup", **properties})


@pytest.fixture(autouse=True)
def leaves_nothing(world: World) -> Iterator[None]:
    """Every test's stack is deleted, and that leaves exactly what was there before."""
    before = {account: people.entities(world.cloud, account, PATH) for account in (PARENT, CHILD)}
    yield
    for account in (PARENT, CHILD):
        if deploy.status(world.cloud, account, STACK):
            deploy.delete(world.cloud, account, STACK)
        assert people.entities(world.cloud, account, PATH) == before[account]


def deploy_role(world: World, **properties: object) -> deploy.Stack:
    return deploy.deploy_template(world.cloud, PARENT, STACK, role(**properties))


def invoke(world: World, endpoint: str) -> bytes:
    """As the recipe does it, with the second role."""
    tester = world.child.admin.client("iam")
    tester.put_user_policy(
        UserName="tester",
        PolicyName="Second",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [people.allow("sts:AssumeRole")]}),
    )
    try:
        arn = f"arn:aws:iam::{PARENT}:role{PATH}Second"
        session = world.tester.assume(arn, ExternalId=PARENT, RoleSessionName="second")
        return session.client("sagemaker-runtime").invoke_endpoint(EndpointName=endpoint, Body=b"x")["Body"].read()
    finally:
        tester.delete_user_policy(UserName="tester", PolicyName="Second")


def test_c14_adding_an_endpoint_updates_in_place(world: World):
    first = deploy_role(world)
    iam = world.parent.admin.client("iam")
    made = iam.get_role(RoleName="Second")["Role"]["RoleId"]
    with refused(403, "AccessDeniedException"):
        invoke(world, "echo")
    second = deploy_role(world, EndpointNames=["iris", "echo"])
    assert second.outputs == first.outputs
    assert iam.get_role(RoleName="Second")["Role"]["RoleId"] == made
    assert invoke(world, "echo") == b"x"


def test_c15_c16_a_new_name_replaces_the_role(world: World):
    deploy_role(world)
    second = deploy_role(world, RoleName="Third", PolicyName="ThirdPolicy")
    assert second.outputs["Ref"] == second.outputs["Arn"] == f"arn:aws:iam::{PARENT}:role{PATH}Third"
    assert not [arn for arn in people.entities(world.cloud, PARENT, PATH) if "Second" in arn]


@pytest.mark.parametrize("path", ["/", PATH], ids=["elsewhere", "in-our-path"])
def test_c13_u02_a_strangers_role_of_the_same_name_stays_untouched(world: World, path: str):
    iam = world.parent.admin.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{PARENT}:root"}}
        ],
    }
    iam.create_role(
        RoleName="Second",
        Path=path,
        AssumeRolePolicyDocument=json.dumps(trust),
        Description="theirs",
        Tags=[{"Key": "owner", "Value": "them"}],
    )
    try:
        before = iam.get_role(RoleName="Second")["Role"]
        with pytest.raises(DeployFailed, match="ROLLBACK_COMPLETE"):
            deploy_role(world)
        assert iam.get_role(RoleName="Second")["Role"] == before
        assert iam.list_attached_role_policies(RoleName="Second")["AttachedPolicies"] == []
        deploy.delete(world.cloud, PARENT, STACK)
        assert iam.get_role(RoleName="Second")["Role"] == before
    finally:
        iam.delete_role(RoleName="Second")


def test_c17_c18_a_failing_update_rolls_back_to_what_was(world: World):
    first = deploy_role(world)
    with pytest.raises(DeployFailed, match="UPDATE_ROLLBACK_COMPLETE"):
        deploy_role(world, EndpointNames=["iris", "no_such_name"])
    assert deploy.outputs(world.cloud, PARENT, STACK) == first.outputs
    with refused(403, "AccessDeniedException"):
        invoke(world, "echo")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"EndpointName": "iris"}, "EndpointNames"),
        ({"EndpointNames": ["a/b"]}, "EndpointNames"),
        ({"EndpointNames": ["*"]}, "AllowAnyEndpoint"),
        ({"TrustedAccountIds": ["12345"]}, "TrustedAccountIds"),
        ({"MaxSessionDuration": "60"}, "MaxSessionDuration"),
        ({"CallerAttribution": "perhaps"}, "CallerAttribution"),
        ({"ExternalId": "x"}, "ExternalId"),
    ],
    ids=["unknown-key", "endpoint-name", "wildcard", "account-id", "number", "boolean", "external-id"],
)
def test_c34_a_wrong_property_fails_the_stack_before_any_iam_call(world: World, wrong: dict, says: str):
    with world.cloud.recording() as seen, pytest.raises(DeployFailed, match=says):
        deploy_role(world, **wrong)
    functions = [call for call in seen.of("iam") if ":assumed-role/" in call["caller"]]
    assert functions == []


def test_c40_two_roles_of_two_stacks_do_not_touch_each_other(world: World):
    """The parent's own role is the other one."""
    before = world.parent.admin.client("iam").get_role(RoleName="SageMakerExternal")["Role"]
    deploy_role(world)
    deploy.delete(world.cloud, PARENT, STACK)
    assert world.parent.admin.client("iam").get_role(RoleName="SageMakerExternal")["Role"] == before


@pytest.mark.parametrize("where", ["/", PATH], ids=["elsewhere", "in-our-path"])
def test_u09_a_strangers_policy_on_our_role_is_left_alone_and_named(world: World, where: str):
    """Updates go on; the deletion waits until its owner has taken it off."""
    stack = deploy_role(world)
    iam = world.parent.admin.client("iam")
    nothing = json.dumps({"Version": "2012-10-17", "Statement": [people.allow("s3:GetObject")]})
    theirs = iam.create_policy(PolicyName="Theirs", Path=where, PolicyDocument=nothing)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="Second", PolicyArn=theirs)
    try:
        deploy_role(world, EndpointNames=["iris", "echo"])
        attached = iam.list_attached_role_policies(RoleName="Second")["AttachedPolicies"]
        assert theirs in {policy["PolicyArn"] for policy in attached}
        assert invoke(world, "echo") == b"x"
        with pytest.raises(DeployFailed, match=f"DELETE_FAILED .*{theirs}"):
            stack.delete()
    finally:
        iam.detach_role_policy(RoleName="Second", PolicyArn=theirs)
        iam.delete_policy(PolicyArn=theirs)


def test_s15_an_external_id_of_ones_own_is_asked_for_and_not_printed(world: World):
    stack = deploy_role(world, ExternalId="tenant-7-of-many")
    (statement,) = world.parent.admin.client("iam").get_role(RoleName="Second")["Role"]["AssumeRolePolicyDocument"][
        "Statement"
    ]
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": "tenant-7-of-many"}}
    assert stack.outputs["Ref"] in world.cloud.logs(PARENT, world.parent.physical_id("ProvisionerFunction"))
    assert "tenant-7-of-many" not in world.cloud.logs(PARENT, world.parent.physical_id("ProvisionerFunction"))


def test_a_group_keeps_members_that_others_added(world: World):
    iam = world.child.admin.client("iam")

    def members() -> set[str]:
        return {user["UserName"] for user in iam.get_group(GroupName="SecondGroup")["Users"]}

    try:
        deploy.deploy_template(world.cloud, CHILD, STACK, group(RoleArns=[world.role], UserNames=["tester"]))
        iam.add_user_to_group(GroupName="SecondGroup", UserName="nobody")
        assert members() == {"tester", "nobody"}
        deploy.deploy_template(world.cloud, CHILD, STACK, group(RoleArns=[world.role], UserNames=[]))
        assert members() == {"nobody"}
    finally:
        iam.remove_user_from_group(GroupName="SecondGroup", UserName="nobody")


def test_both_sides_in_one_account(cloud: Cloud, world: World):
    """A trial: role, group and API in one stack. Deleting it leaves nothing."""
    account = "555566667777"
    cloud.put_endpoint(Endpoint(account, REGION, "own", "echo"))
    user = people.user(cloud, account, "tester")
    both = deploy.deploy(cloud, account, "default", {"EndpointNames": ["own"], "UserNames": ["tester"]})
    assert both.outputs["ExternalId"] == account
    api = world.client(user, cloud.local_url(both.outputs["ApiUrl"]))
    assert api.invoke_endpoint(EndpointName="own", Body=b"x")["Body"].read() == b"x"
    # The role trusts the invoker, not everybody in the account.
    anybody = people.user(cloud, account, "anybody", people.allow("sts:AssumeRole"))
    with refused(403, "AccessDenied"):
        anybody.assume(both.outputs["RoleArn"], ExternalId=account, RoleSessionName="anybody")
    both.delete()
    assert people.entities(cloud, account) == []
