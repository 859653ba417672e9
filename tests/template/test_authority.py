"""What whoever may create stacks and invoke the provisioner can reach through it: groups, trusts, any endpoint."""

import json

import pytest

from tests.security.actions import named
from tests.template.expansion import PSEUDO, Stack, expanded, source
from tests.template.iam import allows, rights_of
from tests.template.sides import BOTH, CHILD, PARENT, PARENT_ROLE, SEVERAL, TOPIC
from tests.template.test_template import needed

ACCOUNT = PSEUDO["AWS::AccountId"]
GROUP = f"arn:aws:iam::{ACCOUNT}:group/sagemaker-external/x"
NAMED = f"arn:aws:iam::{ACCOUNT}:group/SagemakerTester"
OTHERS = {"GroupsForOtherStacks": "true"}
NO_GROUP = {"CreateGroup": "false"}
LOOK_UPS = {"iam:getgroup", "iam:getgrouppolicy", "iam:listattachedgrouppolicies", "iam:listgrouppolicies"}
WRITES = {
    "iam:addusertogroup",
    "iam:creategroup",
    "iam:deletegroup",
    "iam:deletegrouppolicy",
    "iam:putgrouppolicy",
    "iam:removeuserfromgroup",
}


def rights(**given: str) -> dict:
    return rights_of(Stack(**given), "ProvisionerRole")


def about_groups(document: dict) -> set[str]:
    return {action for action in named(document["Statement"]) if "group" in action}


@pytest.mark.parametrize("adopts", ["", NAMED], ids=["plain", "adopting"])
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (CHILD, True),
        (SEVERAL, True),
        (BOTH, True),
        (PARENT, False),
        ({**CHILD, **NO_GROUP}, False),
        ({**BOTH, **NO_GROUP}, False),
        ({**PARENT, **NO_GROUP}, False),
        ({**PARENT, **OTHERS}, True),
        ({**CHILD, **NO_GROUP, **OTHERS}, True),
    ],
    ids=lambda value: "-".join(value.values())[:40] if isinstance(value, dict) else str(value),
)
def test_s10_group_rights_exist_only_where_a_group_is_kept(given, kept, adopts):
    """A group has no boundary: who holds these rights and a user of the account is its administrator."""
    found = rights(**given, AdoptArns=adopts)
    assert about_groups(found) == (LOOK_UPS | WRITES if kept else set())
    if kept:
        assert all(allows(found, action, GROUP) for action in LOOK_UPS | WRITES)
        assert {action for action in WRITES if allows(found, action, NAMED)} == (
            WRITES - {"iam:creategroup"} if adopts else set()
        )


@pytest.mark.parametrize("given", [CHILD, BOTH, {**CHILD, "AdoptArns": NAMED}], ids=["child", "both", "adopting"])
def test_group_rights_come_before_the_group_and_outlast_it(given):
    """Were they in the fence, an Update that takes them away would do so before CloudFormation deletes the group: it
    would be refused, and the stack complete all the same.
    """
    stack = Stack(**given)
    assert "ProvisionerGroupRights" in needed(stack, "ExternalGroup")
    # With the function's creation between them, since IAM takes a moment to spread a policy. The expansion fills the
    # reference in, so the order is read from the template itself.
    environment = source()["Resources"]["ProvisionerFunction"]["Properties"]["Environment"]
    assert "${ProvisionerGroupRights}" in json.dumps(environment)
    documents = [
        stack.properties("ProvisionerFence")["PolicyDocument"],
        *(policy["PolicyDocument"] for policy in stack.properties("ProvisionerRole")["Policies"]),
    ]
    assert [about_groups(document) for document in documents] == [set() for _ in documents]
    resources = expanded()["Resources"]
    # Removed together: whatever removes the one removes the other, unless it is for other stacks.
    assert resources["ExternalGroup"]["Condition"] == "MakesGroup"
    assert expanded()["Conditions"]["KeepsGroups"]["Fn::Or"][0] == {"Condition": "MakesGroup"}


@pytest.mark.parametrize("given", [CHILD, SEVERAL, BOTH], ids=["child", "several", "both"])
def test_a_child_whose_callers_are_roles_makes_no_group_and_all_else(given):
    with_group, without = Stack(**given), Stack(**given, **NO_GROUP)
    gone = with_group.resources.keys() - without.resources.keys()
    assert gone == {"ExternalGroup", "ProvisionerGroupRights"}
    assert with_group.outputs.keys() - without.outputs.keys() == {"GroupArn"}
    watched = {"AlarmTopicArn": TOPIC, "CreateDashboard": "true"}
    assert Stack(**given, **watched).resources.keys() - Stack(**given, **NO_GROUP, **watched).resources.keys() == gone


def environment(**given: str) -> dict[str, str]:
    return Stack(**given).properties("ProvisionerFunction")["Environment"]["Variables"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {**PARENT, "TrustedPrincipalArns": "arn:aws:iam::555566667777:role/a", "GrantableAccountIds": "1" * 12},
            {
                "GRANTABLE_ACCOUNT_IDS": f"{'1' * 12},555566667777",
                "GRANTABLE_PRINCIPAL_ARNS": "arn:aws:iam::555566667777:role/a",
                "OWN_GROUP": "false",
                "OWN_GROUP_USER_NAMES": "",
                "OWN_GROUP_ROLE_ARNS": "",
            },
        ),
        (
            {**CHILD, "UserNames": "alice,bob"},
            {
                "GRANTABLE_ACCOUNT_IDS": ",",
                "GRANTABLE_PRINCIPAL_ARNS": "",
                "OWN_GROUP": "true",
                "OWN_GROUP_USER_NAMES": "alice,bob",
                "OWN_GROUP_ROLE_ARNS": PARENT_ROLE,
            },
        ),
        ({**CHILD, **NO_GROUP}, {"OWN_GROUP": "false", "OWN_GROUP_USER_NAMES": "", "OWN_GROUP_ROLE_ARNS": ""}),
        (SEVERAL, {"OWN_GROUP": "true", "OWN_GROUP_ROLE_ARNS": "*"}),
        ({**SEVERAL, **NO_GROUP}, {"OWN_GROUP": "false", "OWN_GROUP_ROLE_ARNS": ""}),
        (
            {**BOTH, "TrustedPrincipalArns": "arn:aws:iam::444455556666:user/a"},
            {
                "GRANTABLE_PRINCIPAL_ARNS": "<InvokerRole.Arn>,arn:aws:iam::444455556666:user/a",
                "OWN_GROUP": "true",
                # The stack's own role lies below IamPath.
                "OWN_GROUP_ROLE_ARNS": "",
            },
        ),
    ],
    ids=["parent", "child", "child-no-group", "several", "several-no-group", "both"],
)
def test_the_provisioner_is_told_its_bounds_where_no_event_can_change_them(given, told):
    variables = environment(**given)
    assert variables.items() >= told.items()
    assert variables["OWN_STACK_ID"] == PSEUDO["AWS::StackId"]
    assert (variables["ALLOW_ANY_ENDPOINT"], variables["GROUPS_FOR_OTHER_STACKS"]) == ("false", "false")
    opened = environment(**given, AllowAnyEndpoint="true", **OTHERS)
    assert (opened["ALLOW_ANY_ENDPOINT"], opened["GROUPS_FOR_OTHER_STACKS"]) == ("true", "true")
    assert {**opened, "ALLOW_ANY_ENDPOINT": "false", "GROUPS_FOR_OTHER_STACKS": "false"} == variables


@pytest.mark.parametrize("given", [PARENT, CHILD, BOTH], ids=["parent", "child", "both"])
def test_what_this_stack_trusts_lies_within_what_it_may_grant(given):
    """So that its own resource is never refused, whatever the parameters say."""
    stack = Stack(**given, GrantableAccountIds="999988887777")
    if "ExternalRole" in stack.resources:
        role, variables = stack.properties("ExternalRole"), environment(**given, GrantableAccountIds="999988887777")
        assert set(role["TrustedAccountIds"]) <= set(variables["GRANTABLE_ACCOUNT_IDS"].split(","))
        assert set(role["TrustedPrincipalArns"]) <= set(variables["GRANTABLE_PRINCIPAL_ARNS"].split(","))
    if "ExternalGroup" in stack.resources:
        group, variables = stack.properties("ExternalGroup"), environment(**given)
        assert set(group["UserNames"]) <= set(variables["OWN_GROUP_USER_NAMES"].split(","))
