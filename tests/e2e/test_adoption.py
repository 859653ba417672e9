"""`AdoptArns`: the recipe as somebody made it by hand is taken over, used, and given back exactly as it was."""

import json

import pytest

from tests import deploy, people
from tests.cloud.client import Caller, Cloud
from tests.cloud.endpoints import REGION, Endpoint
from tests.deploy import DeployFailed, Stack
from tests.e2e.world import PATH, refused
from tests.holdings import holdings

PARENT, CHILD = "151515151515", "161616161616"
ROLE = f"arn:aws:iam::{PARENT}:role/SageMakerExternal"
POLICY = f"arn:aws:iam::{PARENT}:policy/SageMakerExternalInvokeEndpoint"
GROUP = f"arn:aws:iam::{CHILD}:group/SagemakerTester"
# Adopted by other stacks through the parent's provisioner.
LEGACY = f"arn:aws:iam::{PARENT}:role/Legacy"
LEGACY_POLICY = f"arn:aws:iam::{PARENT}:policy/LegacyInvoke"
WITHOUT_BOUNDARY = f"arn:aws:iam::{PARENT}:role{PATH}Legacy"
CEILING = f"arn:aws:iam::{PARENT}:policy/Ceiling"
NAMED = [ROLE, POLICY, LEGACY, LEGACY_POLICY, WITHOUT_BOUNDARY]
ENDPOINTS = f"arn:aws:sagemaker:*:{PARENT}:endpoint"


def document(*statements: people.Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


# The console's "Another AWS account" trust: without an ExternalId.
TRUST = document(
    {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{CHILD}:root"}, "Action": "sts:AssumeRole", "Condition": {}}
)


@pytest.fixture(scope="module")
def alice(cloud: Cloud) -> Caller:
    """A user of the child's account, in the group that was made by hand."""
    for name in ("iris", "echo"):
        cloud.put_endpoint(Endpoint(PARENT, REGION, name, "echo"))
    admin = cloud.admin(CHILD).client("iam")
    alice = people.user(cloud, CHILD, "alice")
    people.user(cloud, CHILD, "bob")
    admin.create_group(GroupName="SagemakerTester")
    admin.put_group_policy(
        GroupName="SagemakerTester",
        PolicyName="AssumeSageMakerExternal",
        PolicyDocument=document(people.allow("sts:AssumeRole", ROLE)),
    )
    admin.add_user_to_group(GroupName="SagemakerTester", UserName="alice")
    by_hand(cloud, "SageMakerExternal", "SageMakerExternalInvokeEndpoint", Tags=[{"Key": "team", "Value": "ml"}])
    return alice


def by_hand(cloud: Cloud, name: str, policy: str | None, **of_the_role: object) -> None:
    """The parent's half as the recipe has it, for the endpoint echo; the policy in its second version."""
    admin = cloud.admin(PARENT).client("iam")
    admin.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST, MaxSessionDuration=7200, **of_the_role)
    if policy:
        first = document(people.allow("sagemaker:InvokeEndpoint", f"{ENDPOINTS}/*"))
        arn = admin.create_policy(PolicyName=policy, PolicyDocument=first)["Policy"]["Arn"]
        second = document(people.allow("sagemaker:InvokeEndpoint", f"{ENDPOINTS}/echo"))
        admin.create_policy_version(PolicyArn=arn, PolicyDocument=second, SetAsDefault=True)
        admin.attach_role_policy(RoleName=name, PolicyArn=arn)


def clear_away(cloud: Cloud, name: str, policy: str | None) -> None:
    admin = cloud.admin(PARENT).client("iam")
    if policy:
        admin.detach_role_policy(RoleName=name, PolicyArn=policy)
        admin.delete_policy_version(PolicyArn=policy, VersionId="v1")
        admin.delete_policy(PolicyArn=policy)
    admin.delete_role(RoleName=name)


def parent(cloud: Cloud, **given: object) -> Stack:
    overrides = {"EndpointNames": ["iris"], "TrustedAccountIds": [CHILD], **given}
    return deploy.deploy(cloud, PARENT, "parent", overrides, "parent")


def child(cloud: Cloud, **given: object) -> Stack:
    overrides = {"EndpointNames": ["iris"], "RoleArn": ROLE, "UserNames": ["alice", "bob"], **given}
    return deploy.deploy(cloud, CHILD, "child", overrides, "child")


@pytest.fixture(autouse=True)
def gives_back(cloud: Cloud, alice: Caller):
    before = holdings(cloud, PARENT), holdings(cloud, CHILD)
    yield
    for account, name in ((PARENT, "other"), (CHILD, "child"), (PARENT, "parent")):
        if deploy.status(cloud, account, name):
            deploy.delete(cloud, account, name)
    assert (holdings(cloud, PARENT), holdings(cloud, CHILD)) == before


def invoke(caller: Caller, endpoint: str) -> bytes:
    session = caller.assume(ROLE, ExternalId=PARENT, RoleSessionName="recipe")
    return session.client("sagemaker-runtime").invoke_endpoint(EndpointName=endpoint, Body=b"x")["Body"].read()


def test_the_recipe_made_by_hand_is_taken_over_serves_and_is_given_back(cloud: Cloud, alice: Caller):
    found = holdings(cloud, PARENT)
    up, down = parent(cloud, AdoptArns=NAMED), child(cloud, AdoptArns=[GROUP])
    assert (up.outputs["RoleArn"], up.outputs["PolicyArns"]) == (ROLE, POLICY)
    assert down.outputs["GroupArn"] == GROUP

    now = holdings(cloud, PARENT)
    role = now[ROLE]
    assert role["boundary"] == up.physical_id("Boundary")
    assert role["trust"]["Statement"][0]["Condition"] == {"StringEquals": {"sts:ExternalId": PARENT}}
    assert (role["id"], role["tags"]["team"], role["attached"]) == (found[ROLE]["id"], "ml", [POLICY])
    members = holdings(cloud, CHILD)[GROUP]["users"]
    assert members == ["alice", "bob"]

    assert invoke(alice, "iris") == b"x"
    api = alice.api(down.outputs["ApiUrl"])
    assert api.invoke_endpoint(EndpointName="iris", Body=b"x")["Body"].read() == b"x"
    with refused(403, "AccessDeniedException"):
        invoke(alice, "echo")
    with refused(403, "AccessDenied"):
        alice.assume(ROLE, RoleSessionName="as-before-without-an-external-id")

    # An update of what is adopted; the teardown of this test is the giving back.
    parent(cloud, AdoptArns=NAMED, EndpointNames=["iris", "echo"])
    assert invoke(alice, "echo") == b"x"
    child(cloud, AdoptArns=[GROUP], UserNames=["bob"])
    assert holdings(cloud, CHILD)[GROUP]["users"] == members, "whoever was found in the group stays"


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ([], "was not made by this resource"),
        ([POLICY], f"{ROLE} exists already; name it in AdoptArns"),
        ([ROLE], f"{POLICY} lies outside {PATH}; name it in AdoptArns"),
    ],
    ids=["none", "not-the-role", "not-the-policy"],
)
def test_what_is_not_named_is_not_touched(cloud: Cloud, named: list[str], says: str):
    before = holdings(cloud, PARENT)
    with pytest.raises(DeployFailed, match="ROLLBACK_COMPLETE") as failed:
        parent(cloud, AdoptArns=named)
    assert says in str(failed.value)
    assert holdings(cloud, PARENT) == before


@pytest.mark.parametrize("named", [[], [GROUP.replace("Tester", "Testers")]], ids=["none", "another"])
def test_a_group_that_is_not_named_is_not_touched(cloud: Cloud, named: list[str]):
    before = holdings(cloud, CHILD)
    with pytest.raises(DeployFailed, match="ROLLBACK_COMPLETE") as failed:
        child(cloud, AdoptArns=named)
    assert ("name it in AdoptArns" if named else "was not made by this resource") in str(failed.value)
    assert holdings(cloud, CHILD) == before


def test_what_is_adopted_stays_named(cloud: Cloud, alice: Caller):
    """Taking the ARNs out of the parameter would take away the permission to give them back."""
    parent(cloud, AdoptArns=NAMED)
    before = holdings(cloud, PARENT)
    with pytest.raises(DeployFailed, match="UPDATE_ROLLBACK_COMPLETE"):
        parent(cloud, AdoptArns=[])
    after = holdings(cloud, PARENT)
    assert (after[ROLE], after[POLICY]) == (before[ROLE], before[POLICY])
    assert invoke(alice, "iris") == b"x"


def test_a_failing_create_gives_back_in_its_rollback(cloud: Cloud):
    """The group has taken over its policy when a user turns out to be missing."""
    before = holdings(cloud, CHILD)
    with cloud.recording() as seen, pytest.raises(DeployFailed, match="ROLLBACK_COMPLETE"):
        child(cloud, AdoptArns=[GROUP], UserNames=["bob", "no-such-user"])
    assert seen.of("iam", "PutGroupPolicy")[0]["status"] == 200, "it was half-way"
    assert holdings(cloud, CHILD) == before


# ---- By other stacks, through the exported ProvisionerArn ------------------------------------------


def other(cloud: Cloud, **properties: object) -> Stack:
    """A stack of somebody else's with the one resource Ours."""
    ours = {
        "Type": "Custom::SageMakerExternalRole",
        "Properties": {
            "ServiceToken": {"Fn::ImportValue": "parent-ProvisionerArn"},
            "EndpointNames": ["iris"],
            "TrustedAccountIds": [CHILD],
            "RoleName": "Legacy",
            "PolicyName": "LegacyInvoke",
            "OnExisting": "Adopt",
            **properties,
        },
    }
    outputs = {name: {"Value": {"Fn::GetAtt": ["Ours", name]}} for name in ("RoleArn", "PolicyArns", "Plan")}
    template = json.dumps({"Resources": {"Ours": ours}, "Outputs": outputs})
    return deploy.deploy_template(cloud, PARENT, "other", template)


def test_what_changes_is_in_the_log_before_it_is_changed(cloud: Cloud):
    function = parent(cloud, AdoptArns=NAMED).physical_id("ProvisionerFunction")
    by_hand(cloud, "Legacy", "LegacyInvoke")
    try:
        printed = len(cloud.logs(PARENT, function))
        other(cloud)
        lines = [json.loads(line) for line in cloud.logs(PARENT, function)[printed:].splitlines() if line[0] == "{"]
        said = [(line["message"], line["step"]) for line in lines if "step" in line]
        steps = [step for message, step in said if message == "planned"]
        assert said == [("planned", step) for step in steps] + [("applied", step) for step in steps]
        assert steps[:4] == [
            "TagRole Legacy to adopt it",
            f"TagPolicy {LEGACY_POLICY}",
            "UpdateRole Legacy",
            "PutRolePermissionsBoundary Legacy",
        ]
        assert "UpdateAssumeRolePolicy Legacy" in steps
        deploy.delete(cloud, PARENT, "other")
    finally:
        clear_away(cloud, "Legacy", LEGACY_POLICY)


@pytest.mark.parametrize("kind", ["by-the-recipe", "in-our-path-without-boundary", "another-boundary", "no-policy"])
def test_roles_of_all_kinds_are_given_back(cloud: Cloud, kind: str):
    stack = parent(cloud, AdoptArns=NAMED)
    policy = None if kind in ("in-our-path-without-boundary", "no-policy") else "LegacyInvoke"
    about = {"Path": PATH} if kind == "in-our-path-without-boundary" else {}
    if kind == "another-boundary":
        ceiling = document(people.allow("sagemaker:*"))
        cloud.admin(PARENT).client("iam").create_policy(PolicyName="Ceiling", PolicyDocument=ceiling)
        about = {"PermissionsBoundary": CEILING}
    by_hand(cloud, "Legacy", policy, **about)
    try:
        before = holdings(cloud, PARENT)
        arn = other(cloud).outputs["RoleArn"]
        assert arn == (WITHOUT_BOUNDARY if kind == "in-our-path-without-boundary" else LEGACY)
        assert holdings(cloud, PARENT)[arn]["boundary"] == stack.physical_id("Boundary")
        deploy.delete(cloud, PARENT, "other")
        assert holdings(cloud, PARENT) == before
    finally:
        clear_away(cloud, "Legacy", policy and LEGACY_POLICY)
        if kind == "another-boundary":
            cloud.admin(PARENT).client("iam").delete_policy(PolicyArn=CEILING)


def test_what_is_adopted_is_updated_in_place_without_being_told_to_adopt_again(cloud: Cloud):
    parent(cloud, AdoptArns=NAMED)
    by_hand(cloud, "Legacy", "LegacyInvoke")
    try:
        before = holdings(cloud, PARENT)
        first = other(cloud)
        assert other(cloud, OnExisting="Fail", EndpointNames=["iris", "echo"]).outputs == first.outputs
        deploy.delete(cloud, PARENT, "other")
        assert holdings(cloud, PARENT) == before
    finally:
        clear_away(cloud, "Legacy", LEGACY_POLICY)


def test_on_delete_remove_removes_what_was_adopted(cloud: Cloud):
    parent(cloud, AdoptArns=NAMED)
    before = holdings(cloud, PARENT)
    by_hand(cloud, "Legacy", "LegacyInvoke")
    other(cloud, OnDelete="Remove")
    deploy.delete(cloud, PARENT, "other")
    assert holdings(cloud, PARENT) == before


def test_a_dry_run_of_an_adoption_plans_and_writes_nothing(cloud: Cloud):
    parent(cloud, AdoptArns=NAMED)
    by_hand(cloud, "Legacy", "LegacyInvoke")
    before = holdings(cloud, PARENT)
    try:
        with cloud.recording() as seen:
            planned = other(cloud, DryRun="true")
        assert planned.outputs == {
            "RoleArn": LEGACY,
            "PolicyArns": LEGACY_POLICY,
            "Plan": "create 0, change 7, remove 1",
        }
        functions = [call["action"] for call in seen.of("iam") if ":assumed-role/" in call["caller"]]
        assert functions and all(action.startswith(("Get", "List")) for action in functions), functions
        assert holdings(cloud, PARENT) == before
        # In earnest, and given back with the stack.
        assert other(cloud).outputs["Plan"] == "carried out"
        deploy.delete(cloud, PARENT, "other")
        assert holdings(cloud, PARENT) == before
    finally:
        clear_away(cloud, "Legacy", LEGACY_POLICY)
