"""The fence, the boundary and the invoker's rights, over every action that AWS has (S07, S09-S11).

No emulator has a part in this: the statements of template.yaml are read by a small evaluator of our own
(tests/template/iam.py), and the actions, their resource types and condition keys come from AWS's Service Authorization
Reference. An action that a later edit opens, on purpose or by a wildcard, is one that these tables do not have.
"""

import fnmatch
from collections.abc import Iterable

import pytest

from tests.security.actions import Statement, iam_actions, named, reference
from tests.template.expansion import PSEUDO, Stack
from tests.template.iam import allows, as_list, denies, rights_of, session_may
from tests.template.sides import BOTH, CHILD, PARENT_ROLE, SEVERAL, SIDES

ACCOUNT = PSEUDO["AWS::AccountId"]
BOUNDARY, FENCE = "<Boundary>", f"arn:aws:iam::{ACCOUNT}:policy/stack-ProvisionerFence-1"
PATH = "/sagemaker-external/"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
LOGS = {"logs:createlogstream", "logs:putlogevents"}


def iam(kind: str, path: str = "/", account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:{kind}{path}x"


ROLE, POLICY, GROUP = (iam(kind, PATH) for kind in ("role", "policy", "group"))
NAMED = [f"arn:aws:iam::{ACCOUNT}:{kind}/Named" for kind in ("role", "policy", "group")]
# Whatever an IAM action could be aimed at: inside the path, named for adoption, and elsewhere.
KINDS = ("role", "policy", "group", "user", "instance-profile", "server-certificate", "mfa", "saml-provider")
ELSEWHERE = [
    "*",
    BOUNDARY,
    FENCE,
    ADMINISTRATOR,
    f"arn:aws:iam::{ACCOUNT}:role/stack-ProvisionerRole-1",
    f"arn:aws:iam::{ACCOUNT}:oidc-provider/x",
    *(iam(kind) for kind in KINDS),
    *(iam(kind, "/sagemaker-externals/") for kind in KINDS),
    *(iam(kind, f"/x{PATH}") for kind in KINDS),
    *(iam(kind, PATH, "999988887777") for kind in KINDS),
    *(iam(kind, PATH) for kind in KINDS if kind not in ("role", "policy", "group")),
]

# What the provisioner may do in IAM, and on what. Look-ups first, which are account-wide for roles and groups.
LOOK_UPS = {
    "role": {"iam:getrole"},
    "group": {"iam:getgroup", "iam:getgrouppolicy", "iam:listattachedgrouppolicies", "iam:listgrouppolicies"},
}
READS = {
    ROLE: {"iam:listattachedrolepolicies", "iam:listinstanceprofilesforrole", "iam:listrolepolicies"},
    POLICY: {"iam:getpolicy", "iam:getpolicyversion", "iam:listentitiesforpolicy", "iam:listpolicyversions"},
    GROUP: set(),
}
WRITES = {
    ROLE: {
        "iam:attachrolepolicy",
        "iam:createrole",
        "iam:deleterole",
        "iam:deleterolepolicy",
        "iam:detachrolepolicy",
        "iam:putrolepermissionsboundary",
        "iam:tagrole",
        "iam:untagrole",
        "iam:updateassumerolepolicy",
        "iam:updaterole",
    },
    POLICY: {
        "iam:createpolicy",
        "iam:createpolicyversion",
        "iam:deletepolicy",
        "iam:deletepolicyversion",
        "iam:setdefaultpolicyversion",
        "iam:tagpolicy",
        "iam:untagpolicy",
    },
    GROUP: {
        "iam:addusertogroup",
        "iam:creategroup",
        "iam:deletegroup",
        "iam:deletegrouppolicy",
        "iam:putgrouppolicy",
        "iam:removeuserfromgroup",
    },
}
# The writes that a condition binds, and each context in which they must be refused.
WITHIN = {"PermissionsBoundary": BOUNDARY, "PolicyARN": POLICY}
BOUND = {
    "iam:createrole": [{}, {"PermissionsBoundary": POLICY}, {"PermissionsBoundary": ADMINISTRATOR}],
    "iam:putrolepermissionsboundary": [{}, {"PermissionsBoundary": POLICY}, {"PermissionsBoundary": ADMINISTRATOR}],
    "iam:attachrolepolicy": [
        {"PolicyARN": POLICY},
        {"PermissionsBoundary": BOUNDARY},
        {"PolicyARN": POLICY, "PermissionsBoundary": POLICY},
        {"PolicyARN": ADMINISTRATOR, "PermissionsBoundary": BOUNDARY},
        {"PolicyARN": iam("policy"), "PermissionsBoundary": BOUNDARY},
        {"PolicyARN": BOUNDARY, "PermissionsBoundary": BOUNDARY},
        {"PolicyARN": iam("policy", PATH, "999988887777"), "PermissionsBoundary": BOUNDARY},
    ],
    "iam:detachrolepolicy": [{}, {"PolicyARN": ADMINISTRATOR}, {"PolicyARN": iam("policy")}],
}


def provisioner(given: dict[str, str], **more: str) -> list[Statement]:
    """All that the provisioner may do, in IAM and elsewhere."""
    return rights_of(Stack(**{**given, **more}), "ProvisionerRole")["Statement"]


def allowed(statements: list[Statement], resource: str, **context: str) -> set[str]:
    """Which of all IAM actions are allowed on this resource."""
    return {action for action in iam_actions() if allows({"Statement": statements}, action, resource, **context)}


def look_ups(resource: str, kinds: Iterable[str] = LOOK_UPS) -> set[str]:
    """By an ARN of this account alone, of the kinds that this provisioner keeps."""
    for kind in kinds:
        if resource.startswith(f"arn:aws:iam::{ACCOUNT}:{kind}/"):
            return LOOK_UPS[kind]
    return set()


@SIDES
@pytest.mark.parametrize("more", [{}, {"AdoptArns": ",".join(NAMED)}], ids=["plain", "adopting"])
def test_s09_s10_s11_the_provisioner_may_do_this_in_iam_and_nothing_else(given, more):
    statements = provisioner(given, **more)
    groups = given["Side"] != "Parent"
    kinds = LOOK_UPS if groups else ["role"]
    for resource in (ROLE, POLICY, GROUP):
        expected = look_ups(resource, kinds) | READS[resource] | WRITES[resource]
        if resource == GROUP and not groups:
            expected = set()
        assert allowed(statements, resource, **WITHIN) == expected, resource
    for resource in ELSEWHERE:
        assert allowed(statements, resource, **WITHIN) == look_ups(resource, kinds), resource


@SIDES
def test_s09_each_bound_write_is_refused_in_every_other_context(given):
    statements = provisioner(given)
    for action, contexts in BOUND.items():
        assert allows({"Statement": statements}, action, ROLE, **WITHIN), action
        for context in contexts:
            assert not allows({"Statement": statements}, action, ROLE, **context), (action, context)
    unbound = {s["Sid"]: s for s in statements if s["Effect"] == "Allow" and "Condition" not in s and "Sid" in s}
    assert not named(unbound.values()) & BOUND.keys()


@SIDES
@pytest.mark.parametrize("more", [{}, {"AdoptArns": ",".join(NAMED)}], ids=["plain", "adopting"])
def test_s09_outside_iam_the_provisioner_may_write_its_log(given, more):
    """Over the actions of all services; so no iam:PassRole, no sts:AssumeRole, no lambda:, no user."""
    statements = provisioner(given, **more)
    opened = named(statements)
    assert {action for action in opened if not action.startswith("iam:")} == LOGS
    assert not opened & {"iam:passrole", "iam:putrolepolicy", "iam:attachgrouppolicy", "iam:updategroup"}
    assert not {action for action in opened if "user" in action} - WRITES[GROUP]
    for statement in statements:
        if named([statement]) & LOGS:
            assert statement["Resource"] == "<ProvisionerLogGroup.Arn>"
    assert not [s for s in statements if "NotAction" in s or (s["Effect"] == "Allow" and "NotResource" in s)]


# What naming a role, a policy and a group opens on each besides the account-wide look-ups: no CreateRole, no
# CreateGroup, no PutRolePolicy. CreatePolicy is for a policy that is named and not there.
OPENED = {
    NAMED[0]: READS[ROLE] | (WRITES[ROLE] - {"iam:createrole"}) | {"iam:deleterolepermissionsboundary"},
    NAMED[1]: READS[POLICY] | WRITES[POLICY],
    NAMED[2]: READS[GROUP] | (WRITES[GROUP] - {"iam:creategroup"}),
}
# By resource the statement Keep is one list for all three kinds; what an action is about, its resource type decides.
ABOUT = {NAMED[0]: "role", NAMED[1]: "policy", NAMED[2]: "group"}


@pytest.mark.parametrize("arn", NAMED)
def test_s09_naming_an_arn_for_adoption_opens_this_and_nothing_else(arn):
    statements = provisioner(BOTH, AdoptArns=",".join(NAMED))
    context = {"PermissionsBoundary": BOUNDARY, "PolicyARN": NAMED[1]}
    fitting = {action for action in iam_actions() if ABOUT[arn] in reference()[action]["resource_types"]}
    assert allowed(statements, arn, **context) & fitting == OPENED[arn] | look_ups(arn)
    # The same statements without the name.
    alone = [other for other in NAMED if other != arn]
    for more in ({}, {"AdoptArns": ",".join(alone)}):
        assert allowed(provisioner(BOTH, **more), arn, **context) == look_ups(arn)
    near = f"{arn}x"
    assert allowed(statements, near, **context) == look_ups(near)
    # Reading what a long grant would be split into.
    further = READS[POLICY] if arn == NAMED[1] else set()
    assert (allowed(statements, f"{arn}-2", **context) & fitting) - look_ups(arn) == further


def test_s09_every_statement_uses_resource_types_and_condition_keys_that_its_actions_know():
    """A condition key that an action does not have would never match, and a Deny with it would deny nothing."""
    for statement in provisioner(BOTH):
        keys = {key for operator in statement.get("Condition", {}).values() for key in operator}
        for action in as_list(statement["Action"]):
            types = reference()[action.lower()]["resource_types"]
            known = {key for kind in types.values() for key in kind["condition_keys"]}
            assert keys <= known, (action, keys - known)
            for resource in as_list(statement.get("Resource", [])):
                kind = {BOUNDARY: "policy", "*": "*", "<ProvisionerLogGroup.Arn>": "log-group"}.get(resource)
                kind = kind or resource.split(":")[5].split("/")[0]
                # CreateLogStream and PutLogEvents are authorised against the group or its streams.
                assert kind == "*" or kind in types or kind == "log-group", (action, resource)


# ---- The boundary -----------------------------------------------------------------------------------

OPERATIONS = {
    "sagemaker:invokeendpoint",
    "sagemaker:invokeendpointasync",
    "sagemaker:invokeendpointwithresponsestream",
}
ENDPOINTS = [f"arn:aws:sagemaker:{region}:{ACCOUNT}:endpoint/any" for region in ("us-east-1", "eu-west-1")]
COMPONENTS = [arn.replace("endpoint/", "inference-component/") for arn in ENDPOINTS]


@SIDES
def test_s07_of_all_actions_the_boundary_admits_the_three_operations(given):
    """Whatever the policies below it allow: a right must stand in both, so no right is left but these."""
    boundary = Stack(**given).properties("Boundary")["PolicyDocument"]
    assert len(reference()) > 20_000, "all services are there"
    assert named(s for s in boundary["Statement"] if s["Effect"] == "Allow") == OPERATIONS
    refused = {action for action in reference() if denies(boundary, action, "*")}
    assert refused == reference().keys() - OPERATIONS, "and all others are denied aloud"
    for action in OPERATIONS:
        assert all(allows(boundary, action, arn) for arn in [*ENDPOINTS, *COMPONENTS])
        others = [
            "*",
            *(arn.replace(ACCOUNT, "999988887777") for arn in ENDPOINTS),
            *(arn.replace("endpoint/", "endpoint-config/") for arn in ENDPOINTS),
            *(arn.replace("endpoint/", "model/") for arn in ENDPOINTS),
            *(arn.replace("arn:aws:", "arn:aws-cn:") for arn in ENDPOINTS),
        ]
        assert not [arn for arn in others if allows(boundary, action, arn)]


# A bucket, queue or key policy in the account of the role, as its owner may have written it.
ROLE_SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/x/session"
BUCKET = "arn:aws:s3:::records/x"
GIVING = {
    "the session's ARN": {"Principal": {"AWS": ROLE_SESSION}},
    "anybody who is the role": {
        "Principal": {"AWS": "*"},
        "Condition": {"ArnEquals": {"aws:PrincipalArn": ROLE}},
    },
    "the role's ARN": {"Principal": {"AWS": ROLE}},
}


@pytest.mark.parametrize("giving", GIVING)
def test_s07_no_resource_policy_gives_more_than_the_boundary_admits(giving):
    """By AWS's evaluation logic the first two pass a boundary that merely does not allow: only its Deny stops them."""
    boundary = Stack(**BOTH).properties("Boundary")["PolicyDocument"]
    merely_allowing = {"Statement": [s for s in boundary["Statement"] if s["Effect"] == "Allow"]}
    policy = {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": BUCKET, **GIVING[giving]}]}
    asked = {
        "role": ROLE,
        "session": ROLE_SESSION,
        "identity": {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]},
        "resource_policy": policy,
    }
    assert not session_may("s3:GetObject", BUCKET, boundary=boundary, **asked)
    assert session_may("s3:GetObject", BUCKET, boundary=merely_allowing, **asked) == (giving != "the role's ARN")
    # What the role is for is not denied with the rest.
    for action in OPERATIONS:
        assert session_may(action, ENDPOINTS[0], boundary=boundary, **asked), action


# ---- The invoker ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "roles"),
    [(CHILD, [PARENT_ROLE]), (SEVERAL, ["<ExternalGrants.RoleArns>"]), (BOTH, ["<ExternalRole>"])],
    ids=["one", "several", "both"],
)
def test_s01_the_invoker_may_assume_the_granted_roles_and_nothing_else(given, roles):
    stack = Stack(**given)
    [inline] = stack.properties("InvokerRole")["Policies"]
    grants = stack.properties("InvokerGrants")["PolicyDocument"]["Statement"]
    statements = [*grants, *inline["PolicyDocument"]["Statement"]]
    assume = {"sts:assumerole", "sts:setsourceidentity", "sts:tagsession"}
    assert named(statements) == assume | LOGS
    attached = [p for p in stack.of_type("AWS::IAM::Policy").values() if "<InvokerRole>" in p["Roles"]]
    assert len(attached) == 1 and "ManagedPolicyArns" not in stack.properties("InvokerRole")
    for action in assume:
        assert all(allows({"Statement": statements}, action, role) for role in roles)
        for other in ("*", f"{roles[0]}x", PARENT_ROLE.replace("1111", "9999"), iam("role"), iam("role", PATH)):
            assert not allows({"Statement": statements}, action, other), other
    assert not fnmatch.filter(roles, "*[*]*")
