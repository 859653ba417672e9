"""Least privilege: the boundary, the provisioner's fence, the invoker's grants, the logs (cases S07, S09-S11, S24)."""

import json
from pathlib import Path

import pytest

from tests.template.expansion import PSEUDO, ROOT, Stack, expanded
from tests.template.iam import allows, as_list, rights_of
from tests.template.sides import BOTH, CHILD, PARENT, PARENT_ROLE, SEVERAL, SIDES

ACCOUNT = PSEUDO["AWS::AccountId"]
BOUNDARY = "<Boundary>"
LOG = "<ProvisionerLogGroup.Arn>"
OURS = f"arn:aws:iam::{ACCOUNT}:%s/sagemaker-external/x"
ROLE, POLICY, GROUP = OURS % "role", OURS % "policy", OURS % "group"


def fence(**given: str) -> dict:
    """All that a provisioner may do in IAM, by default one that keeps a group as well."""
    rights = rights_of(Stack(**{**BOTH, **given}), "ProvisionerRole")
    return {"Statement": [s for s in rights["Statement"] if s["Resource" if "Resource" in s else "NotResource"] != LOG]}


@SIDES
def test_s07_boundary_holds_the_three_operations_on_this_account_and_no_more(given):
    assert Stack(**given).properties("Boundary")["PolicyDocument"]["Statement"] == [
        {
            "Sid": "InvokeEndpoints",
            "Effect": "Allow",
            "Action": [
                "sagemaker:InvokeEndpoint",
                "sagemaker:InvokeEndpointWithResponseStream",
                "sagemaker:InvokeEndpointAsync",
            ],
            "Resource": [
                f"arn:aws:sagemaker:*:{ACCOUNT}:endpoint/*",
                f"arn:aws:sagemaker:*:{ACCOUNT}:inference-component/*",
            ],
        },
        # Without it, a resource policy of the account could give a session of the role what the boundary leaves out.
        {
            "Sid": "DenyEverythingElse",
            "Effect": "Deny",
            "NotAction": [
                "sagemaker:InvokeEndpoint",
                "sagemaker:InvokeEndpointWithResponseStream",
                "sagemaker:InvokeEndpointAsync",
            ],
            "Resource": "*",
        },
    ]
    # A changed description would replace the policy, and every role under it would have to change its boundary.
    assert Stack(**given).properties("Boundary")["Description"] == (
        "The most that a role made by the SageMaker external provisioner can do"
    )


def test_s09_boundary_and_fence_lie_where_the_provisioner_cannot_reach():
    for policy in Stack(**BOTH).of_type("AWS::IAM::ManagedPolicy").values():
        assert policy["Path"] == "/"
    for policy in (f"arn:aws:iam::{ACCOUNT}:policy/stack-ProvisionerFence-1", BOUNDARY):
        for action in ("CreatePolicyVersion", "DeletePolicy", "DeletePolicyVersion", "SetDefaultPolicyVersion"):
            assert not allows(fence(), f"iam:{action}", policy)


def test_s09_fence_denies_changing_the_boundary_whatever_is_allowed_later():
    opened = {"Statement": [*fence()["Statement"], {"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    for action in (
        "CreatePolicyVersion",
        "DeletePolicy",
        "DeletePolicyVersion",
        "SetDefaultPolicyVersion",
        "TagPolicy",
        "UntagPolicy",
    ):
        assert not allows(opened, f"iam:{action}", BOUNDARY)
    assert not allows(opened, "iam:DeleteRolePermissionsBoundary", ROLE)
    assert allows(opened, "iam:CreateUser", "x"), "the added statement must matter"


@pytest.mark.parametrize("action", ["CreateRole", "PutRolePermissionsBoundary"])
def test_s09_roles_are_made_below_the_path_and_with_the_boundary_only(action):
    assert allows(fence(), f"iam:{action}", ROLE, PermissionsBoundary=BOUNDARY)
    assert not allows(fence(), f"iam:{action}", ROLE)
    assert not allows(fence(), f"iam:{action}", ROLE, PermissionsBoundary="arn:aws:iam::aws:policy/AdministratorAccess")
    for outside in ("role/x", "role/sagemaker-externals/x", "role/other/sagemaker-external/x"):
        assert not allows(fence(), f"iam:{action}", f"arn:aws:iam::{ACCOUNT}:{outside}", PermissionsBoundary=BOUNDARY)


def test_s09_only_own_policies_are_attached_and_only_to_bounded_roles():
    attach = "iam:AttachRolePolicy"
    assert allows(fence(), attach, ROLE, PolicyARN=POLICY, PermissionsBoundary=BOUNDARY)
    assert not allows(fence(), attach, ROLE, PolicyARN=POLICY)
    for foreign in (
        "arn:aws:iam::aws:policy/AdministratorAccess",
        f"arn:aws:iam::{ACCOUNT}:policy/x",
        "arn:aws:iam::999988887777:policy/sagemaker-external/x",
    ):
        assert not allows(fence(), attach, ROLE, PolicyARN=foreign, PermissionsBoundary=BOUNDARY)
        assert not allows(fence(), "iam:DetachRolePolicy", ROLE, PolicyARN=foreign)
    # Taking off needs no boundary: a role that lost it must still be deletable.
    assert allows(fence(), "iam:DetachRolePolicy", ROLE, PolicyARN=POLICY)


# What the provisioner calls, without the calls that have tests of their own above.
CALLS = {
    ROLE: [
        "GetRole",
        "UpdateRole",
        "UpdateAssumeRolePolicy",
        "TagRole",
        "UntagRole",
        "DeleteRole",
        "DeleteRolePolicy",
        "ListAttachedRolePolicies",
        "ListRolePolicies",
        "ListInstanceProfilesForRole",
    ],
    POLICY: [
        "CreatePolicy",
        "GetPolicy",
        "GetPolicyVersion",
        "ListPolicyVersions",
        "CreatePolicyVersion",
        "SetDefaultPolicyVersion",
        "DeletePolicyVersion",
        "DeletePolicy",
        "TagPolicy",
        "UntagPolicy",
        "ListEntitiesForPolicy",
    ],
    GROUP: [
        "CreateGroup",
        "GetGroup",
        "DeleteGroup",
        "PutGroupPolicy",
        "GetGroupPolicy",
        "DeleteGroupPolicy",
        "ListGroupPolicies",
        "ListAttachedGroupPolicies",
        "AddUserToGroup",
        "RemoveUserFromGroup",
    ],
}
# Reads of a name that does not exist are authorised without a path: these must answer "not there".
LOOKUPS = {"GetRole", "GetGroup", "GetGroupPolicy", "ListGroupPolicies", "ListAttachedGroupPolicies"}


@pytest.mark.parametrize(("resource", "action"), [(arn, call) for arn, calls in CALLS.items() for call in calls])
def test_s10_s11_each_call_is_allowed_below_the_path_and_nowhere_else(resource, action):
    assert allows(fence(), f"iam:{action}", resource)
    elsewhere = resource.replace("/sagemaker-external/", "/")
    assert allows(fence(), f"iam:{action}", elsewhere) == (action in LOOKUPS)
    other_account = resource.replace(ACCOUNT, "999988887777")
    assert not allows(fence(), f"iam:{action}", other_account)


def test_s09_nothing_else_is_allowed():
    allowing = [statement for statement in fence()["Statement"] if statement["Effect"] == "Allow"]
    named = {action for statement in allowing for action in as_list(statement["Action"])}
    conditional = {"CreateRole", "PutRolePermissionsBoundary", "AttachRolePolicy", "DetachRolePolicy"}
    called = conditional.union(*CALLS.values())
    assert named == {f"iam:{action}" for action in called}


def test_s09_the_fence_follows_the_path():
    moved = fence(IamPath="/ml/grants/")
    assert allows(moved, "iam:DeleteRole", f"arn:aws:iam::{ACCOUNT}:role/ml/grants/x")
    assert not allows(moved, "iam:DeleteRole", ROLE)
    # A changed description is what makes CloudFormation replace the policy instead of moving it.
    for policy in ("ProvisionerFence", "ProvisionerGroupRights"):
        described = {Stack(**CHILD, IamPath=path).properties(policy)["Description"] for path in ("/a/", "/b/")}
        assert len(described) == 2, policy


@pytest.mark.parametrize(
    ("given", "roles"),
    [
        (CHILD, [PARENT_ROLE]),
        (SEVERAL, ["<ExternalGrants.RoleArns>"]),
        (BOTH, ["<ExternalRole>"]),
    ],
    ids=["one", "several", "both"],
)
@pytest.mark.parametrize("attribution", ["false", "true"])
def test_invoker_assumes_exactly_the_granted_roles(given, roles, attribution):
    """And may name the caller whatever the parameter says: a grant can ask for it on its own."""
    stack = Stack(**given, CallerAttribution=attribution)
    policy = stack.properties("InvokerGrants")
    assert policy["Roles"] == ["<InvokerRole>"]
    assert policy["PolicyDocument"]["Statement"] == [
        {
            "Sid": "AssumeExternalRoles",
            "Effect": "Allow",
            "Action": ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"],
            "Resource": roles,
        },
    ]
    assert stack.properties("ExternalGroup")["RoleArns"] == roles


@SIDES
def test_s24_log_groups_are_kept_for_a_time_and_written_by_their_own_function_only(given):
    stack = Stack(**given, LogRetentionDays="7")
    functions = stack.of_type("AWS::Lambda::Function")
    assert len(functions) == (1 if given is PARENT else 2)
    for name, function in functions.items():
        part = name.removesuffix("Function")
        assert function["LoggingConfig"]["LogGroup"] == f"<{part}LogGroup>"
        assert stack.properties(f"{part}LogGroup")["RetentionInDays"] == "7"
        assert stack.resources[f"{part}LogGroup"]["DeletionPolicy"] == "Delete"
        assert function["Role"] == f"<{part}Role.Arn>"
        role = stack.properties(f"{part}Role")
        assert "ManagedPolicyArns" not in role
        [policy] = role["Policies"]
        assert policy["PolicyDocument"]["Statement"] == [
            {
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": f"<{part}LogGroup.Arn>",
            }
        ]


@SIDES
def test_only_lambda_assumes_the_functions_roles(given):
    roles = Stack(**given).of_type("AWS::IAM::Role")
    assert roles.keys() == ({"ProvisionerRole"} if given is PARENT else {"ProvisionerRole", "InvokerRole"})
    for role in roles.values():
        assert role["AssumeRolePolicyDocument"]["Statement"] == [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ]


def test_capability_iam_is_enough():
    names = {"RoleName", "ManagedPolicyName", "GroupName", "UserName"}
    for name, resource in expanded()["Resources"].items():
        if resource["Type"].startswith("AWS::IAM::"):
            assert not names & resource["Properties"].keys(), name


def test_s13_the_test_only_switch_is_nowhere_in_what_is_deployed():
    assert "RESPONSE_URL_ORIGIN" not in json.dumps(expanded())
    for file in ("template.yaml", "samconfig.toml"):
        assert "RESPONSE_URL_ORIGIN" not in Path(ROOT, file).read_text()


@SIDES
def test_s13_environments_hold_what_is_said_and_nothing_else(given):
    environments = {
        name: function["Environment"]["Variables"]
        for name, function in Stack(**given).of_type("AWS::Lambda::Function").items()
    }
    # What each of the others holds: tests/template/test_authority.py.
    assert environments.pop("ProvisionerFunction").keys() == {
        "PERMISSIONS_BOUNDARY_ARN",
        "IAM_PATH",
        "ADOPT_ARNS",
        "OWN_STACK_ID",
        "GRANTABLE_ACCOUNT_IDS",
        "GRANTABLE_PRINCIPAL_ARNS",
        "ALLOW_ANY_ENDPOINT",
        "GROUPS_FOR_OTHER_STACKS",
        "OWN_GROUP",
        "OWN_GROUP_USER_NAMES",
        "OWN_GROUP_ROLE_ARNS",
    }
    assert [variables.keys() for variables in environments.values()] == (
        [] if given is PARENT else [{"GRANTS", "CREDENTIAL_REUSE_SECONDS", "CALLER_ATTRIBUTION"}]
    )
