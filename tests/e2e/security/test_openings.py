"""What the fence does not hold, as SECURITY.md says it: what AdoptArns names, and the members of its groups (S09, S10).

These are tests of what an attacker CAN do. They stand here so that the threat model claims neither more nor less.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests import people
from tests.cloud.client import Caller
from tests.e2e.security.attacks import ADMINISTRATOR, ANYTHING, NOTHING, TRUSTS_ANYBODY
from tests.e2e.security.fenced import ADOPTING, PLAIN, POLICY, ROLE, Fenced, Scene, trust
from tests.e2e.world import refused

TRUSTS_THE_ACCOUNT = trust(f"arn:aws:iam::{ADOPTING}:root")


@pytest.fixture
def named(adopting: Fenced) -> Iterator[Fenced]:
    """The stack whose AdoptArns name them, with the role, the policy on it and the group as somebody made them."""
    iam = adopting.iam
    iam.create_role(RoleName="Named", AssumeRolePolicyDocument=TRUSTS_THE_ACCOUNT)
    iam.create_policy(PolicyName="Named", PolicyDocument=NOTHING)
    iam.attach_role_policy(RoleName="Named", PolicyArn=POLICY)
    iam.create_group(GroupName="Named")
    yield adopting
    for policy in iam.list_attached_role_policies(RoleName="Named")["AttachedPolicies"]:
        iam.detach_role_policy(RoleName="Named", PolicyArn=policy["PolicyArn"])
    for version in iam.list_policy_versions(PolicyArn=POLICY)["Versions"]:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=POLICY, VersionId=version["VersionId"])
    iam.delete_policy(PolicyArn=POLICY)
    for policy in iam.list_role_policies(RoleName="Named")["PolicyNames"]:
        iam.delete_role_policy(RoleName="Named", PolicyName=policy)
    iam.delete_role(RoleName="Named")
    for policy in iam.list_group_policies(GroupName="Named")["PolicyNames"]:
        iam.delete_group_policy(GroupName="Named", PolicyName=policy)
    for user in iam.get_group(GroupName="Named")["Users"]:
        iam.remove_user_from_group(GroupName="Named", UserName=user["UserName"])
    iam.delete_group(GroupName="Named")


# Besides the attacks that are refused whatever is named.
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "AdministratorAccess on the named role": ("attach_role_policy", {"RoleName": "Named", "PolicyArn": ADMINISTRATOR}),
    "a policy of the path on the named role": (
        "attach_role_policy",
        {"RoleName": "Named", "PolicyArn": "{inside_policy}"},
    ),
    "the named policy on another role": ("attach_role_policy", {"RoleName": "{inside_role}", "PolicyArn": POLICY}),
    "an inline policy on the named role": (
        "put_role_policy",
        {"RoleName": "Named", "PolicyName": "More", "PolicyDocument": ANYTHING},
    ),
    "AdministratorAccess on the named group": (
        "attach_group_policy",
        {"GroupName": "Named", "PolicyArn": ADMINISTRATOR},
    ),
    "another boundary away": ("delete_role_permissions_boundary", {"RoleName": "{inside_role}"}),
    "a role of a name that begins alike": (
        "update_assume_role_policy",
        {"RoleName": "NamedToo", "PolicyDocument": TRUSTS_ANYBODY},
    ),
}


@pytest.mark.parametrize("attack", REFUSED)
def test_s09_beside_what_is_named_nothing_is_opened(named: Fenced, attack: str):
    call, members = REFUSED[attack]
    scene = Scene(named)
    if "alike" in attack:
        named.iam.create_role(RoleName="NamedToo", AssumeRolePolicyDocument=TRUSTS_THE_ACCOUNT)
    # With the boundary on, so that it is not for its want.
    named.attackers_iam.put_role_permissions_boundary(RoleName="Named", PermissionsBoundary=named.ids["boundary"])
    tried = scene.fill(members)
    before = named.everything()
    with refused(403, "AccessDenied"):
        getattr(named.attackers_iam, call)(**tried)
    assert named.everything() == before
    getattr(named.iam, call)(**tried)
    if call.startswith("attach"):
        getattr(named.iam, call.replace("attach", "detach"))(**tried)


def test_s09_a_named_policy_is_attached_to_a_named_role_only_under_the_boundary(named: Fenced):
    attacker = named.attackers_iam
    attacker.detach_role_policy(RoleName="Named", PolicyArn=POLICY)
    with refused(403, "AccessDenied"):
        attacker.attach_role_policy(RoleName="Named", PolicyArn=POLICY)
    attacker.put_role_permissions_boundary(RoleName="Named", PermissionsBoundary=named.ids["boundary"])
    attacker.attach_role_policy(RoleName="Named", PolicyArn=POLICY)


def may_do_anything(caller: Caller) -> bool:
    """Whether somebody has become an administrator."""
    try:
        caller.client("iam").list_users()
    except caller.client("iam").exceptions.ClientError as denied:
        assert denied.response["Error"]["Code"] == "AccessDenied"
        return False
    return True


def test_s09_who_names_a_role_and_its_policy_hands_them_over(named: Fenced):
    """The boundary is no limit there: it comes off before the policy is written anew."""
    session = named.stack.admin.assume(ROLE, RoleSessionName="owner")
    assert not may_do_anything(session)
    attacker = named.attackers_iam
    attacker.put_role_permissions_boundary(RoleName="Named", PermissionsBoundary=named.ids["boundary"])
    attacker.delete_role_permissions_boundary(RoleName="Named")
    attacker.update_assume_role_policy(RoleName="Named", PolicyDocument=TRUSTS_THE_ACCOUNT)
    attacker.create_policy_version(PolicyArn=POLICY, PolicyDocument=ANYTHING, SetAsDefault=True)
    assert may_do_anything(named.stack.admin.assume(ROLE, RoleSessionName="attacker"))


def test_s10_who_names_a_group_hands_over_what_its_members_may_do(named: Fenced):
    user = people.user(named.stack.cloud, ADOPTING, "member-of-named")
    assert not may_do_anything(user)
    named.attackers_iam.add_user_to_group(GroupName="Named", UserName="member-of-named")
    named.attackers_iam.put_group_policy(GroupName="Named", PolicyName="More", PolicyDocument=ANYTHING)
    assert may_do_anything(user)


def test_s10_a_group_of_the_path_has_no_boundary(plain: Fenced):
    """IAM has neither condition keys nor boundaries for groups, so the path is the whole fence: an attacker that also
    holds a user of the account makes it an administrator. A user's own boundary, or an SCP, is what stops this."""
    users = {name: people.user(plain.stack.cloud, PLAIN, name) for name in ("accomplice", "bounded")}
    plain.iam.put_user_permissions_boundary(UserName="bounded", PermissionsBoundary=plain.ids["boundary"])
    plain.attackers_iam.create_group(GroupName="Wide", Path=Scene(plain)["path"])
    plain.attackers_iam.put_group_policy(GroupName="Wide", PolicyName="All", PolicyDocument=ANYTHING)
    for name in users:
        plain.attackers_iam.add_user_to_group(GroupName="Wide", UserName=name)
    assert {name: may_do_anything(user) for name, user in users.items()} == {"accomplice": True, "bounded": False}


def test_a_role_of_the_path_may_be_given_to_anybody(plain: Fenced):
    """There is no condition key for a trust's contents: the boundary is what limits the role, not who holds it."""
    scene = Scene(plain)
    plain.attackers_iam.update_assume_role_policy(RoleName=scene["inside_role"], PolicyDocument=trust("*"))
    stranger = people.user(plain.stack.cloud, people.STRANGER, "stranger-of-the-path", people.allow("sts:AssumeRole"))
    role = plain.iam.get_role(RoleName=scene["inside_role"])["Role"]["Arn"]
    session = stranger.assume(role, RoleSessionName="stranger")
    answer = session.client("sagemaker-runtime").invoke_endpoint(EndpointName="iris", Body=b"x")
    assert answer["Body"].read() == b"x"
    assert not may_do_anything(session)
