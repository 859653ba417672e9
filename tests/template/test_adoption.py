"""AdoptArns: what it opens on exactly the ARNs named, and that it opens nothing where none is named."""

import json

import pytest

from tests.template.expansion import PSEUDO, Stack
from tests.template.iam import allows, as_list, rights_of
from tests.template.sides import BOTH, CHILD, PARENT, SIDES

ACCOUNT = PSEUDO["AWS::AccountId"]
BOUNDARY = "<Boundary>"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/SageMakerExternal"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy/SageMakerExternalInvokeEndpoint"
GROUP = f"arn:aws:iam::{ACCOUNT}:group/SagemakerTester"
ARNS = f"{ROLE},{POLICY},{GROUP}"
BELOW_THE_PATH = f"arn:aws:iam::{ACCOUNT}:%s/sagemaker-external/x"

# What adopting, changing, giving back and removing call, besides the look-ups that are account-wide anyway.
CALLS = {
    ROLE: [
        "UpdateAssumeRolePolicy",
        "UpdateRole",
        "TagRole",
        "UntagRole",
        "ListAttachedRolePolicies",
        "ListRolePolicies",
        "ListInstanceProfilesForRole",
        "DeleteRole",
        "DeleteRolePolicy",
        "PutRolePermissionsBoundary",
        "DeleteRolePermissionsBoundary",
    ],
    POLICY: [
        "CreatePolicy",
        "GetPolicy",
        "GetPolicyVersion",
        "ListPolicyVersions",
        "ListEntitiesForPolicy",
        "CreatePolicyVersion",
        "SetDefaultPolicyVersion",
        "DeletePolicyVersion",
        "DeletePolicy",
        "TagPolicy",
        "UntagPolicy",
    ],
    GROUP: ["AddUserToGroup", "RemoveUserFromGroup", "PutGroupPolicy", "DeleteGroupPolicy", "DeleteGroup"],
}
EACH_CALL = pytest.mark.parametrize(
    ("resource", "action"), [(arn, call) for arn, calls in CALLS.items() for call in calls]
)


def permissions(**given: str) -> dict:
    """Everything that a provisioner that keeps a role and a group may do."""
    return rights_of(Stack(**{**BOTH, **given}), "ProvisionerRole")


@EACH_CALL
def test_a_named_entity_may_be_adopted_and_given_back(resource, action):
    assert allows(permissions(AdoptArns=resource), f"iam:{action}", resource)
    assert allows(permissions(AdoptArns=ARNS), f"iam:{action}", resource), "among others"


@EACH_CALL
def test_s09_nothing_else_is_opened(resource, action):
    assert not allows(permissions(), f"iam:{action}", resource), "none is named"
    others = ",".join({ROLE, POLICY, GROUP} - {resource})
    assert not allows(permissions(AdoptArns=others), f"iam:{action}", resource), "only others are named"
    opened = permissions(AdoptArns=ARNS)
    for near in (f"{resource}x", resource.replace("/", "/path/"), resource.replace(ACCOUNT, "999988887777")):
        assert not allows(opened, f"iam:{action}", near)


def test_s09_policies_are_attached_to_a_named_role_only_if_named_too_and_only_under_the_boundary():
    opened = permissions(AdoptArns=ARNS)
    assert allows(opened, "iam:AttachRolePolicy", ROLE, PolicyARN=POLICY, PermissionsBoundary=BOUNDARY)
    assert allows(opened, "iam:DetachRolePolicy", ROLE, PolicyARN=POLICY)
    assert not allows(opened, "iam:AttachRolePolicy", ROLE, PolicyARN=POLICY)
    assert not allows(opened, "iam:AttachRolePolicy", ROLE, PolicyARN=POLICY, PermissionsBoundary=POLICY)
    for foreign in (f"{POLICY}2", BELOW_THE_PATH % "policy", "arn:aws:iam::aws:policy/AdministratorAccess"):
        assert not allows(opened, "iam:AttachRolePolicy", ROLE, PolicyARN=foreign, PermissionsBoundary=BOUNDARY)
        assert not allows(opened, "iam:DetachRolePolicy", ROLE, PolicyARN=foreign)
    for action in ("AttachRolePolicy", "DetachRolePolicy"):
        context = {"PolicyARN": POLICY, "PermissionsBoundary": BOUNDARY}
        assert not allows(permissions(), f"iam:{action}", ROLE, **context)
        assert not allows(permissions(AdoptArns=POLICY), f"iam:{action}", ROLE, **context)
        assert not allows(permissions(AdoptArns=ROLE), f"iam:{action}", ROLE, **context)


@pytest.mark.parametrize("where", [ROLE, BELOW_THE_PATH % "role"], ids=["elsewhere", "in-our-path"])
def test_s09_the_boundary_comes_off_named_roles_and_off_no_other(where):
    off = "iam:DeleteRolePermissionsBoundary"
    assert allows(permissions(AdoptArns=where), off, where)
    for kept in (permissions(), permissions(AdoptArns=POLICY)):
        anything = {"Statement": [*kept["Statement"], {"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        assert not allows(kept, off, where)
        assert not allows(anything, off, where), "denied, not merely not allowed"
        assert allows(anything, "iam:CreateUser", "x"), "the added statement must matter"


def test_s09_the_boundary_policy_itself_cannot_be_adopted():
    opened = permissions(AdoptArns=BOUNDARY)
    assert allows(opened, "iam:GetPolicy", BOUNDARY), "naming it opens what is not denied"
    for action in (
        "CreatePolicyVersion",
        "DeletePolicy",
        "DeletePolicyVersion",
        "SetDefaultPolicyVersion",
        "TagPolicy",
    ):
        assert not allows(opened, f"iam:{action}", BOUNDARY)


def test_further_policies_of_a_long_grant_may_be_looked_up_and_not_changed():
    opened = permissions(AdoptArns=f"{POLICY},{GROUP}")
    for action in ("GetPolicy", "GetPolicyVersion", "ListPolicyVersions", "ListEntitiesForPolicy"):
        assert allows(opened, f"iam:{action}", f"{POLICY}-2")
        assert not allows(permissions(), f"iam:{action}", f"{POLICY}-2")
        # Whether it is the first or the last of the list.
        for named in (f"{POLICY},{GROUP}", f"{GROUP},{POLICY}"):
            assert not allows(permissions(AdoptArns=named), f"iam:{action}", f"{POLICY}x")
    for action in ("CreatePolicy", "CreatePolicyVersion", "DeletePolicy", "TagPolicy"):
        assert not allows(opened, f"iam:{action}", f"{POLICY}-2")


def test_every_action_that_is_opened_has_its_test():
    plain, adopting = permissions()["Statement"], permissions(AdoptArns=ARNS)["Statement"]
    opened = [statement for statement in adopting if statement not in plain and statement["Effect"] == "Allow"]
    named = {action for statement in opened for action in as_list(statement["Action"])}
    tested = {f"iam:{call}" for calls in CALLS.values() for call in calls}
    assert named == tested | {"iam:AttachRolePolicy", "iam:DetachRolePolicy"}


@SIDES
def test_the_provisioner_and_both_halves_are_told(given):
    for arns, told in (("", None), (ARNS, "Adopt")):
        stack = Stack(**given, AdoptArns=arns)
        assert stack.properties("ProvisionerFunction")["Environment"]["Variables"]["ADOPT_ARNS"] == arns
        halves = [stack.resources[name] for name in ("ExternalRole", "ExternalGroup") if name in stack.resources]
        assert len(halves) == (2 if given is BOTH else 1)
        assert {made["Properties"].get("OnExisting") for made in halves} == {told}


@pytest.mark.parametrize("given", [PARENT, CHILD], ids=["Parent", "Child"])
def test_without_named_arns_the_role_has_its_log_policy_alone(given):
    assert [p["PolicyName"] for p in Stack(**given).properties("ProvisionerRole")["Policies"]] == ["WriteOwnLogs"]
    adopting = Stack(**given, AdoptArns=ARNS).properties("ProvisionerRole")["Policies"]
    assert [p["PolicyName"] for p in adopting] == ["WriteOwnLogs", "KeepWhatIsAdopted"]


def size(document: dict) -> int:
    return len(json.dumps(document, separators=(",", ":")))


def test_ten_long_arns_fit_into_what_iam_takes():
    arns = ",".join(f"{POLICY}OfATeam{n:02}" for n in range(10))
    stack = Stack(**PARENT, AdoptArns=arns)
    inline = sum(size(policy["PolicyDocument"]) for policy in stack.properties("ProvisionerRole")["Policies"])
    assert inline < 10_240
    assert size(stack.properties("ProvisionerFence")["PolicyDocument"]) < 6_144
    groups = ",".join(f"{GROUP}OfATeam{n:02}" for n in range(10))
    rights = Stack(**CHILD, AdoptArns=f"{arns},{groups}").properties("ProvisionerGroupRights")["PolicyDocument"]
    assert size(rights) < 6_144
