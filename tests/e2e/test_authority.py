"""What other stacks may not do with a provisioner, unless its own stack says so: groups, trusts, any endpoint."""

import json
from collections.abc import Iterator

import pytest

from tests import deploy, people
from tests.cloud.client import Cloud, Seen
from tests.cloud.endpoints import CHILD as FRIEND
from tests.cloud.endpoints import REGION, Endpoint
from tests.deploy import DeployFailed, Stack
from tests.e2e.world import PATH
from tests.holdings import holdings

# Accounts of their own: each test begins and ends with nothing in them.
PARENT, CHILD = "323232323232", "242424242424"
STACK, OTHER = "bounds", "somebody-elses"
# Of another account; nobody assumes it.
GRANTED = f"arn:aws:iam::{PARENT}:role{PATH}Granted"


@pytest.fixture(scope="module", autouse=True)
def endpoint(cloud: Cloud) -> None:
    cloud.put_endpoint(Endpoint(PARENT, REGION, "iris", "echo"))
    people.user(cloud, CHILD, "alice")


@pytest.fixture(autouse=True)
def leaves_nothing(cloud: Cloud) -> Iterator[None]:
    yield
    for account in (PARENT, CHILD):
        for name in (OTHER, STACK):
            if deploy.status(cloud, account, name):
                deploy.delete(cloud, account, name)
        assert holdings(cloud, account) == {}


def parent(cloud: Cloud, **given: object) -> Stack:
    overrides = {"EndpointNames": ["iris"], "TrustedAccountIds": [FRIEND], **given}
    return deploy.deploy(cloud, PARENT, "parent", overrides, STACK)


def child(cloud: Cloud, **given: object) -> Stack:
    overrides = {"RoleArn": GRANTED, "EndpointNames": ["iris"], **given}
    return deploy.deploy(cloud, CHILD, "child", overrides, STACK)


def other(cloud: Cloud, account: str, kind: str, **properties: object) -> Stack:
    """A stack of somebody else's with the one resource Ours."""
    token = {"Fn::ImportValue": f"{STACK}-ProvisionerArn"}
    ours = {"Type": f"Custom::{kind}", "Properties": {"ServiceToken": token, **properties}}
    return deploy.deploy_template(cloud, account, OTHER, json.dumps({"Resources": {"Ours": ours}}))


def role(cloud: Cloud, **properties: object) -> Stack:
    given = {
        "EndpointNames": ["iris"],
        "TrustedAccountIds": [FRIEND],
        "RoleName": "Second",
        "PolicyName": "SecondPolicy",
    }
    return other(cloud, PARENT, "SageMakerExternalRole", **{**given, **properties})


def group(cloud: Cloud, **properties: object) -> Stack:
    given = {"GroupName": "Second", "RoleArns": [GRANTED], "UserNames": ["alice"]}
    return other(cloud, CHILD, "SageMakerExternalGroup", **{**given, **properties})


def written(seen: Seen) -> list[str]:
    """What functions wrote into IAM."""
    calls = [call["action"] for call in seen.of("iam") if ":assumed-role/" in call["caller"]]
    return [action for action in calls if not action.startswith(("Get", "List"))]


@pytest.mark.parametrize(
    ("properties", "names"),
    [
        ({"TrustedAccountIds": [people.STRANGER]}, f"{people.STRANGER}.*GrantableAccountIds"),
        ({"TrustedAccountIds": [FRIEND, people.STRANGER]}, f"{people.STRANGER}.*GrantableAccountIds"),
        (
            {"TrustedAccountIds": [], "TrustedPrincipalArns": [f"arn:aws:iam::{people.STRANGER}:role/x"]},
            f"{people.STRANGER}.*GrantableAccountIds",
        ),
        ({"EndpointNames": ["*"], "AllowAnyEndpoint": "true"}, "AllowAnyEndpoint"),
        ({"Regions": ["*"]}, "AllowAnyEndpoint"),
    ],
    ids=["account", "account-among-others", "role-of-an-account", "any-endpoint", "any-region"],
)
def test_s11_another_stack_grants_within_the_parameters_of_the_provisioners_own(cloud: Cloud, properties, names):
    parent(cloud)
    with cloud.recording() as seen, pytest.raises(DeployFailed, match=names):
        role(cloud, **properties)
    assert written(seen) == []
    deploy.delete(cloud, PARENT, OTHER)
    parent(cloud, GrantableAccountIds=[people.STRANGER], AllowAnyEndpoint="true")
    role(cloud, **properties)
    assert f"arn:aws:iam::{PARENT}:role{PATH}Second" in holdings(cloud, PARENT)


def test_a_bound_that_is_taken_back_leaves_what_is_granted(cloud: Cloud):
    """And neither an Update of something else nor the deletion is held up by it."""
    parent(cloud, GrantableAccountIds=[people.STRANGER])
    role(cloud, TrustedAccountIds=[people.STRANGER])
    parent(cloud, GrantableAccountIds="")
    role(cloud, TrustedAccountIds=[people.STRANGER], Tags=[{"Key": "team", "Value": "ml"}])
    assert holdings(cloud, PARENT)[f"arn:aws:iam::{PARENT}:role{PATH}Second"]["tags"]["team"] == "ml"
    deploy.delete(cloud, PARENT, OTHER)


@pytest.mark.parametrize("own", ["true", "false"], ids=["beside-our-own", "without-one"])
def test_s10_another_stack_makes_groups_only_where_it_is_allowed(cloud: Cloud, own: str):
    child(cloud, CreateGroup=own)
    with cloud.recording() as seen, pytest.raises(DeployFailed, match="GroupsForOtherStacks"):
        group(cloud)
    assert written(seen) == []
    deploy.delete(cloud, CHILD, OTHER)
    child(cloud, CreateGroup=own, GroupsForOtherStacks="true")
    group(cloud)
    assert holdings(cloud, CHILD)[f"arn:aws:iam::{CHILD}:group{PATH}Second"]["users"] == ["alice"]


def test_s10_a_group_assumes_roles_of_its_own_account_only_below_the_path(cloud: Cloud):
    child(cloud, GroupsForOtherStacks="true")
    admins = f"arn:aws:iam::{CHILD}:role/Administrator"
    with cloud.recording() as seen, pytest.raises(DeployFailed, match=f"{admins}.*{PATH}"):
        group(cloud, RoleArns=[GRANTED, admins])
    assert written(seen) == []
    deploy.delete(cloud, CHILD, OTHER)
    group(cloud, RoleArns=[f"arn:aws:iam::{CHILD}:role{PATH}Ours"])


def test_groups_of_other_stacks_go_before_the_parameter_does(cloud: Cloud):
    """As docs/parameters.md says: without the rights on groups their deletion fails, and says so."""
    child(cloud, CreateGroup="false", GroupsForOtherStacks="true")
    group(cloud)
    child(cloud, CreateGroup="false", GroupsForOtherStacks="false")
    with pytest.raises(DeployFailed, match="DELETE_FAILED"):
        deploy.delete(cloud, CHILD, OTHER)
    assert f"arn:aws:iam::{CHILD}:group{PATH}Second" in holdings(cloud, CHILD)
    child(cloud, CreateGroup="false", GroupsForOtherStacks="true")
    deploy.delete(cloud, CHILD, OTHER)
